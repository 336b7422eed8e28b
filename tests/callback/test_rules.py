"""The callback's rules: which failure is a signal, what it says, and which of two signals counts."""

import base64
import datetime
import hashlib
import json
import unittest
from typing import Any

from loaded import rotate_now
from rotate_now import Owner, Placing, Signal

NOW = 1795439506.25
CAPPED = {
    "type": "usage_limit_reached",
    "message": "The usage limit has been reached",
    "plan_type": "plus",
    "resets_at": 1795439575,
    "resets_in_seconds": 69,
}


def bearer_of(**auth: object) -> str:
    claims = json.dumps({"https://api.openai.com/auth": auth})
    payload = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{payload}.c2lnbmF0dXJlLW9mLWEtdG9rZW4"


ANN = bearer_of(chatgpt_account_id="acct-ann", chatgpt_user_id="user-ann")


def call_with(bearer: str, account_id: str | None = None, provider: str = "chatgpt") -> dict[str, Any]:
    """LiteLLM's record of a call, as far as the rules look at it."""
    headers = {"Authorization": f"Bearer {bearer}", "ChatGPT-Account-Id": account_id}
    return {
        "custom_llm_provider": provider,
        "model": "gpt-5.6-sol",
        "additional_args": {"headers": {name: value for name, value in headers.items() if value}},
        "api_call_start_time": datetime.datetime.fromtimestamp(NOW),
    }


class LiteLLMError(Exception):
    """An exception of LiteLLM's, around what the provider answered."""

    def __init__(self, status: object, error: object = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"litellm.RateLimitError: ChatgptException - {json.dumps({'error': error})}")
        self.status_code = status
        self.litellm_response_headers = headers


def signal_of(failure: LiteLLMError, bearer: str = ANN) -> Signal:
    signal = rotate_now.refusal_signal(call_with(bearer), failure, NOW)
    assert signal is not None
    return signal


class Refusals(unittest.TestCase):
    def test_a_cap_is_a_signal_with_all_that_the_provider_says(self) -> None:
        headers = {"X-Codex-Primary-Used-Percent": "100.0", "x-codex-plan-type": "pro", "x-request-id": "1"}
        self.assertEqual(
            signal_of(LiteLLMError(429, CAPPED, headers)),
            {
                "at": NOW,
                "status": 429,
                "account_id": "acct-ann",
                "user_id": "user-ann",
                "token": hashlib.sha256(ANN.encode()).hexdigest()[:16],
                "type": "usage_limit_reached",
                "code": None,
                "plan_type": "plus",
                "resets_at": 1795439575,
                "resets_in_seconds": 69,
                "headers": {"x-codex-primary-used-percent": "100.0", "x-codex-plan-type": "pro"},
                "model": "gpt-5.6-sol",
                "message": "The usage limit has been reached",
            },
        )

    def test_the_status_decides_whatever_the_exception_is(self) -> None:
        for refused in (401, 403, 429, "429"):
            self.assertEqual(signal_of(LiteLLMError(refused))["status"], int(refused))
        for other in (400, 404, 500, 503, None, "many"):
            self.assertIsNone(rotate_now.refusal_signal(call_with(ANN), LiteLLMError(other), NOW), other)

    def test_a_stream_that_ends_in_a_cap_is_a_cap_even_as_a_500(self) -> None:
        signal = rotate_now.refusal_signal(call_with(ANN), LiteLLMError(500, CAPPED), NOW)
        self.assertEqual(signal and (signal["status"], signal["type"]), (429, "usage_limit_reached"))
        self.assertEqual(rotate_now.upstream_error("The usage limit has been reached"), {"type": rotate_now.CAP})

    def test_neither_another_provider_nor_a_call_that_was_not_sent_is_a_signal(self) -> None:
        failure = LiteLLMError(429, CAPPED)
        self.assertIsNone(rotate_now.refusal_signal(call_with(ANN, provider="openai"), failure, NOW))
        self.assertIsNone(rotate_now.refusal_signal({"custom_llm_provider": "chatgpt"}, failure, NOW))

    def test_an_opaque_token_leaves_the_account_to_the_header(self) -> None:
        signal = rotate_now.refusal_signal(call_with("opaque", "acct-named"), LiteLLMError(429, CAPPED), NOW)
        self.assertEqual(signal and (signal["account_id"], signal.get("user_id")), ("acct-named", None))

    def test_no_token_gets_into_a_signal(self) -> None:
        other = bearer_of(chatgpt_account_id="acct-ben")
        echo = {"type": f"Bearer {other}", "code": ANN, "plan_type": f"plus {other}", "message": f"{ANN} and {other}"}
        text = json.dumps(signal_of(LiteLLMError(401, echo, {"x-codex-echo": f"bearer {ANN}"})), ensure_ascii=False)
        for token in (ANN, other, "eyJ", "c2lnbmF0dXJl"):
            self.assertNotIn(token, text)
        self.assertIn("… and …", text)
        opaque = signal_of(LiteLLMError(401, {"message": "no such token: opaque"}), "opaque")
        self.assertEqual(opaque["message"], "no such token: …")

    def test_nonsense_of_the_provider_is_left_out(self) -> None:
        for nonsense in ({"a": 1}, ["plus"], float("nan"), float("inf"), 10**400):
            signal = signal_of(LiteLLMError(429, {"plan_type": nonsense, "resets_at": nonsense, "message": "x" * 600}))
            self.assertEqual([signal.get("plan_type"), signal.get("resets_at")], [None, None])
            self.assertEqual(signal["message"], "x" * 500)

    def test_a_body_that_is_none_is_no_error_of_the_provider(self) -> None:
        for text in ("", "{", '{"error": 7}', "[]", '{"detail": "x"}', '{"error": ' + "[" * 100_000):
            self.assertEqual(rotate_now.upstream_error(text), {}, text[:20])

    def test_litellm_asks_again_unless_a_stream_had_begun(self) -> None:
        for status, retried in ((429, True), ("429", True), (500, False)):
            failure = LiteLLMError(status, CAPPED)
            self.assertIs(rotate_now.is_retried(signal_of(failure), failure), retried, status)


class Accounts(unittest.TestCase):
    def test_a_token_says_whose_it_is(self) -> None:
        self.assertEqual(rotate_now.owner_of(ANN), Owner("acct-ann", "user-ann"))
        old = bearer_of(chatgpt_account_id="acct-ann", user_id="user-ann")
        self.assertEqual(rotate_now.owner_of(old), Owner("acct-ann", "user-ann"))

    def test_a_token_that_does_not_say_is_nobodys(self) -> None:
        for bearer in ("", "opaque", "a.b.c", "a.????.c", bearer_of(chatgpt_account_id=7), bearer_of()):
            self.assertEqual(rotate_now.owner_of(bearer), Owner(None, None), bearer)

    def test_a_request_names_the_account_of_its_token(self) -> None:
        self.assertEqual(rotate_now.account_to_name(call_with(ANN, "acct-ben")), "acct-ann")
        for call in (
            call_with(ANN, "acct-ann"),
            call_with(ANN),
            call_with("opaque", "acct-ben"),
            call_with(ANN, "acct-ben", provider="openai"),
            {"custom_llm_provider": "chatgpt"},
        ):
            self.assertIsNone(rotate_now.account_to_name(call), call)


class Successes(unittest.TestCase):
    def test_an_account_that_was_capped_serves_again(self) -> None:
        signal = rotate_now.success_signal(call_with(ANN), {ANN: NOW - 1}, NOW)
        self.assertEqual(signal, {"at": NOW, "status": 200, "account_id": "acct-ann", "user_id": "user-ann"})

    def test_a_call_from_before_the_cap_says_nothing(self) -> None:
        self.assertIsNone(rotate_now.success_signal(call_with(ANN), {ANN: NOW}, NOW))

    def test_an_account_that_was_not_capped_is_no_news(self) -> None:
        self.assertIsNone(rotate_now.success_signal(call_with(ANN), {}, NOW))
        self.assertIsNone(rotate_now.success_signal(call_with("opaque"), {"opaque": 0}, NOW))


class Placings(unittest.TestCase):
    capped = signal_of(LiteLLMError(429, CAPPED))
    limited = signal_of(LiteLLMError(429, {"type": "requests"}))
    revoked = signal_of(LiteLLMError(401, {"code": "token_invalidated"}))
    of_ben = signal_of(LiteLLMError(401), bearer_of(chatgpt_account_id="acct-ben"))

    def placing(self, signal: Signal, there: object) -> Placing:
        return rotate_now.placing(signal, json.dumps(there).encode())

    def test_a_lost_login_outweighs_a_cap_and_a_cap_a_passing_limit(self) -> None:
        endless = signal_of(LiteLLMError(429, {"type": rotate_now.CAP}))
        falling = [self.revoked, self.capped, endless, self.limited]
        self.assertEqual(sorted(falling, key=rotate_now.strength), falling[::-1])

    def test_only_a_weaker_signal_about_the_same_token_is_replaced(self) -> None:
        self.assertIs(rotate_now.placing(self.capped, None), Placing.LINK)
        self.assertIs(self.placing(self.capped, self.limited), Placing.REPLACE)
        self.assertIs(self.placing(self.limited, self.capped), Placing.DROP)
        self.assertIs(self.placing(self.capped, self.capped), Placing.DROP)
        self.assertIs(self.placing(self.of_ben, self.capped), Placing.WAIT)

    def test_a_signal_that_is_not_ours_is_left_to_the_rotator(self) -> None:
        for there in (b"", b"{half", b"[]", b"7", b'{"type": "signed_in", "account_id": "acct-ann"}', b"[" * 100_000):
            self.assertIs(rotate_now.placing(self.revoked, there), Placing.WAIT, there[:20])
