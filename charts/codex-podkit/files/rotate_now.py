"""Tells the rotator that an account hit its cap or lost its login, and has LiteLLM's own retry wait for another one.

It leaves the file `rotate-now`, then awaits, CHATGPT_FAILOVER_WAIT_SEC at most, that auth.json holds another token.
The status decides, never the class: LiteLLM 1.88 and 1.106 raise BadRequestError for a 401. Without a bearer nothing
was sent. Its claims name the account and, since two seats of a workspace share the account id, the user.
Nothing here may fail a request or hold up the event loop, and no token may get into the file."""

import asyncio
import atexit
import base64
import contextlib
import gc
import hashlib
import json
import os
import queue
import re
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import litellm
from litellm._logging import verbose_proxy_logger as log
from litellm.integrations.custom_logger import CustomLogger

env = os.environ.get
LIVE = Path(env("CHATGPT_LIVE_DIR") or env("CHATGPT_AUTH_DIR") or env("CHATGPT_TOKEN_DIR") or "/chatgpt-auth")
SIGNAL, RECORD = LIVE / "rotate-now", LIVE / (env("CHATGPT_AUTH_FILE") or "auth.json")
SIGN = LIVE / "callback.json"
WAIT_SEC = float(env("CHATGPT_FAILOVER_WAIT_SEC") or 2)
SUBJECT, CAP = ("account_id", "user_id", "token"), "usage_limit_reached"
SECRET = re.compile(r"(?i)bearer\s+\S+|[\w-]{16,}\.[\w-]{16,}(?:\.[\w-]*)?")
told: Any = queue.SimpleQueue()
capped: dict[str, float] = {}  # bearers that were refused for their usage, and when; a later success ends it


def sent_with(call: dict[str, Any]) -> tuple[str, Any]:
    """The bearer a call was sent with, and the account id it named; nothing of one that was not sent."""
    sent = {k.lower(): str(v) for k, v in ((call.get("additional_args") or {}).get("headers") or {}).items()}
    return sent.get("authorization", "")[len("Bearer ") :], sent.get("chatgpt-account-id")


def claims(bearer: str) -> dict[str, Any]:
    """The claims of a JWT that say whose it is; none of an opaque token."""
    try:
        return dict(json.loads(base64.urlsafe_b64decode(bearer.split(".")[1] + "=="))["https://api.openai.com/auth"])
    except (LookupError, TypeError, ValueError):
        return {}


def upstream_error(text: str) -> dict[str, Any]:
    """The `error` of the upstream's body, which LiteLLM puts behind its own words in the exception's text."""
    try:
        return dict(json.JSONDecoder().raw_decode(text[text.index("{") :])[0]["error"])
    except (LookupError, TypeError, ValueError):  # of a stream's `response.failed` only the message is left
        return {"type": CAP} if "The usage limit has been reached" in text else {}


def is_published(bearer: str) -> bool:
    """Whether a retry would be sent with this token. Read on the loop: it is small, and LiteLLM reads it there, too."""
    try:
        return bool(json.loads(RECORD.read_bytes())["access_token"] == bearer)
    except (OSError, LookupError, TypeError, ValueError):
        return True


def signal_for(call: dict[str, Any], failure: Any, bearer: str, named: Any) -> dict[str, Any]:
    """What a failed call, sent with this bearer and in the name of this account, tells about it; empty if nothing."""
    error, whose, status = upstream_error(str(failure)), claims(bearer), str(getattr(failure, "status_code", None))
    status = "429" if error.get("type") == CAP and status == "500" else status  # 1.88 says 500 of a stream that fails
    if call.get("custom_llm_provider") != "chatgpt" or status not in ("401", "403", "429") or not bearer:
        return {}

    def clean(value: Any) -> Any:
        return SECRET.sub("…", value.replace(bearer, "…"))[:500] if isinstance(value, str) else value

    received = getattr(failure, "litellm_response_headers", None) or {}
    known = {
        "at": time.time(),
        "status": int(status),
        "account_id": whose.get("chatgpt_account_id") or named,
        "user_id": whose.get("chatgpt_user_id") or whose.get("user_id"),
        "token": hashlib.sha256(bearer.encode()).hexdigest()[:16],  # tells a refreshed one from the one before it
        **{name: clean(error.get(name)) for name in ("type", "code", "resets_at", "resets_in_seconds")},
        "headers": {k.lower(): clean(str(received[k])) for k in received if k.lower().startswith("x-codex-")} or None,
        "model": call.get("model"),
        "message": clean(str(error.get("message") or failure)),
    }
    return {name: value for name, value in known.items() if value is not None or name == "code"}


def strength(signal: dict[str, Any]) -> Any:
    """A lost login outweighs a cap, a cap a passing limit, and one that tells when it ends one that does not."""
    return signal.get("status") in (401, 403), signal.get("type") == CAP, "resets_at" in signal


def put(signal: dict[str, Any]) -> bool:
    """Leaves the signal. False if one about another token lies there: the rotator must take that first."""
    leave = os.link  # complete at once like a rename, but it never replaces one that was not taken yet
    try:
        with contextlib.suppress(FileNotFoundError):
            there = dict(json.loads(SIGNAL.read_bytes()))
            another = "status" not in there or any(there.get(key) != signal.get(key) for key in SUBJECT)
            if another or strength(there) >= strength(signal):
                return not another
            leave = os.replace
        with tempfile.TemporaryDirectory(prefix="rotate-now.", dir=LIVE) as own:
            (draft := Path(own, "draft")).write_text(json.dumps(signal))
            draft.chmod(0o660)  # the rotator is another user of our group
            leave(draft, SIGNAL)
        # Watchers take a file for whole when it is closed after writing, and a link is no writing.
        with contextlib.suppress(FileNotFoundError):  # taken already
            os.close(os.open(SIGNAL, os.O_WRONLY))
    except (FileExistsError, TypeError, ValueError):
        return False
    except OSError as error:
        log.error("rotate_now: cannot write %s: %s", SIGNAL, error)
    return True


def write_signals() -> None:
    """A signal waits here while another token's lies there. No task: in 1.88 a failed stream's loop ends with it."""
    waiting: dict[Any, dict[str, Any]] = {}
    while True:
        with contextlib.suppress(queue.Empty):
            signal = told.get(timeout=0.2 if waiting else None)
            subject = tuple(map(signal.get, SUBJECT))
            waiting[subject] = max(waiting.get(subject, signal), signal, key=strength)
        waiting = {subject: signal for subject, signal in waiting.items() if not put(signal)}


class RotateNow(CustomLogger):
    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
        # The very headers that are sent next. auth.json may have been swapped between LiteLLM's two reads of it.
        try:
            bearer, named = sent_with(kwargs)
            whose = claims(bearer).get("chatgpt_account_id") if kwargs.get("custom_llm_provider") == "chatgpt" else None
            if whose and named not in (None, whose):
                headers = kwargs["additional_args"]["headers"]
                headers.update({k: whose for k in headers if k.lower() == "chatgpt-account-id"})
        except Exception as error:
            log.error("rotate_now: cannot look at a request: %s", type(error).__name__)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        # For each attempt the hook below is called. 1.88 has none and calls this, but without a stream only if told to.
        kwargs["has_logged_async_failure"] = hasattr(CustomLogger, "async_post_call_failure_deployment_hook")
        await self.failed(kwargs, kwargs["exception"])

    async def async_post_call_failure_deployment_hook(self, request: Any, failure: Any, *_: Any, **__: Any) -> None:
        await self.failed(request["litellm_logging_obj"].model_call_details, failure)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        try:
            bearer = sent_with(kwargs)[0] if capped else ""
            # Of calls that were under way when the account was refused, a success says nothing.
            if bearer in capped and kwargs["api_call_start_time"].timestamp() > capped[bearer]:
                del capped[bearer]
                whose = claims(bearer)
                account = {"account_id": whose["chatgpt_account_id"], "user_id": whose.get("chatgpt_user_id")}
                told.put({"at": time.time(), "status": 200, **{k: v for k, v in account.items() if v}})
        except Exception as error:
            log.error("rotate_now: cannot tell the rotator: %s", type(error).__name__)

    async def failed(self, call: dict[str, Any], failure: Any) -> None:
        try:
            bearer, named = sent_with(call)
            signal = signal_for(call, failure, bearer, named)
            if signal and call.get("rotate_now", "") != call.get("api_call_start_time"):  # this attempt is not told yet
                call["rotate_now"] = call.get("api_call_start_time")
                told.put(signal)
                if signal["status"] == 429:
                    capped[bearer] = time.time()
                # A stream that has begun is not retried, and while we waited 1.88 would stand still.
                give_up = time.monotonic() + (WAIT_SEC if str(signal["status"]) == str(failure.status_code) else 0)
                while is_published(bearer) and time.monotonic() < give_up:
                    await asyncio.sleep(0.02)
        except Exception as error:
            log.error("rotate_now: cannot tell the rotator: %s", type(error).__name__)


def give_sign_of_life() -> None:
    """Says each minute that a LiteLLM runs that calls us, for `accounts doctor`; imported is not called."""
    draft = LIVE / f".callback.json.{os.getpid()}"
    while True:
        held = any(callback is handler for callback in litellm.callbacks)
        sign = {"at": time.time(), "pid": os.getpid(), "litellm": version("litellm"), "held": held}
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(sign))
            draft.chmod(0o644)
            draft.replace(SIGN)
        time.sleep(60 if held else 1)


handler = RotateNow()
threading.Thread(target=write_signals, daemon=True).start()
threading.Thread(target=give_sign_of_life, daemon=True).start()
# As PID 1 LiteLLM does not die of the SIGTERM that uvicorn raises once more when it has shut down. Python then takes
# seconds to collect LiteLLM's modules before it ends, unless there is nothing to collect.
atexit.register(gc.freeze)
