"""What the callback sends to the rotator's pod, if that is another one than LiteLLM's."""

import hashlib
import hmac
import json
import threading
import time
import unittest
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple
from unittest import mock

from loaded import rotate_now
from rotate_now import Owner, Reading, Signal, Used
from test_rules import ANN, BEN, CAPPED, answer_of, signal_of


class Post(NamedTuple):
    path: str
    body: bytes
    signature: str


class Posting(unittest.TestCase):
    """A server in the place of the signal-receiver, and Ann's record among those that are published."""

    def setUp(self) -> None:
        self.posts: list[Post] = []
        self.status = 202
        test = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                test.posts.append(Post(self.path, body, self.headers["codex-signature"]))
                self.send_response(test.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        patch = mock.patch.object(rotate_now, "SIGNAL_URL", f"http://127.0.0.1:{server.server_port}")
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(rotate_now.RECORD.unlink, missing_ok=True)
        self.publish(ANN, "acct-ann")

    def publish(self, bearer: str, account: str) -> None:
        rotate_now.RECORD.write_text(json.dumps({"access_token": bearer, "account_id": account}))

    def signal(self, **more: object) -> Signal:
        return {**signal_of(answer_of(429, CAPPED)), "at": time.time(), **more}

    def assert_signed(self, post: Post) -> None:
        self.assertEqual(post.signature, hmac.new(ANN.encode(), post.body, hashlib.sha256).hexdigest())

    def test_a_signal_is_signed_with_the_record_that_it_is_about(self) -> None:
        self.assertTrue(rotate_now.try_to_put(signal := self.signal()))
        self.assertEqual([(post.path, json.loads(post.body)) for post in self.posts], [("/signal", signal)])
        self.assert_signed(self.posts[0])
        self.assertNotIn(ANN.encode(), self.posts[0].body)
        self.assertFalse(rotate_now.SIGNAL.exists())

    def test_what_is_about_a_record_that_is_published_no_longer_is_not_sent(self) -> None:
        self.publish(BEN, "acct-ben")
        self.assertTrue(rotate_now.try_to_put(self.signal()))
        self.assertEqual(self.posts, [])

    def test_a_signal_waits_while_the_receiver_has_heard_enough_and_not_once_it_was_dropped(self) -> None:
        for self.status, is_done in ((429, False), (503, False), (403, True), (202, True)):
            self.assertEqual(rotate_now.try_to_put(self.signal()), is_done, self.status)

    def test_a_signal_that_is_too_large_is_sent_without_what_is_said_in_it(self) -> None:
        rotate_now.try_to_put(self.signal(headers={f"x-codex-{n}": "x" * 200 for n in range(40)}))
        sent = json.loads(self.posts[0].body)
        self.assertLess(len(self.posts[0].body), 4096)
        self.assertEqual((sent["status"], sent["headers"], sent["message"]), (429, None, None))

    def test_a_receiver_that_is_away_costs_a_line_of_the_log(self) -> None:
        with mock.patch.object(rotate_now, "SIGNAL_URL", "http://127.0.0.1:1"), self.assertLogs() as logs:
            self.assertFalse(rotate_now.try_to_put(self.signal()))
            self.assertFalse(rotate_now.try_to_put(self.signal()))
        self.assertEqual(len(logs.output), 1)
        self.assertIn("cannot leave a signal: http://127.0.0.1:1: ConnectError", logs.output[0])
        self.assertTrue(rotate_now.try_to_put(self.signal()))

    def test_the_heartbeat_is_sent_signed_by_any_record(self) -> None:
        rotate_now.heartbeat_is_due.set()
        self.wait_for(1)
        self.assertEqual(self.posts[0].path, "/heartbeat")
        self.assert_signed(self.posts[0])
        beat = json.loads(self.posts[0].body)
        self.assertEqual((beat["litellm"], beat["worker"]), ("0", rotate_now.WORKER))

    def test_what_is_about_no_account_is_signed_by_another_record_if_one_is_out_of_date(self) -> None:
        lane = rotate_now.LANES[1]
        lane.write_text(json.dumps({"access_token": BEN, "account_id": "acct-ben"}))
        self.addCleanup(lane.unlink)
        self.status = 403
        self.assertEqual(rotate_now.send_about_us("heartbeat", {}), 403)
        self.assertEqual(len({post.signature for post in self.posts}), 2)
        self.posts, self.status = [], 202
        self.assertEqual(rotate_now.send_about_us("heartbeat", {}), 202)
        self.assertEqual(len(self.posts), 1)

    def test_a_challenge_is_about_the_address_of_this_pod_and_stays_here(self) -> None:
        self.assertTrue(rotate_now.try_to_put({"at": time.time(), "status": 403, "type": "challenge"}))
        self.assertEqual(self.posts, [])

    def test_the_latest_reading_of_each_account_is_sent_signed_by_its_record(self) -> None:
        def reading(bearer: str, used: str) -> Reading:
            headers = {"x-codex-primary-used-percent": used, "x-codex-plan-type": "plus"}
            return Reading(time.time(), rotate_now.owner_of(bearer), "gpt-5.6-sol", headers, {})

        rotate_now.USAGE.unlink(missing_ok=True)
        readings = [reading(ANN, "42.0"), reading(BEN, "7.0")]
        with mock.patch.object(rotate_now, "REPORT_SEC", 0.05):
            rotate_now.usage.put(readings)
            self.wait_for(1)
            rotate_now.usage.put(readings)
            rotate_now.usage.put([reading(ANN, "43.0"), readings[1]])
            self.wait_for(2)
            time.sleep(0.2)
        sent = [json.loads(post.body) for post in self.posts]
        self.assertEqual([post.path for post in self.posts], ["/usage"] * 2, "none of Ben, whose record is not here")
        self.assertEqual([document["headers"]["x-codex-primary-used-percent"] for document in sent], ["42.0", "43.0"])
        self.assertEqual((sent[0]["account_id"], sent[0]["plan_type"]), ("acct-ann", "plus"))
        self.assert_signed(self.posts[0])
        self.assertFalse(rotate_now.USAGE.exists())

    def test_what_agents_have_used_more_is_sent_until_it_has_arrived_and_once(self) -> None:
        used = {("ann", Owner("acct-ann", "user-ann")): Used(requests=2, input_tokens=40)}
        self.status = 503
        with (
            mock.patch.object(rotate_now, "REPORT_SEC", 0.05),
            mock.patch.object(rotate_now, "AGENTS_SEC", 0.01),
            mock.patch.object(rotate_now, "used", used),
        ):
            self.wait_for(2)
            used["ann", Owner("acct-ann", "user-ann")] = Used(requests=5, input_tokens=90)
            self.status = 202
            self.wait_until(lambda: {3, 50} <= {n for total in self.totals(-1) for n in total.values()})
            time.sleep(0.2)
        self.assertEqual({post.path for post in self.posts}, {"/agents"})
        self.assert_signed(self.posts[0])
        total = {"agent": "ann", "account_id": "acct-ann", "user_id": "user-ann"}
        self.assertEqual(self.totals(0), [{**total, "requests": 2, "input_tokens": 40}])
        self.assertEqual(self.totals(1), self.totals(0), "sent again as it was")
        self.assertEqual(self.totals(-1), [{**total, "requests": 3, "input_tokens": 50}])
        numbers = [json.loads(post.body)["number"] for post in self.posts]
        self.assertEqual([number - numbers[0] for number in numbers], [0] * (len(numbers) - 1) + [1])
        self.assertEqual(json.loads(self.posts[0].body)["worker"], rotate_now.WORKER)

    def totals(self, at: int) -> list[dict[str, Any]]:
        return list(json.loads(self.posts[at].body)["totals"])

    def wait_for(self, posts: int) -> None:
        self.wait_until(lambda: len(self.posts) >= posts)

    def wait_until(self, is_true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not is_true():
            self.assertLess(time.monotonic(), deadline, "gave up waiting")
            time.sleep(0.01)
