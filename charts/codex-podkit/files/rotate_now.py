"""Signals the rotator that an account was refused, and holds LiteLLM's own retry until another one is published.

A refusal becomes the file `rotate-now`. The retry is held, CHATGPT_FAILOVER_WAIT_SEC at most, until auth.json has
another token. First come the rules: pure functions that know no file, clock or LiteLLM. Then comes what LiteLLM calls.
Nothing here may fail a request or hold up the event loop, and no token may get into a file."""

import asyncio
import atexit
import base64
import contextlib
import enum
import gc
import hashlib
import json
import os
import queue
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import litellm
from litellm._logging import verbose_proxy_logger as log
from litellm.integrations.custom_logger import CustomLogger

Fields = Mapping[str, Any]
Signal = dict[str, Any]

PROVIDER, CAP = "chatgpt", "usage_limit_reached"
ACCOUNT_HEADER = "chatgpt-account-id"
SECRET = re.compile(r"(?i)bearer\s+\S+|[\w-]{16,}\.[\w-]{16,}(?:\.[\w-]*)?")
# What foreign JSON raises when it is not what it should be, or nested too deeply.
UNREADABLE = (LookupError, RecursionError, TypeError, ValueError)


class Sent(NamedTuple):
    """What a request was sent with; the bearer is empty if none was sent."""

    bearer: str
    account_id: str | None


class Owner(NamedTuple):
    """Whose a token is. Two seats of a workspace share the account id, so the user is needed as well."""

    account_id: str | None
    user_id: str | None


class Placing(enum.Enum):
    """What is done with a signal, by what lies in the signal's file."""

    LINK = "the place is free"
    REPLACE = "a weaker one about the same token lies there"
    DROP = "one about the same token lies there that is as strong"
    WAIT = "the rotator must first take what lies there"


def sent_with(call: Fields) -> Sent:
    """What LiteLLM's record of a call says it was sent with."""
    headers = (call.get("additional_args") or {}).get("headers") or {}
    sent = {name.lower(): str(value) for name, value in headers.items()}
    return Sent(sent.get("authorization", "")[len("Bearer ") :], sent.get(ACCOUNT_HEADER))


def owner_of(bearer: str) -> Owner:
    """Whose token it is by its claims; nobody's if it is opaque."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(bearer.split(".")[1] + "=="))
        auth = dict(claims["https://api.openai.com/auth"])
    except UNREADABLE:
        return Owner(None, None)
    account, user = auth.get("chatgpt_account_id"), auth.get("chatgpt_user_id") or auth.get("user_id")
    return Owner(*(name if isinstance(name, str) and name else None for name in (account, user)))


def account_to_name(call: Fields) -> str | None:
    """The account of a request's token, if its headers name another: auth.json may have been swapped between
    LiteLLM's two reads of it."""
    if call.get("custom_llm_provider") != PROVIDER:
        return None
    sent = sent_with(call)
    account = owner_of(sent.bearer).account_id
    return None if sent.account_id in (None, account) else account


def upstream_error(text: str) -> Fields:
    """The `error` of the provider's body, which LiteLLM puts behind its own words in the exception's text."""
    try:
        return dict(json.JSONDecoder().raw_decode(text[text.index("{") :])[0]["error"])
    except UNREADABLE:  # of a stream's `response.failed` only the message is left
        return {"type": CAP} if "The usage limit has been reached" in text else {}


def refusal_status(failure: object, error: Fields) -> int | None:
    """The status by which an account was refused. The exception's class says nothing: LiteLLM 1.88 and 1.106 raise
    BadRequestError for a 401. Nor does it speak against a cap that 1.88 says 500 of a stream that fails."""
    status = str(getattr(failure, "status_code", None))
    if status == "500" and error.get("type") == CAP:
        return 429
    return int(status) if status in ("401", "403", "429") else None


def is_retried(signal: Signal, failure: object) -> bool:
    """Whether LiteLLM asks again: it does not once a stream has begun, whose status is another."""
    return str(signal["status"]) == str(getattr(failure, "status_code", None))


def clean(value: object, bearer: str) -> Any:
    """What of a foreign value may get into the signal: a text without tokens, or a number that JSON can hold."""
    if isinstance(value, str):
        return SECRET.sub("…", value.replace(bearer, "…"))[:500]
    return value if isinstance(value, int | float) and abs(value) < 1e12 else None


def refusal_signal(call: Fields, failure: object, now: float) -> Signal | None:
    """What a failed call says of the account that it was sent for, if it says that the account was refused."""
    sent, error = sent_with(call), upstream_error(str(failure))
    status = refusal_status(failure, error)
    if call.get("custom_llm_provider") != PROVIDER or status is None or not sent.bearer:
        return None
    owner = owner_of(sent.bearer)
    headers = getattr(failure, "litellm_response_headers", None) or {}
    codex = {name.lower(): clean(str(headers[name]), sent.bearer) for name in headers}
    said = ("type", "code", "plan_type", "resets_at", "resets_in_seconds")
    signal = {
        "at": now,
        "status": status,
        "account_id": owner.account_id or sent.account_id,
        "user_id": owner.user_id,
        # Tells a refreshed token from the one before it.
        "token": hashlib.sha256(sent.bearer.encode()).hexdigest()[:16],
        **{name: clean(error.get(name), sent.bearer) for name in said},
        "headers": {name: codex[name] for name in codex if name.startswith("x-codex-")} or None,
        "model": call.get("model"),
        "message": clean(str(error.get("message") or failure), sent.bearer),
    }
    return {name: value for name, value in signal.items() if value is not None or name == "code"}


def success_signal(call: Fields, capped: Mapping[str, float], now: float) -> Signal | None:
    """What a success says of an account that was refused for its usage at that time: it serves again. A call that was
    under way when the account was refused says nothing."""
    sent = sent_with(call)
    if sent.bearer not in capped or call["api_call_start_time"].timestamp() <= capped[sent.bearer]:
        return None
    owner = owner_of(sent.bearer)
    signal = {"at": now, "status": 200, "account_id": owner.account_id, "user_id": owner.user_id}
    return {name: value for name, value in signal.items() if value} if owner.account_id else None


def subject(signal: Fields) -> tuple[Any, ...]:
    """What a signal is about; of several with the same subject the strongest is enough."""
    return tuple(signal.get(name) for name in ("account_id", "user_id", "token"))


def strength(signal: Fields) -> tuple[bool, ...]:
    """A lost login outweighs a cap, a cap a passing limit, and one that says when it ends one that does not."""
    return signal.get("status") in (401, 403), signal.get("type") == CAP, "resets_at" in signal


def placing(signal: Signal, there: bytes | None) -> Placing:
    """What is done with a signal while the file has this content."""
    if there is None:
        return Placing.LINK
    try:
        other = dict(json.loads(there))
    except UNREADABLE:
        return Placing.WAIT
    if "status" not in other or subject(other) != subject(signal):
        return Placing.WAIT
    return Placing.DROP if strength(other) >= strength(signal) else Placing.REPLACE


# From here on: files, threads and LiteLLM.

LIVE = Path(
    os.environ.get("CHATGPT_LIVE_DIR")
    or os.environ.get("CHATGPT_AUTH_DIR")
    or os.environ.get("CHATGPT_TOKEN_DIR")
    or "/chatgpt-auth"
)
SIGNAL, RECORD = LIVE / "rotate-now", LIVE / (os.environ.get("CHATGPT_AUTH_FILE") or "auth.json")
HEARTBEAT = LIVE / "callback.json"
WAIT_SEC = float(os.environ.get("CHATGPT_FAILOVER_WAIT_SEC") or 2)

signals: queue.SimpleQueue[Signal] = queue.SimpleQueue()
capped: dict[str, float] = {}  # bearers that were refused for their usage, and when; a later success ends it


def is_published(bearer: str) -> bool:
    """Whether a retry would be sent with this token. Read on the loop: it is small, and LiteLLM reads it there, too."""
    try:
        return bool(json.loads(RECORD.read_bytes())["access_token"] == bearer)
    except (OSError, *UNREADABLE):
        return True


def put(signal: Signal) -> bool:
    """Leaves the signal in the file; False if it has to wait."""
    try:
        place = placing(signal, content_of(SIGNAL))
        if place in (Placing.DROP, Placing.WAIT):
            return place is Placing.DROP
        # A link is complete at once like a rename, but never replaces a signal that was not taken yet.
        leave: Callable[[Path, Path], None] = os.replace if place is Placing.REPLACE else os.link
        with tempfile.TemporaryDirectory(prefix="rotate-now.", dir=LIVE) as own:
            draft = Path(own, "draft")
            draft.write_text(json.dumps(signal))
            draft.chmod(0o660)  # the rotator is another user of our group
            leave(draft, SIGNAL)
        # Watchers take a file for whole when it is closed after writing, and a link is no writing.
        with contextlib.suppress(FileNotFoundError):  # taken already
            os.close(os.open(SIGNAL, os.O_WRONLY))
    except FileExistsError:
        return False
    except OSError as error:
        log.error("rotate_now: cannot write %s: %s", SIGNAL, error)
    return True


def content_of(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def write_signals() -> None:
    """Puts each signal as soon as it can be. No task: in 1.88 a failed stream's loop ends with it."""
    waiting: dict[tuple[Any, ...], Signal] = {}
    while True:
        with contextlib.suppress(queue.Empty):
            signal = signals.get(timeout=0.2 if waiting else None)
            waiting[subject(signal)] = max(waiting.get(subject(signal), signal), signal, key=strength)
        waiting = {about: signal for about, signal in waiting.items() if not put(signal)}


def write_heartbeats() -> None:
    """Says each minute that a LiteLLM runs that calls us, for `accounts doctor`; imported is not called."""
    draft = LIVE / f".callback.json.{os.getpid()}"
    while True:
        held = any(callback is handler for callback in litellm.callbacks)
        beat = {"at": time.time(), "pid": os.getpid(), "litellm": version("litellm"), "held": held}
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(beat))
            draft.chmod(0o644)
            draft.replace(HEARTBEAT)
        time.sleep(60 if held else 1)


@contextlib.contextmanager
def failing_no_request() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.error("rotate_now: cannot look at a request: %s", type(error).__name__)


class RotateNow(CustomLogger):
    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
        with failing_no_request():
            if account := account_to_name(kwargs):
                headers = kwargs["additional_args"]["headers"]  # the very ones that are sent next
                headers.update({name: account for name in headers if name.lower() == ACCOUNT_HEADER})

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        # For each attempt the hook below is called. 1.88 has none and calls this, but without a stream only if told to.
        kwargs["has_logged_async_failure"] = hasattr(CustomLogger, "async_post_call_failure_deployment_hook")
        await self.failed(kwargs, kwargs["exception"])

    async def async_post_call_failure_deployment_hook(self, request: Any, failure: Any, *_: Any, **__: Any) -> None:
        await self.failed(request["litellm_logging_obj"].model_call_details, failure)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        with failing_no_request():
            if capped and (signal := success_signal(kwargs, capped, time.time())):
                capped.pop(sent_with(kwargs).bearer)
                signals.put(signal)

    async def failed(self, call: dict[str, Any], failure: Any) -> None:
        with failing_no_request():
            signal = refusal_signal(call, failure, time.time())
            attempt = call.get("api_call_start_time")
            if signal is None or call.get("rotate_now", "") == attempt:  # this attempt has been signalled
                return
            call["rotate_now"] = attempt
            signals.put(signal)
            bearer = sent_with(call).bearer
            if signal["status"] == 429:
                capped[bearer] = time.time()
            # Of a stream that has begun 1.88 would stand still while we waited.
            give_up = time.monotonic() + (WAIT_SEC if is_retried(signal, failure) else 0)
            while is_published(bearer) and time.monotonic() < give_up:  # noqa: ASYNC110 (another process publishes)
                await asyncio.sleep(0.02)


handler = RotateNow()
threading.Thread(target=write_signals, daemon=True).start()
threading.Thread(target=write_heartbeats, daemon=True).start()
# As PID 1 LiteLLM does not die of the SIGTERM that uvicorn raises once more when it has shut down. Python then takes
# seconds to collect LiteLLM's modules before it ends, unless there is nothing to collect.
atexit.register(gc.freeze)
