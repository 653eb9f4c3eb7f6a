"""What an analyst could make of the rehearsal: an oracle without a trace, a look at another's file, a way around membership."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, insert, select

from egress_gate.desk.analyst_api import build_analyst_api
from egress_gate.desk.security import Bucket
from egress_gate.service.fakes import risky_table
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import AUDREY, SAFE, SMALL, World, make_world

GOOD: dict[str, Any] = {
    "title": "People by sex",
    "purpose": "Describe the cohort",
    "context": "All people of the cohort, by sex.",
    "items": [{"name": "t", "kind": "table", "sql": SAFE, "expected": None}],
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def api_of(world: World, sandbox: str = "5a") -> TestClient:
    return TestClient(build_analyst_api(world.gate, world.clock), headers={"x-glovebox-sandbox": sandbox})


def asked_for(world: World) -> int:
    with world.gate.store.read() as c:
        return int(c.execute(select(func.count()).select_from(s.release_request)).scalar_one())


def with_sql(sql: str) -> dict[str, Any]:
    return {**GOOD, "items": [{**GOOD["items"][0], "sql": sql}]}


@pytest.mark.parametrize("change", [{"context": ""}, {"items": []}, {"title": ""}])
def test_what_lacks_its_words_is_refused_and_on_record(world: World, change: dict[str, Any]) -> None:
    answer = api_of(world).post("/v1/rehearsal", json={**GOOD, **change})
    assert answer.status_code == 422
    assert answer.json()["code"] == "would-be-refused"
    assert all(answer.json()[part] for part in ("what", "why", "do"))
    assert asked_for(world) == 0
    assert [e["facts"]["outcome"] for e in world.entries("preview.shown")] == ["stopped"]  # type: ignore[index]


def test_raw_data_is_refused_and_the_attempt_is_on_record(world: World) -> None:
    answer = api_of(world).post("/v1/rehearsal", json=with_sql("SELECT * FROM people"))
    assert answer.status_code == 422
    assert answer.json()["why"].count("t:") == 1
    (entry,) = world.entries("preview.shown")
    assert entry["actor"] == "ana"
    assert "SELECT" not in json.dumps(entry)


def test_no_figure_comes_back_and_each_look_is_recorded(world: World) -> None:
    client = api_of(world)
    told = [client.post("/v1/rehearsal", json=with_sql(sql)) for sql in (SMALL, SMALL, SAFE)]
    assert [a.status_code for a in told] == [200, 200, 200]
    preview = told[0].json()["outputs"][0]["preview"]
    assert preview["suppressed"] > 0
    assert all(set(cell) == {"key", "suppressed"} for cell in preview["cells"])
    assert asked_for(world) == 0
    contents = [e["facts"]["content"] for e in world.entries("preview.shown")]  # type: ignore[index]
    assert contents[0] == contents[1] != contents[2]


def test_an_auditor_reads_each_look_among_the_projects_and_the_persons_entries(world: World) -> None:
    assert api_of(world).post("/v1/rehearsal", json=with_sql(SMALL)).status_code == 200
    (entry,) = world.entries("preview.shown")
    with world.gate.store.read() as c:
        opened = json.loads(c.execute(select(s.sandbox.c.versions).where(s.sandbox.c.id == "5a")).scalar_one())
    assert opened
    assert entry["facts"]["versions"] == opened  # type: ignore[index]
    auditor = signed_in(make_desk(world), AUDREY.name)
    for page in ("projects/liver", "people/ana"):
        for language, words in (("en", "What would be hidden was shown"), ("zh-CN", "查看了哪些内容会被隐藏")):
            assert words in auditor.get(PREFIX + page, headers={"accept-language": language}).text
    assert "What would be hidden" not in auditor.get(PREFIX + "people/amir").text


def test_looks_are_counted_against_one_allowance_with_everything_else_a_sandbox_asks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egress_gate.desk.analyst_api.Bucket", partial(Bucket, clock=lambda: 0.0))
    client = api_of(world)
    hurried = [client.post("/v1/" + path, json={}).status_code for _ in range(51) for path in ("preview", "rehearsal")]
    assert hurried == [422] * 100 + [429] * 2


def test_a_preview_of_one_table_is_recorded_too(world: World) -> None:
    assert api_of(world).post("/v1/preview", json={"sql": SMALL}).status_code == 200
    (entry,) = world.entries("preview.shown")
    assert entry["subject"] == {"project": "liver", "sandbox": "5a"}
    with world.gate.store.read() as c:
        assert c.execute(select(s.preview.c.person, s.preview.c.outcome)).all() == [("ana", "shown")]


def test_without_a_record_there_is_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("egress_gate.service.preflight.record_preview", broken)
    client = TestClient(
        build_analyst_api(world.gate, world.clock),
        headers={"x-glovebox-sandbox": "5a"},
        raise_server_exceptions=False,
    )
    answer = client.post("/v1/rehearsal", json=with_sql(SMALL))
    assert answer.status_code == 500
    assert "suppressed" not in answer.text


def test_anothers_file_is_not_read_by_its_digest(world: World) -> None:
    """A digest alone is no right to name a file: its scan would tell what is in it."""
    digest = world.gate.blobs.put(b"the steward's notes: patient 17")
    with world.gate.store.transaction(world.clock()) as t:
        row = {"sandbox": "5b", "digest": digest, "bytes": 31, "uploaded_at": stamp(world.clock())}
        t.execute(insert(s.upload).values(**row))
        t.record(Entry("upload.received", "amir", {"sandbox": "5b"}, {"sha256": digest}))
    for named in (digest, "a" * 64):
        item = {"name": "notes.txt", "kind": "file", "upload": named}
        answer = api_of(world).post("/v1/rehearsal", json={**GOOD, "items": [item]})
        assert answer.status_code == 403
        assert answer.json()["code"] == "not-allowed"
    assert not world.entries("preview.shown")


@pytest.mark.parametrize("sandbox", ["", "nobody", "../5a"])
def test_nobody_rehearses_without_a_running_sandbox(world: World, sandbox: str) -> None:
    assert api_of(world, sandbox).post("/v1/rehearsal", json=GOOD).status_code == 403
    assert not world.entries("preview.shown")


def test_figures_that_came_along_are_not_kept(world: World) -> None:
    def kept() -> set[str]:
        return {path.name for path in world.settings.home.rglob("*") if len(path.name) >= 62}

    before = kept()
    expected = {"columns": ["sex", "n"], "rows": [["F", 123456789]]}
    body = {**GOOD, "items": [{**GOOD["items"][0], "expected": expected}]}
    api_of(world).post("/v1/rehearsal", json=body)
    assert kept() == before


def test_a_guess_at_figures_is_neither_confirmed_nor_denied(world: World) -> None:
    """The check after sending compares; each of its answers is a request with a name, and within the project's quota."""
    answers, questions = [], []
    world.recomputer.tables["small"] = lambda question: questions.append(question) or risky_table(question)
    for guess in (1, 3, 15, 10_000):
        expected = {"columns": ["sex", "n"], "rows": [["F", guess]]}
        body = {**GOOD, "items": [{**GOOD["items"][0], "sql": SMALL, "expected": expected}]}
        answers.append(api_of(world).post("/v1/rehearsal", json=body))
    assert {a.status_code for a in answers} == {200}
    assert len({a.text for a in answers}) == 1
    assert {q.expected is None for q in questions} == {True}


def test_a_guess_at_records_in_a_file_is_neither_confirmed_nor_denied(world: World) -> None:
    client, answers = api_of(world), []
    for text in (b"ana,1975,cancer", b"nothing of anybody"):
        sent = client.put("/v1/uploads", content=text, headers={"content-type": "application/octet-stream"})
        item = {"name": "notes.txt", "kind": "file", "upload": sent.json()["sha256"]}
        answers.append(client.post("/v1/rehearsal", json={**GOOD, "items": [item]}))
    assert answers[0].status_code == answers[1].status_code == 200
    assert answers[0].text == answers[1].text
    assert answers[0].json()["outputs"] == []
    assert not any(entry == "release/decision" for entry, _ in world.engine.asked)
