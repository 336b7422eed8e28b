import logging

verbose_proxy_logger = logging.getLogger("LiteLLM Proxy")
verbose_proxy_logger.addHandler(logging.NullHandler())
