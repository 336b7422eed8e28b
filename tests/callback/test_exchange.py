"""How a request goes from account to account, with LiteLLM's HTTP handler played by each test."""

import asyncio
import json
import queue
import time
import unittest
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import httpx
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
from loaded import rotate_now
from rotate_now import Signal, Used
from test_rules import ANN, BEN, CAPPED, CEM, FOREIGN, UNSUPPORTED, person, windows

URL = "https://chatgpt.com/backend-api/codex/responses"
# How long the rotator takes, in seconds: long beside what a machine that is busy adds, short beside WAIT_SEC.
LATE = 0.3

Behaviour = Callable[[dict[str, Any]], httpx.Response]


def refused(status: int, error: object, headers: dict[str, str] | None = None) -> Behaviour:
    return lambda options: httpx.Response(status, headers=headers, json={"error": error})


def stream(*events: dict[str, Any], headers: dict[str, str] | None = None) -> Behaviour:
    content = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)

    class Chunks(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            for at in range(0, len(content), 50):
                yield content[at : at + 50]

    return lambda options: httpx.Response(200, headers=headers, stream=Chunks())


CREATED, DELTA = {"type": "response.created"}, {"type": "response.output_text.delta", "delta": "Hello"}
FAILED = {"type": "response.failed", "response": {"error": CAPPED}}
COMPLETED = {"type": "response.completed"}
CAP = refused(429, CAPPED, {"retry-after": "59", **windows("x-codex", 100)})
REVOKED = refused(401, {"code": "token_invalidated"})
SERVED = stream(CREATED, DELTA, COMPLETED)


def reasoning(content: str) -> dict[str, Any]:
    return {"type": "reasoning", "encrypted_content": content}


class Exchanges(unittest.IsolatedAsyncioTestCase):
    """`behaviours` is how the provider treats each account; the rotator publishes the next one of `order`."""

    def setUp(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.asked: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.order = [ANN, BEN, CEM]
        self.late = 0.0
        self.rotating: list[asyncio.Task[None]] = []
        fresh = {
            "signals": queue.SimpleQueue(),
            "usage": queue.SimpleQueue(),
            "reasoning": rotate_now.Reasoning(),
            "WAIT_SEC": 2 * LATE,
            "PAUSES_SEC": (0.01, 0.02, 0.04),
            "served_at": 0.0,
            **{name: {} for name in ("readings", "used", "refused", "challenged", "of_the_pool", "done_at")},
        }
        for name, value in fresh.items():
            patch = mock.patch.object(rotate_now, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch.object(AsyncHTTPHandler, "answer", self.answer)
        patch.start()
        self.addCleanup(patch.stop)
        for file in (rotate_now.RECORD, *rotate_now.LANES):
            self.addCleanup(file.unlink, missing_ok=True)
        self.addCleanup(rotate_now.POOL.unlink, missing_ok=True)
        self.addCleanup(rotate_now.MODELS.unlink, missing_ok=True)
        self.publish(ANN)

    def publish(self, bearer: str, *lanes: str) -> None:
        for file, published in zip((rotate_now.RECORD, *rotate_now.LANES), (bearer, *lanes), strict=False):
            file.write_text(json.dumps({"access_token": published, "account_id": "acct"}))
        rotate_now.looked = 0.0, rotate_now.looked[1]  # or it is noticed up to 10 ms later

    def publish_models(self, **bearers: str | None) -> None:
        models = {model: bearer and {"access_token": bearer, "account_id": "acct"} for model, bearer in bearers.items()}
        rotate_now.MODELS.write_text(json.dumps({"version": 1, "models": models}))

    async def rotate(self, refused: str) -> None:
        await asyncio.sleep(self.late)
        following = self.order[self.order.index(refused) + 1 :] if refused in self.order else []
        if following:
            self.publish(following[0])

    async def answer(self, url: str, **options: Any) -> httpx.Response:
        bearer = options["headers"]["Authorization"].removeprefix("Bearer ")
        self.asked.append(bearer)
        self.sent.append(options)
        response = self.behaviours.get(bearer, SERVED)(options)
        response.request = httpx.Request("POST", url)
        if response.status_code != 200 or self.behaviours.get(bearer, SERVED) is not SERVED:
            self.rotating.append(asyncio.create_task(self.rotate(bearer)))
        response.raise_for_status()
        return response

    async def post(self, bearer: str = ANN, agent: str | None = None, **body: Any) -> str:
        headers = {"Authorization": f"Bearer {bearer}", "ChatGPT-Account-Id": "acct", "session_id": "1"}
        request = {"model": "gpt-5.6-sol", "input": [], **body}
        logging = mock.Mock(model_call_details={"litellm_params": {"metadata": {"user_api_key_alias": agent}}})
        sending = rotate_now.Sender().post(url=URL, headers=headers, json=request, stream=True, logging_obj=logging)
        response = await sending
        return str((await response.aread()).decode())

    async def refused_with(self, asking: Awaitable[Any]) -> httpx.Response:
        with self.assertRaises(httpx.HTTPStatusError) as raised:
            await asking
        return raised.exception.response

    def signalled(self) -> list[Signal]:
        signals = []
        while not rotate_now.signals.empty():
            signals.append(rotate_now.signals.get())
        return signals

    def who(self) -> list[str]:
        names = {ANN: "ann", BEN: "ben", CEM: "cem"}
        return [names.get(bearer, bearer) for bearer in self.asked]

    async def test_a_request_that_is_served_is_passed_on_as_it_is(self) -> None:
        self.assertEqual(await self.post(), (await SERVED({}).aread()).decode())
        self.assertEqual((self.who(), self.signalled()), (["ann"], []))
        self.assertEqual(self.sent[0]["headers"]["ChatGPT-Account-Id"], "acct-ann")

    async def test_what_an_agent_uses_is_counted_for_each_account(self) -> None:
        usage = {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 10}
        answered = stream(CREATED, {"type": "response.completed", "response": {"output": [], "usage": usage}})
        self.behaviours = {ANN: CAP, BEN: answered}
        await self.post(agent="ben-the-agent")
        await self.post(BEN, agent="ben-the-agent")
        await self.post(BEN)
        agent, ann, ben = "ben-the-agent", rotate_now.owner_of(ANN), rotate_now.owner_of(BEN)
        self.assertEqual(
            rotate_now.used,
            {
                (agent, ann): Used(refused=1),
                (agent, ben): Used(requests=2, input_tokens=40, cached_tokens=10, output_tokens=20),
                (None, ben): Used(requests=1, input_tokens=20, cached_tokens=5, output_tokens=10),
            },
        )

    async def test_an_agents_own_limit_is_counted_and_is_no_accounts(self) -> None:
        limited, who = mock.Mock(status_code=429, llm_provider=None), mock.Mock(key_alias="ben")
        await rotate_now.handler.async_post_call_failure_hook({}, limited, who)
        self.assertEqual(rotate_now.used, {("ben", rotate_now.Owner(None, None)): Used(limited=1)})
        self.assertEqual(self.signalled(), [])

    async def test_a_refused_request_is_sent_again_as_soon_as_another_account_is_published(self) -> None:
        self.behaviours[ANN], self.late = CAP, LATE
        begun = time.monotonic()
        self.assertIn("Hello", await self.post())
        self.assertTrue(LATE <= time.monotonic() - begun < 1.5 * LATE, "whatever its retry-after says")
        self.assertEqual(self.who(), ["ann", "ben"])
        self.assertEqual(self.sent[1]["headers"]["ChatGPT-Account-Id"], "acct-ben")
        self.assertEqual(self.sent[1]["headers"]["session_id"], "1")
        [signal] = self.signalled()
        self.assertEqual((signal["status"], signal["account_id"], signal["resets_at"]), (429, "acct-ann", 1795439575))

    async def test_the_last_of_twenty_accounts_serves_whatever_refuses_the_others(self) -> None:
        self.order = [ANN, *(person(f"p{number}") for number in range(18)), BEN]
        for number, bearer in enumerate(self.order[:-1]):
            self.behaviours[bearer] = (CAP, REVOKED, stream(CREATED, FAILED))[number % 3]
        self.assertIn("Hello", await self.post())
        self.assertEqual(self.asked, self.order)
        self.assertEqual(len(self.signalled()), 19)

    async def test_with_several_lanes_a_refused_request_goes_to_the_lane_after_its_own_at_once(self) -> None:
        self.order, self.late = [], LATE
        self.publish(ANN, ANN, BEN, CEM)
        for asked, others in ((ANN, ["ann", "ben"]), (BEN, ["ben", "cem"]), (CEM, ["cem", "ann"])):
            self.behaviours, self.asked = {asked: CAP}, []
            rotate_now.refused.clear()
            begun = time.monotonic()
            self.assertIn("Hello", await self.post(asked))
            self.assertLess(time.monotonic() - begun, LATE)
            self.assertEqual(self.who(), others)

    async def test_what_has_been_put_into_its_own_lane_comes_before_the_other_lanes(self) -> None:
        self.publish(ANN, ANN, BEN)

        def capped_and_replaced(options: dict[str, Any]) -> httpx.Response:
            self.publish(ANN, ANN, CEM)
            rotate_now.published(max_age=0)
            return CAP(options)

        self.behaviours[BEN] = capped_and_replaced
        self.assertIn("Hello", await self.post(BEN))
        self.assertEqual(self.who(), ["ben", "cem"])

    async def test_a_lane_that_was_capped_lately_is_not_asked_but_what_replaces_it(self) -> None:
        self.order, self.late = [BEN, CEM], LATE
        self.publish(ANN, ANN, BEN)
        self.behaviours = {ANN: CAP, BEN: CAP}
        rotate_now.refused[rotate_now.Asked(BEN, "gpt-5.6-sol")] = time.time()
        asking = asyncio.create_task(self.post(ANN))
        await asyncio.sleep(LATE / 2)
        self.publish(ANN, ANN, CEM)
        self.assertIn("Hello", await asking)
        self.assertEqual(self.who(), ["ann", "cem"])

    async def test_where_a_lane_gets_its_new_record_late_the_refused_one_is_not_asked_again_until_then(self) -> None:
        self.order = []
        self.publish(ANN, ANN, BEN)
        self.behaviours[ANN] = CAP
        with mock.patch.object(rotate_now, "LATE_SEC", 90):
            for _ in range(3):
                self.assertIn("Hello", await self.post(ANN))
            self.assertEqual(self.who(), ["ann", "ben", "ben", "ben"])
            self.publish(ANN, ANN, ANN)
            self.assertEqual((await self.refused_with(self.post(ANN))).status_code, 429)
            self.assertEqual(self.who()[4:], ["ann"], "when there is no other, it may have been lifted")

    async def test_a_lane_whose_account_lacks_a_model_is_asked_for_it_once_and_for_others_on(self) -> None:
        self.order = []
        self.publish(ANN, ANN, BEN, CEM)
        self.behaviours = dict.fromkeys((BEN, CEM), refused(400, {"message": UNSUPPORTED}))
        for _ in range(3):
            for bearer in (BEN, CEM):
                self.assertIn("Hello", await self.post(bearer, model="spark"))
        self.assertEqual(self.who(), ["ben", "cem", "ann", "ann", "ann", "ann", "ann", "ann"])
        self.behaviours, self.asked = {}, []
        self.assertIn("Hello", await self.post(BEN, model="another"))
        with mock.patch.object(rotate_now, "LACKING_SEC", 0):
            self.assertIn("Hello", await self.post(BEN, model="spark"))
        self.assertIn("Hello", await self.post(BEN, model="spark"))
        self.assertEqual(self.who(), ["ben", "ben", "ben"], "its plan has it by now")

    async def test_a_model_that_all_lanes_of_a_replica_lack_is_refused_without_a_wait(self) -> None:
        self.order = []
        self.publish(ANN, ANN, BEN)
        self.behaviours = dict.fromkeys((ANN, BEN), refused(400, {"message": UNSUPPORTED}))
        begun = time.monotonic()
        with mock.patch.object(rotate_now, "SIGNAL_URL", "http://127.0.0.1:1"):
            for _ in range(2):
                self.assertEqual((await self.refused_with(self.post(model="spark"))).status_code, 400)
        self.assertLess(time.monotonic() - begun, LATE)
        self.assertEqual(self.who(), ["ann", "ben", "ann"])

    async def test_lanes_that_share_an_account_are_one_account(self) -> None:
        self.order = []
        self.publish(ANN, ANN, ANN, ANN)
        self.behaviours[ANN] = CAP
        self.assertEqual((await self.refused_with(self.post())).status_code, 429)
        self.assertEqual(self.who(), ["ann"])

    async def test_trouble_that_is_no_accounts_is_left_to_litellm_at_once(self) -> None:
        for status in (400, 404, 500, 502, 503, 529):
            self.behaviours[ANN], self.asked = refused(status, {"message": "x"}), []
            response = await self.refused_with(self.post())
            self.assertEqual((response.status_code, self.who(), self.signalled()), (status, ["ann"], []))
            await asyncio.gather(*self.rotating)
            self.publish(ANN)

    async def test_when_no_other_account_comes_the_client_has_the_providers_own_answer(self) -> None:
        self.behaviours[ANN], self.order = CAP, [ANN]
        response = await self.refused_with(self.post())
        self.assertEqual((response.status_code, self.who()), (429, ["ann"]))
        self.assertEqual(response.json(), {"error": CAPPED})

    async def test_an_account_that_is_refused_for_a_moment_is_asked_again_when_there_is_no_other(self) -> None:
        answers = iter([refused(429, {"message": "Rate limit exceeded"})] * 3 + [SERVED])
        self.behaviours[ANN], self.order = lambda options: next(answers)(options), [ANN]
        self.assertIn("Hello", await self.post())
        self.assertEqual(self.who(), ["ann"] * 4)

    async def test_a_clients_own_bearer_is_none_of_our_business(self) -> None:
        own = person("somebody-else")
        self.behaviours[own] = CAP
        response = await self.refused_with(self.post(own))
        self.assertEqual((response.status_code, self.who(), self.signalled()), (429, [own], []))
        self.assertEqual(self.sent[0]["headers"]["ChatGPT-Account-Id"], "acct")

    async def test_a_model_that_an_account_may_not_use_is_asked_of_the_next(self) -> None:
        self.behaviours[ANN] = lambda options: httpx.Response(400, json={"detail": UNSUPPORTED})
        self.assertIn("Hello", await self.post())
        [signal] = self.signalled()
        self.assertEqual((signal["status"], signal["scope"], signal["model"]), (400, "model", "gpt-5.6-sol"))

    async def test_a_model_that_another_account_serves_is_asked_of_that_one_at_once(self) -> None:
        self.publish_models(spark=BEN)
        await self.post(model="spark")
        await self.post(model="sol")
        self.assertEqual(self.who(), ["ben", "ann"])
        self.assertEqual(self.sent[0]["headers"]["ChatGPT-Account-Id"], "acct-ben")

    async def test_a_model_that_is_refused_goes_on_to_the_account_that_serves_it(self) -> None:
        self.behaviours[ANN], self.order = refused(400, {"message": UNSUPPORTED}), [ANN]
        asking = asyncio.create_task(self.post(model="spark"))
        await asyncio.sleep(LATE)
        self.publish_models(spark=CEM)
        self.assertIn("Hello", await asking)
        self.assertEqual(self.who(), ["ann", "cem"])

    async def test_a_model_that_no_account_serves_is_refused_without_a_wait(self) -> None:
        self.behaviours[ANN], self.order = refused(400, {"message": UNSUPPORTED}), [ANN]
        self.publish_models(spark=None)
        begun = time.monotonic()
        self.assertEqual((await self.refused_with(self.post(model="spark"))).status_code, 400)
        self.assertLess(time.monotonic() - begun, LATE)
        self.assertEqual(self.who(), ["ann"])

    async def test_nonsense_in_place_of_the_models_records_changes_nothing(self) -> None:
        for content in ("[]", '{"models": 7}', '{"models": {"spark": {"account_id": "acct"}}}', "[" * 100_000):
            rotate_now.MODELS.write_text(content)
            await self.post(model="spark")
        self.assertEqual(self.who(), ["ann"] * 4)

    async def test_a_challenge_rests_nobody_and_moves_us_on_once(self) -> None:
        for bearer in self.order:
            self.behaviours[bearer] = lambda options: httpx.Response(403, html="<html>Just a moment...</html>")
        self.assertEqual((await self.refused_with(self.post())).status_code, 403)
        self.assertEqual(self.who(), ["ann", "ben"])
        [signal] = self.signalled()
        self.assertEqual((signal.get("account_id"), signal["type"]), (None, "challenge"))
        self.assertEqual((await self.refused_with(self.post(BEN))).status_code, 403)
        self.assertEqual((self.who(), self.signalled()), (["ann", "ben", "ben"], []))

    async def test_a_lane_on_which_a_challenge_was_met_is_left_alone_for_a_while(self) -> None:
        self.order = []
        self.publish(ANN, ANN, BEN)
        self.behaviours[ANN] = lambda options: httpx.Response(403, html="<html>Just a moment...</html>")
        with self.assertLogs() as logs:
            for _ in range(3):
                self.assertIn("Hello", await self.post(ANN))
        self.assertEqual(self.who(), ["ann", "ben", "ben", "ben"])
        self.assertEqual(len(logs.output), 1)
        self.assertIn("challenges this address", logs.output[0])
        self.behaviours, self.asked = {}, []
        with mock.patch.object(rotate_now, "CHALLENGE_SEC", 0):
            self.assertIn("Hello", await self.post(ANN))
        self.assertIn("Hello", await self.post(ANN))
        self.assertEqual(self.who(), ["ann", "ann"], "and used again once it is past")

    async def test_a_stream_that_begins_with_its_end_is_asked_of_the_next_account(self) -> None:
        error = {
            "type": "error",
            "status_code": 429,
            "error": CAPPED,
            "headers": {"X-Codex-Primary-Used-Percent": "100"},
        }
        incomplete = {"type": "response.incomplete", "response": {"incomplete_details": {"reason": CAPPED["type"]}}}
        for event in (FAILED, error, incomplete):
            self.publish(ANN)
            self.behaviours[ANN], self.asked = stream(CREATED, event), []
            self.assertNotIn("usage_limit_reached", await self.post())
            self.assertEqual(self.who(), ["ann", "ben"])
            [signal] = self.signalled()
            self.assertEqual((signal["status"], signal["account_id"]), (429, "acct-ann"))

    async def test_a_cap_in_midstream_is_signalled_and_passed_on(self) -> None:
        self.behaviours[ANN] = stream(CREATED, DELTA, FAILED)
        self.assertIn("usage_limit_reached", await self.post())
        [signal] = self.signalled()
        self.assertEqual((signal["status"], signal["resets_at"], self.who()), (429, 1795439575, ["ann"]))

    async def test_a_stream_that_is_slow_to_begin_is_held_back_for_a_moment_only(self) -> None:
        class Slow(httpx.AsyncByteStream):
            async def __aiter__(self) -> Any:
                yield b"event: response.created\ndata: {}\n\n"
                await asyncio.sleep(2 * LATE)
                yield b"event: response.completed\ndata: {}\n\n"

        self.behaviours[ANN] = lambda options: httpx.Response(200, stream=Slow())
        with mock.patch.object(rotate_now, "OPENING_SEC", LATE):
            headers = {"Authorization": f"Bearer {ANN}"}
            begun = time.monotonic()
            response = await rotate_now.Sender().post(url=URL, headers=headers, json={}, stream=True)
            self.assertLess(time.monotonic() - begun, 1.7 * LATE)
            self.assertTrue((await response.aread()).endswith(b"event: response.completed\ndata: {}\n\n"))

    async def test_a_stream_that_breaks_breaks_for_the_client_as_it_would_have(self) -> None:
        class Broken(httpx.AsyncByteStream):
            async def __aiter__(self) -> Any:
                yield b"event: response.created\n"
                raise httpx.ReadError("reset")

        self.behaviours[ANN] = lambda options: httpx.Response(200, stream=Broken())
        with self.assertRaises(httpx.ReadError):
            await self.post()
        self.assertEqual(self.signalled(), [])

    async def test_foreign_reasoning_is_left_out_when_it_is_refused_and_before_from_then_on(self) -> None:
        def only(own: str, made: str) -> Behaviour:
            def behave(options: dict[str, Any]) -> httpx.Response:
                items = [item["encrypted_content"] for item in rotate_now.encrypted_items(options["json"])]
                if any(not item.startswith(own) for item in items):
                    return httpx.Response(400, json={"error": FOREIGN})
                item = {"type": "response.output_item.done", "item": reasoning(made)}
                return stream(CREATED, item, COMPLETED)({})

            return behave

        self.behaviours = {ANN: only("ann", "ann 1"), BEN: only("ben", "ben 1")}
        thread: list[Any] = [{"role": "user", "content": "Hello"}]
        await self.post(ANN, input=thread)
        thread += [reasoning("ann 1"), {"role": "assistant", "content": "Hello"}]
        self.publish(BEN)
        await self.post(BEN, input=thread)
        self.assertEqual(self.who(), ["ann", "ben", "ben"])
        thread += [reasoning("ben 1"), reasoning("ann 2")]
        with_more = [*thread, {"role": "user", "content": "Again"}]
        rotate_now.reasoning.made(reasoning("ann 2"), rotate_now.owner_of(ANN))
        await self.post(BEN, input=with_more)
        self.assertEqual(self.who(), ["ann", "ben", "ben", "ben"])
        left = [item for item in with_more if str(item.get("encrypted_content")) not in ("ann 1", "ann 2")]
        self.assertEqual(self.sent[-1]["json"]["input"], left)
        self.assertEqual(len(with_more), 6, "what LiteLLM holds of the request is not touched")
        self.assertEqual(self.signalled(), [])

    async def test_a_request_that_is_refused_for_reasoning_without_any_is_sent_once(self) -> None:
        self.behaviours[ANN] = refused(400, FOREIGN)
        self.assertEqual((await self.refused_with(self.post())).status_code, 400)
        self.assertEqual((await self.refused_with(self.post(input=[reasoning("x")]))).status_code, 400)
        self.assertEqual(self.who(), ["ann"] * 3, "and with some twice")

    async def test_when_all_are_at_their_limit_the_client_is_told_at_once_until_when(self) -> None:
        self.behaviours[ANN], self.order = CAP, [ANN]
        back_at = int(time.time()) + 3600
        rotate_now.POOL.write_text(json.dumps({"version": 1, "usable": 0, "accounts": 5, "back_at": back_at}))
        begun = time.monotonic()
        for _ in range(5):
            response = await self.refused_with(self.post())
            self.assertEqual(response.status_code, 429)
            self.assertAlmostEqual(int(response.headers["retry-after"]), 3600, delta=5)
            self.assertTrue(
                response.text.startswith("None of the 5 ChatGPT accounts can serve now; the first is back in ")
            )
        self.assertLess(time.monotonic() - begun, 1)
        self.assertEqual(self.who(), ["ann"], "the provider was asked once")
        headers = await rotate_now.handler.async_post_call_response_headers_hook({}, None, None, request_headers={})
        self.assertEqual(headers, {name: response.headers[name] for name in ("retry-after", "x-codex-promo-message")})
        self.assertIsNone(await rotate_now.handler.async_post_call_response_headers_hook({}, None, object()))

    async def test_what_was_refused_for_another_reason_than_a_limit_is_asked_for_each_second(self) -> None:
        self.behaviours[ANN], self.order = REVOKED, [ANN]
        pool = {"version": 1, "usable": 0, "accounts": 5, "back_at": int(time.time()) + 300, "capped": False}
        rotate_now.POOL.write_text(json.dumps(pool))
        with mock.patch.object(rotate_now, "UNCAPPED_PROBE_SEC", 0.1):
            for _ in range(2):
                await self.refused_with(self.post())
                self.assertEqual((await self.refused_with(self.post())).status_code, 429)
                await asyncio.sleep(0.15)
        self.assertEqual(self.who(), ["ann", "ann"])

    async def test_once_a_request_is_served_the_pool_is_spent_no_more(self) -> None:
        rotate_now.POOL.write_text(json.dumps({"usable": 0, "accounts": 5, "back_at": int(time.time()) + 3600}))
        self.behaviours[ANN], self.order = CAP, [ANN]
        await self.refused_with(self.post())
        self.behaviours.clear()
        rotate_now.done_at.clear()
        for _ in range(3):
            await self.post()
        self.assertEqual(self.who(), ["ann"] * 4)

    async def test_a_client_that_would_wait_too_long_is_told_that_it_is_the_limit(self) -> None:
        for status, text, back_in, type_ in (
            (429, "All are at their limit", 3600, "usage_limit_reached"),
            (429, "All are at their limit", 60, None),
            (429, '{"error": {"type": "usage_limit_reached"}}', 60, None),
            (429, '{"error": {"type": "usage_limit_reached"}}', None, "usage_limit_reached"),
            (429, "Rate limit exceeded", None, None),
            (404, "usage_limit_reached", 3600, None),
        ):
            back_at = int(time.time()) + back_in if back_in else None
            rotate_now.POOL.write_text(json.dumps({"usable": 0, "accounts": 5, "back_at": back_at}))
            failure: Any = Exception(text)
            failure.llm_provider, failure.status_code, failure.type = "chatgpt", status, None
            await rotate_now.handler.async_post_call_failure_hook({}, failure, None, traceback_str="")
            self.assertEqual(failure.type, type_, (status, text, back_in))

    async def test_a_success_after_a_refusal_is_signalled_once(self) -> None:
        self.order = [ANN]
        for behaviour, status in ((CAP, 429), (REVOKED, 401)):
            self.behaviours[ANN] = behaviour
            await self.refused_with(self.post())
            self.behaviours.clear()
            await self.post()
            await self.post()
            self.assertEqual([signal["status"] for signal in self.signalled()], [status, 200])

    async def test_usage_is_read_from_what_succeeds_and_a_window_near_its_end_is_signalled(self) -> None:
        for used, read, signalled in ((42.0, 1, 0), (42.5, 0, 0), (43.5, 1, 0), (95.2, 1, 1), (97.0, 1, 0)):
            self.behaviours[ANN] = stream(CREATED, COMPLETED, headers=windows("x-codex", used))
            await self.post()
            self.assertEqual((rotate_now.usage.qsize(), len(self.signalled())), (read, signalled), used)
            while not rotate_now.usage.empty():
                [reading] = rotate_now.usage.get()
                self.assertEqual(reading.headers["x-codex-primary-used-percent"], str(used))

    async def test_a_rule_that_breaks_fails_no_request(self) -> None:
        for broken in ("exchange_of", "refusal_of", "answer_of_body", "headers_about_limits", "percents"):
            with mock.patch.object(rotate_now, broken, side_effect=RuntimeError):
                self.publish(ANN)
                self.behaviours.clear()
                self.assertIn("Hello", await self.post(), broken)
                if broken != "percents":
                    self.behaviours[ANN] = CAP
                    self.assertEqual((await self.refused_with(self.post())).status_code, 429, broken)

    async def test_litellm_is_given_our_handler_for_chatgpt_and_for_nothing_else(self) -> None:
        hook = rotate_now.handler.async_pre_call_deployment_hook
        for kwargs, ours in (
            ({"model": "chatgpt/gpt-5.6-sol"}, True),
            ({"model": "gpt-5.6-sol", "custom_llm_provider": "chatgpt", "client": None}, True),
            ({"model": "openai/gpt-5.6"}, False),
            ({"model": None}, False),
        ):
            self.assertIs((await hook(kwargs, None)).get("client") is rotate_now.sender(), ours, kwargs)
        own = object()
        self.assertIs((await hook({"model": "chatgpt/gpt-5.6-sol", "client": own}, None))["client"], own)
