"""What a hostile analyst sends through the inner door: names, bodies, digests, other people's requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from egress_gate.desk.analyst_api import build_analyst_api
from egress_gate.desk.security import Bucket
from egress_gate.domain.request import State
from egress_gate.render.table import CanonicalTable, Row, plain_text
from egress_gate.store import requests
from tests.unit.gate.factory import SAFE, SMALL, World, make_world

GOOD: dict[str, Any] = {"title": "t", "purpose": "p", "context": "c", "items": [{"name": "t1", "sql": SAFE}]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


@pytest.fixture
def api(world: World) -> TestClient:
    return TestClient(
        build_analyst_api(world.gate, world.clock), headers={"x-glovebox-sandbox": "5a"}, raise_server_exceptions=False
    )


@pytest.mark.parametrize("sandbox", ["", "5A", "5a ", "../5a", "5b'--", "5a,5b", "*", "x" * 200])
def test_no_other_name_speaks_for_a_sandbox(api: TestClient, sandbox: str) -> None:
    answer = api.get("/v1/session", headers={"x-glovebox-sandbox": sandbox})
    assert answer.status_code in (403, 422)
    assert set(answer.json()) == {"code", "what", "why", "do"}


def test_a_stopped_sandbox_is_silent(world: World, api: TestClient) -> None:
    from sqlalchemy import update

    from ledger.entry import Entry
    from store import schema as s

    with world.gate.store.transaction(world.clock()) as t:
        t.execute(update(s.sandbox).where(s.sandbox.c.id == "5a").values(stopped_at="2026-11-23T10:00:00.000000Z"))
        t.record(Entry("sandbox.stopped", "hub", {"sandbox": "5a"}, {}))
    assert api.post("/v1/requests", json=GOOD).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"items": []},
        {"items": [{"name": "../x", "sql": SAFE}]},
        {"items": [{"name": "t", "kind": "model", "sql": SAFE}]},
        {"items": [{"name": "t", "sql": SAFE, "approved": True}]},
        {"state": "approved"},
        {"author": "stella"},
        {"title": None},
        {"title": "x" * 5000},
        {"items": [{"name": "t", "kind": "file", "upload": "../../secrets/ledger.key"}]},
        {"items": [{"name": "t", "kind": "file", "upload": "a" * 64}]},
        {"items": [{"name": "t", "sql": SAFE, "expected": {"columns": ["a"], "rows": [[{"deep": 1}]]}}]},
    ],
)
def test_a_body_that_says_more_or_less_is_refused_whole(world: World, api: TestClient, change: dict[str, Any]) -> None:
    answer = api.post("/v1/requests", json={**GOOD, **change})
    assert answer.status_code in (403, 422)
    assert set(answer.json()) == {"code", "what", "why", "do"}
    assert not world.entries("request.submitted")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 20_000, b'{"title": 1e999}', b"\xff\xfe", b"null", b'"' + b"x" * 100]
)
def test_a_body_that_is_no_json_object_is_refused(api: TestClient, body: bytes) -> None:
    answer = api.post("/v1/requests", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"code", "what", "why", "do"}


def test_a_stewards_evidence_cannot_be_released_by_its_digest(world: World, api: TestClient) -> None:
    row = world.checked(SMALL)
    with world.gate.store.read() as c:
        evidence = requests.checks(c, row.id, 1)[0].assessment
    body = {**GOOD, "items": [{"name": "stolen.txt", "kind": "file", "upload": evidence}]}
    assert api.post("/v1/requests", json=body).status_code == 403


def test_one_analyst_does_not_see_anothers_request(world: World, api: TestClient) -> None:
    row = world.checked()
    other = {"x-glovebox-sandbox": "5b"}
    for path in ("", "/withdraw", "/resubmit"):
        method = "GET" if not path else "POST"
        answer = api.request(method, f"/v1/requests/{row.name}{path}", headers=other, json=GOOD if path else None)
        assert answer.status_code == 404
    assert world.row(row.id).state is State.IN_REVIEW


def test_no_answer_to_an_author_holds_a_figure_of_the_check(world: World, api: TestClient) -> None:
    row = world.checked(SMALL)
    text = json.dumps(api.get(f"/v1/requests/{row.name}").json())
    preview = json.dumps(api.post("/v1/preview", json={"sql": SMALL}).json())
    for said in (text, preview):
        assert "smallest" not in said
        assert 'contributors":' not in said
        assert '"n": 3' not in said


def test_too_many_requests_are_slowed() -> None:
    now = 0.0
    bucket = Bucket(rate=2, burst=3, clock=lambda: now)
    assert [bucket.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert bucket.take("b")
    now = 1.0
    assert [bucket.take("a") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    "evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "|calc", "%0A=1", "=cmd|' /C calc'!A0"]
)
def test_no_text_that_leaves_is_a_formula(evil: str) -> None:
    assert plain_text(evil).startswith("'")
    table = CanonicalTable((evil,), ("n",), (Row({evil: evil}, (-5,), False),))
    header, line = table.csv().decode().splitlines()
    assert header.lstrip('"').startswith("'")
    assert line.lstrip('"').startswith("'")
    assert line.endswith(",-5")


def test_a_suppressed_value_is_in_no_byte_that_leaves() -> None:
    rows = (Row({"k": "hidden"}, (None,), True), Row({"k": "b"}, (4711.123456,), False))
    table = CanonicalTable(("k",), ("n",), rows)
    assert table.csv() == b"k,n\nb,4711.1235\n"
    assert b"hidden" not in table.parquet()
