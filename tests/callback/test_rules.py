"""The callback's rules: what each answer means, what a signal says of it, and which of two signals counts."""

import base64
import hashlib
import json
import time
import unittest
from typing import Any
from unittest import mock

from loaded import rotate_now
from rotate_now import (
    Answer,
    Asked,
    Fields,
    Owner,
    Placing,
    Pool,
    Reading,
    Refusal,
    Scope,
    Sent,
    Signal,
    Used,
    percents,
)

NOW = 1795439506.25
CAPPED = {
    "type": "usage_limit_reached",
    "message": "The usage limit has been reached",
    "plan_type": "plus",
    "resets_at": 1795439575,
    "resets_in_seconds": 69,
}
FOREIGN = {
    "message": "The encrypted content for item rs_1 could not be verified. "
    "Reason: Encrypted content organization_id did not match the target organization.",
    "type": "invalid_request_error",
    "param": None,
    "code": "invalid_encrypted_content",
}


def bearer_of(**auth: object) -> str:
    claims = json.dumps({"https://api.openai.com/auth": auth})
    payload = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{payload}.c2lnbmF0dXJlLW9mLWEtdG9rZW4"


def person(name: str) -> str:
    return bearer_of(chatgpt_account_id=f"acct-{name}", chatgpt_user_id=f"user-{name}")


ANN, BEN, CEM = person("ann"), person("ben"), person("cem")


def answer_of(status: int, error: object = None, headers: dict[str, str] | None = None) -> Answer:
    return rotate_now.answer_of_body(status, headers or {}, json.dumps({"error": error}))


def signal_of(answer: Answer, bearer: str = ANN) -> Signal:
    refusal = rotate_now.refusal_of(answer)
    assert refusal is not None
    return rotate_now.refusal_signal(refusal, answer, Sent(bearer, None), "gpt-5.6-sol", NOW)


def windows(prefix: str, used: float) -> dict[str, str]:
    about = {"used-percent": used, "window-minutes": 300, "reset-at": 1795439575}
    return {f"{prefix}-primary-{name}": str(value) for name, value in about.items()}


ACCOUNT, MODEL = Scope.ACCOUNT, Scope.MODEL
TOO_MANY = '{"error":{"message":"Rate limit exceeded"}}'
PER_MINUTE = (
    '{"error":{"message":"Rate limit reached for gpt-5.6-sol on tokens per min (TPM): Limit 30000, Used 29400, '
    'Requested 1200. Please try again in 1.2s.","type":"tokens","code":"rate_limit_exceeded"}}'
)
UNSUPPORTED = "The 'gpt-5.6-sol' model is not supported when using Codex with a ChatGPT account."
PAGE = "<html><head><title>429 Too Many Requests</title></head></html>"
CHALLENGE = {"cf-mitigated": "challenge", "server": "cloudflare"}
BROKEN = '{"error":{"message":"The server had an error while processing your request.","type":"server_error"}}'

# Every way to say "no more", and every trouble that is none: status, headers, body, and what is refused.
BODIES: list[tuple[int, dict[str, str], str, Refusal | None]] = [
    (429, windows("x-codex", 100), json.dumps({"error": CAPPED}), Refusal(429, ACCOUNT)),
    (429, windows("x-codex", 100), "", Refusal(429, ACCOUNT)),
    (429, {}, "", Refusal(429, ACCOUNT)),
    (429, {}, PAGE, Refusal(429, ACCOUNT)),
    (429, {}, '{"detail":"Rate limit exceeded"}', Refusal(429, ACCOUNT)),
    (429, {}, TOO_MANY, Refusal(429, ACCOUNT)),
    (429, {}, "null", Refusal(429, ACCOUNT)),
    (429, {}, '{"error":"too many"}', Refusal(429, ACCOUNT)),
    (429, {}, '{"error":[1]}', Refusal(429, ACCOUNT)),
    (429, {}, '{"error": ' + "[" * 100_000, Refusal(429, ACCOUNT)),
    (429, {}, PER_MINUTE, Refusal(429, ACCOUNT)),
    (429, {}, '{"error":{"type":"usage_not_included","plan_type":"free"}}', Refusal(429, ACCOUNT)),
    (429, {"retry-after": "59"}, TOO_MANY, Refusal(429, ACCOUNT)),
    (500, {}, json.dumps({"error": CAPPED}), Refusal(429, ACCOUNT)),
    (402, {}, '{"detail":{"code":"deactivated_workspace"}}', Refusal(402, ACCOUNT)),
    (402, {}, "", Refusal(402, ACCOUNT)),
    (401, {}, '{"error":{"type":"invalid_request_error","code":"token_invalidated"}}', Refusal(401, ACCOUNT)),
    (401, {}, "", Refusal(401, ACCOUNT)),
    (403, {}, '{"error":{"type":"permission_error","code":"forbidden"}}', Refusal(403, ACCOUNT)),
    (403, {}, '{"error":null}', Refusal(403, ACCOUNT)),
    (400, {}, json.dumps({"detail": UNSUPPORTED}), Refusal(400, MODEL)),
    (400, {}, json.dumps({"error": {"message": UNSUPPORTED}}), Refusal(400, MODEL)),
    (403, CHALLENGE, "<!DOCTYPE html><title>Just a moment...</title>", None),
    (403, {}, "<!DOCTYPE html><title>Just a moment...</title>", None),
    (403, {}, "", None),
    (429, CHALLENGE, PAGE, None),
    (400, {}, json.dumps({"error": FOREIGN}), None),
    (400, {}, '{"error":{"message":"Unknown parameter","type":"invalid_request_error"}}', None),
    (404, {}, '{"error":{"message":"The model does not exist","code":"model_not_found"}}', None),
    (500, {}, BROKEN, None),
    (502, {}, "<html>502</html>", None),
    (503, {}, '{"error":{"message":"slow down","code":"slow_down"}}', None),
    (529, {}, '{"error":{"message":"Overloaded","type":"overloaded_error"}}', None),
]

# The same for an event that ends a stream, with the headers of the stream.
RESPONSE_ERROR = {"code": "rate_limit_exceeded", "message": "The usage limit has been reached"}
EVENTS: list[tuple[Fields, dict[str, str], Refusal | None]] = [
    ({"type": "response.failed", "response": {"error": RESPONSE_ERROR}}, {}, Refusal(429, ACCOUNT)),
    ({"type": "response.incomplete", "response": {"error": CAPPED}}, {}, Refusal(429, ACCOUNT)),
    (
        {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "usage_limit_reached"}}},
        {},
        Refusal(429, ACCOUNT),
    ),
    ({"type": "error", "status_code": 429, "error": CAPPED, "headers": {}}, {}, Refusal(429, ACCOUNT)),
    ({"type": "error", "error": {"type": "usage_limit_reached"}}, {}, Refusal(429, ACCOUNT)),
    ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, {}, Refusal(429, ACCOUNT)),
    ({"type": "error", "status": 401, "error": {"code": "token_invalidated"}}, {}, Refusal(401, ACCOUNT)),
    ({"type": "error", "error": {"code": "deactivated_workspace"}}, {}, Refusal(402, ACCOUNT)),
    (
        {"type": "response.failed", "response": {"error": RESPONSE_ERROR}},
        {**windows("x-codex-bengalfox", 100), "x-codex-active-limit": "codex_bengalfox"},
        Refusal(429, MODEL),
    ),
    ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, {}, None),
    ({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}}, {}, None),
    ({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "content_filter"}}}, {}, None),
    ({"type": "response.failed", "response": None}, {}, None),
    ({"type": "error", "error": FOREIGN}, {}, None),
    ({"type": "error", "error": 7, "status_code": "429", "headers": []}, {}, None),
]


class Table(unittest.TestCase):
    def test_each_body_refuses_the_account_or_one_model_on_it_or_nothing(self) -> None:
        for status, headers, body, refused in BODIES:
            answer = rotate_now.answer_of_body(status, headers, body)
            self.assertEqual(rotate_now.refusal_of(answer), refused, (status, headers, body[:80]))

    def test_so_does_each_event_that_ends_a_stream(self) -> None:
        for event, headers, refused in EVENTS:
            self.assertEqual(rotate_now.refusal_of(rotate_now.answer_of_event(event, headers)), refused, event)

    def test_a_limit_of_a_family_refuses_the_model_and_the_accounts_own_limit_the_account(self) -> None:
        own, spark = windows("x-codex", 100), windows("x-codex-bengalfox", 100)
        unspent, unspent_spark = windows("x-codex", 42), windows("x-codex-bengalfox", 7)
        for headers, family in (
            (own | unspent_spark, None),
            (own | spark, None),
            (unspent | spark, "x-codex-bengalfox"),
            (spark, "x-codex-bengalfox"),
            (own | unspent_spark | {"x-codex-active-limit": "codex_bengalfox"}, "x-codex-bengalfox"),
            (own | spark | {"x-codex-active-limit": "premium"}, None),
            (own | {"x-codex-active-limit": "codex"}, None),
            ({"x-codex-active-limit": "codex_bengalfox"}, None),
            (windows("x-codex", float("nan")) | {"x-codex-bengalfox-primary-used-percent": "many"}, None),
            ({}, None),
        ):
            self.assertEqual(rotate_now.family_of(headers), family, headers)

    def test_encrypted_items_that_are_refused_are_told_from_other_400s(self) -> None:
        for status, body, about_reasoning in (
            (400, {"error": FOREIGN}, True),
            (400, {"error": {"message": "The encrypted content gAAA...xyz= could not be verified."}}, True),
            (400, {"detail": "Encrypted content could not be decrypted or parsed."}, True),
            (400, {"error": {"message": "Unknown parameter"}}, False),
            (500, {"error": {"message": "encrypted content"}}, False),
        ):
            answer = rotate_now.answer_of_body(status, {}, json.dumps(body))
            self.assertIs(rotate_now.is_about_reasoning(answer), about_reasoning, body)

    def test_only_a_limit_that_may_be_over_in_a_second_is_momentary(self) -> None:
        for answer, momentary in (
            (answer_of(429, {"message": "Rate limit exceeded"}), True),
            (rotate_now.answer_of_body(429, {}, PER_MINUTE), True),
            (rotate_now.answer_of_body(429, {}, ""), True),
            (answer_of(429, CAPPED), False),
            (answer_of(429, {"resets_at": 1795439575}), False),
            (answer_of(429, {"type": "usage_not_included"}), False),
            (answer_of(429, None, windows("x-codex", 100)), False),
            (answer_of(401), False),
        ):
            self.assertIs(rotate_now.is_momentary(answer), momentary, answer)

    def test_an_error_event_brings_its_own_reset_and_headers(self) -> None:
        event = {
            "type": "error",
            "status_code": 429,
            "error": CAPPED,
            "headers": {"X-Codex-Primary-Used-Percent": "100.0", "X-Codex-Primary-Reset-At": 1795439575},
        }
        answer = rotate_now.answer_of_event(
            event, {"x-codex-primary-used-percent": "98.0", "x-codex-plan-type": "plus"}
        )
        signal = signal_of(answer)
        self.assertEqual(signal["resets_at"], 1795439575)
        self.assertEqual(
            signal["headers"],
            {
                "x-codex-primary-used-percent": "100.0",
                "x-codex-plan-type": "plus",
                "x-codex-primary-reset-at": "1795439575",
            },
        )


class Refusals(unittest.TestCase):
    def test_a_cap_is_a_signal_with_all_that_the_provider_says(self) -> None:
        headers = {"x-codex-primary-used-percent": "100.0", "x-codex-plan-type": "pro", "x-request-id": "1"}
        self.assertEqual(
            signal_of(answer_of(429, CAPPED, headers)),
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

    def test_a_refused_model_is_named_as_one(self) -> None:
        signal = signal_of(rotate_now.answer_of_body(400, {}, json.dumps({"detail": UNSUPPORTED})))
        self.assertEqual((signal["status"], signal["scope"], signal["model"]), (400, "model", "gpt-5.6-sol"))
        self.assertNotIn("scope", signal_of(answer_of(429, CAPPED)))

    def test_the_status_decides_unless_a_code_says_more(self) -> None:
        for refused in (401, 403, 429):
            self.assertEqual(signal_of(answer_of(refused))["status"], refused)
        for other in (400, 404, 500, 503):
            self.assertIsNone(rotate_now.refusal_of(answer_of(other)), other)
        signal = signal_of(answer_of(500, CAPPED))
        self.assertEqual((signal["status"], signal["type"]), (429, "usage_limit_reached"))

    def test_the_words_of_a_cap_are_a_cap(self) -> None:
        answer = rotate_now.answer_of_event({"type": "response.failed", "response": {"error": RESPONSE_ERROR}}, {})
        self.assertEqual(signal_of(answer)["type"], rotate_now.CAP)

    def test_an_opaque_token_leaves_the_account_to_the_header(self) -> None:
        sent = Sent("opaque", "acct-named")
        signal = rotate_now.refusal_signal(Refusal(429, ACCOUNT), answer_of(429, CAPPED), sent, None, NOW)
        self.assertEqual((signal["account_id"], signal.get("user_id")), ("acct-named", None))

    def test_no_token_gets_into_a_signal(self) -> None:
        other = bearer_of(chatgpt_account_id="acct-ben")
        echo = {"type": f"Bearer {other}", "code": ANN, "plan_type": f"plus {other}", "message": f"{ANN} and {other}"}
        text = json.dumps(signal_of(answer_of(401, echo, {"x-codex-echo": f"bearer {ANN}"})), ensure_ascii=False)
        for token in (ANN, other, "eyJ", "c2lnbmF0dXJl"):
            self.assertNotIn(token, text)
        self.assertIn("… and …", text)
        opaque = signal_of(answer_of(401, {"message": "no such token: opaque"}), "opaque")
        self.assertEqual(opaque["message"], "no such token: …")

    def test_nor_does_the_part_of_one_that_a_cut_leaves(self) -> None:
        for length in range(3900, 4010):
            message = rotate_now.clean(f"{'… ' * (length // 2)}{ANN}")
            self.assertNotIn("eyJ", str(message), length)

    def test_nonsense_of_the_provider_is_left_out(self) -> None:
        for nonsense in ({"a": 1}, ["plus"], float("nan"), float("inf"), 10**400):
            signal = signal_of(answer_of(429, {"plan_type": nonsense, "resets_at": nonsense, "message": "x" * 600}))
            self.assertEqual([signal.get("plan_type"), signal.get("resets_at")], [None, None])
            self.assertEqual(signal["message"], "x" * 500)

    def test_a_reset_is_a_whole_number_in_whatever_form_it_comes(self) -> None:
        for told, seconds in (
            (1795439575, 1795439575),
            (1795439575.9, 1795439575),
            ("1795439575", 1795439575),
            (1795439575000, 1795439575),
            ("69.5", 69),
            (0, None),
            (-5, None),
            (True, None),
            ("soon", None),
            ("NaN", None),
            ("-Infinity", None),
            (float("inf"), None),
            (1e300, None),
            ([], None),
            (None, None),
        ):
            self.assertEqual(rotate_now.number_of(told), seconds, told)
            signal = signal_of(answer_of(429, {"resets_in_seconds": told}))
            self.assertEqual(signal.get("resets_in_seconds"), seconds, told)

    def test_a_body_that_is_none_is_no_error_of_the_provider(self) -> None:
        for text in ("", "{", '{"error": 7}', "[]", '{"detail": 7}', '{"error": ' + "[" * 100_000):
            self.assertEqual(rotate_now.answer_of_body(429, {}, text).error, {}, text[:20])

    def test_a_page_takes_no_time(self) -> None:
        token = base64.urlsafe_b64encode(b"\0" * 750_000).decode()
        texts = (token, f"md: '{token}'", f"{token}.{token}", "a." * 500_000, "Bearer " * 100_000, " " * 1_000_000)
        for text in (*texts, f"{'x' * 1999} " * 500, json.dumps({"error": {"message": token * 9}}), "[" * 10_000_000):
            # What a busy machine does to one of them says nothing of the input.
            self.assertLess(min(self.seconds_for(text) for _ in range(5)), 0.05, text[:20])

    def seconds_for(self, text: str) -> float:
        begun = time.thread_time()
        answer = rotate_now.answer_of_body(401, {f"x-codex-{n}": text for n in range(9)}, text)
        signal_of(answer._replace(error={"message": text, "type": text, "code": text, "plan_type": text}))
        return time.thread_time() - begun


class Accounts(unittest.TestCase):
    def test_a_token_says_whose_it_is(self) -> None:
        self.assertEqual(rotate_now.owner_of(ANN), Owner("acct-ann", "user-ann"))
        old = bearer_of(chatgpt_account_id="acct-ann", user_id="user-ann")
        self.assertEqual(rotate_now.owner_of(old), Owner("acct-ann", "user-ann"))

    def test_a_token_that_does_not_say_is_nobodys(self) -> None:
        for bearer in ("", "opaque", "a.b.c", "a.????.c", bearer_of(chatgpt_account_id=7), bearer_of()):
            self.assertEqual(rotate_now.owner_of(bearer), Owner(None, None), bearer)

    def test_a_request_names_the_account_of_its_token(self) -> None:
        sent = {"Authorization": "Bearer old", "ChatGPT-Account-Id": "acct-old", "session_id": "1"}
        for record, account in (
            (Sent(ANN, "acct-ben"), "acct-ann"),
            (Sent(ANN, None), "acct-ann"),
            (Sent("opaque", "acct-ben"), "acct-ben"),
        ):
            headers = {"Authorization": f"Bearer {record.bearer}", "ChatGPT-Account-Id": account, "session_id": "1"}
            self.assertEqual(rotate_now.headers_for(record, sent), headers)
        self.assertEqual(rotate_now.sent_with({"authorization": f"Bearer {ANN}"}), Sent(ANN, None))


class Successes(unittest.TestCase):
    def test_says_which_account_serves_what_again(self) -> None:
        of_ann = {"account_id": "acct-ann", "user_id": "user-ann"}
        self.assertEqual(
            rotate_now.served_signal(ANN, "spark", NOW), {"at": NOW, "status": 200, **of_ann, "model": "spark"}
        )

    def test_a_refusal_is_over_for_the_model_that_is_served_and_for_the_account(self) -> None:
        spark, sol, any_model = Asked(ANN, "spark"), Asked(ANN, "sol"), Asked(ANN)
        refused = {spark: NOW - 2, any_model: NOW - 2}
        for asked, begun, over in (
            (spark, NOW, [spark, any_model]),
            (sol, NOW, [any_model]),
            (sol, NOW - 2, []),
            (Asked(BEN, "spark"), NOW, []),
        ):
            self.assertEqual(rotate_now.refuted(refused, asked, begun), over)


class Usage(unittest.TestCase):
    def reading(self, after: float, used: float, spark: float | None = None) -> Reading:
        headers = windows("x-codex", used) | (windows("x-codex-bengalfox", spark) if spark is not None else {})
        return Reading(NOW + after, Owner("acct-ann", "user-ann"), "gpt-5.6-sol", headers, percents(headers))

    def test_a_reading_is_news_each_minute_or_when_a_window_has_moved_by_one_percent(self) -> None:
        last = self.reading(0, 42)
        for reading, news in (
            (self.reading(59, 42.9), False),
            (self.reading(59, 43), True),
            (self.reading(59, 41), True),
            (self.reading(60, 42), True),
            (self.reading(1, 42, 7), True),
        ):
            self.assertIs(rotate_now.is_news(reading, last), news, reading)
        self.assertTrue(rotate_now.is_news(last, None))

    def test_a_window_crosses_the_threshold_once(self) -> None:
        for now, last, crossed in (
            (self.reading(9, 95), self.reading(0, 94.9), True),
            (self.reading(9, 96), self.reading(0, 95), False),
            (self.reading(9, 94.9), self.reading(0, 42), False),
            (self.reading(9, 42, 97), self.reading(0, 42, 90), True),
            (self.reading(9, 42, 97), self.reading(0, 42), True),
            (self.reading(9, 95), None, True),
        ):
            self.assertIs(rotate_now.has_crossed(now, last, 95), crossed, now)

    def test_a_reading_that_asks_for_a_look_says_whose_it_is(self) -> None:
        signal = rotate_now.usage_signal(self.reading(0, 96), ANN)
        self.assertEqual((signal["status"], signal["type"], signal["account_id"]), (200, "usage", "acct-ann"))
        self.assertEqual((signal["at"], signal["headers"]["x-codex-primary-used-percent"]), (NOW, "96"))

    def test_families_are_kept_and_other_headers_are_not(self) -> None:
        headers = windows("x-codex", 1) | windows("x-spark", 2) | {"x-codex-plan-type": "plus", "x-request-id": "1"}
        self.assertEqual(rotate_now.headers_about_limits(headers).keys(), headers.keys() - {"x-request-id"})
        self.assertEqual(len(rotate_now.headers_about_limits({f"x-codex-{n}": "1" for n in range(1000)})), 64)

    def test_the_event_about_limits_says_what_headers_say(self) -> None:
        window = {"used_percent": 42.5, "window_minutes": 300, "reset_at": 1795439506}
        event = {"plan_type": "plus", "rate_limits": {"primary": window, "secondary": None}}
        headers = {
            "x-codex-plan-type": "plus",
            "x-codex-primary-used-percent": "42.5",
            "x-codex-primary-window-minutes": "300",
            "x-codex-primary-reset-at": "1795439506",
        }
        self.assertEqual(rotate_now.headers_of_event(event), headers)
        spark = rotate_now.headers_of_event({**event, "metered_limit_name": "codex_bengalfox"})
        self.assertEqual(spark["x-codex-bengalfox-primary-used-percent"], "42.5")
        self.assertEqual(rotate_now.headers_of_event({"rate_limits": [window]}), {})


class Agents(unittest.TestCase):
    def test_the_tokens_of_a_request_are_what_the_provider_says(self) -> None:
        usage = {"input_tokens": 20, "output_tokens": 10, "input_tokens_details": {"cached_tokens": 5}}
        self.assertEqual(rotate_now.used_of(usage), Used(1, 20, 5, 10))
        nonsense = {"input_tokens": "many", "output_tokens": -1, "input_tokens_details": []}
        unsaid: object
        for unsaid in (None, [], {}, nonsense):
            self.assertEqual(rotate_now.used_of(unsaid), Used(1), unsaid)
        self.assertEqual(Used(1, 20).plus(Used(1, refused=2)), Used(2, 20, refused=2))

    def test_the_tokens_are_found_at_the_end_of_a_large_event(self) -> None:
        said = {"text": '"usage": {"input_tokens": 1}', "usage": {"input_tokens": 20}, "user": None}
        event = json.dumps({"response": {"output": ["x" * 100_000], **said}}).encode()
        self.assertEqual(rotate_now.usage_at_the_end(event), {"input_tokens": 20})
        for none in (b"", b'{"usage"', b'{"usage":', b'{"usage": {"a": ', b"\xff"):
            self.assertIsNone(rotate_now.usage_at_the_end(none))

    def test_an_agent_is_known_by_the_alias_of_its_key(self) -> None:
        class Logging:
            def __init__(self, params: object) -> None:
                self.model_call_details = {"litellm_params": params}

        alias = {"user_api_key_alias": "ann"}
        for params in ({"metadata": alias}, {"metadata": None, "litellm_metadata": alias}):
            self.assertEqual(rotate_now.agent_of(Logging(params)), "ann")
        for other in (None, Logging(None), Logging({}), Logging({"metadata": {"user_api_key_alias": None}})):
            self.assertIsNone(rotate_now.agent_of(other))

    def test_only_so_many_are_counted_apart(self) -> None:
        used: dict[tuple[str | None, Owner], Used] = {}
        with mock.patch.object(rotate_now, "used", used), mock.patch.object(rotate_now, "MOST_USED", 2):
            for agent in ("ann", "ben", "cem", "dan", "ann"):
                rotate_now.count(agent, Owner("acct-1", None), Used(1))
            self.assertEqual(sum(total.requests for total in used.values()), 5)
            self.assertEqual([agent for agent, _ in used], ["ann", "ben", "(others)"])


class Placings(unittest.TestCase):
    capped = signal_of(answer_of(429, CAPPED))
    limited = signal_of(answer_of(429, {"type": "requests"}))
    revoked = signal_of(answer_of(401, {"code": "token_invalidated"}))
    of_ben = signal_of(answer_of(401), bearer_of(chatgpt_account_id="acct-ben"))

    def placing(self, signal: Signal, there: object) -> Placing:
        return rotate_now.placing(signal, json.dumps(there).encode())

    def test_a_lost_login_outweighs_a_cap_and_a_cap_a_passing_limit(self) -> None:
        endless = signal_of(answer_of(429, {"type": rotate_now.CAP}))
        read = rotate_now.usage_signal(Reading(NOW, rotate_now.owner_of(ANN), None, {}, {}), ANN)
        falling = [self.revoked, self.capped, endless, self.limited, read]
        self.assertEqual(sorted(falling, key=rotate_now.strength), falling[::-1])

    def test_only_a_weaker_signal_about_the_same_token_is_replaced(self) -> None:
        self.assertIs(rotate_now.placing(self.capped, None), Placing.LINK)
        self.assertIs(self.placing(self.capped, self.limited), Placing.REPLACE)
        self.assertIs(self.placing(self.limited, self.capped), Placing.DROP)
        self.assertIs(self.placing(self.capped, self.capped), Placing.DROP)
        self.assertIs(self.placing(self.of_ben, self.capped), Placing.WAIT)

    def test_a_refused_model_and_a_refused_account_do_not_replace_each_other(self) -> None:
        model = {**self.capped, "scope": "model"}
        self.assertIs(self.placing(model, self.capped), Placing.WAIT)
        self.assertIs(self.placing(model, {**model, "model": "another"}), Placing.WAIT)
        self.assertIs(self.placing(model, model), Placing.DROP)

    def test_a_signal_that_is_not_ours_is_left_to_the_rotator(self) -> None:
        for there in (b"", b"{half", b"[]", b"7", b'{"type": "signed_in", "account_id": "acct-ann"}', b"[" * 100_000):
            self.assertIs(rotate_now.placing(self.revoked, there), Placing.WAIT, there[:20])


class SpentPools(unittest.TestCase):
    def test_a_pool_is_spent_when_no_account_can_serve_and_it_is_known_when_one_can(self) -> None:
        for pool, spent in (
            (Pool(0, 5, int(NOW) + 60), True),
            (Pool(0, 5, int(NOW) - 60), False),
            (Pool(0, 5, None), False),
            (Pool(1, 5, int(NOW) + 60), False),
            (Pool(), False),
        ):
            self.assertIs(rotate_now.is_spent(pool, NOW), spent, pool)

    def test_who_waits_reads_how_long(self) -> None:
        for accounts, seconds, text in (
            (
                5,
                3 * 3600 + 11.2 * 60,
                "None of the 5 ChatGPT accounts can serve now; the first is back in 3 h 12 min, at ",
            ),
            (5, 2 * 86400 + 3600, "None of the 5 ChatGPT accounts can serve now; the first is back in 2 d 1 h, at "),
            (5, 3 * 3600 - 1, "None of the 5 ChatGPT accounts can serve now; the first is back in 3 h 0 min, at "),
            (1, 30, "The account cannot serve now; it is back in 1 min, at 2026-11-23 17:12 UTC."),
        ):
            answer = rotate_now.spent_answer(Pool(0, accounts, int(1795453891 + seconds)), 1795453891)
            self.assertEqual(answer.status_code, 429)
            self.assertTrue(answer.text.startswith(text), answer.text)
            self.assertEqual(answer.headers["retry-after"], str(int(seconds)))


class Streams(unittest.TestCase):
    def read(self, *chunks: bytes) -> list[tuple[str, Any]]:
        events = rotate_now.Events()
        return [event for chunk in chunks for event in events.read(chunk)]

    def test_events_are_read_however_the_bytes_are_cut(self) -> None:
        stream = (
            b'event: response.created\ndata: {"response": {"id": "1"}}\n\n'
            b'event: response.output_item.done\ndata: {"item": {"type": "reasoning", "encrypted_content": "x"}}\n\n'
            b'data: {"type": "response.failed", "response": {"error": {"code": "server_error"}}}\n\n'
            b'event: error\r\ndata: {"error": {"type": "usage_limit_reached"}}\r\n\r\n'
            b": keepalive\n\ndata: [DONE]\n\n"
        )
        told = [
            ("response.created", {}),
            ("response.output_item.done", {"item": {"type": "reasoning", "encrypted_content": "x"}}),
            ("response.failed", {"type": "response.failed", "response": {"error": {"code": "server_error"}}}),
            ("error", {"error": {"type": "usage_limit_reached"}}),
            ("None", {}),
        ]
        for size in (1, 7, 64, len(stream)):
            chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
            self.assertEqual(self.read(*chunks), told, size)

    def test_what_is_no_event_is_passed_over(self) -> None:
        self.assertEqual(self.read(b"<html>hello</html>\n"), [])
        self.assertEqual(self.read(b"event: error\ndata: {half\n"), [("error", {})])
        self.assertEqual(self.read(b"event: error\ndata: " + b"[" * 100_000 + b"\n"), [("error", {})])

    def test_a_line_without_end_takes_no_memory(self) -> None:
        events = rotate_now.Events()
        for _ in range(100):
            self.assertEqual(list(events.read(b"x" * (1 << 16))), [])
        self.assertLessEqual(len(events.rest), rotate_now.MOST_JSON)


class ReasoningItems(unittest.TestCase):
    ann, ben, cem = (rotate_now.owner_of(bearer) for bearer in (ANN, BEN, CEM))

    def setUp(self) -> None:
        self.reasoning = rotate_now.Reasoning()

    def item(self, name: str) -> dict[str, Any]:
        return {"type": "reasoning", "summary": [], "encrypted_content": name}

    def left(self, owner: Owner, *names: str) -> list[str]:
        body = {"model": "gpt-5.6-sol", "input": ["text", *(self.item(name) for name in names), {"role": "user"}]}
        kept = self.reasoning.without_refused(body, owner)
        self.assertEqual(
            [kept["input"][0], kept["input"][-1], kept["model"]], ["text", {"role": "user"}, "gpt-5.6-sol"]
        )
        return [item["encrypted_content"] for item in kept["input"][1:-1]]

    def test_nothing_is_left_out_before_an_account_has_refused_something(self) -> None:
        self.reasoning.made(self.item("of ann"), self.ann)
        self.assertEqual(self.left(self.ben, "of ann", "unknown"), ["of ann", "unknown"])

    def test_once_an_item_of_another_account_was_refused_each_account_is_sent_its_own_only(self) -> None:
        for name, owner in (("of ann", self.ann), ("of ben", self.ben), ("later of ann", self.ann)):
            self.reasoning.made(self.item(name), owner)
        self.reasoning.refuse({"input": [self.item("of ann"), self.item("of ben")]}, self.ben)
        all_of_them = ("of ann", "of ben", "later of ann")
        self.assertEqual(self.left(self.ben, *all_of_them), ["of ben"])
        self.assertEqual(self.left(self.ann, *all_of_them), ["of ann", "later of ann"])
        self.assertEqual(self.left(self.cem, *all_of_them), [])

    def test_what_nobody_is_known_to_have_made_is_sent_until_it_was_refused(self) -> None:
        self.reasoning.made(self.item("of ben"), self.ben)
        self.reasoning.refuse({"input": [self.item("unknown"), self.item("of ben")]}, self.ben)
        self.assertEqual(self.left(self.ben, "unknown", "another", "of ben"), ["another", "of ben"])
        self.assertEqual(self.left(self.cem, "unknown", "of ben"), ["of ben"])

    def test_an_account_that_refuses_its_own_is_sent_these_no_more(self) -> None:
        self.reasoning.made(self.item("of ann"), self.ann)
        self.reasoning.refuse({"input": [self.item("of ann")]}, self.ann)
        self.assertEqual(self.left(self.ann, "of ann", "new"), ["new"])

    def test_memory_is_bounded(self) -> None:
        for number in range(rotate_now.Reasoning.LIMIT + 10):
            self.reasoning.made(self.item(str(number)), self.ann)
        self.assertEqual(len(self.reasoning.makers), rotate_now.Reasoning.LIMIT)

    def test_an_input_of_any_shape_is_left_alone(self) -> None:
        for body in ({}, {"input": "text"}, {"input": [7, None, {"encrypted_content": 7}]}, {"input": None}):
            self.reasoning.refuse(body, self.ann)
            self.assertIs(self.reasoning.without_refused(body, self.ann), body)
