"""Quotas at the gate: what is refused before it is stored, what waits though it is approved, and that nothing stored is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from egress_gate.domain.request import State
from egress_gate.service import release as releasing
from egress_gate.service.check import LostLease
from egress_gate.service.errors import Conflict, NotAllowed
from egress_gate.service.quotas import Judged, judge
from egress_gate.service.release import prepare, release
from egress_gate.service.submit import caller, submit
from egress_gate.service.worker import Worker
from ledger.entry import Entry
from policy_engine import PolicyUnavailable
from policy_engine.in_process import InProcess
from store import schema as s
from store.usage import usage
from tests.unit.gate.desks import PREFIX, browser, make_desk, token
from tests.unit.gate.factory import World


def quotas(world: World, **most: int) -> None:
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(update(s.grant).values(quotas=json.dumps(most)))
        t.record(Entry("grant.quotas_changed", "stella", {"grant": "1"}, {}))


@pytest.fixture
def world(world: World) -> World:
    """With the real rules for quotas behind the stand-in engine."""
    real = InProcess()
    world.engine.overrides["usage/quota"] = lambda facts: real.query("usage/quota", facts).result
    return world


def test_a_request_too_many_is_refused_and_not_stored(world: World) -> None:
    quotas(world, requests=2)
    kept = [world.submitted(), world.submitted()]
    with pytest.raises(NotAllowed) as refused:
        world.submitted()
    assert "quota" in refused.value.why
    assert [world.row(row.id).state for row in kept] == [State.SUBMITTED, State.SUBMITTED]
    assert len(world.entries("request.submitted")) == 2


def test_colleagues_share_the_project_s_quota(world: World) -> None:
    quotas(world, requests=1)
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(s.project_member.insert().values(project="liver", person="amir", added_at="2026"))
        t.record(Entry("member.added", "adam", {"project": "liver", "person": "amir"}))
    world.submitted()
    with pytest.raises(NotAllowed):
        submit(world.gate, caller(world.gate, "5b"), world.draft(), world.clock())


def test_a_repeated_submit_finds_the_first_though_the_quota_is_used_up(world: World) -> None:
    quotas(world, requests=1)
    first = submit(world.gate, world.ana, world.draft(), world.clock(), "key")
    again = submit(world.gate, world.ana, world.draft(), world.clock(), "key")
    assert again.id == first.id


def test_two_submits_at_once_do_not_share_the_last_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    quotas(world, requests=1)
    from egress_gate.service import submit as submitting

    honest = submitting.judge

    def overtaken(*asked: Any) -> Judged:
        found = honest(*asked)
        monkeypatch.setattr(submitting, "judge", honest)
        world.submitted()
        return found

    monkeypatch.setattr(submitting, "judge", overtaken)
    with pytest.raises(Conflict):
        world.submitted()
    assert len(world.entries("request.submitted")) == 1


@pytest.mark.parametrize("name", ["released_cells", "released_bytes"])
def test_a_quota_reached_in_the_middle_of_a_request_lets_it_wait_and_loses_nothing(world: World, name: str) -> None:
    approved = world.reviewed(world.checked())
    quotas(world, **{name: 1})
    worker = Worker(world.gate, world.clock)
    worker.round()
    waiting = world.row(approved.id)
    assert waiting.state is State.RELEASING
    assert waiting.trouble is not None
    assert waiting.trouble["code"] == "quota-spent"
    assert world.entries("release.released") == []
    assert prepare(world.gate, approved.id, world.clock()) is None  # it is not tried again and again
    quotas(world, **{name: 1_000_000})
    world.clock.skip(minutes=11)
    worker.round()
    assert world.row(approved.id).state is State.RELEASED


def test_it_may_still_be_withdrawn_or_revised_as_ever_before_it_is_approved(world: World) -> None:
    row = world.checked()
    quotas(world, requests=1, releases=1)
    assert world.reviewed(row).state is State.APPROVED


def test_two_releases_at_once_do_not_share_what_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    quotas(world, releases=1)
    row = world.prepared(world.reviewed(world.checked()))
    honest = releasing.judge

    def stale(*asked: Any) -> Judged:
        found = honest(*asked)
        used = {**found.grants[0], "used": {**found.grants[0]["used"], "releases": 7}}
        return replace(found, grants=(used,))

    monkeypatch.setattr(releasing, "judge", stale)
    with pytest.raises(LostLease):
        release(world.gate, row, world.clock())
    assert world.row(row.id).state is State.RELEASING


def test_without_the_engine_an_approved_request_waits(world: World) -> None:
    approved = world.reviewed(world.checked())

    def away(facts: dict[str, Any]) -> Any:
        raise PolicyUnavailable("The policy engine is away.", why="Silence.", do="It is tried again.")

    world.engine.overrides["usage/quota"] = away
    Worker(world.gate, world.clock).round()
    waiting = world.row(approved.id)
    assert waiting.state is State.RELEASING
    assert waiting.trouble is not None
    assert waiting.trouble["code"] == "policy-unavailable"


def test_what_left_is_counted_in_its_own_transaction(world: World) -> None:
    world.released()
    with world.gate.store.read() as c:
        used = usage(c, project="liver", version="nafld/1")
        elsewhere = usage(c, project="liver", version="nafld/2")
        size = c.execute(s.release_size.select()).one()
    assert (used.requests, used.releases) == (1, 1)
    assert used.released_cells == size.cells > 0
    assert used.released_bytes == size.bytes > 0
    assert elsewhere.releases == 0


@pytest.mark.parametrize("adds", [{"released_cells": -1000}, {"released_cells": "1"}])
def test_what_is_added_is_never_less_than_nothing(world: World, adds: dict[str, Any]) -> None:
    quotas(world, released_cells=10)
    found = judge(world.gate, "liver", ["nafld/1"], "release", adds, world.clock())
    assert not found.permission.allow


def test_an_expired_grant_s_quota_no_longer_counts(world: World) -> None:
    quotas(world, requests=1)
    world.submitted()
    later = world.clock() + timedelta(days=400)
    assert judge(world.gate, "liver", ["nafld/1"], "submit", {}, later).grants == ()


# -- reports ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["usage", "usage.csv", "quotas", "metrics"])
@pytest.mark.parametrize(
    ("name", "status"), [("ana", 403), ("stella", 403), ("adam", 200), ("audrey", 200), (None, 401)]
)
def test_reports_are_for_administrators_and_auditors(world: World, path: str, name: str | None, status: int) -> None:
    desk = make_desk(world)
    client = token(desk, name) if name else browser(desk)
    assert client.get(f"{PREFIX}api/v1/{path}").status_code == status


def test_metrics_name_people_only_where_the_operator_wants_it(world: World) -> None:
    quotas(world, requests=9)
    world.released()
    desk = make_desk(world)
    text = token(desk, "audrey").get(f"{PREFIX}api/v1/metrics").text
    assert 'glovebox_project_requests_total{project="liver"} 1.0' in text
    assert 'glovebox_quota_used{grant="1",name="requests",project="liver",version="nafld/1"} 1.0' in text
    assert "ana" not in text
    named = token(replace(desk, metrics_people=True), "audrey").get(f"{PREFIX}api/v1/metrics").text
    assert 'glovebox_person_requests_total{person="ana"} 1.0' in named


def test_metrics_have_every_measure_of_project_and_version_as_it_was_counted(world: World) -> None:
    quotas(world, requests=9)
    with world.gate.store.transaction(world.clock()) as t:
        used = json.dumps({"processor_ms": 61_000, "memory_bytes": 5000, "read_bytes": 4321})
        t.execute(update(s.sandbox).where(s.sandbox.c.id == "5a").values(used=used))
        t.record(Entry("sandbox.measured", "workbench", {"sandbox": "5a"}, {}))
    world.released()
    text = token(make_desk(world), "audrey").get(f"{PREFIX}api/v1/metrics").text
    figures = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }
    with world.gate.store.read() as c:
        for noun, name in (("project", "liver"), ("version", "nafld/1")):
            counted = usage(c, **{noun: name}).facts()
            assert counted["processor_seconds"] == 61
            assert counted["releases"] == 1
            for measure, value in counted.items():
                end = "" if measure == "memory_bytes" else "_total"
                assert figures[f'glovebox_{noun}_{measure}{end}{{{noun}="{name}"}}'] == value
    assert figures['glovebox_quota_most{grant="1",name="requests",project="liver",version="nafld/1"}'] == 9
    assert figures['glovebox_requests{state="released"}'] == 1
    assert figures["glovebox_sandboxes_running"] == 2


def test_usage_as_csv_has_a_line_for_each_project(world: World) -> None:
    world.released()
    answer = token(make_desk(world), "adam").get(f"{PREFIX}api/v1/usage.csv?by=project")
    head, *rows = answer.text.splitlines()
    assert head.startswith("project,sessions,")
    assert [row.split(",")[0] for row in rows] == ["liver"]
