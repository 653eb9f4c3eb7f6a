"""A delivery is looked at before it is registered: a level below its columns' is confirmed by somebody, proposals go on the record."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from provisioning.domain import masking
from provisioning.domain.errors import RegistrationRefused
from provisioning.service import describe, registering
from tests.unit.provisioning.world import START, World

NAMED = "id,name,age,hiv\n" + "".join(f"{n},王小明,{20 + n % 40},{n % 2}\n" for n in range(120))


def at() -> datetime:
    return START


def bring_in(world: World, level: int, confirmed: bool = False, **changes: Any) -> str:
    wanted = world.registration(content=NAMED, classification=level, **changes)
    return registering.register(
        world.db, world.settings, wanted, registering.look_at(wanted), actor="adam", clock=at, confirmed=confirmed
    )


def test_a_level_below_the_columns_is_refused_and_nothing_is_kept(world: World) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        bring_in(world, 2)
    assert "people.name (direct)" in refused.value.why
    assert "restricted" in refused.value.do
    assert "王小明" not in str(refused.value.public())
    assert world.entries() == []


def test_who_confirmed_a_lower_level_is_on_the_record_and_in_the_datasheet(world: World) -> None:
    assert bring_in(world, 3, confirmed=True) == "nafld/1"
    (scanned,) = world.entries("dataset.scanned")
    levels = {"proposed_level": 4, "registered_level": 3, "lower_level_confirmed_by": "adam"}
    assert levels.items() <= scanned["facts"].items()
    found = describe.full_sheet(world.db, world.engine, world.settings, "nafld/1")
    assert found["scan"] == {"version": "nafld/1", **levels}
    page = describe.as_html(found)
    assert "the lower level was confirmed by" in page
    assert "direct (proposed)" in page


def test_at_the_columns_level_nobody_has_to_confirm(world: World) -> None:
    bring_in(world, 4, confirmed=True)
    (scanned,) = world.entries("dataset.scanned")
    assert "lower_level_confirmed_by" not in scanned["facts"]
    assert scanned["facts"]["proposed"]["people.name"] == "direct"


def test_what_is_masked_on_the_way_in_is_judged_as_it_is_stored(world: World) -> None:
    world.project()
    recipes = masking.parse(
        '{"people": {"columns": {"name": {"do": "drop"}, "hiv": {"do": "drop"}}, "quasi": ["age"]}}'
    )
    wanted = world.registration(content=NAMED, classification=2, recipes=recipes, project="liver")
    looked = registering.look_at(wanted)
    assert "name" not in {column.name for column in looked.tables[0].columns}
    assert looked.tables[0].effect["after"]["k"] == 3
    bring_in(world, 2, recipes=recipes, project="liver")
    (scanned,) = world.entries("dataset.scanned")
    assert "people.name" not in scanned["facts"]["proposed"]


def add(file: Path, level: str, *more: str) -> Any:
    from workbench.cli import app

    words = ["dataset", "add", "nafld", str(file), "--by", "adam", "--title", "T", "--description", "D", "--unit", "id"]
    return CliRunner().invoke(app, [*words, "--provider", "P", "--steward", "stella", "--level", level, *more])


def test_the_command_records_what_the_page_records(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOVEBOX_HOME", str(world.home))
    file = tmp_path / "people.csv"
    file.write_text(NAMED, "utf-8")
    refused = add(file, "internal", "--json")
    assert refused.exit_code == 1
    assert "--confirm" in json.loads(refused.stdout)["error"]["do"]
    assert "people.name" in refused.stderr
    assert world.entries() == []
    assert json.loads(add(file, "internal", "--json", "--confirm").stdout) == {"version": "nafld/1"}
    (scanned,) = world.entries("dataset.scanned")
    assert scanned["facts"]["lower_level_confirmed_by"] == "adam"


@pytest.mark.parametrize(("said", "code"), [("n\n", 1), ("y\n", 0)])
def test_at_a_terminal_it_asks(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, said: str, code: int
) -> None:
    from workbench.cli import app
    from workbench.commands import datasets

    monkeypatch.setenv("GLOVEBOX_HOME", str(world.home))
    monkeypatch.setattr(datasets, "_at_a_terminal", lambda: True)
    file = tmp_path / "people.csv"
    file.write_text(NAMED, "utf-8")
    words = ["dataset", "add", "nafld", str(file), "--by", "adam", "--title", "T", "--description", "D", "--unit", "id"]
    words += ["--provider", "P", "--steward", "stella", "--level", "2"]
    assert CliRunner().invoke(app, words, input=said).exit_code == code
    assert len(world.entries("dataset.scanned")) == 1 - code
