import logging

verbose_proxy_logger = logging.getLogger("LiteLLM Proxy")
