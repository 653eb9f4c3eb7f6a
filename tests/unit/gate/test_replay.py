"""A changed policy over all past requests: each decision that would differ is listed, and nothing is changed by asking."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from egress_gate.service import trial
from egress_gate.service.errors import Malformed
from egress_gate.service.replay import replay
from policy_engine import bundle
from policy_engine.in_process import InProcess
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World, make_world
from workbench.cli import app


@pytest.fixture
def world(tmp_path: Path) -> World:
    """With a decision of the real policies on record."""
    made = make_world(tmp_path / "home")
    real = InProcess()
    for entry_point in ("release/parameters", "release/decision"):
        made.engine.overrides[entry_point] = lambda facts, e=entry_point: real.query(e, facts).result
    made.checked()
    return made


def levels(**changes: object) -> str:
    data = json.loads(trial.in_force("levels"))
    data["levels"]["3"].update(changes)
    return json.dumps(data)


def test_the_policies_in_force_differ_in_nothing(world: World) -> None:
    report = replay(world.gate.store, world.gate.blobs, InProcess())
    assert (report.asked, report.differences) == (1, ())


@pytest.mark.parametrize(
    ("changes", "parameters", "obligations"),
    [({"approvals": 2}, (), True), ({"min_contributors": 40}, ("min_contributors",), False)],
)
def test_each_decision_that_would_differ_is_listed(
    world: World, changes: dict[str, object], parameters: tuple[str, ...], obligations: bool
) -> None:
    before = len(world.entries())
    report = replay(world.gate.store, world.gate.blobs, trial.engine_with("levels", levels(**changes)))
    (found,) = report.differences
    assert (found.request, found.parameters_differ, found.obligations_differ) == ("R-1", parameters, obligations)
    assert "parameters_differ" not in found.reasons_after
    assert len(world.entries()) == before


def test_an_automatic_level_would_have_released(world: World) -> None:
    report = replay(world.gate.store, world.gate.blobs, trial.engine_with("levels", levels(automatic=True)))
    assert [d.after and d.after.value for d in report.differences] == ["release"]


def asked_on_the_command_line(world: World, monkeypatch: pytest.MonkeyPatch, *more: str) -> Result:
    monkeypatch.setenv("GLOVEBOX_HOME", str(world.settings.home))
    return CliRunner().invoke(app, ["policy", "replay", "--json", *more])


def test_a_folder_of_changed_policies_is_tried_on_the_command_line(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(bundle.POLICIES, tmp_path / "changed")
    (tmp_path / "changed" / "data" / "levels.json").write_text(levels(approvals=2), "utf-8")
    same = asked_on_the_command_line(world, monkeypatch)
    assert (same.exit_code, json.loads(same.stdout)["differences"]) == (0, [])
    other = asked_on_the_command_line(world, monkeypatch, "--policies", str(tmp_path / "changed"))
    (found,) = json.loads(other.stdout)["differences"]
    assert (other.exit_code, found["request"], found["obligations_differ"]) == (1, "R-1", True)


def test_a_folder_without_policies_is_not_tried(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = asked_on_the_command_line(world, monkeypatch, "--policies", str(tmp_path))
    assert said.exit_code != 0
    assert "No policy was asked" in said.output


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"levels": {}}',
        "NaN",
        levels(min_contributors="10"),
        levels(min_contributors=-1),
        levels(min_contributors=10**13),
        levels(min_contributors=True),
        levels(files="csv"),
        levels(extra=1),
        '{"levels": NaN}',
        "[" * 60_000,
        "package evil\nallow := http.send({})",
    ],
)
def test_what_is_not_the_same_numbers_is_not_tried(text: str) -> None:
    with pytest.raises(Malformed):
        trial.engine_with("levels", text)


@pytest.mark.parametrize("name", ["messages", "../data/levels", "", "/etc/passwd", "levels.json"])
def test_only_the_files_of_numbers_can_be_tried(name: str) -> None:
    with pytest.raises(Malformed):
        trial.engine_with(name, "{}")


def test_the_page_tries_numbers_and_shows_what_would_differ(world: World) -> None:
    adam = signed_in(make_desk(world), "adam")
    assert "min_contributors" in adam.get(f"{PREFIX}policy?file=levels").text
    page = adam.post(f"{PREFIX}policy/replay", data={"file": "levels", "text": levels(min_contributors=40)})
    assert page.status_code == 200
    assert "With the changed numbers" in page.text
    assert "R-1" in page.text
    assert adam.post(f"{PREFIX}policy/replay", data={"file": "levels", "text": "{}"}).status_code == 422
    assert adam.get(f"{PREFIX}policy?file=../secrets").status_code == 422
