"""Tells the rotator that an account hit its cap or lost its login: writes the file `rotate-now`.

Only the async failure hook: the proxy calls no other for an upstream error, and awaits it before its own retry.
The status decides, never the class: LiteLLM 1.88 and 1.106 raise BadRequestError for a 401.
Only failures that carry a bearer: without one nothing was sent, and no account has refused anything.
The account is in the bearer's claims; the header can be another's when auth.json is swapped between LiteLLM's two
reads. The user id goes along, since two seats of a workspace share the account id.
Nothing here may fail a request or hold up the event loop, and no token may get into the file."""

import asyncio
import base64
import contextlib
import json
import os
import re
import tempfile
import time
from typing import Any, Optional

from litellm._logging import verbose_proxy_logger as log
from litellm.integrations.custom_logger import CustomLogger

ACCOUNT = ("account_id", "user_id")
SECRET = re.compile(r"(?i)bearer\s+\S+|[\w-]{16,}\.[\w-]{16,}(?:\.[\w-]*)?")


def claims(bearer: str) -> dict[str, Any]:
    """The claims of a JWT that say whose it is; none of an opaque token."""
    try:
        part = bearer.split(".")[1]
        return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["https://api.openai.com/auth"])
    except (IndexError, KeyError, TypeError, ValueError):
        return {}


def upstream_error(text: str) -> dict[str, Any]:
    """The `error` of the upstream's body, which LiteLLM puts behind its own words in the exception's text."""
    try:
        return dict(json.JSONDecoder().raw_decode(text[text.index("{") :])[0]["error"])
    except (KeyError, TypeError, ValueError):
        return {}


def signal_for(kwargs: dict[str, Any]) -> Optional[dict[str, Any]]:
    """What a failed call tells about an account; None if nothing."""
    failure = kwargs.get("exception")
    status = str(getattr(failure, "status_code", None))
    sent = {k.lower(): str(v) for k, v in ((kwargs.get("additional_args") or {}).get("headers") or {}).items()}
    bearer = sent.get("authorization", "")[len("Bearer ") :]
    if kwargs.get("custom_llm_provider") != "chatgpt" or status not in ("401", "403", "429") or not bearer:
        return None

    def clean(value: Any) -> Any:
        return SECRET.sub("…", value.replace(bearer, "…"))[:500] if isinstance(value, str) else value

    whose, error = claims(bearer), upstream_error(str(failure))
    received = getattr(failure, "litellm_response_headers", None) or {}
    known = {
        "at": time.time(),
        "status": int(status),
        "account_id": whose.get("chatgpt_account_id") or sent.get("chatgpt-account-id"),
        "user_id": whose.get("chatgpt_user_id") or whose.get("user_id"),
        **{name: clean(error.get(name)) for name in ("type", "code", "resets_at", "resets_in_seconds")},
        "headers": {k.lower(): clean(str(received[k])) for k in received if k.lower().startswith("x-codex-")} or None,
        "model": kwargs.get("model"),
        "message": clean(str(error.get("message") or failure)),
    }
    return {name: value for name, value in known.items() if value is not None or name == "code"}


def same_account(path: str, signal: dict[str, Any]) -> bool:
    """Whether the signal at `path` is about the same account; no, when it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            there = json.load(file)
        return all(there.get(key) == signal.get(key) for key in ACCOUNT)
    except (OSError, ValueError, AttributeError):
        return False


def put(signal: dict[str, Any]) -> bool:
    """Writes the signal. False if one about another account lies there, which the rotator must take first."""
    names = ("CHATGPT_LIVE_DIR", "CHATGPT_AUTH_DIR", "CHATGPT_TOKEN_DIR")
    target = os.path.join(next(filter(None, map(os.environ.get, names)), "/chatgpt-auth"), "rotate-now")
    if os.path.lexists(target):
        return same_account(target, signal)
    try:
        with tempfile.NamedTemporaryFile("w", prefix="rotate-now.", dir=os.path.dirname(target)) as draft:
            os.fchmod(draft.fileno(), 0o660)  # the rotator is another user of our group
            json.dump(signal, draft)
            draft.flush()
            # Complete at once like a rename, but it never replaces a signal that was not taken yet.
            os.link(draft.name, target)
        # Watchers take a file for whole when it is closed after writing, and a link is no writing.
        with contextlib.suppress(FileNotFoundError):  # taken already
            os.close(os.open(target, os.O_WRONLY))
    except FileExistsError:
        return same_account(target, signal)
    except OSError as error:
        log.error("rotate_now: cannot write %s: %s", target, error)
    return True


class RotateNow(CustomLogger):
    waiting: dict[Any, Any] = {}  # by account: signals that wait until another account's is taken

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        try:
            signal = signal_for(kwargs) or {}
            account = tuple(map(signal.get, ACCOUNT))
            if signal and account not in self.waiting and not await asyncio.to_thread(put, signal):
                self.waiting[account] = asyncio.create_task(self.put_later(account, signal))
            # Here is the place to await, 2 s at most, that auth.json names another account for the retry.
        except Exception as error:
            log.error("rotate_now: cannot tell the rotator: %s", type(error).__name__)

    async def put_later(self, account: Any, signal: dict[str, Any]) -> None:
        """Loses nothing: the rotator takes the other signal by a rename, then ours goes in."""
        while not await asyncio.to_thread(put, signal):
            await asyncio.sleep(0.2)
        self.waiting.pop(account, None)


handler = RotateNow()
