"""A policy replay measures data anew: it tells nobody what they may not see, and keeps nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_engine.in_process import InProcess
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World, make_world
from tests.unit.gate.test_replay import destroyed, levels, small_at


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path / "home")
    real = InProcess()
    for entry_point in ("release/parameters", "release/decision"):
        made.engine.overrides[entry_point] = lambda facts, e=entry_point: real.query(e, facts).result
    made.recomputer.tables = {"weight": small_at(40)}
    made.checked("SELECT weight, count(*) AS n FROM nafld1 GROUP BY weight")
    return made


def replayed(world: World, person: str) -> str:
    body = {"file": "levels", "text": levels(min_contributors=40)}
    return signed_in(make_desk(world), person).post(f"{PREFIX}policy/replay", data=body).text


def test_an_administrator_learns_how_many_cells_and_not_which(world: World) -> None:
    """A key can be somebody's name, and an administrator sees no request."""
    page = replayed(world, "adam")
    assert "1 cell judged otherwise" in page
    assert "X&lt;/b&gt;" not in page
    assert "Which cells they are" in page


def test_a_key_is_never_markup(world: World) -> None:
    page = replayed(world, "audrey")
    assert "sex = &lt;b&gt;X&lt;/b&gt;" in page
    assert "<b>X</b>" not in page


def test_destroying_the_data_ends_every_replay_of_it(world: World) -> None:
    destroyed(world)
    page = replayed(world, "audrey")
    assert "Nobody can tell" in page
    assert "X&lt;/b&gt;" not in page


def test_what_is_tried_never_becomes_the_policy_in_force(world: World) -> None:
    before = world.gate.engine
    replayed(world, "adam")
    assert world.gate.engine is before
    row = world.checked("SELECT weight, count(*) AS n FROM nafld1 WHERE age > 40 GROUP BY weight")
    assert row.state.value == "in_review"
    asked = [
        facts["parameters"]["min_contributors"] for entry, facts in world.engine.asked if entry == "release/decision"
    ]
    assert set(asked) == {10}
