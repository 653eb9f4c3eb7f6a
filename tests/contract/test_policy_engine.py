"""One suite for the port: the real OPA server and the in-process engine give the same answers to the same recorded inputs."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from installation.settings import CHECKOUT, Settings, home_folder, load
from policy_engine import PolicyEngine, PolicyUnavailable, bundle, connect, opa_process
from policy_engine.in_process import InProcess
from policy_engine.opa_server import OpaServer

RECORDED = [
    (recorded["entry_point"], case)
    for path in sorted((Path(__file__).parent / "decisions").glob("*.json"))
    for recorded in [json.loads(path.read_text("utf-8"))]
    for case in recorded["cases"]
]
BROKEN = {
    "broken/undefined": "package broken.undefined\nimport rego.v1\nanswer := 1 if input.never\n",
    "broken/conflict": "package broken.conflict\nimport rego.v1\nanswer := 1 if true\nanswer := 2 if true\n",
    "broken/fine": "package broken.fine\nimport rego.v1\nanswer := input\n",
}


def opa_binary() -> str:
    found = shutil.which("opa") or shutil.which("opa", path=str(home_folder() / "tools" / "bin"))
    assert found, "OPA is not on the path: ./glovebox test brings it"
    return found


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Opa:
    """A real server with a real token."""

    def __init__(self, home: Path, policies: Path = bundle.POLICIES) -> None:
        settings = load(home)
        self.settings: Settings = replace(settings, ports=replace(settings.ports, opa=free_port()))
        settings.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.token = secrets.token_urlsafe(24)
        (settings.secrets / "opa.token").write_text(self.token)
        arguments = opa_process.prepare(self.settings)
        if policies != bundle.POLICIES:
            bundle.write(settings.run / "policy.tar.gz", policies)
        self.process = subprocess.Popen([opa_binary(), *arguments], stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.settings.ports.opa}"
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            try:
                if requests.get(f"{self.url}/health?bundles", timeout=2).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.05)
        raise AssertionError("OPA did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opa]:
    running = Opa(tmp_path_factory.mktemp("opa"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def in_process() -> InProcess:
    return InProcess()


@pytest.fixture(params=["opa", "regopy"])
def engine(request: pytest.FixtureRequest) -> PolicyEngine:
    if request.param == "regopy":
        found: PolicyEngine = request.getfixturevalue("in_process")
        return found
    return connect(request.getfixturevalue("opa").settings)


@pytest.fixture(scope="module")
def broken_policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "data").mkdir()
    (folder / "data" / "x.json").write_text('{"x": 1}')
    for path, text in BROKEN.items():
        (folder / f"{path}.rego").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{path}.rego").write_text(text)
    return folder


@pytest.fixture(params=["opa", "regopy"])
def broken_engine(request: pytest.FixtureRequest, broken_policies: Path, tmp_path: Path) -> Iterator[PolicyEngine]:
    if request.param == "regopy":
        yield InProcess(broken_policies)
        return
    running = Opa(tmp_path, broken_policies)
    yield connect(running.settings)
    running.stop()


def plain(answer: Any) -> Any:
    """An answer with its reasons as codes: their words are data of their own."""
    if isinstance(answer, dict) and "off" in answer:
        return {**answer, "off": [plain(one) for one in answer["off"]]}
    if isinstance(answer, dict) and "reasons" in answer:
        return {**answer, "reasons": [reason["code"] for reason in answer["reasons"]]}
    return answer


@pytest.mark.opa
def test_every_recorded_input_gets_the_recorded_answer(engine: PolicyEngine) -> None:
    differing = []
    for entry_point, case in RECORDED:
        try:
            given = plain(engine.query(entry_point, case["input"]).result)
        except PolicyUnavailable:
            given = None
        if given != case["answer"]:
            differing.append((entry_point, case["case"], given))
    assert differing == []


def test_an_engine_of_one_entry_point_answers_as_the_whole_one() -> None:
    differing = []
    for asked in {entry_point for entry_point, _ in RECORDED}:
        few = InProcess(entry_points=[asked])
        assert few.policy_digest == bundle.read().digest
        for entry_point, case in RECORDED:
            if (
                entry_point == asked
                and case["answer"] is not None
                and plain(few.query(asked, case["input"]).result) != case["answer"]
            ):
                differing.append((asked, case["case"]))
    assert differing == []


def test_an_engine_of_one_entry_point_knows_no_other() -> None:
    with pytest.raises(PolicyUnavailable):
        InProcess(entry_points=["release/parameters"]).query("release/decision", {})
    with pytest.raises(PolicyUnavailable):
        InProcess(entry_points=["release/nothing"]).query("release/nothing", {})


def test_the_solver_works_after_the_engine_was_loaded() -> None:
    """Whoever is loaded first gives both their C++ runtime: in a process of its own, since the wrong order ends it."""
    code = (
        "from policy_engine.in_process import InProcess; InProcess(entry_points=['release/parameters']); "
        "import highspy; h = highspy.Highs(); h.silent(); x = h.addVariable(lb=0, ub=3); h.maximize(x); print(h.getObjectiveValue())"
    )
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["3.0"]), done.stderr


def test_the_recorded_inputs_cover_every_entry_point() -> None:
    entry_points = {
        path.parent.relative_to(bundle.POLICIES).as_posix()
        for path in bundle.POLICIES.rglob("*.rego")
        if "entrypoint: true" in path.read_text("utf-8")
    }
    assert entry_points == {entry_point for entry_point, _ in RECORDED}


@pytest.mark.opa
def test_every_reason_has_words(engine: PolicyEngine) -> None:
    for entry_point, case in RECORDED:
        if case["answer"] is not None:
            for reason in engine.query(entry_point, case["input"]).result.get("reasons", []):
                assert set(reason) == {"code", "message", "remedy"}
                assert "rule of this installation" not in reason["message"], reason["code"]


@pytest.mark.opa
def test_a_refusal_always_says_why(engine: PolicyEngine) -> None:
    for entry_point, case in RECORDED:
        if case["answer"] and (case["answer"].get("allow") is False or case["answer"].get("outcome") == "refuse"):
            assert engine.query(entry_point, case["input"]).result["reasons"], (entry_point, case["case"])


@pytest.mark.opa
def test_an_answer_names_the_engine_and_what_it_loaded(engine: PolicyEngine) -> None:
    answer = engine.query("session/sign_in", {"person": {"name": "ana"}, "sandbox": {"owner": "ana"}})
    assert answer.engine in ("opa", "regopy")
    assert answer.policy_digest == bundle.read().digest


@pytest.mark.opa
def test_an_unknown_entry_point_is_no_answer(engine: PolicyEngine) -> None:
    with pytest.raises(PolicyUnavailable):
        engine.query("session/nothing_here", {})


@pytest.mark.opa
@pytest.mark.parametrize("entry_point", ["broken/undefined", "broken/conflict", "broken", ""])
def test_undefined_and_conflicting_rules_are_no_answer(broken_engine: PolicyEngine, entry_point: str) -> None:
    with pytest.raises(PolicyUnavailable):
        broken_engine.query(entry_point, {"x": 1})


@pytest.mark.opa
def test_input_comes_back_as_it_went_in(broken_engine: PolicyEngine) -> None:
    facts = {"名": "值", "n": 9007199254740993, "list": [1, [], {}], "quote": 'a"b\\c', "null": None, "line": "a\nb"}
    assert broken_engine.query("broken/fine", facts).result == facts


@pytest.mark.opa
def test_facts_that_are_not_json_are_no_question(engine: PolicyEngine) -> None:
    with pytest.raises(PolicyUnavailable):
        engine.query("session/sign_in", {"person": {"name": object()}})


@pytest.mark.opa
def test_the_server_answers_nobody_without_the_token(opa: Opa) -> None:
    calls = [
        ("GET", "/v1/data/session/sign_in", {}),
        ("POST", "/v1/data/release/decision", {"Authorization": "Bearer wrong"}),
        ("PUT", "/v1/policies/evil", {}),
        ("GET", "/v1/policies", {"Authorization": "Bearer "}),
        ("GET", "/v1/config", {}),
        ("PATCH", "/v1/data/data/levels", {}),
        ("GET", "/metrics", {}),
    ]
    assert {requests.request(m, opa.url + p, headers=h, timeout=5).status_code for m, p, h in calls} == {401}


@pytest.mark.opa
def test_the_token_asks_and_cannot_change_the_policies(opa: Opa) -> None:
    headers = {"Authorization": f"Bearer {opa.token}"}
    evil = "package session.sign_in\ndefault allow := true"
    put = requests.put(f"{opa.url}/v1/policies/evil", headers=headers, data=evil, timeout=5)
    patch = requests.put(f"{opa.url}/v1/data/data/levels", headers=headers, json={}, timeout=5)
    secret = requests.get(f"{opa.url}/v1/data/system", headers=headers, timeout=5)
    assert (put.status_code, patch.status_code, secret.status_code) == (401, 401, 401)


@pytest.mark.opa
def test_the_token_stands_in_no_command_line(opa: Opa) -> None:
    assert opa.token not in Path(f"/proc/{opa.process.pid}/cmdline").read_text()


@pytest.mark.opa
def test_a_stopped_server_is_no_answer(tmp_path: Path) -> None:
    running = Opa(tmp_path)
    asking = connect(running.settings)
    asking.query("session/sign_in", {})
    running.stop()
    with pytest.raises(PolicyUnavailable) as refused:
        asking.query("session/sign_in", {})
    assert refused.value.public()["do"]


def test_a_server_that_never_answers_is_no_answer() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        asking = OpaServer("127.0.0.1", silent.getsockname()[1], "token", timeout=0.3)
        with pytest.raises(PolicyUnavailable):
            asking.query("session/sign_in", {})


def test_a_missing_token_is_no_engine(tmp_path: Path) -> None:
    with pytest.raises(PolicyUnavailable):
        connect(load(tmp_path))


def test_policies_that_cannot_be_read_are_no_engine(tmp_path: Path) -> None:
    (tmp_path / "bad.rego").write_text("package bad\nthis is not rego {{{")
    with pytest.raises(PolicyUnavailable):
        InProcess(tmp_path).query("bad", {})


def test_the_checkout_is_what_is_loaded() -> None:
    assert bundle.POLICIES == CHECKOUT / "policies"
