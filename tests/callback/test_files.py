"""What the callback leaves in the live directory."""

import asyncio
import json
import os
import queue
import time
import unittest
from collections.abc import Callable
from unittest import mock

import litellm
from loaded import rotate_now
from rotate_now import Signal
from test_rules import ANN, CAPPED, LiteLLMError, call_with, signal_of

# How long the rotator takes, in seconds: long beside what a machine that is busy adds, short beside WAIT_SEC.
LATE = 0.5


class Files(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(rotate_now.SIGNAL.unlink, missing_ok=True)
        self.addCleanup(rotate_now.RECORD.unlink, missing_ok=True)

    def there(self) -> Signal:
        return dict(json.loads(rotate_now.SIGNAL.read_bytes()))

    def wait_until(self, is_true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not is_true():
            self.assertLess(time.monotonic(), deadline, "gave up waiting")
            time.sleep(0.01)

    def test_a_signal_is_one_whole_file_that_the_group_may_read_and_take(self) -> None:
        signal = signal_of(LiteLLMError(429, CAPPED))
        self.assertTrue(rotate_now.put(signal))
        self.assertEqual(self.there(), signal)
        self.assertEqual(rotate_now.SIGNAL.stat().st_mode & 0o777, 0o660)
        self.assertEqual([name for name in rotate_now.LIVE.iterdir() if name.name.startswith("rotate-now.")], [])

    def test_a_stronger_signal_takes_the_place_of_a_weaker_one_and_no_other_does(self) -> None:
        limited, capped = signal_of(LiteLLMError(429)), signal_of(LiteLLMError(429, CAPPED))
        for signal, left in ((limited, limited), (capped, capped), (limited, capped)):
            self.assertTrue(rotate_now.put(signal))
            self.assertEqual(self.there(), left)

    def test_a_signal_waits_for_one_of_an_operator(self) -> None:
        rotate_now.SIGNAL.touch()
        self.assertFalse(rotate_now.put(signal_of(LiteLLMError(429, CAPPED))))
        self.assertEqual(rotate_now.SIGNAL.read_bytes(), b"")

    def test_the_heartbeat_says_which_litellm_runs_us(self) -> None:
        litellm.callbacks.append(rotate_now.handler)
        self.wait_until(lambda: json.loads(rotate_now.content_of(rotate_now.HEARTBEAT) or b"{}").get("held"))
        beat = json.loads(rotate_now.HEARTBEAT.read_bytes())
        self.assertEqual((beat["pid"], beat["litellm"]), (os.getpid(), "0"))

    async def held(self, status: int) -> float:
        """How long a call that failed for a cap is held, while the rotator takes a while."""

        async def publish_later() -> None:
            await asyncio.sleep(LATE)
            rotate_now.RECORD.write_text(json.dumps({"access_token": "another"}))

        rotate_now.RECORD.write_text(json.dumps({"access_token": ANN}))
        publishing = asyncio.create_task(publish_later())
        begun = time.monotonic()
        await rotate_now.handler.failed(call_with(ANN), LiteLLMError(status, CAPPED))
        held = time.monotonic() - begun
        await publishing
        return held

    def test_a_retry_is_held_until_another_token_is_published(self) -> None:
        held = asyncio.run(self.held(429))
        self.assertTrue(LATE - 0.01 < held < rotate_now.WAIT_SEC, held)
        self.wait_until(rotate_now.SIGNAL.exists)
        self.assertEqual(self.there()["account_id"], "acct-ann")

    def test_a_stream_that_has_begun_is_not_held(self) -> None:
        self.assertLess(asyncio.run(self.held(500)), LATE)
        self.wait_until(rotate_now.SIGNAL.exists)

    def test_an_attempt_is_signalled_once_however_often_litellm_calls(self) -> None:
        rotate_now.RECORD.write_text(json.dumps({"access_token": "another"}))
        call = call_with(ANN)
        signals: queue.SimpleQueue[Signal] = queue.SimpleQueue()
        with mock.patch.object(rotate_now, "signals", signals):
            for attempt, signalled in ((1, 1), (1, 1), (2, 2)):
                call["api_call_start_time"] = attempt
                asyncio.run(rotate_now.handler.failed(call, LiteLLMError(429, CAPPED)))
                self.assertEqual(signals.qsize(), signalled)
