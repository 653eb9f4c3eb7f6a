"""Deliveries that want more than to be read: paths, patterns, links, bombs, and words for the database."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from provisioning.domain.errors import FileRefused, RegistrationRefused
from provisioning.domain.masking import parse
from provisioning.domain.registration import TableSource
from provisioning.service import catalogue
from tests.unit.provisioning.world import CSV, World
from workbench.commands.delivery import recipe_in
from workbench.errors import WorkbenchFault


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    yield made
    made.db.close()


def test_a_file_name_with_two_dots_is_refused(world: World) -> None:
    world.file("a.csv")
    sneaky = world.home / "in" / ".." / "in" / "a.csv"
    with pytest.raises(FileRefused, match="goes through"):
        world.register(table=TableSource("people", (sneaky,), unit="id"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "people/../../x", "..", "people;x", 'p"q', "People"])
def test_a_table_name_never_becomes_a_path(world: World, name: str) -> None:
    with pytest.raises(RegistrationRefused):
        world.register(table=TableSource(name, (world.file("a.csv"),), unit="id"))
    assert not list(world.settings.datasets.rglob("*.parquet"))


@pytest.mark.parametrize(
    "name", ["*.csv", "a[b].csv", "a?.csv", "o'brien.csv", "a;b.csv", "名.csv", "a{select}.csv", "a b.csv"]
)
def test_absurd_file_names_are_only_names(world: World, name: str) -> None:
    world.file("other.csv", "id,secret\n9,9\n")
    world.register(table=TableSource("people", (world.file(name),), unit="id"))
    with world.db.read() as c:
        (table,) = catalogue.tables_of(c, "nafld/1")
    assert table.rows == 3


def test_a_state_folder_with_signs_of_patterns_works(tmp_path: Path) -> None:
    made = World(tmp_path / "ho'me [x] *{y}")
    assert made.register() == "nafld/1"
    made.db.close()


def test_a_folder_or_a_missing_file_is_refused(world: World) -> None:
    for path in (world.home, world.home / "missing.csv", Path("/dev/zero")):
        with pytest.raises(FileRefused):
            world.register(table=TableSource("people", (path,), unit="id", format="csv"))


@pytest.mark.parametrize(
    "header",
    [
        'id,"x"" FROM read_text(\'/etc/passwd\')--"',
        "id,x'); DROP TABLE people--",
        "id,x\\",
        "id,`x`",
        "id,a;b",
        "id,\u202ex",
    ],
)
def test_headers_with_words_for_the_database_are_refused(world: World, header: str) -> None:
    with pytest.raises(RegistrationRefused):
        world.register(content=f"{header}\n1,2\n")


def test_values_with_words_for_the_database_are_values(world: World) -> None:
    world.register(content="id,x\n1,\"'); ATTACH '/etc/passwd' AS p; --\"\n2,${HOME}\n")
    with world.db.read() as c:
        assert catalogue.tables_of(c, "nafld/1")[0].rows == 2


def test_a_worksheet_bomb_is_refused_before_it_is_unpacked(world: World) -> None:
    path = world.home / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * (64 * 1024 * 1024))
    with pytest.raises(FileRefused, match="absurd size"):
        world.register(table=TableSource("people", (path,), unit="id"))


def test_a_description_of_megabytes_is_refused(world: World) -> None:
    with pytest.raises(RegistrationRefused):
        world.register(description="x" * 5_000_000)


def test_nobody_can_write_into_a_version(world: World) -> None:
    world.register()
    folder = world.settings.datasets / "nafld" / "1"
    assert not [path for path in (folder, *folder.iterdir()) if path.stat().st_mode & 0o222]


def test_the_refusal_shows_no_value_and_no_path(world: World) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        world.register(content=CSV + "9,secret value,MI\n" + "".join(f"{i},{i},x\n" for i in range(10, 60)))
    public = " ".join(refused.value.public().values())
    assert "secret value" not in public
    assert str(world.home) not in public


@pytest.mark.parametrize("name", ["../codes.csv", "/etc/passwd", "..", "deep/codes.csv", "none.csv"])
def test_a_recipe_reads_no_table_of_codes_but_one_beside_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "codes.csv").write_text("code,a\nI10,x\n", "utf-8")
    folder = tmp_path / "recipe"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "codes.csv").write_text("code,a\nI10,x\n", "utf-8")
    rule = {"do": "hierarchy", "file": name, "to": "a", "missing": "refuse"}
    (folder / "recipe.json").write_text(json.dumps({"t": {"columns": {"c": rule}}}), "utf-8")
    with pytest.raises(WorkbenchFault, match="was not read"):
        recipe_in(folder / "recipe.json")


def test_words_of_a_table_of_codes_stay_words(world: World) -> None:
    hostile = "x'); DROP TABLE t; --"
    content = f'code,"a""b; --"\nI10,{hostile}\n'.encode()
    rule = {"do": "hierarchy", "file": "c'.csv", "to": 'a"b; --', "missing": hostile}
    recipes = parse(json.dumps({"people": {"columns": {"event": rule}}}), lambda _: content)
    world.project()
    world.register(content="id,age,event\n1,50,I10\n2,61,Z99\n", recipes=recipes, project="liver")
    with world.opened() as folder, duckdb.connect() as connection:
        assert {row[2] for row in connection.read_parquet(str(folder / "people.parquet")).fetchall()} == {hostile}
