"""Knows each agent by a key of its own, of which only a hash is here, and says what the key is good for.

LiteLLM asks `check` about each request. The directory LITELLM_AGENT_KEYS_DIR, a mounted Secret, has a file NAME.json
for each agent, made by `agent-key`:

    {"keys": [{"sha256": "…", "expires": "2027-01-31T00:00:00Z"}],
     "models": ["gpt-5.6-sol"], "rpm": 60, "tpm": 200000, "parallel": 4}

All but the hash may be missing. LiteLLM itself enforces the limits, and answers 429 to the agent that has reached one.
First come the rules, functions that know no file, clock or LiteLLM; then files, a thread and what LiteLLM calls. No key
may get into a log or a file."""

import contextlib
import hashlib
import hmac
import json
import os
import re
import threading
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from litellm._logging import verbose_proxy_logger as log
from litellm.constants import LITELLM_PROXY_MASTER_KEY_ALIAS
from litellm.proxy import proxy_server
from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

# What codex asks for. All else is the operator's: management, health checks that ask the provider, utilities.
AGENTS_ROUTES = {
    ("POST", "/responses"),
    ("POST", "/responses/compact"),
    ("POST", "/chat/completions"),
    ("GET", "/models"),
}
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?\.json")
LIMITS = ("rpm", "tpm", "parallel")
UNKNOWN = 401, "Authentication Error: this key is not known, or was revoked."


class Agent(NamedTuple):
    """Whose a key is, and what it is good for; None is no limit, and no models are all models."""

    name: str
    models: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None


class Key(NamedTuple):
    """One key of an agent; it has two while the old one may still be in use."""

    digest: bytes
    expires: float | None
    agent: Agent


def keys_of(name: str, content: bytes) -> list[Key]:
    """The keys in an agent's file. A ValueError says what is wrong: a misspelt limit must not be none."""
    document = only(json.loads(content), {"keys", "models", *LIMITS})
    models = document.get("models", [])
    if not isinstance(models, list) or not all(isinstance(model, str) and model for model in models):
        raise ValueError("models is not a list of names")
    for limit in LIMITS:
        if type(document.get(limit, 1)) is not int or document.get(limit, 1) < 1:
            raise ValueError(f"{limit} is not a number above 0")
    agent = Agent(name, tuple(models), *(document.get(limit) for limit in LIMITS))
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise ValueError("keys is not a list")
    return [key_of(only(key, {"sha256", "expires"}), agent) for key in keys]


def key_of(document: Mapping[str, Any], agent: Agent) -> Key:
    digest, expires = str(document.get("sha256")), document.get("expires")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("sha256 is not 64 hexadecimal digits")
    return Key(bytes.fromhex(digest), None if expires is None else seconds_of(str(expires)), agent)


def seconds_of(text: str) -> float:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
        raise ValueError("expires is not a time such as 2027-01-31T00:00:00Z")
    return datetime.fromisoformat(f"{text[:-1]}+00:00").timestamp()


def only(document: Any, names: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    for name in document.keys() - set(names):
        raise ValueError(f"{name!r} is not known")
    return document


def key_with(digest: bytes, keys: Collection[Key]) -> Key | None:
    """The key that has this digest. All are compared, each in constant time, so that how long it takes says nothing."""
    found = [key for key in keys if hmac.compare_digest(key.digest, digest)]
    return found[0] if found else None


def refusal(key: Key | None, method: str, path: str, now: float) -> tuple[int, str] | None:
    """The status and the message for a request that is not let through."""
    if key is None:
        return UNKNOWN
    if key.expires is not None and now >= key.expires:
        return 401, f"Authentication Error: this key of the agent {key.agent.name} has expired."
    if (method, path.removeprefix("/v1")) not in AGENTS_ROUTES:
        return 403, f"The agent {key.agent.name} may not {method} {path[:100]!r}: that needs the operator's key."
    return None


# From here on: files, and the thread that looks at them.

DIRECTORY = Path(os.environ.get("LITELLM_AGENT_KEYS_DIR") or "/etc/litellm-agent-keys")
LOOK_SEC = 1.0
MOST_BYTES = 1 << 20  # a Secret is no larger

keys: tuple[Key, ...] = ()
seen: object = None
trouble: str | None = None


def look() -> None:
    """Reads the keys anew if a file has changed. While the directory cannot be read they stay as they were."""
    global keys, seen, trouble
    try:
        files, why = signature(), None
        if files != seen:
            keys, seen = read(files), files
    except OSError as error:
        why = str(error)
    if why and why != trouble:
        log.error("agent_keys: cannot look at the keys: %s", why)
    trouble = why


def signature() -> dict[str, tuple[int, int, int]]:
    """What changes whenever a file does: a mounted Secret is replaced by moving a link."""
    signs = {}
    for path in sorted(DIRECTORY.iterdir()) if DIRECTORY.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # it is just going
            if NAME.fullmatch(path.name):
                stat = path.stat()
                if stat.st_size:  # kubectl may leave an empty one of a key that was revoked
                    signs[path.name] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
    return signs


def read(names: Collection[str]) -> tuple[Key, ...]:
    """The keys in these files. An agent whose file makes no sense has none."""
    found: list[Key] = []
    for name in names:
        try:
            with (DIRECTORY / name).open("rb") as file:
                found += keys_of(name.removesuffix(".json"), file.read(MOST_BYTES))
        except (OSError, RecursionError, ValueError) as error:
            log.error("agent_keys: %s: %s; no key of this agent is accepted", name, error)
    return tuple(found)


def watch() -> None:
    while True:
        time.sleep(LOOK_SEC)
        look()


# From here on: the event loop.


async def check(request: Any, api_key: str) -> UserAPIKeyAuth:
    """Who sends a request, for LiteLLM. The master key is the operator's and may do anything."""
    digest = hashlib.sha256(str(api_key or "").encode()).digest()
    master = hashlib.sha256(str(proxy_server.master_key or "").encode()).digest()
    if proxy_server.master_key and hmac.compare_digest(digest, master):
        return UserAPIKeyAuth(
            api_key=LITELLM_PROXY_MASTER_KEY_ALIAS,
            user_role=LitellmUserRoles.PROXY_ADMIN,
            user_id=proxy_server.litellm_proxy_admin_name,
        )
    key = key_with(digest, keys)
    method, path = request.scope.get("method", "a socket at"), request.scope["path"]
    refused = refusal(key, method, path.removeprefix(request.scope.get("root_path", "")), time.time())
    if refused or key is None:
        status, message = refused or UNKNOWN
        raise ProxyException(message, "auth_error", "key", status)
    agent = key.agent
    return UserAPIKeyAuth(
        # By this name LiteLLM counts: both keys of an agent share its limits.
        api_key=f"agent {agent.name}",
        key_alias=agent.name,
        user_role=LitellmUserRoles.INTERNAL_USER,
        models=list(agent.models),
        rpm_limit=agent.rpm,
        tpm_limit=agent.tpm,
        max_parallel_requests=agent.parallel,
    )


look()
threading.Thread(target=watch, daemon=True).start()
