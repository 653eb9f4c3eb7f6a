"""A changed policy over all past requests: each decision that would differ is listed, and nothing is changed by asking."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from egress_gate.desk.replaying import Replays, Run
from egress_gate.domain.decision import Outcome
from egress_gate.domain.finding import Finding, Severity
from egress_gate.service import trial
from egress_gate.service.errors import Conflict, Malformed
from egress_gate.service.fakes import safe_table
from egress_gate.service.ports import Assessment, JudgedCell, Question
from egress_gate.service.replay import Report, Told, replay
from ledger.entry import Entry
from policy_engine import bundle
from policy_engine.in_process import InProcess
from store import schema as s
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
    report = replay(world.gate, InProcess())
    assert (report.asked, report.differences) == (1, ())


def test_a_decision_with_other_obligations_is_listed(world: World) -> None:
    before = len(world.entries())
    report = replay(world.gate, trial.engine_with("levels", levels(approvals=2)))
    (found,) = report.differences
    assert (found.request, dict(found.numbers), found.obligations_differ, found.measured) == ("R-1", {}, True, False)
    assert len(world.entries()) == before


def small_at(threshold: int) -> Callable[[Question], Assessment]:
    """A table of which one cell has eight people, hidden where the threshold is higher."""

    def judged(question: Question) -> Assessment:
        small = question.parameters["min_contributors"] >= threshold
        cell = JudgedCell(
            {"sex": "<b>X</b>"}, {"n": 8}, 8, ("min_contributors",) if small else (), "primary" if small else None
        )
        safe = safe_table(question)
        found = (Finding("min_contributors", Severity.INFO, 1),) if small else ()
        return replace(safe, cells=(*safe.cells, cell), findings=found, protected=small)

    return judged


def test_a_request_is_measured_anew_where_numbers_changed_and_its_cells_are_listed(world: World) -> None:
    world.recomputer.tables = {"weight": small_at(40)}
    world.checked("SELECT weight, count(*) AS n FROM nafld1 GROUP BY weight")
    report = replay(world.gate, trial.engine_with("levels", levels(min_contributors=40)))
    (found,) = report.differences
    (output,) = found.outputs
    assert (report.asked, report.measured, report.unknown) == (2, 2, 0)
    assert (found.request, dict(found.numbers)) == ("R-2", {"min_contributors": (10, 40)})
    assert (found.before, found.after) == (Outcome.REVIEW, Outcome.REVIEW)
    assert [(dict(c.key), c.rules_after, c.hidden_after) for c in output.cells] == [
        ({"sex": "<b>X</b>"}, ("min_contributors",), "primary")
    ]


def test_numbers_that_change_no_finding_change_no_decision(world: World) -> None:
    report = replay(world.gate, trial.engine_with("levels", levels(min_contributors=40)))
    assert (report.asked, report.measured, report.differences) == (1, 1, ())


def test_it_is_judged_beside_what_had_left_by_then(world: World) -> None:
    """R-2 leaves, then R-3 is decided beside it, then R-4 leaves: of R-3, only R-2 counts."""
    seen: list[tuple[int, ...]] = []

    def spy(question: Question) -> Assessment:
        seen.append(tuple(e.request for e in question.earlier))
        return safe_table(question)

    world.recomputer.tables = {"weight": spy}
    world.released()
    world.checked("SELECT weight, count(*) AS n FROM nafld1 GROUP BY weight")
    world.released("SELECT age, count(*) AS n FROM nafld1 GROUP BY age")
    replay(world.gate, trial.engine_with("levels", levels(min_contributors=40)))
    assert seen == [(2,), (2,)]


def destroyed(world: World) -> None:
    with world.database.transaction(world.clock()) as t:
        t.execute(update(s.dataset_version).values(state="destroyed"))
        t.record(Entry("dataset.destroyed", "stella", {"dataset": "nafld"}, {}))


def test_of_a_destroyed_version_nobody_can_tell(world: World) -> None:
    destroyed(world)
    report = replay(world.gate, trial.engine_with("levels", levels(min_contributors=40)))
    (found,) = report.differences
    assert (report.unknown, found.after, found.differs) == (1, None, True)
    assert (found.problem, found.destroyed) == (
        "Its data were destroyed, so it cannot be measured with the other numbers.",
        ("nafld/1",),
    )


def test_with_the_same_numbers_a_destroyed_version_is_asked_about_as_it_was_found(world: World) -> None:
    destroyed(world)
    assert replay(world.gate, InProcess()).differences == ()
    (found,) = replay(world.gate, trial.engine_with("levels", levels(approvals=2))).differences
    assert (found.after, found.obligations_differ, found.problem) == (Outcome.REVIEW, True, None)


def test_without_the_verifier_nobody_can_tell(world: World) -> None:
    world.recomputer.away = True
    (found,) = replay(world.gate, trial.engine_with("levels", levels(min_contributors=40))).differences
    assert (found.after, found.problem) == (None, "The verifier is away. It did not start.")


def test_protection_that_was_not_tried_is_tried(world: World) -> None:
    """With the same numbers, but hiding cells: what the check found without it says nothing of that."""
    world.recomputer.tables = {"weight": small_at(1)}
    world.checked("SELECT weight, count(*) AS n FROM nafld1 GROUP BY weight")
    report = replay(world.gate, trial.engine_with("levels", levels(protect=False)))
    assert report.measured == 2


def test_nothing_is_stored_by_a_replay(world: World) -> None:
    def kept() -> tuple[object, ...]:
        with world.gate.store.read() as c:
            rows = [c.execute(select(func.count()).select_from(t)).scalar_one() for t in s.metadata.sorted_tables]
        return (*rows, sorted(p.name for p in world.settings.blobs.rglob("*")))

    before = kept()
    replay(world.gate, trial.engine_with("levels", levels(min_contributors=40)))
    assert kept() == before


def test_an_automatic_level_would_have_released(world: World) -> None:
    report = replay(world.gate, trial.engine_with("levels", levels(automatic=True)))
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
    ("file", "text", "why"),
    [
        ("release/parameters/parameters.rego", "package release.parameters\nanswer := {", "do not compile"),
        ("release/parameters/parameters.rego", "package release.parameters\n", "do not compile or give no numbers"),
        ("data/levels.json", "{", "cannot be read"),
    ],
)
def test_a_folder_that_does_not_compile_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, why: str
) -> None:
    shutil.copytree(bundle.POLICIES, tmp_path / "changed")
    (tmp_path / "changed" / file).write_text(text, "utf-8")
    said = asked_on_the_command_line(world, monkeypatch, "--policies", str(tmp_path / "changed"))
    told = json.loads(said.stdout)["error"]
    assert (said.exit_code, told["what"]) == (1, "No policy was asked.")
    assert why in told["why"]
    assert told["do"]


def test_the_command_lists_what_would_differ(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    destroyed(world)
    shutil.copytree(bundle.POLICIES, tmp_path / "changed")
    (tmp_path / "changed" / "data" / "levels.json").write_text(levels(min_contributors=20), "utf-8")
    monkeypatch.setenv("GLOVEBOX_HOME", str(world.settings.home))
    said = CliRunner().invoke(app, ["policy", "replay", "--policies", str(tmp_path / "changed")])
    assert said.exit_code == 1
    assert "0 would differ, of 1 nobody can tell" in said.output
    assert "nafld/1" in said.output


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
    assert "1 measured anew" in page.text
    assert "0 would differ" in page.text
    assert adam.post(f"{PREFIX}policy/replay", data={"file": "levels", "text": "{}"}).status_code == 422
    assert adam.get(f"{PREFIX}policy?file=../secrets").status_code == 422


def test_one_replay_at_a_time_and_the_page_says_how_far_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress_gate.desk.replaying.PATIENCE", 0.01)
    desk, gate = make_desk(world), threading.Event()
    adam = signed_in(desk, "adam")

    def slow(told: Told) -> Report:
        told(3, 7)
        gate.wait(60)
        return Report(7, 0, None, ())

    run = desk.replays.start(Run("adam"), slow)
    with pytest.raises(Conflict):
        desk.replays.start(Run("audrey"), slow)
    page = adam.get(f"{PREFIX}policy").text
    assert "3 of 7 decisions asked" in page
    assert 'hx-trigger="every 2s"' in page
    gate.set()
    assert run.over.wait(60)
    assert "7 decisions asked again" in adam.get(f"{PREFIX}policy").text


def test_a_replay_that_breaks_says_so(world: World) -> None:
    def broken(_: Told) -> Report:
        raise LookupError("R-1")

    desk = make_desk(world)
    desk.replays.start(Run("adam"), broken).over.wait(60)
    assert "The replay ended before its end." in signed_in(desk, "adam").get(f"{PREFIX}policy").text
    assert Replays().last is None
