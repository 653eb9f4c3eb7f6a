"""The last day on which data may be there: grants do not outlast it, nothing starts or goes on after it, and doctor says what is late."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from provisioning.domain.errors import AccessRefused, GrantRefused
from provisioning.service import describe, destruction, projects, sessions
from tests.unit.provisioning.world import DAY, START, World
from workbench.runtime import doctor

LAST = (START + 30 * DAY).date()
OVER = datetime(LAST.year, LAST.month, LAST.day, tzinfo=UTC) + DAY


def keep_until(world: World, day: str) -> None:
    describe.describe(world.db, dataset="nafld", text=json.dumps({"retention_until": day}), actor="stella", at=START)


def plan(world: World, at: datetime):  # type: ignore[no-untyped-def]
    return sessions.plan_session(world.db, world.engine, world.settings, "ana", ["analysts"], "liver", at)


def granted(world: World, until: datetime) -> None:
    projects.give_grant(world.db, project="liver", version="nafld/1", expires_at=until, actor="stella", at=START)


def test_a_grant_does_not_outlast_the_data(world: World) -> None:
    world.ready()
    keep_until(world, LAST.isoformat())
    before = len(world.entries("grant.given"))
    with pytest.raises(GrantRefused, match=LAST.isoformat()):
        granted(world, OVER + timedelta(microseconds=1))
    assert len(world.entries("grant.given")) == before
    granted(world, OVER)
    assert len(world.entries("grant.given")) == before + 1


def test_nothing_starts_after_the_last_day_though_a_grant_goes_on(world: World) -> None:
    world.ready()
    keep_until(world, LAST.isoformat())
    assert plan(world, OVER - timedelta(microseconds=1)).datasets
    with pytest.raises(AccessRefused) as refused:
        plan(world, OVER)
    assert "retention_over" in refused.value.reasons


def test_a_running_sandbox_is_stopped_when_the_last_day_is_over(world: World) -> None:
    world.ready()
    sessions.sandbox_started(world.db, plan(world, START), "ab12", "", "c", "sha256:0", {}, START)
    keep_until(world, LAST.isoformat())
    assert sessions.sessions_to_stop(world.db, OVER - timedelta(microseconds=1)) == []
    (stopped,) = sessions.sessions_to_stop(world.db, OVER)
    assert (stopped.sandbox, stopped.reason) == ("ab12", f"nafld/1 was to be kept until {LAST} only.")


def test_doctor_names_what_is_kept_too_long_until_it_is_destroyed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ready()
    look = doctor._retention
    assert look(world.settings) == (True, "0 datasets have a last day, none is past it")
    keep_until(world, LAST.isoformat())
    monkeypatch.setattr(doctor, "now", lambda: OVER - timedelta(microseconds=1))
    assert look(world.settings)[0]
    monkeypatch.setattr(doctor, "now", lambda: OVER)
    well, said = look(world.settings)
    assert not well
    assert f"nafld/1 (until {LAST})" in said
    destruction.destroy_version(world.db, world.settings, version="nafld/1", reason="Over.", actor="stella", at=OVER)
    assert look(world.settings)[0]
