"""The gate as a process: killed with -9 at bad moments, it loses nothing and does nothing twice."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from installation.settings import Settings, load
from ledger import keys
from ledger.entry import Entry
from ledger.verify import verify_log
from store import clock
from store import schema as s
from store.blobs import Blobs
from store.database import Database
from tests.integration.opa_server import RunningOpa
from tests.unit.gate.desks import PREFIX
from tests.unit.gate.factory import SAFE, SMALL, seed

ROOT = Path(__file__).parents[2]


class Installation:
    """One home, and the gate's process over it."""

    def __init__(self, home: Path, opa: RunningOpa) -> None:
        self.home = home
        self.port = free_port()
        (home / "secrets").mkdir(parents=True, mode=0o700)
        (home / "secrets" / "opa.token").write_text(opa.token)
        (home / "settings.toml").write_text(f"[ports]\ngate = {self.port}\nopa = {opa.port}\n")
        self.settings: Settings = load(home)
        self.database = Database.open(self.settings)
        with self.database.transaction(clock.now()) as t:
            seed(t)
            t.record(Entry("project.created", "adam", {"project": "liver"}, {}))
        self.process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, httpx.Client] = {}

    def start(self, slow: float = 0) -> None:
        environ = {**os.environ, "GATE_SLOW": str(slow), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.integration.gate_process", str(self.home)]
        with (self.home / "gate.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=log)
        until(lambda: self._answers(), "the gate answers", log=self.home / "gate.log")

    def _answers(self) -> bool:
        """Tried with plain sockets first: a refused connection leaves nothing open."""
        with socket.socket(socket.AF_UNIX) as counter, socket.socket() as desk:
            try:
                counter.connect(str(self.settings.gate_socket))
                desk.connect(("127.0.0.1", self.port))
            except OSError:
                return False
        return self.analyst().get("/v1/session").status_code == 200

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self._forget()

    def _forget(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(40)

    def analyst(self) -> httpx.Client:
        if "analyst" not in self._clients:
            transport = httpx.HTTPTransport(uds=str(self.settings.gate_socket), retries=2)
            headers = {"x-glovebox-sandbox": "5a"}
            self._clients["analyst"] = httpx.Client(transport=transport, base_url="http://gate", headers=headers)
        return self._clients["analyst"]

    def desk(self, name: str) -> httpx.Client:
        if name not in self._clients:
            headers = {"authorization": f"token token-{name}"}
            address = f"http://127.0.0.1:{self.port}{PREFIX}"
            self._clients[name] = httpx.Client(base_url=address, headers=headers)
        return self._clients[name]

    def close(self) -> None:
        self._forget()
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.database.close()

    def submit(self, sql: str = SAFE, *names: str) -> dict[str, Any]:
        items = [{"name": name, "sql": sql} for name in names or ("t1",)]
        body = {"title": "t", "purpose": "p", "context": "c", "items": items}
        answer = self.analyst().post("/v1/requests", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def state(self, name: str) -> str:
        with self.database.read() as c:
            number = int(name.removeprefix("R-"))
            query = select(s.release_request.c.state).where(s.release_request.c.id == number)
            return str(c.execute(query).scalar_one())

    def kinds(self, name: str) -> list[str]:
        query = (
            select(s.ledger_entry.c.kind)
            .join(s.ledger_subject, s.ledger_subject.c.seq == s.ledger_entry.c.seq)
            .where(s.ledger_subject.c.noun == "request", s.ledger_subject.c.name == name)
            .order_by(s.ledger_entry.c.seq)
        )
        with self.database.read() as c:
            return [r.kind for r in c.execute(query)]

    def end_leases(self) -> None:
        """As if the lease's ten minutes had passed."""
        with self.database.transaction(clock.now()) as t:
            t.execute(update(s.release_request).values(lease_until="2026-01-01T00:00:00.000000Z"))
            t.record(Entry("clock.moved", "test", {"clock": "lease"}, {}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], bool], what: str, seconds: float = 30, log: Path | None = None) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"never: {what}\n{log.read_text() if log else ''}")
        time.sleep(0.05)


@pytest.fixture
def gate(tmp_path: Path, opa: RunningOpa) -> Iterator[Installation]:
    made = Installation(tmp_path / "home", opa)
    yield made
    made.close()


def test_killed_between_submit_and_decision_the_request_is_decided_once(gate: Installation) -> None:
    gate.start(slow=60)
    name = gate.submit()["id"]
    until(lambda: gate.state(name) == "checking", "the check began")
    gate.kill()
    assert gate.state(name) == "checking"
    gate.end_leases()
    gate.start()
    until(lambda: gate.state(name) == "in_review", "taken up again")
    assert gate.kinds(name).count("request.decided") == 1


def test_killed_right_after_the_answer_the_request_is_there(gate: Installation) -> None:
    gate.start(slow=60)
    names = [gate.submit()["id"] for _ in range(3)]
    gate.kill()
    assert all(gate.state(n) in ("submitted", "checking") for n in names)
    gate.end_leases()
    gate.start()
    until(lambda: all(gate.state(n) == "in_review" for n in names), "all of them are taken up")


def test_killed_between_approval_and_release_it_is_released_once(gate: Installation) -> None:
    gate.start()
    name = gate.submit(SMALL)["id"]
    until(lambda: gate.state(name) == "in_review", "checked")
    approved = gate.desk("stella").post(f"api/v1/requests/{name}/approve", json={"reason": "Fine."})
    gate.kill()
    assert approved.status_code == 200
    assert gate.state(name) in ("approved", "releasing", "released")
    gate.end_leases()
    gate.start()
    until(lambda: gate.state(name) == "released", "released")
    assert gate.kinds(name).count("request.released") == 1
    bundle = gate.desk("ana").get("api/v1/releases/1/download")
    assert bundle.status_code == 200
    assert gate.kinds(name)[-1] == "release.downloaded"


def test_killed_between_a_divided_approval_and_release_it_is_divided_and_released_once(gate: Installation) -> None:
    gate.start()
    name = gate.submit(SMALL, "kept", "asked")["id"]
    until(lambda: gate.state(name) == "in_review", "checked")
    body = {"reason": "The rest is fine.", "items": {"asked": "return"}, "notes": {"asked": "Why?"}}
    approved = gate.desk("stella").post(f"api/v1/requests/{name}/approve", json=body)
    gate.kill()
    assert approved.status_code == 200, approved.text
    gate.end_leases()
    gate.start()
    until(lambda: gate.state(name) == "released", "released")
    assert [gate.kinds(name).count(k) for k in ("request.divided", "request.released")] == [1, 1]
    assert gate.state("R-2") == "returned"
    packed = zipfile.ZipFile(io.BytesIO(gate.desk("ana").get("api/v1/releases/1/download").content))
    assert {n for n in packed.namelist() if n.endswith(".csv")} == {"data/kept.csv"}


def test_a_connection_lost_in_the_middle_of_a_download_is_one_download(gate: Installation) -> None:
    """Larger than what sockets hold, so that the gate is still writing when its reader is gone."""
    gate.start()
    name = gate.submit(SMALL)["id"]
    until(lambda: gate.state(name) == "in_review", "checked")
    gate.desk("stella").post(f"api/v1/requests/{name}/approve", json={"reason": "Fine."})
    until(lambda: gate.state(name) == "released", "released")
    whole = os.urandom(32 * 1024**2)
    with gate.database.transaction(clock.now()) as t:
        t.execute(update(s.release).values(bundle=Blobs(gate.settings.blobs).put(whole)))
        t.record(Entry("release.grown", "test", {"release": "1"}, {}))

    with gate.desk("ana").stream("GET", "api/v1/releases/1/download") as answer:
        begun = next(answer.iter_raw(4096))
    assert 0 < len(begun) < len(whole)
    assert gate.kinds(name).count("release.downloaded") == 1

    again = gate.desk("ana").get("releases/1/download", headers={"range": f"bytes={len(begun)}-"})
    assert (again.status_code, again.content == whole) == (200, True)  # whole: no two halves are glued together
    assert again.headers["x-content-sha256"] == hashlib.sha256(whole).hexdigest()
    assert gate.kinds(name).count("release.downloaded") == 2
    assert "broke off" in gate.desk("audrey").get("releases/1/trace").text
    assert gate.state(name) == "released"


def test_opa_stopped_holds_the_request_with_a_reason_and_goes_on_when_it_is_back(
    gate: Installation, opa: RunningOpa
) -> None:
    gate.start()
    opa.stop()
    try:
        answer = gate.analyst().post(
            "/v1/requests", json={"title": "t", "purpose": "p", "items": [{"name": "a", "sql": SAFE}]}
        )
        assert answer.status_code == 503
        assert answer.json()["code"] == "policy-unavailable"
    finally:
        opa.start_again()
    name = gate.submit()["id"]
    until(lambda: gate.state(name) == "in_review", "decided")


def test_opa_stopped_during_the_check_loses_nothing(gate: Installation, opa: RunningOpa) -> None:
    gate.start(slow=2)
    name = gate.submit()["id"]
    until(lambda: gate.state(name) == "checking", "the check began")
    opa.stop()
    try:
        until(lambda: "request.delayed" in gate.kinds(name), "delayed")
        assert gate.state(name) == "submitted"
    finally:
        opa.start_again()
    until(lambda: gate.state(name) == "in_review", "decided after all", seconds=60)
    assert gate.kinds(name).count("request.delayed") == 1


def test_after_all_that_the_ledger_verifies(gate: Installation) -> None:
    gate.start(slow=0.3)
    for _ in range(2):
        gate.submit()
        time.sleep(0.2)
        gate.kill()
        gate.end_leases()
        gate.start(slow=0.3)
    report = verify_log(gate.database, keys.public(gate.settings.home / "ledger.pub"))
    assert report.ok, report.message


def test_a_term_signal_ends_it_in_order(gate: Installation) -> None:
    gate.start()
    assert gate.stop() == 0


def test_the_analysts_socket_is_private_and_the_desk_is_on_loopback(gate: Installation) -> None:
    gate.start()
    assert stat.S_IMODE(gate.settings.gate_socket.stat().st_mode) == 0o600
    assert gate.desk("stella").get("api/v1/session").json()["name"] == "stella"


def test_a_hundred_megabyte_request_is_refused_and_the_gate_lives(gate: Installation) -> None:
    gate.start()
    chunk = b" " * (1 << 20)
    try:
        answer = gate.analyst().post("/v1/requests", content=(chunk for _ in range(100)))
        assert answer.status_code == 413
    except httpx.WriteError:
        pass  # the gate closed the connection after refusing
    assert gate.analyst().get("/v1/session").status_code == 200


def test_a_socket_in_a_deep_folder_can_be_bound(tmp_path: Path) -> None:
    from egress_gate.desk.serve import private_socket

    path = tmp_path / ("x" * 120) / "gate.sock"
    made = private_socket(path)
    made.close()
    assert path.is_socket()
