"""`glovebox project checklist` and `assess`: what is asked for by level, in two languages; what is misspelt or half done."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.unit.provisioning.world import CHECKLIST, World
from workbench.cli import app


@pytest.fixture
def world(tmp_path, monkeypatch):  # type: ignore[no-untyped-def]
    made = World(tmp_path / "home")
    monkeypatch.setenv("GLOVEBOX_HOME", str(made.home))
    made.register()
    made.project(level=0)
    yield made
    made.db.close()


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return done.output


def assess(*items: str, code: int = 0) -> str:
    confirmed = [word for item in items for word in ("--confirm", item)]
    return run("project", "assess", "liver", "--by", "adam", *confirmed, code=code)


def test_a_project_without_data_has_no_checklist_yet(world: World) -> None:
    assert "No data is granted" in run("project", "checklist", "liver")
    assert json.loads(run("project", "checklist", "liver", "--json"))["complete"] is False


def test_the_checklist_follows_the_level_of_the_data(world: World) -> None:
    world.grant()
    found = json.loads(run("project", "checklist", "liver", "--json"))
    assert {row["item"] for row in found["items"]} == set(CHECKLIST["3"])
    assert found["levels"] == [3]
    assert "PIPL 55" in run("project", "checklist", "liver")
    assert "个人" in run("project", "checklist", "liver", "--language", "zh")


def test_what_is_half_assessed_says_what_lacks_and_what_is_whole_says_so(world: World) -> None:
    world.grant()
    *most, last = CHECKLIST["3"]
    assert f"Not confirmed: {last}" in " ".join(assess(*most).split())
    assert "does not start yet" not in assess(*CHECKLIST["3"])
    assert "Everything is confirmed" in run("project", "checklist", "liver")


def test_a_misspelt_item_is_refused_and_nothing_recorded(world: World) -> None:
    said = assess("purpose_need_it", code=1)
    assert "why:" in said
    assert "purpose_need_it" in said
    assert world.entries("project.assessed") == []


def test_an_unknown_project_has_no_checklist(world: World) -> None:
    assert "do:" in run("project", "checklist", "spleen", code=1)
