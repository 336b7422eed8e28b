"""What the callback leaves in the live directory."""

import json
import os
import shutil
import socket
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import litellm
from loaded import rotate_now
from rotate_now import Owner, Reading, Signal, Used
from test_rules import ANN, BEN, CAPPED, NOW, answer_of, signal_of


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_a_file(path: Path) -> None:
    path.symlink_to(__file__)


class Files(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(rotate_now.SIGNAL.unlink, missing_ok=True)

    def there(self) -> Signal:
        return dict(json.loads(rotate_now.SIGNAL.read_bytes()))

    def beat(self) -> Signal:
        return dict(json.loads(rotate_now.content_of(rotate_now.HEARTBEAT) or b"{}"))

    def wait_until(self, is_true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10
        while not is_true():
            self.assertLess(time.monotonic(), deadline, "gave up waiting")
            time.sleep(0.01)

    def test_a_signal_is_one_whole_file_that_the_group_may_read_and_take(self) -> None:
        signal = signal_of(answer_of(429, CAPPED))
        self.assertTrue(rotate_now.put(signal))
        self.assertEqual(self.there(), signal)
        self.assertEqual(rotate_now.SIGNAL.stat().st_mode & 0o777, 0o660)
        self.assertEqual(rotate_now.SIGNAL.stat().st_nlink, 1)
        left = {name.name for name in rotate_now.LIVE.iterdir()}
        per_worker = {rotate_now.USAGE.name, rotate_now.AGENTS.name}
        self.assertLessEqual(left, {"rotate-now", "callback.json", "auth.json", "pool.json"} | per_worker)

    def test_a_stronger_signal_takes_the_place_of_a_weaker_one_and_no_other_does(self) -> None:
        limited, capped = signal_of(answer_of(429)), signal_of(answer_of(429, CAPPED))
        for signal, left in ((limited, limited), (capped, capped), (limited, capped)):
            self.assertTrue(rotate_now.put(signal))
            self.assertEqual(self.there(), left)

    def test_a_signal_waits_for_one_of_an_operator(self) -> None:
        rotate_now.SIGNAL.touch()
        self.assertFalse(rotate_now.put(signal_of(answer_of(429, CAPPED))))
        self.assertEqual(rotate_now.SIGNAL.read_bytes(), b"")

    def test_what_is_in_the_way_blocks_nothing_is_reported_and_may_go(self) -> None:
        litellm.callbacks.append(rotate_now.handler)
        for lay in (fifo, Path.mkdir, bound_socket, dangling_link, link_to_a_file):
            lay(rotate_now.SIGNAL)
            signal = {**signal_of(answer_of(429, CAPPED)), "at": time.time()}
            rotate_now.signals.put(signal)
            self.wait_until(lambda: str(rotate_now.SIGNAL) in self.beat().get("cannot_write", ""))
            if rotate_now.SIGNAL.is_dir() and not rotate_now.SIGNAL.is_symlink():
                shutil.rmtree(rotate_now.SIGNAL)
            else:
                rotate_now.SIGNAL.unlink()
            self.wait_until(rotate_now.SIGNAL.exists)
            self.assertEqual(self.there(), signal, lay)
            self.wait_until(lambda: "cannot_write" not in self.beat())
            rotate_now.SIGNAL.unlink()

    def test_the_heartbeat_says_which_litellm_runs_us(self) -> None:
        litellm.callbacks.append(rotate_now.handler)
        self.wait_until(lambda: self.beat().get("held"))
        self.assertEqual((self.beat()["pid"], self.beat()["litellm"]), (os.getpid(), "0"))

    def test_a_litellm_that_sends_with_a_handler_of_its_own_is_found_out(self) -> None:
        litellm.callbacks.append(rotate_now.handler)
        for given, sent, held in ((4, 0, True), (5, 0, False), (5, 1, True)):
            with mock.patch.dict(rotate_now.counts, {"handlers given": given, "requests sent": sent}):
                rotate_now.heartbeat_is_due.set()
                self.wait_until(lambda: self.beat().get("held") is held)  # noqa: B023 (it is called at once)

    def test_readings_lie_in_a_file_of_this_worker(self) -> None:
        headers = {"x-codex-primary-used-percent": "42.0", "x-codex-plan-type": "plus"}
        readings = [Reading(NOW, rotate_now.owner_of(bearer), "gpt-5.6-sol", headers, {}) for bearer in (ANN, BEN)]
        rotate_now.usage.put(readings)
        self.wait_until(rotate_now.USAGE.exists)
        content = json.loads(rotate_now.USAGE.read_bytes())
        self.assertEqual((content["version"], len(content["readings"])), (1, 2))
        of_ann = {
            "at": NOW,
            "account_id": "acct-ann",
            "user_id": "user-ann",
            "model": "gpt-5.6-sol",
            "plan_type": "plus",
        }
        self.assertEqual(content["readings"][0], {**of_ann, "headers": headers})
        self.assertEqual(rotate_now.USAGE.stat().st_mode & 0o777, 0o640)
        self.assertRegex(rotate_now.USAGE.name, r"\Ausage-[0-9a-f]+-[0-9a-f]+\.json\Z")

    def test_what_the_rotator_says_of_the_pool_is_read_and_nonsense_is_nothing(self) -> None:
        self.addCleanup(rotate_now.POOL.unlink, missing_ok=True)
        self.assertEqual(rotate_now.pool(), rotate_now.Pool())
        for text, pool in (
            ('{"version": 1, "usable": 0, "accounts": 5, "back_at": 1795439575}', rotate_now.Pool(0, 5, 1795439575)),
            ('{"usable": 2, "accounts": 5, "back_at": null}', rotate_now.Pool(2, 5, None)),
            ('{"usable": 0, "accounts": 1, "capped": false}', rotate_now.Pool(0, 1, None, is_capped=False)),
            ('{"usable": "0", "accounts": true, "back_at": NaN}', rotate_now.Pool()),
            ("[]", rotate_now.Pool()),
            ("[" * 100_000, rotate_now.Pool()),
        ):
            rotate_now.POOL.write_text(text)
            self.assertEqual(rotate_now.pool(), pool, text[:20])

    def test_what_agents_use_is_counted_on_when_the_container_starts_anew(self) -> None:
        earlier = rotate_now.LIVE / f"agents-{os.getpid():x}-1.json"
        another = rotate_now.LIVE / "agents-0-1.json"
        self.addCleanup(another.unlink, missing_ok=True)
        self.addCleanup(rotate_now.AGENTS.unlink, missing_ok=True)
        used: dict[tuple[str | None, Owner], Used] = {}
        total = {"agent": "ann", "account_id": "acct-ann", "user_id": None, "requests": 2, "input_tokens": 40}
        for file in (earlier, another):
            file.write_text(json.dumps({"version": 1, "totals": [total]}))
        with mock.patch.object(rotate_now, "used", used):
            rotate_now.AGENTS.unlink(missing_ok=True)
            rotate_now.take_over()
            self.assertEqual(used, {("ann", Owner("acct-ann", None)): Used(requests=2, input_tokens=40)})
            self.assertFalse(earlier.exists(), "it is ours now")
            self.assertTrue(rotate_now.AGENTS.exists() and another.exists())
            used.clear()
            for broken in ("{half", "[]", '{"totals": [7]}', '{"totals": [{"agent": "ann"}]}'):
                rotate_now.AGENTS.unlink(missing_ok=True)
                earlier.write_text(broken)
                rotate_now.take_over()
                self.assertEqual(used, {}, broken)

    def test_what_agents_use_is_written_for_the_group(self) -> None:
        self.addCleanup(rotate_now.AGENTS.unlink, missing_ok=True)
        with (
            mock.patch.object(rotate_now, "used", {(None, Owner("acct-ann", "user-ann")): Used(requests=1)}),
            mock.patch.object(rotate_now, "AGENTS_SEC", 0.01),
        ):
            self.wait_until(rotate_now.AGENTS.exists)
            time.sleep(0.05)
        total = {"agent": None, "account_id": "acct-ann", "user_id": "user-ann", "requests": 1}
        self.assertEqual(json.loads(rotate_now.AGENTS.read_text()), {"version": 1, "totals": [total]})
        self.assertEqual(rotate_now.AGENTS.stat().st_mode & 0o777, 0o640)
