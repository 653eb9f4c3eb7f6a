"""Quotas: what is refused at the start, who may set them, and that the record is what is counted."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from ledger.entry import Entry
from policy_engine import PolicyUnavailable
from policy_engine.port import Answer
from provisioning.domain.errors import AccessRefused, GrantRefused
from provisioning.domain.mount_plan import MountPlan
from provisioning.service import metering, projects, sessions
from store import schema, usage_report
from store.clock import stamp
from store.usage import LIMITED, usage
from tests.unit.provisioning.world import DAY, START, World

AT = START + DAY
ANALYST = ("analysts",)


def plan(world: World, person: str = "ana", at: Any = AT) -> MountPlan:
    return sessions.plan_session(world.db, world.engine, world.settings, person, ANALYST, "liver", at)


def begin(world: World, sandbox: str, person: str = "ana", at: Any = AT) -> None:
    sessions.sandbox_started(world.db, plan(world, person, at), sandbox, "", f"c-{sandbox}", "sha256:0", {}, at)


def limited(world: World, **quotas: int) -> World:
    world.register()
    world.project(members=("ana", "bo"))
    world.grant(quotas=quotas)
    return world


def event(world: World, sandbox: str, kind: str, size: int = 0, at: Any = AT, times: int = 1) -> None:
    row = {"sandbox": sandbox, "time": stamp(at), "kind": kind, "digest": "d", "bytes": size, "facts": "{}"}
    with world.db.transaction(at) as t:
        t.execute(insert(schema.session_event), [row] * times)
        t.record(Entry("session.recorded", "ana", {"sandbox": sandbox}, {}))


@pytest.mark.parametrize(
    "quotas",
    [
        {"cells": 0}, {"cells": -1}, {"cells": True}, {"cells": "9"}, {"cells": 1.5}, {"cells": 2**60}, {"wishes": 3},
        {"cells": None},
    ],
)  # fmt: skip
def test_a_quota_that_cannot_be_held_is_refused(world: World, quotas: dict[str, Any]) -> None:
    world.register()
    world.project()
    with pytest.raises(GrantRefused):
        world.grant(quotas=quotas)
    assert world.rows(schema.grant) == 0


def test_only_a_steward_changes_quotas_and_it_is_on_record(world: World) -> None:
    limited(world, cells=5)
    change = {"grant": 1, "quotas": {"cells": 9}, "reason": "More is needed.", "at": AT}
    for stranger in ("adam", "ana"):
        with pytest.raises(GrantRefused):
            projects.change_quotas(world.db, actor=stranger, **change)
    with pytest.raises(GrantRefused):
        projects.change_quotas(world.db, actor="stella", **{**change, "quotas": {"cells": -9}})
    assert projects.change_quotas(world.db, actor="stella", **change).quotas == {"cells": 9}
    (entry,) = world.entries("grant.quotas_changed")
    assert entry["facts"] == {"reason": "More is needed.", "from": {"cells": 5}, "to": {"cells": 9}}
    projects.revoke_grant(world.db, grant=1, reason="Over.", actor="stella", at=AT)
    with pytest.raises(GrantRefused):
        projects.change_quotas(world.db, actor="stella", **change)


def test_sessions_are_counted_for_the_whole_project(world: World) -> None:
    limited(world, sessions=2)
    begin(world, "aa11")
    begin(world, "bb22", "bo")
    for person in ("ana", "bo"):
        with pytest.raises(AccessRefused) as refused:
            plan(world, person)
        assert refused.value.reasons == ("quota_spent",)


def test_two_starts_at_once_do_not_share_the_last_session(world: World) -> None:
    limited(world, sessions=1)
    first, second = plan(world), plan(world, "bo")
    sessions.sandbox_started(world.db, first, "aa11", "", "c", "sha256:0", {}, AT)
    with pytest.raises(AccessRefused) as refused:
        sessions.sandbox_started(world.db, second, "bb22", "", "c", "sha256:0", {}, AT)
    assert refused.value.reasons == ("ended_meanwhile",)
    assert world.rows(schema.sandbox) == 1


def test_cells_and_shown_bytes_are_counted_from_the_trail(world: World) -> None:
    limited(world, cells=3, shown_bytes=100)
    begin(world, "aa11")
    event(world, "aa11", "cell", times=2)
    event(world, "aa11", "shown", 60)
    assert plan(world).datasets
    event(world, "aa11", "shown", 40)
    with pytest.raises(AccessRefused) as refused:
        plan(world)
    assert refused.value.reasons == ("quota_spent",)


def test_a_second_grant_never_widens_the_first(world: World) -> None:
    limited(world, sessions=1)
    begin(world, "aa11")
    world.grant(at=AT)
    with pytest.raises(AccessRefused):
        plan(world)


def test_more_from_the_steward_opens_it_again(world: World) -> None:
    limited(world, sessions=1)
    begin(world, "aa11")
    projects.change_quotas(world.db, grant=1, quotas={"sessions": 2}, reason="One more.", actor="stella", at=AT)
    assert plan(world).datasets


def test_a_new_grant_after_a_revocation_counts_from_itself(world: World) -> None:
    limited(world, sessions=1)
    begin(world, "aa11")
    sessions.sandbox_stopped(world.db, "aa11", "done", AT)
    projects.revoke_grant(world.db, grant=1, reason="Renewed.", actor="stella", at=AT)
    world.grant(at=AT + DAY, quotas={"sessions": 1})
    assert plan(world, at=AT + 2 * DAY).datasets


def test_memory_is_capped_in_each_sandbox(world: World) -> None:
    limited(world, memory_bytes=500_000_000)
    assert plan(world).limits["memory_bytes"] == 500_000_000


# -- while it runs ----------------------------------------------------------------------------------------------------
def standing(world: World, sandbox: str = "aa11", live: Any = None, at: Any = AT) -> Any:
    return metering.standing(world.db, world.engine, sandbox, live or {}, at)


def test_processor_time_ends_a_running_sandbox(world: World) -> None:
    limited(world, processor_seconds=100)
    begin(world, "aa11")
    begin(world, "bb22", "bo")
    near = standing(world, live={"aa11": {"processor_ms": 50_000}, "bb22": {"processor_ms": 40_000}})
    assert near.over is None
    assert near.warnings == ("The quota of processor time for nafld/1 is nearly used up.",)
    over = standing(world, live={"aa11": {"processor_ms": 50_000}, "bb22": {"processor_ms": 50_000}})
    assert over.over == "The processor time granted for nafld/1 is used up."


def test_what_ended_sandboxes_used_counts_too(world: World) -> None:
    limited(world, processor_seconds=100)
    begin(world, "aa11")
    sessions.sandbox_stopped(world.db, "aa11", "done", AT, used={"processor_ms": 99_999, "memory_bytes": 7})
    begin(world, "bb22")
    assert standing(world, "bb22").over is None
    assert standing(world, "bb22", {"bb22": {"processor_ms": 1000}}).over is not None


def test_a_smaller_measurement_never_replaces_a_larger(world: World) -> None:
    limited(world)
    begin(world, "aa11")
    metering.sandbox_measured(world.db, "aa11", {"processor_ms": 5000, "read_bytes": 10}, AT)
    metering.sandbox_measured(world.db, "aa11", {"processor_ms": 10, "read_bytes": -5}, AT)
    sessions.sandbox_stopped(world.db, "aa11", "done", AT, used={"processor_ms": 6000})
    metering.sandbox_measured(world.db, "aa11", {"processor_ms": 9000}, AT)
    with world.db.read() as c:
        used = usage(c, project="liver")
    assert (used.processor_seconds, used.read_bytes, used.sessions) == (6, 10, 1)
    assert len(world.entries("sandbox.measured")) == 1
    assert world.entries("sandbox.stopped")[0]["facts"]["used"] == {"processor_ms": 6000, "read_bytes": 10}


def test_an_end_that_is_near_is_announced(world: World) -> None:
    limited(world)
    begin(world, "aa11")
    end = START + 100 * DAY
    assert standing(world, at=end - timedelta(hours=1)).warnings == ()
    assert standing(world, at=end - timedelta(minutes=20)).warnings == ("The grant of nafld/1 ends soon.",)
    assert standing(world, at=end).over is not None


class Away:
    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        raise PolicyUnavailable("The engine is away.", why="Silence.", do="Wait.")


class Says:
    def __init__(self, result: Any) -> None:
        self._result = result

    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        return Answer(result=self._result, engine="test", policy_digest="0")


def test_a_revoked_grant_ends_it_even_without_the_engine(world: World) -> None:
    limited(world)
    begin(world, "aa11")
    assert metering.standing(world.db, Away(), "aa11", {}, AT).over is None
    projects.revoke_grant(world.db, grant=1, reason="Over.", actor="stella", at=AT)
    over = metering.standing(world.db, Away(), "aa11", {}, AT).over
    assert over is not None
    assert "revoked" in over


@pytest.mark.parametrize("result", [None, {}, {"allow": True}, {"allow": False, "spent": [], "near": [], "ending": []}])
def test_an_answer_of_another_shape_stops_it(world: World, result: Any) -> None:
    limited(world)
    begin(world, "aa11")
    assert metering.standing(world.db, Says(result), "aa11", {}, AT).over is not None


def test_what_has_ended_is_never_judged(world: World) -> None:
    limited(world)
    assert standing(world, "none").over is None


# -- reports ----------------------------------------------------------------------------------------------------------
def test_lines_by_project_person_and_version(world: World) -> None:
    limited(world)
    begin(world, "aa11")
    begin(world, "bb22", "bo")
    event(world, "aa11", "cell", times=3)
    with world.db.read() as c:
        found = {by: {line.name: line.used for line in usage_report.lines(c, by)} for by in usage_report.BY}
        with pytest.raises(ValueError, match="colour"):
            usage_report.lines(c, "colour")
    assert found["project"]["liver"].cells == 3
    assert found["person"]["ana"].cells == 3
    assert found["person"]["bo"].sessions == 1
    assert found["version"]["nafld/1"].sessions == 2
    text = usage_report.as_csv("project", [usage_report.Line(n, u) for n, u in found["project"].items()])
    assert text.splitlines()[0] == "project," + ",".join(usage_report.MEASURES)
    assert text.splitlines()[1].startswith("liver,2,")


def test_quota_lines_say_how_much_is_used(world: World) -> None:
    limited(world, sessions=5, memory_bytes=10**9)
    begin(world, "aa11")
    with world.db.read() as c:
        found = {q.name: (q.most, q.used) for q in usage_report.quota_lines(c, stamp(AT))}
    assert found == {"sessions": (5, 1), "memory_bytes": (10**9, 0)}


def test_every_limited_name_is_judged_at_some_stage() -> None:
    from policy_engine import bundle

    stages = json.loads((bundle.POLICIES / "data" / "quotas.json").read_text("utf-8"))["quotas"]["stages"]
    assert {name for names in stages.values() for name in names} == set(LIMITED)
