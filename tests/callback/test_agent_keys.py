"""Which keys are accepted, and for what."""

import asyncio
import hashlib
import json
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from litellm.proxy import proxy_server
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from loaded import agent_keys

ANN, OLD, MASTER = "sk-of-ann", "sk-of-ann-before", "sk-of-the-operator"


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def file_of(*keys: str, **more: Any) -> dict[str, Any]:
    return {"keys": [{"sha256": sha256(key)} for key in keys], **more}


class Directory(unittest.TestCase):
    """A mounted Secret, looked at whenever a test says so."""

    def setUp(self) -> None:
        patch = mock.patch.object(proxy_server, "master_key", MASTER)
        patch.start()
        self.addCleanup(patch.stop)
        self.addCleanup(self.mounts, {})

    def mounts(self, files: dict[str, Any]) -> None:
        """As kubelet does it: the files are links through a link that is replaced."""
        directory, name = Path(agent_keys.DIRECTORY), f"..{time.time_ns()}"
        (directory / name).mkdir()
        for file, content in files.items():
            (directory / name / file).write_text(content if isinstance(content, str) else json.dumps(content))
            if not (directory / file).is_symlink():
                (directory / file).symlink_to(f"..data/{file}")
        (directory / "..new").symlink_to(name)
        (directory / "..new").replace(directory / "..data")
        for link in directory.iterdir():
            if not link.name.startswith("..") and link.name not in files:
                link.unlink()
        agent_keys.look()

    def asks(self, key: str, method: str = "POST", path: str = "/v1/responses") -> UserAPIKeyAuth:
        request = mock.Mock(scope={"method": method, "path": path})
        return asyncio.run(agent_keys.check(request, key))

    def refused(self, key: str, method: str = "POST", path: str = "/v1/responses") -> tuple[str, str]:
        with self.assertRaises(ProxyException) as caught:
            self.asks(key, method, path)
        assert caught.exception.type == "auth_error"
        return caught.exception.code, caught.exception.message

    def logs(self, files: dict[str, Any]) -> str:
        with self.assertLogs("LiteLLM Proxy", "ERROR") as logs:
            self.mounts(files)
        return "\n".join(logs.output)


class Keys(Directory):
    def test_a_key_is_its_agents_with_the_agents_limits(self) -> None:
        self.mounts({"ann.json": file_of(ANN, models=["gpt-5.6-sol"], rpm=3, tpm=1000, parallel=2)})
        assert self.asks(ANN).fields == {
            "api_key": "agent ann",
            "key_alias": "ann",
            "user_role": "internal_user",
            "models": ["gpt-5.6-sol"],
            "rpm_limit": 3,
            "tpm_limit": 1000,
            "max_parallel_requests": 2,
        }

    def test_without_limits_there_are_none(self) -> None:
        self.mounts({"ann.json": file_of(ANN)})
        fields = self.asks(ANN).fields
        assert fields["models"] == []
        assert {fields[name] for name in ("rpm_limit", "tpm_limit", "max_parallel_requests")} == {None}

    def test_unknown_keys_are_refused(self) -> None:
        self.mounts({"ann.json": file_of(ANN)})
        for key in ("", "sk-guessed", ANN.upper(), sha256(ANN), f"{ANN}\n", "ключ"):
            assert self.refused(key) == ("401", "Authentication Error: this key is not known, or was revoked.")
        assert self.refused(None)[0] == "401"  # type: ignore[arg-type]  # as LiteLLM may call it

    def test_two_keys_are_good_while_one_replaces_the_other(self) -> None:
        self.mounts({"ann.json": file_of(ANN, OLD)})
        assert self.asks(ANN).fields == self.asks(OLD).fields
        self.mounts({"ann.json": file_of(ANN)})
        assert self.asks(ANN)
        assert self.refused(OLD)[0] == "401"

    def test_a_key_whose_time_is_over_is_refused_and_says_whose_it_is(self) -> None:
        keys = [{"sha256": sha256(ANN), "expires": "2020-01-31T00:00:00Z"}, {"sha256": sha256(OLD)}]
        self.mounts({"ann.json": {"keys": keys}})
        assert self.refused(ANN) == ("401", "Authentication Error: this key of the agent ann has expired.")
        assert self.asks(OLD)
        self.mounts({"ann.json": {"keys": [{"sha256": sha256(ANN), "expires": "2120-01-31T00:00:00Z"}]}})
        assert self.asks(ANN)

    def test_a_key_is_revoked_with_its_file(self) -> None:
        self.mounts({"ann.json": file_of(ANN), "ben.json": file_of("sk-of-ben")})
        assert self.asks(ANN)
        self.mounts({"ben.json": file_of("sk-of-ben")})
        assert self.refused(ANN)[0] == "401"
        assert self.asks("sk-of-ben")

    def test_a_file_that_makes_no_sense_costs_only_its_agent_the_key(self) -> None:
        for content, why in {
            "{half": "Expecting property name",
            "[]": "it is not a JSON object",
            '{"keys": {}}': "keys is not a list",
            '{"keys": ["sk-of-ann"]}': "it is not a JSON object",
            '{"keys": [{"sha256": "sk-of-ann"}]}': "sha256 is not 64 hexadecimal digits",
            json.dumps(file_of(ANN, rpm=0)): "rpm is not a number above 0",
            json.dumps(file_of(ANN, tpm="1000")): "tpm is not a number above 0",
            json.dumps(file_of(ANN, parallel=True)): "parallel is not a number above 0",
            json.dumps(file_of(ANN, models="gpt-5.6-sol")): "models is not a list of names",
            json.dumps(file_of(ANN, rpn=3)): "'rpn' is not known",
            json.dumps({"keys": [{"sha256": sha256(ANN), "expires": "tomorrow"}]}): "expires is not a time such as",
            json.dumps(
                {"keys": [{"sha256": sha256(ANN), "expires": "2027-13-31T00:00:00Z"}]}
            ): "month must be in 1..12",
        }.items():
            logged = self.logs({"ann.json": content, "ben.json": file_of("sk-of-ben")})
            assert f"agent_keys: ann.json: {why}" in logged, logged
            assert "sk-of" not in logged
            assert self.refused(ANN)[0] == "401"
            assert self.asks("sk-of-ben")

    def test_what_is_no_agents_file_is_not_looked_at(self) -> None:
        self.mounts({"README": "{half", "Ann.json": file_of(ANN), ".json": "{half", "-a.json": "{half", "a.json": ""})
        assert self.refused(ANN)[0] == "401"

    def test_while_the_directory_cannot_be_read_the_keys_stay(self) -> None:
        self.mounts({"ann.json": file_of(ANN)})
        with (
            mock.patch.object(Path, "iterdir", side_effect=PermissionError(13, "Permission denied")),
            self.assertLogs("LiteLLM Proxy", "ERROR") as logs,
        ):
            agent_keys.look()
            agent_keys.look()
        assert len(logs.output) == 1
        assert self.asks(ANN)

    def test_the_thread_sees_a_change_within_two_seconds(self) -> None:
        with mock.patch.object(agent_keys, "look"):
            self.mounts({"ann.json": file_of(ANN)})
        give_up = time.monotonic() + 2
        while not agent_keys.keys and time.monotonic() < give_up:
            time.sleep(0.05)
        assert self.asks(ANN)


class Routes(Directory):
    def setUp(self) -> None:
        super().setUp()
        self.mounts({"ann.json": file_of(ANN)})

    def test_an_agent_may_ask_for_answers_and_models(self) -> None:
        for method, path in [
            ("POST", "/v1/responses"),
            ("POST", "/responses"),
            ("POST", "/v1/responses/compact"),
            ("POST", "/v1/chat/completions"),
            ("GET", "/v1/models"),
        ]:
            assert self.asks(ANN, method, path)

    def test_all_else_is_the_operators(self) -> None:
        for method, path in [
            ("GET", "/health"),
            ("POST", "/utils/transform_request"),
            ("GET", "/v1/responses"),
            ("GET", "/v1/responses/resp_of_another_agent"),
            ("DELETE", "/v1/responses"),
            ("POST", "/v1/responses/"),
            ("POST", "/v1/v1/responses"),
            ("POST", "/key/generate"),
            ("GET", "/model/info"),
        ]:
            assert self.refused(ANN, method, path)[0] == "403"
            assert self.asks(MASTER, method, path)
        assert self.refused(ANN, "GET", "/health")[1] == (
            "The agent ann may not GET '/health': that needs the operator's key."
        )

    def test_a_socket_is_the_operators(self) -> None:
        with self.assertRaises(ProxyException) as caught:
            asyncio.run(agent_keys.check(mock.Mock(scope={"path": "/v1/responses"}), ANN))
        assert caught.exception.code == "403"

    def test_litellm_may_be_served_below_a_path(self) -> None:
        scope = {"method": "POST", "path": "/llm/v1/responses", "root_path": "/llm"}
        assert asyncio.run(agent_keys.check(mock.Mock(scope=scope), ANN))


class MasterKey(Directory):
    def test_the_operator_is_an_administrator(self) -> None:
        assert self.asks(MASTER, "GET", "/health").fields == {
            "api_key": "litellm_proxy_master_key",
            "user_role": "proxy_admin",
            "user_id": "default_user_id",
        }

    def test_without_a_master_key_nobody_is(self) -> None:
        for unset in (None, ""):
            with mock.patch.object(proxy_server, "master_key", unset):
                for key in ("", "None", MASTER):
                    assert self.refused(key)[0] == "401"


if __name__ == "__main__":
    unittest.main()
