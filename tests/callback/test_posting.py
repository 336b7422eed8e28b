"""What the callback sends to the rotator's pod, if that is another one than LiteLLM's."""

import hashlib
import hmac
import json
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import NamedTuple
from unittest import mock

from loaded import rotate_now
from rotate_now import Signal
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
        deadline = time.monotonic() + 10
        while not self.posts and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(self.posts[0].path, "/heartbeat")
        self.assert_signed(self.posts[0])
        self.assertEqual(json.loads(self.posts[0].body)["litellm"], "0")
