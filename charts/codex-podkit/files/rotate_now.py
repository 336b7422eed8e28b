"""Serves each request with an account that is not refused, and signals the rotator which one was.

LiteLLM sends what is for ChatGPT through the handler below. A refusal becomes the file `rotate-now`, and the request is
sent again as soon as the rotator has published another account, CHATGPT_FAILOVER_WAIT_SEC at most later. First come
the rules: functions that know no file, clock or LiteLLM. Then come what is kept in memory, files and threads, and what
LiteLLM calls. Nothing here may fail a request or hold up the event loop, and no token may get into a file."""

import asyncio
import atexit
import base64
import contextlib
import enum
import errno
import functools
import gc
import hashlib
import hmac
import json
import math
import os
import queue
import re
import stat
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import litellm
from litellm._logging import verbose_proxy_logger as log
from litellm.integrations.custom_logger import CustomLogger
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

Fields = Mapping[str, Any]
Headers = Mapping[str, str]
Signal = dict[str, Any]

PROVIDER, CAP, CAP_MESSAGE = "chatgpt", "usage_limit_reached", "The usage limit has been reached"
ACCOUNT_HEADER, USED = "chatgpt-account-id", "-used-percent"
# A word is looked at from its beginning only, or a page of one long word would take seconds.
SECRET = re.compile(r"(?i)bearer\s+\S+|(?<![\w-])[\w-]{16,}\.[\w-]{16,}(?:\.[\w-]*)?")
MOST_JSON = 1 << 20  # that is read, for more would hold up the event loop
# What foreign JSON raises when it is not what it should be, or nested too deeply.
UNREADABLE = (LookupError, RecursionError, TypeError, ValueError)
# The status that a code stands for, wherever it is found: in a stream it comes after a 200.
STATUS_OF_CODE = {
    CAP: 429,
    "usage_not_included": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "deactivated_workspace": 402,
    "token_invalidated": 401,
    "token_expired": 401,
    "invalid_encrypted_content": 400,
}
# The codes of a 429 that are not about the load of the moment.
LASTING = {CAP, "usage_not_included", "insufficient_quota"}


class Owner(NamedTuple):
    """Whose a token is. Two seats of a workspace share the account id, so the user is needed as well."""

    account_id: str | None
    user_id: str | None


Who = tuple[str | None, Owner]  # an agent and an account


class Sent(NamedTuple):
    """What a request is sent with; the bearer is empty if there is none."""

    bearer: str
    account_id: str | None


class Answer(NamedTuple):
    """What the provider said, by a body or by an event of a stream. The names of headers are in lower case."""

    status: int
    headers: Headers
    error: Fields
    is_json: bool = True


class Asked(NamedTuple):
    """Which account was asked, by its bearer, and for which model; none stands for any."""

    bearer: str
    model: str | None = None


class Scope(enum.Enum):
    """What of an account is refused."""

    ACCOUNT = "the account"
    MODEL = "one model on this account"


class Refusal(NamedTuple):
    """That an account was refused, and how."""

    status: int
    scope: Scope


class Placing(enum.Enum):
    """What is done with a signal, by what lies in the signal's file."""

    LINK = "the place is free"
    REPLACE = "a weaker one about the same token lies there"
    DROP = "one about the same token lies there that is as strong"
    WAIT = "the rotator must first take what lies there"


class Reading(NamedTuple):
    """What an answer's headers say of the account's usage, and how much of each window is used by them."""

    at: float
    owner: Owner
    model: str | None
    headers: Headers
    used: Mapping[str, float]


class Used(NamedTuple):
    """How much an agent has used of an account, in whole numbers since the agent's first request."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0  # of the input
    output_tokens: int = 0
    refused: int = 0  # by the account
    limited: int = 0  # by the agent's own limits, before any account was asked

    def plus(self, more: "Used") -> "Used":
        return Used(*map(sum, zip(self, more, strict=True)))

    def minus(self, less: "Used") -> "Used":
        return Used(*(mine - others for mine, others in zip(self, less, strict=True)))


class Pool(NamedTuple):
    """What the rotator says of all accounts; nothing is known until it does."""

    usable: int | None = None
    accounts: int | None = None
    back_at: int | None = None
    is_capped: bool = True


class Records(NamedTuple):
    """What requests are sent with: the published record, those of single models for which it does not stand, and those
    of several lanes. A model that no account serves has none."""

    record: Sent | None = None
    by_model: Mapping[str, Sent | None] = {}
    lanes: Sequence[Sent] = ()

    def serving(self, model: object) -> Sent | None:
        return self.by_model.get(str(model)) or self.record

    def instead(self, model: object) -> tuple[Sent, ...]:
        record = self.by_model.get(str(model))
        return (record,) if record else ()

    def others(self, lane: int, model: object) -> tuple[Sent, ...]:
        """What to try after this lane: what it has by now, then the lanes after it, so that they share the load."""
        lanes = (*self.lanes[lane:], *self.lanes[:lane]) or ((self.record,) if self.record else ())
        return *self.instead(model), *lanes


def sent_with(headers: Fields) -> Sent:
    """What a request is sent with by its headers."""
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


def headers_for(sent: Sent, headers: Fields) -> dict[str, Any]:
    """The headers of a request that is sent with this token. They name the account of the token: auth.json may have
    been swapped between LiteLLM's two reads of it."""
    account = owner_of(sent.bearer).account_id or sent.account_id
    ours = {"authorization": f"Bearer {sent.bearer}", ACCOUNT_HEADER: account}
    return {name: ours.get(name.lower()) or value for name, value in headers.items()}


def answer_of_body(status: int, headers: Headers, text: str) -> Answer:
    """What a body says; the error is empty if it has none, or is no JSON."""
    try:
        error, is_json = error_of(json.loads(text[:MOST_JSON])), True
    except UNREADABLE:
        error, is_json = {}, False
    return Answer(status_of(error, status), headers, error, is_json)


def answer_of_event(event: Fields, headers: Headers) -> Answer:
    """What an event says that ends a stream badly: `error`, `response.failed` or `response.incomplete`. Its own headers
    count more than those of the stream."""
    response = event.get("response")
    error = error_of(response if isinstance(response, dict) else event)
    own = event.get("headers")
    own = {str(name).lower(): str(value) for name, value in own.items()} if isinstance(own, dict) else {}
    status = event.get("status_code") or event.get("status")
    return Answer(status_of(error, status if type(status) is int else 500), {**headers, **own}, error)


def error_of(document: Any) -> Fields:
    """The error in a body, in an event, or in an event's response, wherever it lies there."""
    document = document if isinstance(document, dict) else {}
    error = document.get("error") or document.get("detail") or document.get("incomplete_details")
    if isinstance(error, str):
        error = {"message": error}
    elif not isinstance(error, dict):
        error = document if document.get("type") == "error" else {}
    if CAP_MESSAGE in str(error.get("message")):
        return {**error, "type": CAP}
    return {"code": error["reason"], **error} if "reason" in error else error


def codes_of(error: Fields) -> set[str]:
    return {str(error.get(name)) for name in ("type", "code")}


def status_of(error: Fields, status: int) -> int:
    """The status that an error's code stands for; the one that it came with if that is not known."""
    return next((STATUS_OF_CODE[code] for code in sorted(codes_of(error)) if code in STATUS_OF_CODE), status)


def refusal_of(answer: Answer) -> Refusal | None:
    """What was refused, if anything: the one place that says it.

    | status   | and                                   | is refused                     |
    |----------|---------------------------------------|--------------------------------|
    | 403, 429 | a challenge                           | nothing: it is for an address  |
    | 400      | the model is not for ChatGPT accounts | the model on this account      |
    | 429      | the limit of a family of models       | the model on this account      |
    | 401, 402 |                                       | the account                    |
    | 403, 429 | anything else                         | the account                    |
    | other    |                                       | nothing                        |
    """
    said = str(answer.error.get("message"))[:4000].lower()
    if is_challenge(answer):
        return None
    if answer.status == 400 and "model is not supported" in said and "chatgpt account" in said:
        return Refusal(400, Scope.MODEL)
    if answer.status == 429 and family_of(answer.headers):
        return Refusal(429, Scope.MODEL)
    return Refusal(answer.status, Scope.ACCOUNT) if answer.status in (401, 402, 403, 429) else None


def is_challenge(answer: Answer) -> bool:
    """Whether it comes from the provider's gate: a page that a browser would pass. The provider itself speaks JSON."""
    is_marked = answer.headers.get("cf-mitigated") == "challenge"
    return (answer.status == 403 and not answer.is_json) or (answer.status in (403, 429) and is_marked)


def family_of(headers: Headers) -> str | None:
    """The family of models whose limit was met, such as `x-codex-bengalfox`, if it was not the account's own limit: the
    one that is called active, else one that is used up while the account's own is not."""
    used = {(window.rpartition("-")[0], number) for window, number in percents(headers).items()}
    active = "x-" + headers.get("x-codex-active-limit", "").lower().replace("_", "-")
    full = {family for family, number in used if number >= 100}
    if active != "x-codex" and active in {family for family, _ in used}:
        return active
    return None if "x-codex" in full else min(full, default=None)


def is_about_reasoning(answer: Answer) -> bool:
    """Whether encrypted items were refused, as they are when another account made them."""
    said = str(answer.error.get("message"))[:4000].lower()
    return answer.status == 400 and (
        "invalid_encrypted_content" in codes_of(answer.error) or "encrypted content" in said
    )


def is_momentary(answer: Answer) -> bool:
    """Whether the same account may well serve in a second: no limit is known to last, or says when it ends."""
    lasts = codes_of(answer.error) & LASTING or any(number >= 100 for number in percents(answer.headers).values())
    return answer.status == 429 and not lasts and not number_of(answer.error.get("resets_at"))


def percents(headers: Headers) -> dict[str, float]:
    """How much of each window is used; a window is called `x-codex-primary`, say."""
    used = {name.removesuffix(USED): finite(headers[name]) for name in headers if name.endswith(USED)}
    return {window: number for window, number in used.items() if number is not None}


def finite(value: object) -> float | None:
    """A number in any form in which JSON, headers and people write one."""
    try:
        number = float(str(value))
    except UNREADABLE:
        return None
    return number if math.isfinite(number) else None


def number_of(value: object) -> int | None:
    """The same as whole seconds, if it can be such; a time in milliseconds is taken for what it is."""
    number = finite(value)
    if number is not None and 1e11 < number < 1e14:
        number /= 1000
    return int(number) if number is not None and 0 < number < 1e11 else None


def clean(value: object, bearer: str = "") -> str | None:
    """What of a foreign text may get into a file: a piece without tokens. It is cut first, for it may be a page; a word
    that the cut goes through may be a part of a token."""
    if not isinstance(value, str):
        return None
    words = value[:4000].rsplit(maxsplit=1) if len(value) > 4000 else [value]
    text = words[0] if len(value) <= 4000 else f"{words[0]} …" if len(words) > 1 else "…"
    return SECRET.sub("…", text.replace(bearer, "…") if bearer else text)[:500]


def headers_about_limits(headers: Headers, bearer: str = "") -> dict[str, str]:
    """What of the headers is about limits, safe for a file."""
    windows = ("-primary-", "-secondary-")
    about = [name for name in headers if name.startswith("x-codex-") or any(window in name for window in windows)]
    return {name[:100]: clean(str(headers[name])[:200], bearer) or "" for name in about[:64]}


def refusal_signal(refusal: Refusal, answer: Answer, sent: Sent, model: object, now: float) -> Signal:
    """What a refusal says of the account that the request was sent with."""
    owner, error = owner_of(sent.bearer), answer.error
    signal = {
        "at": now,
        "status": refusal.status,
        "scope": "model" if refusal.scope is Scope.MODEL else None,
        "account_id": owner.account_id or sent.account_id,
        "user_id": owner.user_id,
        "token": fingerprint(sent.bearer),
        **{name: clean(error.get(name), sent.bearer) for name in ("type", "code", "plan_type")},
        **{name: number_of(error.get(name)) for name in ("resets_at", "resets_in_seconds")},
        "headers": headers_about_limits(answer.headers, sent.bearer) or None,
        "model": clean(model),
        "message": clean(error.get("message"), sent.bearer),
    }
    return {name: value for name, value in signal.items() if value is not None or name == "code"}


def refuted(refused: Mapping[Asked, float], asked: Asked, begun: float) -> list[Asked]:
    """The refusals that a success of a request shows to be over. One that was under way when the account was refused
    shows nothing."""
    return [name for name in (asked, asked._replace(model=None)) if begun > refused.get(name, math.inf)]


def served_signal(bearer: str, model: str | None, now: float) -> Signal:
    """What a success says of an account that was refused: it serves again."""
    return without_nothing({"at": now, "status": 200, **owner_of(bearer)._asdict(), "model": model})


def reading_document(reading: Reading) -> dict[str, Any]:
    """A reading as the rotator reads it."""
    about = {"at": reading.at, **reading.owner._asdict(), "model": reading.model, "headers": reading.headers}
    return without_nothing({**about, "plan_type": reading.headers.get("x-codex-plan-type")})


def totals_document(used: Mapping[Who, Used]) -> list[dict[str, Any]]:
    """What agents have used as the rotator reads it."""
    return [
        {"agent": agent, **owner._asdict(), **{name: number for name, number in total._asdict().items() if number}}
        for (agent, owner), total in used.items()
    ]


def usage_signal(reading: Reading, bearer: str) -> Signal:
    """That a window has come close to its end."""
    about = {"at": reading.at, "status": 200, "type": "usage", **reading.owner._asdict(), "token": fingerprint(bearer)}
    return without_nothing({**about, "model": reading.model, "headers": dict(reading.headers)})


def fingerprint(bearer: str) -> str:
    """Tells a refreshed token from the one before it."""
    return hashlib.sha256(bearer.encode()).hexdigest()[:16]


def without_nothing(fields: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def is_news(reading: Reading, last: Reading | None) -> bool:
    """Whether a reading is worth a file: each minute, or when a window has moved by one percent."""
    if last is None or reading.at - last.at >= 60:
        return True
    now, then = reading.used, last.used
    return now.keys() != then.keys() or any(abs(now[window] - then[window]) >= 1 for window in now)


def has_crossed(reading: Reading, last: Reading | None, percent: float) -> bool:
    """Whether a window is at or above this percentage, and was below it when it was last read."""
    then = last.used if last else {}
    return any(number >= percent > then.get(window, 0) for window, number in reading.used.items())


def used_of(usage: Any) -> Used:
    """One request that was answered, with the tokens that the provider says it took."""
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    numbers = (usage.get("input_tokens"), cached, usage.get("output_tokens"))
    return Used(1, *(number_of(number) or 0 for number in numbers))


def usage_at_the_end(data: bytes) -> Any:
    """The last field `usage` of a JSON document that may be large. What is in a text has its quotes escaped."""
    found, after = data.rpartition(b'"usage":')[1:]
    try:
        return json.JSONDecoder().raw_decode(after[:4096].decode(errors="replace").strip())[0] if found else None
    except UNREADABLE:
        return None


def agent_of(logging: Any) -> str | None:
    """The alias of the key that LiteLLM was asked with; nothing for the master key. LiteLLM passes it on in what it
    keeps for its own log."""
    details = getattr(logging, "model_call_details", None)
    params = details.get("litellm_params") if isinstance(details, dict) else None
    for name in ("metadata", "litellm_metadata"):
        metadata = params.get(name) if isinstance(params, dict) else None
        alias = metadata.get("user_api_key_alias") if isinstance(metadata, dict) else None
        if isinstance(alias, str) and alias:
            return alias[:100]
    return None


def headers_of_event(event: Fields) -> dict[str, str]:
    """What the event `codex.rate_limits` says, as the headers that would have said it."""
    family = str(event.get("metered_limit_name") or "codex").lower().replace("_", "-")
    headers = {"x-codex-plan-type": str(event.get("plan_type"))}
    limits = event.get("rate_limits")
    limits = limits if isinstance(limits, dict) else {}
    for place, window in limits.items():
        if place in ("primary", "secondary") and isinstance(window, dict):
            for name in ("used_percent", "window_minutes", "reset_at"):
                headers[f"x-{family}-{place}-{name.replace('_', '-')}"] = str(window.get(name))
    return {name: value for name, value in headers.items() if value != "None"}


def subject(signal: Fields) -> tuple[Any, ...]:
    """What a signal is about; of several with the same subject the strongest is enough."""
    model = signal.get("model") if signal.get("scope") == "model" else None
    return signal.get("account_id"), signal.get("user_id"), signal.get("token"), model


def strength(signal: Fields) -> tuple[bool, ...]:
    """A lost login outweighs a cap, a cap a passing limit, one that says when it ends one that does not, and all of
    them a mere reading."""
    status = signal.get("status")
    return status in (401, 402, 403), signal.get("type") == CAP, "resets_at" in signal, status != 200


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


def is_spent(pool: Pool, now: float) -> bool:
    """Whether no account can serve, and it is known when one can."""
    return pool.usable == 0 and pool.back_at is not None and pool.back_at > now


SPENT_HEADERS = ("retry-after", "x-codex-promo-message")


def spent_answer(pool: Pool, now: float) -> httpx.Response:
    """What a client is answered then: when it may come back, in headers and for a person. Codex shows the second."""
    seconds = max(1, math.ceil((pool.back_at or 0) - now))
    minutes = math.ceil(seconds / 60)
    days, hours = minutes // 1440, minutes % 1440 // 60
    span = f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
    at = time.strftime("%Y-%m-%d %H:%M", time.gmtime(now + seconds))
    are_many = (pool.accounts or 1) > 1
    who = (
        f"None of the {pool.accounts} ChatGPT accounts can serve now; the first"
        if are_many
        else "The account cannot serve now; it"
    )
    text = f"{who} is back in {span}, at {at} UTC"
    return httpx.Response(429, headers={"retry-after": str(seconds), "x-codex-promo-message": text}, text=f"{text}.")


# From here on: what is kept in memory.


def remember(memory: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    """Keeps the newest so many."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > limit:
        del memory[next(iter(memory))]


class Reasoning:
    """Which account made which encrypted item, and which were refused.

    Whether the provider takes an item from another account than its maker's is reported both ways, so it is asked once.
    After a restart, and by another worker, it is asked once more."""

    LIMIT = 20_000

    def __init__(self) -> None:
        self.makers: dict[int, Owner] = {}
        self.refused: dict[int, None] = {}
        self.are_bound = False

    def made(self, item: Fields, owner: Owner) -> None:
        remember(self.makers, hash(item["encrypted_content"]), owner, self.LIMIT)

    def refuse(self, body: Fields, owner: Owner) -> None:
        """The account has refused this body: for what others made or may have made, or else for what it made itself."""
        items = {name: self.makers.get(name) for name in (hash(i["encrypted_content"]) for i in encrypted_items(body))}
        foreign = [name for name, maker in items.items() if maker not in (None, owner)]
        self.are_bound |= bool(foreign)
        unknown = [name for name, maker in items.items() if maker is None]
        for name in unknown if unknown or foreign else items:
            remember(self.refused, name, None, self.LIMIT)

    def without_refused(self, body: Fields, owner: Owner) -> Fields:
        """The body without what this account would refuse, as far as is known."""
        refused = {id(item) for item in encrypted_items(body) if self.is_refused(item, owner)}
        return {**body, "input": [item for item in body["input"] if id(item) not in refused]} if refused else body

    def is_refused(self, item: Fields, owner: Owner) -> bool:
        name = hash(item["encrypted_content"])
        return name in self.refused or (self.are_bound and self.makers.get(name, owner) != owner)


def encrypted_items(body: Fields) -> list[Fields]:
    """What of its input a request replays unread."""
    items = body.get("input")
    dicts = [item for item in (items if isinstance(items, list) else ()) if isinstance(item, dict)]
    return [item for item in dicts if isinstance(item.get("encrypted_content"), str)]


class Events:
    """The events in a stream's bytes: the name of each, and the content of those that matter here."""

    PRELUDE = frozenset({"response.created", "response.in_progress", "response.queued", "codex.rate_limits"})
    FAILED = frozenset({"error", "response.failed", "response.incomplete"})

    def __init__(self) -> None:
        self.rest, self.name = b"", ""

    def read(self, chunk: bytes) -> Iterator[tuple[str, Fields]]:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        if len(self.rest) > MOST_JSON:
            self.rest = b""  # and what comes of it will not be JSON
        for line in lines:
            if line.startswith(b"event:"):
                self.name = line[len(b"event:") :].strip().decode(errors="replace")
            elif line.startswith(b"data:"):
                content = self.content(line[len(b"data:") :])
                yield self.name or str(content.get("type")), content
                self.name = ""

    def content(self, data: bytes) -> Fields:
        if self.name == "response.completed":
            return {"usage": usage_at_the_end(data)}
        is_item = self.name == "response.output_item.done" and b"encrypted_content" in data
        if self.name and not is_item and self.name not in self.FAILED | {"codex.rate_limits"}:
            return {}
        try:
            return dict(json.loads(data))
        except UNREADABLE:
            return {}


# From here on: files and threads.

LIVE = Path(
    os.environ.get("CHATGPT_LIVE_DIR")
    or os.environ.get("CHATGPT_AUTH_DIR")
    or os.environ.get("CHATGPT_TOKEN_DIR")
    or "/chatgpt-auth"
)
SIGNAL, RECORD = LIVE / "rotate-now", LIVE / (os.environ.get("CHATGPT_AUTH_FILE") or "auth.json")
HEARTBEAT, POOL, MODELS = LIVE / "callback.json", LIVE / "pool.json", LIVE / "models.json"
LANES = [LIVE / f"lane-{number}.json" for number in range(1, 17)]
# Each worker of LiteLLM has its own. In a container the process id alone comes back with each start.
WORKER = f"{os.getpid():x}-{time.time_ns() // 1_000_000:x}"
USAGE, AGENTS = LIVE / f"usage-{WORKER}.json", LIVE / f"agents-{WORKER}.json"
AGENTS_SEC = 5.0
WAIT_SEC = float(os.environ.get("CHATGPT_FAILOVER_WAIT_SEC") or 2)
ROTATE_AT = finite(os.environ.get("CODEX_ROTATE_AT_PERCENT") or 95) or 100
NO_NEWS_SEC = 600  # a signal that could not be left for so long
# Where the rotator's pod takes signals, if it is another one: crates/signal-receiver.
SIGNAL_URL = (os.environ.get("CODEX_SIGNAL_URL") or "").rstrip("/")
SIGNATURE, MOST_POSTED, POST_SEC = "codex-signature", 4 << 10, 2.0
DROPPED = (400, 403, 413)  # what is answered so would be again
REPORT_SEC = 60.0  # so often it is sent what accounts and agents have used
MOST_TOTALS = 100  # that are sent at once; those of other agents follow

signals: queue.SimpleQueue[Signal] = queue.SimpleQueue()
usage: queue.SimpleQueue[list[Reading]] = queue.SimpleQueue()
heartbeat_is_due = threading.Event()
cannot_write: str | None = None
counts = {"handlers given": 0, "requests sent": 0}


def content_of(file: Path) -> bytes | None:
    """What is in a file; an OSError if what lies there cannot be read at once, like a FIFO."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileExistsError(errno.EEXIST, "not a regular file", str(file))
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def draft_of(content: object, mode: int) -> Iterator[Path]:
    """A whole file, to be linked or moved to its place; it is gone afterwards."""
    descriptor, name = tempfile.mkstemp(prefix=".callback.", dir=LIVE)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(content))
        draft.chmod(mode)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def put(signal: Signal) -> bool:
    """Leaves the signal in the file; False if it has to wait, an OSError if it cannot be left."""
    place = placing(signal, content_of(SIGNAL))
    if place in (Placing.DROP, Placing.WAIT):
        return place is Placing.DROP
    with draft_of(signal, 0o660) as draft:  # the rotator is another user of our group
        if place is Placing.REPLACE:
            draft.replace(SIGNAL)
        else:
            # It is complete at once like a rename, but never replaces a signal that was not taken yet.
            try:
                SIGNAL.hardlink_to(draft)
            except FileExistsError:
                return False
    # Watchers take a file for whole when it is closed after writing, and a link is no writing.
    with contextlib.suppress(OSError):  # taken already
        os.close(os.open(SIGNAL, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
    return True


def signers() -> Iterator[Sent]:
    """The records that are published, with which a document is signed for the rotator's pod."""
    for file in (RECORD, *LANES):
        with contextlib.suppress(OSError, *UNREADABLE):
            content = json.loads(file.read_bytes())
            yield Sent(str(content["access_token"]), content["account_id"])


def post(path: str, document: Fields, signer: Sent) -> int:
    """Sends a document to the rotator's pod, and gives the status of the answer; an OSError if there is none."""
    body = json.dumps(document).encode()
    signature = hmac.new(signer.bearer.encode(), body, "sha256").hexdigest()
    try:
        # It is in the cluster, so no proxy leads there.
        with httpx.Client(timeout=POST_SEC, trust_env=False) as client:
            return client.post(f"{SIGNAL_URL}/{path}", content=body, headers={SIGNATURE: signature}).status_code
    except httpx.HTTPError as error:
        raise OSError(errno.EHOSTUNREACH, type(error).__name__) from error


def send(signal: Signal) -> bool:
    """Sends the signal to the rotator's pod; False if it has to wait, an OSError if nothing answers there. One about a
    record that is published no longer would be dropped there, and a challenge is about our address and no account."""
    signal = signal if len(json.dumps(signal)) <= MOST_POSTED else {**signal, "headers": None, "message": None}
    account, token = signal.get("account_id"), signal.get("token")
    for signer in signers():
        if account == signer.account_id and token in (None, fingerprint(signer.bearer)):
            return post("signal", signal, signer) in (202, *DROPPED)
    return True


def send_about_us(path: str, document: Fields) -> int:
    """Sends what is about no account, signed with any record: the mounted ones may be out of date."""
    status = 403
    for signer in dict.fromkeys(signers()):
        if (status := post(path, {"worker": WORKER, **document}, signer)) != 403:
            break
    return status


def send_reading(reading: Reading) -> bool:
    """Sends a reading, signed with the record of its account; False if it was not taken. Without a record there is
    nobody who would believe it."""
    signer = next((signer for signer in signers() if owner_of(signer.bearer) == reading.owner), None)
    return signer is None or post("usage", reading_document(reading), signer) in (202, *DROPPED)


def try_to_put(signal: Signal) -> bool:
    """The same, but what is in the way is reported. It may be gone the next time."""
    global cannot_write
    try:
        done, why = (send if SIGNAL_URL else put)(signal), None
    except OSError as error:
        done, why = False, f"{SIGNAL_URL or SIGNAL}: {error.strerror}"
    if why != cannot_write:
        cannot_write = why
        heartbeat_is_due.set()
        if why:
            log.error("rotate_now: cannot leave a signal: %s", why)
    return done


def write_signals() -> None:
    """Puts each signal as soon as it can be."""
    waiting: dict[tuple[Any, ...], Signal] = {}
    while True:
        with contextlib.suppress(queue.Empty):
            signal = signals.get(timeout=(POST_SEC if SIGNAL_URL else 0.2) if waiting else None)
            waiting[subject(signal)] = max(waiting.get(subject(signal), signal), signal, key=strength)
        news = {about: signal for about, signal in waiting.items() if time.time() - signal["at"] < NO_NEWS_SEC}
        waiting = {about: signal for about, signal in news.items() if not try_to_put(signal)}


def write_heartbeats() -> None:
    """Says each minute that a LiteLLM runs that calls us, for `accounts doctor`. Imported is not called, and LiteLLM
    may be given our handler and send with another."""
    while True:
        heartbeat_is_due.clear()
        is_used = bool(counts["requests sent"]) or counts["handlers given"] < 5
        held = is_used and any(callback is handler for callback in litellm.callbacks)
        beat = {"at": time.time(), "pid": os.getpid(), "litellm": version("litellm"), "held": held}
        beat = without_nothing({**beat, "cannot_write": cannot_write})
        with contextlib.suppress(OSError):
            if SIGNAL_URL:
                send_about_us("heartbeat", beat)
            else:
                with draft_of(beat, 0o644) as draft:
                    draft.replace(HEARTBEAT)
        heartbeat_is_due.wait(60 if held else 1)


def write_usage() -> None:
    """Keeps the latest reading of each account where the rotator finds it at its next pass, or sends it to its pod once
    a minute."""
    sent: dict[Owner, Reading] = {}
    while readings := usage.get():
        if SIGNAL_URL:
            while not usage.empty():
                readings = usage.get()
            for reading in readings:
                with contextlib.suppress(OSError):
                    if sent.get(reading.owner) != reading and send_reading(reading):
                        remember(sent, reading.owner, reading, MOST_ACCOUNTS)
            time.sleep(REPORT_SEC)
            continue
        latest = [reading_document(reading) for reading in readings]
        with contextlib.suppress(OSError), draft_of({"version": 1, "readings": latest}, 0o640) as draft:
            draft.replace(USAGE)


def write_agents() -> None:
    """Keeps how much each agent has used where the rotator finds it, or sends to its pod how much more it was since the
    last time. That has a number and is sent until it arrives, so that it is counted once, also if an answer is lost."""
    told: dict[Who, Used] = {}
    news: dict[Who, Used] = {}
    number = 1
    while True:
        time.sleep(AGENTS_SEC)
        now = used.copy()
        changed = [(who, total) for who, total in now.items() if total != told.get(who)]
        with contextlib.suppress(OSError):
            if SIGNAL_URL and (news := news or dict(changed[:MOST_TOTALS])):
                more = {who: total.minus(told.get(who, Used())) for who, total in news.items()}
                if send_about_us("agents", {"number": number, "totals": totals_document(more)}) in (202, 400, 413):
                    told, news, number = {**told, **news}, {}, number + 1
                    time.sleep(REPORT_SEC)
            elif changed and not SIGNAL_URL:
                with draft_of({"version": 1, "totals": totals_document(now)}, 0o640) as draft:
                    draft.replace(AGENTS)
                told = now


def take_over() -> None:
    """Goes on counting where this process was before LiteLLM's container was started anew."""
    for file in LIVE.glob(f"agents-{os.getpid():x}-*.json"):
        with contextlib.suppress(OSError, *UNREADABLE):
            for total in json.loads(content_of(file) or b"")["totals"]:
                who = total["agent"], Owner(total["account_id"], total["user_id"])
                used[who] = used.get(who, Used()).plus(Used(**{name: total.get(name, 0) for name in Used._fields}))
        with contextlib.suppress(OSError):
            file.replace(AGENTS)


# From here on: the event loop.

OPENING_SEC = 1.0  # for so long a stream is held back, for it may begin with a refusal
ASIDE_SEC = 60.0  # for so long requests of other lanes do not ask an account that was refused; those of its own lane do
# For so long they do not either, because the lane's next record takes that long to arrive: a mounted Secret's does.
LATE_SEC = finite(os.environ.get("CODEX_LANES_DELAY_SEC")) or 0.0
LACKING_SEC = 300.0  # for so long a lane's account is not asked for a model that it alone was refused for
PROBE_SEC = 10.0  # so often a pool of which no account can serve is asked all the same: a limit may be lifted early
UNCAPPED_PROBE_SEC = 1.0  # the same if not all of its accounts are at a limit: what else they were refused for passes
CLIENT_WAITS_SEC = 300.0  # longer than this a client had better end than wait
CHALLENGE_SEC = 600.0  # so often a challenge makes us move on; if the next account meets it, too, it is the address
PAUSES_SEC = (0.5, 1.0, 2.0)  # before an account is asked again that was refused for a moment, when there is no other
MOST_ACCOUNTS = 64
MOST_USED = 500  # pairs of an agent and an account that are counted apart
OTHERS = "(others)", Owner(None, None)

reasoning = Reasoning()
readings: dict[Owner, Reading] = {}
used: dict[Who, Used] = {}
refused: dict[Asked, float] = {}  # what was refused, and when; a later success ends it
challenged: dict[str, float] = {}  # the same of bearers with which the provider's gate was met
of_the_pool: dict[str, int] = {}  # bearers that were published lately, and in which lane, from 0 on
looked: tuple[float, Records] = 0.0, Records()
served_at = 0.0  # when the latest request began that was served
done_at: dict[object, float] = {}


def published(max_age: float = 0.01) -> Records:
    """What a request would be sent with. Hundreds may wait for another account at once."""
    global looked
    if time.monotonic() - looked[0] > max_age:
        record, by_model = None, dict[str, Sent | None]()
        with contextlib.suppress(OSError, *UNREADABLE):
            record = record_of(json.loads(RECORD.read_bytes()))
        with contextlib.suppress(OSError, *UNREADABLE):
            models = dict(json.loads(content_of(MODELS) or b"{}").get("models") or {})
            by_model = {model: content and record_of(content) for model, content in models.items()}
        lanes: list[Sent] = []
        with contextlib.suppress(OSError, *UNREADABLE):  # there are as many as serve at once
            for file in LANES:
                lanes.append(record_of(json.loads(file.read_bytes()), len(lanes)))
        looked = time.monotonic(), Records(record, by_model, lanes)
    return looked[1]


def record_of(content: Fields, lane: int = 0) -> Sent:
    """The record that a published document is."""
    record = Sent(str(content["access_token"]), content.get("account_id"))
    remember(of_the_pool, record.bearer, lane, 4 * MOST_ACCOUNTS)
    return record


def count(agent: str | None, owner: Owner, more: Used) -> None:
    """Adds to what an agent has used of an account."""
    who = (agent, owner) if (agent, owner) in used or len(used) < MOST_USED else OTHERS
    used[who] = used.get(who, Used()).plus(more)


def pool() -> Pool:
    """What the rotator says of the pool. Once a request was served that began later, it is out of date."""
    with contextlib.suppress(OSError, *UNREADABLE):
        content = dict(json.loads(content_of(POOL) or b"{}"))
        if POOL.stat().st_mtime > served_at:
            names = ("usable", "accounts", "back_at")
            usable, accounts, back_at = (n if type(n := content.get(name)) is int else None for name in names)
            return Pool(usable, accounts, back_at, is_capped=content.get("capped") is not False)
    return Pool()


def is_due(what: object, seconds: float) -> bool:
    """Whether something was not done for so long. Then it is now."""
    now = time.monotonic()
    if now - done_at.get(what, -seconds) < seconds:
        return False
    remember(done_at, what, now, 4 * MOST_ACCOUNTS)
    return True


async def another_record(sent: Sent, tried: Collection[str], model: str | None) -> Sent | None:
    """The first record with another token that is published, now or while we wait; nothing once there will be none. One
    that was refused lately is left to the requests of its own lane."""
    give_up, lane = time.monotonic() + WAIT_SEC, of_the_pool.get(sent.bearer, 0)
    while True:
        is_over = is_spent(pool(), time.time())
        records = published(max_age=0) if is_over else published()  # the rotator writes them first
        for record in records.instead(model) if is_over else records.others(lane, model):
            if record.bearer not in tried and not (records.lanes and is_aside(record, model, ASIDE_SEC)):
                return record
        # A replica is brought no record for a model.
        is_lacked_by_all = bool(SIGNAL_URL and records.lanes) and all(lacks(it, model) for it in records.lanes)
        is_served_by_none = is_lacked_by_all or records.by_model.get(str(model), records.record) is None
        if time.monotonic() >= give_up or is_served_by_none or is_over:
            return None
        await asyncio.sleep(0.02)


def was_refused(record: Sent, model: str | None, seconds: float) -> bool:
    """Whether a record was refused so short a time ago."""
    return time.time() - refused.get(Asked(record.bearer, model), 0) < seconds


def lacks(record: Sent, model: str | None) -> bool:
    """Whether a record was refused lately for this model, and not because its account was."""
    at = refused.get(Asked(record.bearer, model), 0)
    return at > refused.get(Asked(record.bearer), 0) and time.time() - at < LACKING_SEC


def is_aside(record: Sent, model: str | None, seconds: float) -> bool:
    """Whether there had better be another lane for a request."""
    is_challenged = time.time() - challenged.get(record.bearer, 0) < CHALLENGE_SEC
    return is_challenged or was_refused(record, model, seconds) or lacks(record, model)


@contextlib.contextmanager
def failing_no_request() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.error("rotate_now: cannot look at a request: %s", type(error).__name__)


class Exchange:
    """One request to the provider on its way from account to account."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options, self.body = options, options.get("json") or {}
        self.model = clean(self.body.get("model"))
        self.begun, self.headers = time.time(), dict[str, str]()
        self.agent = agent_of(options.get("logging_obj"))
        self.tried: set[str] = set()
        self.healed: set[Owner] = set()
        self.pauses = iter(PAUSES_SEC)
        sent, records = sent_with(options["headers"]), published()
        first = records.serving(self.model) or sent if sent == records.record else sent
        if records.lanes and is_aside(first, self.model, LATE_SEC):
            others = records.others(of_the_pool.get(first.bearer, 0), self.model)
            first = next((it for it in others if not is_aside(it, self.model, ASIDE_SEC)), first)
        self.send_with(first)

    def send_with(self, sent: Sent) -> None:
        self.sent, self.owner = sent, owner_of(sent.bearer)
        self.options = {**self.options, "headers": headers_for(sent, self.options["headers"])}
        if self.body:
            self.options["json"] = reasoning.without_refused(self.body, self.owner)

    def may_be_served(self) -> bool:
        return not is_spent(pool(), time.time()) or published().by_model.get(str(self.model)) is not None

    async def goes_on(self, answer: Answer) -> bool:
        """Whether the request is to be sent again, as the options are then."""
        if is_about_reasoning(answer):
            return self.heals()
        if is_challenge(answer) and is_due("challenge", CHALLENGE_SEC):
            log.error("rotate_now: the provider's gate challenges this address as if it were a browser's")
            signals.put({"at": time.time(), "status": answer.status, "type": "challenge"})
            remember(challenged, self.sent.bearer, time.time(), 4 * MOST_ACCOUNTS)
        elif not self.reports(answer):
            return False
        self.tried.add(self.sent.bearer)
        record = await another_record(self.sent, self.tried, self.model) if len(self.tried) < MOST_ACCOUNTS else None
        if record is None and is_momentary(answer) and (pause := next(self.pauses, None)):
            await asyncio.sleep(pause)
            record = published().serving(self.model)
        if record:
            self.send_with(record)
        return record is not None

    def heals(self) -> bool:
        """Leaves out what the account refuses, for it refuses all of the request because of that."""
        if self.owner in self.healed:
            return False
        self.healed.add(self.owner)
        refused = self.options["json"]
        reasoning.refuse(refused, self.owner)
        self.send_with(self.sent)
        return bool(self.options["json"] != refused)

    def reports(self, answer: Answer) -> bool:
        """Signals the rotator if the answer says that the account was refused."""
        refusal, now = refusal_of(answer), time.time()
        if refusal is None:
            return False
        count(self.agent, self.owner, Used(refused=1))
        signals.put(refusal_signal(refusal, answer, self.sent, self.model, now))
        for model in (self.model, None) if refusal.scope is Scope.ACCOUNT else (self.model,):
            remember(refused, Asked(self.sent.bearer, model), now, 1000)
        return True

    def reads(self, headers: Headers) -> None:
        """Keeps what the headers say of the account's usage, and signals the rotator if it comes close to its limit."""
        about = headers_about_limits(headers, self.sent.bearer)
        reading = Reading(time.time(), self.owner, self.model, about, percents(about))
        last = readings.get(self.owner)
        if not self.owner.account_id or not reading.used or not is_news(reading, last):
            return
        remember(readings, self.owner, reading, MOST_ACCOUNTS)
        usage.put(list(readings.values()))
        if ROTATE_AT < 100 and has_crossed(reading, last, ROTATE_AT) and is_due(self.owner, 60):
            signals.put(usage_signal(reading, self.sent.bearer))

    def sees(self, name: str, event: Fields) -> Answer | None:
        """Looks at an event of the stream, and gives the answer if it ends it badly."""
        if name in Events.FAILED:
            return answer_of_event(event, self.headers)
        if name == "response.output_item.done":
            for item in encrypted_items({"input": [event.get("item")]}):
                reasoning.made(item, self.owner)
        elif name == "codex.rate_limits":
            self.reads(headers_of_event(event))
        elif name == "response.completed":
            response = event.get("response")
            self.was_served(response.get("usage") if isinstance(response, dict) else event.get("usage"))
        return None

    def was_served(self, usage: Any = None) -> None:
        global served_at
        count(self.agent, self.owner, used_of(usage))
        served_at = max(served_at, self.begun)
        challenged.pop(self.sent.bearer, None)
        over = refuted(refused, Asked(self.sent.bearer, self.model), self.begun)
        for asked in over:
            del refused[asked]
        if over and self.owner.account_id:
            signals.put(served_signal(self.sent.bearer, self.model, time.time()))

    def failed(self, response: httpx.Response) -> Answer:
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        return answer_of_body(response.status_code, self.headers, response.text)

    async def opens(self, response: httpx.Response) -> tuple[httpx.Response, Answer | None]:
        """The response as LiteLLM gets it, and the answer if it begins with its end."""
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.reads(self.headers)
        if response.is_closed:
            self.was_served()
            return response, None
        watched = Watched(response, self)
        answer = await watched.opening()
        # The bytes are decoded already.
        headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-encoding"]
        return httpx.Response(response.status_code, headers=headers, stream=watched, request=response.request), answer


class Watched(httpx.AsyncByteStream):
    """A stream that is passed on as it is while its events are looked at."""

    def __init__(self, response: httpx.Response, exchange: Exchange) -> None:
        self.response, self.exchange, self.events = response, exchange, Events()
        self.chunks = response.aiter_bytes()
        self.held: list[bytes] = []
        self.next: asyncio.Task[bytes | None] | None = None
        self.answer: Answer | None = None
        self.is_opening = True

    async def opening(self) -> Answer | None:
        """Holds the stream back until it is known how it begins."""
        give_up = time.monotonic() + OPENING_SEC
        try:
            while self.is_opening:
                self.next = asyncio.create_task(self.read())
                await asyncio.wait({self.next}, timeout=give_up - time.monotonic())
                if not self.next.done() or self.next.exception() or (first := self.next.result()) is None:
                    break
                self.next = None
                self.held.append(first)
                self.look(first)
        except asyncio.CancelledError:
            await self.aclose()
            raise
        self.is_opening = False
        return self.answer

    async def read(self) -> bytes | None:
        return await anext(self.chunks, None)

    def look(self, chunk: bytes) -> None:
        with failing_no_request():
            for name, event in self.events.read(chunk):
                answer = self.exchange.sees(name, event)
                if answer and not self.is_opening:
                    self.exchange.reports(answer)
                self.answer = self.answer or answer
                self.is_opening = self.is_opening and name in Events.PRELUDE

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.held:
            yield chunk
        self.held = []
        while (following := await (self.next or self.read())) is not None:
            self.next = None
            self.look(following)
            yield following

    async def aclose(self) -> None:
        if self.next:
            self.next.cancel()
        await self.response.aclose()


class Sender(AsyncHTTPHandler):
    """LiteLLM's HTTP handler, which goes on to the next account when one is refused."""

    async def post(self, *args: Any, **options: Any) -> Any:
        exchange, instead = None, None
        counts["requests sent"] += 1
        with failing_no_request():
            exchange = exchange_of(options)
            if exchange and not exchange.may_be_served() and not is_due("probe", probe_sec(pool())):
                instead = spent(options)
        while not instead:
            response, failure, goes_on = None, None, False
            try:
                response = await super().post(*args, **(exchange.options if exchange else options))
            except httpx.HTTPStatusError as error:
                failure = error
            with failing_no_request():
                answer = None
                if exchange and response:
                    response, answer = await exchange.opens(response)
                elif exchange and failure:
                    answer = exchange.failed(failure.response)
                goes_on = bool(exchange and answer and await exchange.goes_on(answer))
                if goes_on and response:
                    await response.aclose()
                elif not goes_on and answer and refusal_of(answer) and is_spent(pool(), time.time()):
                    instead = spent(options)
            if not goes_on and not instead:
                if failure:
                    raise failure
                return response
        raise instead


def exchange_of(options: dict[str, Any]) -> Exchange | None:
    """The exchange of a request that is sent with an account of the pool, not with a bearer of the client's own."""
    bearer = sent_with(options.get("headers") or {}).bearer
    if bearer not in of_the_pool:
        published(max_age=0)
    return Exchange(options) if bearer in of_the_pool else None


def probe_sec(pool: Pool) -> float:
    return PROBE_SEC if pool.is_capped else UNCAPPED_PROBE_SEC


def spent(options: Fields) -> httpx.HTTPStatusError:
    answer = spent_answer(pool(), time.time())
    answer.request = httpx.Request("POST", str(options.get("url")))
    return httpx.HTTPStatusError(answer.text, request=answer.request, response=answer)


@functools.cache
def sender() -> Sender:
    """Made when LiteLLM has read its settings."""
    return Sender()


class RotateNow(CustomLogger):
    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any]:
        model, provider = str(kwargs.get("model")), kwargs.get("custom_llm_provider")
        if kwargs.get("client") is None and (provider == PROVIDER or model.startswith(f"{PROVIDER}/")):
            with failing_no_request():
                published()
                counts["handlers given"] += 1
                return {**kwargs, "client": sender()}
        return kwargs

    async def async_post_call_failure_hook(
        self, request_data: Any, original_exception: Any, user_api_key_dict: Any, *_: Any, **__: Any
    ) -> None:
        """At any other 429 codex ends without a reason, or it waits without a word for as long as `retry-after` says.
        At one of this type it ends and says why, and until when."""
        with failing_no_request():
            is_ours = getattr(original_exception, "llm_provider", None) == PROVIDER
            alias = getattr(user_api_key_dict, "key_alias", None)
            if not is_ours and alias and getattr(original_exception, "status_code", None) == 429:
                count(str(alias)[:100], Owner(None, None), Used(limited=1))
            if is_ours and getattr(original_exception, "status_code", None) == 429:
                wait = (pool().back_at or 0) - time.time() if is_spent(pool(), time.time()) else 0
                if wait > CLIENT_WAITS_SEC or (not wait and CAP in str(original_exception)):
                    original_exception.type = CAP

    async def async_post_call_response_headers_hook(
        self, data: Any, user_api_key_dict: Any, response: Any, *_: Any, **__: Any
    ) -> dict[str, str] | None:
        with failing_no_request():
            if response is None and is_spent(pool(), time.time()):  # it is about a failure
                return {name: spent_answer(pool(), time.time()).headers[name] for name in SPENT_HEADERS}
        return None


handler = RotateNow()
take_over()
for work in (write_signals, write_heartbeats, write_usage, write_agents):
    threading.Thread(target=work, daemon=True).start()
# As PID 1 LiteLLM does not die of the SIGTERM that uvicorn raises once more when it has shut down. Python then takes
# seconds to collect LiteLLM's modules before it ends, unless there is nothing to collect.
atexit.register(gc.freeze)
