master_key: str | None = None
litellm_proxy_admin_name = "default_user_id"
