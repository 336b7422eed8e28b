from enum import Enum
from typing import Any


class LitellmUserRoles(str, Enum):
    PROXY_ADMIN = "proxy_admin"
    INTERNAL_USER = "internal_user"


class UserAPIKeyAuth:
    def __init__(self, **fields: Any) -> None:
        self.fields = fields


class ProxyException(Exception):  # noqa: N818 (LiteLLM's name)
    def __init__(self, message: str, type: str, param: str, code: int) -> None:  # noqa: A002 (as LiteLLM calls it)
        super().__init__(message)
        self.message, self.type, self.param, self.code = message, type, param, str(code)
