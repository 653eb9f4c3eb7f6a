"""Tables of a real PostgreSQL and a real MariaDB become versions; what no rule can hold, a wrong table and a shown password are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from provisioning.domain.errors import FileRefused, RegistrationRefused
from provisioning.domain.registration import TableSource
from tests.unit.provisioning.world import World
from workbench.commands import delivery
from workbench.errors import WorkbenchFault

ROWS = 45_000  # more than two batches


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    yield made
    made.db.close()


@pytest.fixture
def address(postgres: str) -> Iterator[str]:
    server = create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with server.connect() as c:
        c.execute(text("CREATE SCHEMA ward"))
        c.execute(
            text(
                "CREATE TABLE ward.visits AS SELECT i AS id, '张' || i AS 姓名, i / 2.0 AS half, i * 1.5::float8 AS dose, "
                "DATE '2020-01-01' + i % 30 AS seen, TIMESTAMPTZ '2020-01-01 12:00+08' AS at, i % 2 = 0 AS even, "
                "CASE WHEN i % 3 = 0 THEN NULL ELSE i::numeric(12,2) END AS cost "
                f"FROM generate_series(1, {ROWS}) i"
            )
        )
        c.execute(text("ALTER TABLE ward.visits ADD PRIMARY KEY (id)"))
        c.execute(text("CREATE TABLE ward.nested (id int, facts jsonb)"))
    yield postgres
    with server.connect() as c:
        c.execute(text("DROP SCHEMA ward CASCADE"))
    server.dispose()


def source(address: str, table: str = "visits") -> TableSource:
    return TableSource(table, address=address, sheet=f"ward.{table}", unit="id")


def test_a_table_of_a_server_becomes_a_version(world: World, address: str) -> None:
    assert world.register(table=source(address)) == "nafld/1"
    with world.opened() as folder, duckdb.connect() as connection:
        rows = connection.read_parquet(str(folder / "visits.parquet")).order("id")
        assert rows.count("*").fetchall() == [(ROWS,)]
        assert rows.limit(3).fetchall()[1:] == [
            (
                2,
                "张2",
                1.0,
                3.0,
                date(2020, 1, 3),
                datetime(2020, 1, 1, 4, 0, tzinfo=UTC).replace(tzinfo=None),
                True,
                Decimal("2.00"),
            ),
            (
                3,
                "张3",
                1.5,
                4.5,
                date(2020, 1, 4),
                datetime(2020, 1, 1, 4, 0, tzinfo=UTC).replace(tzinfo=None),
                False,
                None,
            ),
        ]
    (entry,) = world.entries("dataset.registered")
    (read,) = entry["facts"]["tables"][0]["sources"]
    assert read["name"] == "postgresql:///postgres#ward.visits"
    assert len(read["sha256"]) == 64


def test_the_same_rows_are_the_same_version(world: World, address: str) -> None:
    world.register(table=source(address))
    with pytest.raises(RegistrationRefused, match="nafld"):
        world.register(table=source(address))


@pytest.mark.parametrize("table", ["nested", "nowhere"])
def test_what_cannot_be_read_from_a_server_leaves_nothing(world: World, address: str, table: str) -> None:
    with pytest.raises(RegistrationRefused) as refused:
        world.register(table=source(address, table))
    assert address not in str(refused.value.public())
    assert world.entries() == []
    assert [path for path in world.settings.datasets.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("address", ["sqlite:///x.db", "postgresql://host", "mysql+other://h/d", "://"])
def test_other_servers_are_refused(world: World, address: str) -> None:
    with pytest.raises(RegistrationRefused):
        world.register(table=TableSource("visits", address=address, unit="id"))


def test_a_server_that_does_not_answer_is_named_without_its_account(world: World) -> None:
    away = TableSource("visits", address="postgresql://ana:secret@/d?host=/nowhere", unit="id")
    with pytest.raises(FileRefused) as refused:
        world.register(table=away)
    assert "secret" not in repr(refused.value.__dict__)


# -- the words of the command ---------------------------------------------------------------------------------------
def words(*places: str) -> tuple[TableSource, ...]:
    options = {"units": ["id"], "types": [], "meanings": []}
    return delivery.tables(places, each_row=False, encoding=None, delimiter=None, nulls=("",), sheet=None, **options)


def test_a_place_is_a_file_a_sheet_or_a_servers_table(tmp_path: Path) -> None:
    odd = tmp_path / "a#b.csv"
    odd.write_text("id\n1\n", "utf-8")
    book, server, file = words("book.xlsx#Labs", "mysql://ana@db/ward#visits", str(odd))
    assert (book.name, book.sheet, book.kind) == ("labs", "Labs", "excel")
    assert (server.name, server.sheet, server.kind, server.files) == ("visits", "visits", "server", ())
    assert file.files == (odd,)


@pytest.mark.parametrize("place", ["postgresql://ana@db/ward", "postgresql://ana:secret@db/ward#visits"])
def test_a_server_without_table_or_with_a_password_is_refused(place: str) -> None:
    with pytest.raises(WorkbenchFault) as refused:
        words(place)
    assert "secret" not in str(refused.value)


def test_a_password_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("p w\n", "utf-8")
    path.chmod(0o644)
    with pytest.raises(WorkbenchFault):
        delivery.password_in(path)
    path.chmod(0o600)
    assert delivery.password_in(path) == "p w"


# -- rows left out ----------------------------------------------------------------------------------------------------
BROKEN = "id,age\n1,50\n2,fifty\n3,47,death\n" + "".join(f"{n},40\n" for n in range(4, 40))


def test_rows_are_left_out_only_by_an_explicit_number_and_on_the_record(world: World) -> None:
    with pytest.raises(RegistrationRefused):
        world.register(table=world.table(BROKEN, leave_out=1))
    world.register(table=world.table(BROKEN, leave_out=2))
    (entry,) = world.entries("dataset.registered")
    (table,) = entry["facts"]["tables"]
    assert table["rows"] == 37
    assert table["rows_left_out"] == 2
    assert [line.split(":")[0] for line in table["left_out"]] == ["line 3, column age", "line 4"]


def test_look_and_add_as_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.cli import app

    monkeypatch.setenv("GLOVEBOX_HOME", str(tmp_path / "home"))
    file = tmp_path / "people.csv"
    file.write_text(BROKEN, "utf-8")
    words = ["dataset", "add", "nafld", str(file), "--by", "adam", "--title", "T", "--description", "D"]
    words += ["--provider", "P", "--level", "3", "--steward", "stella", "--unit", "id", "--json"]
    assert CliRunner().invoke(app, words).exit_code == 1
    done = CliRunner().invoke(app, [*words, "--leave-out", "2"])
    assert json.loads(done.stdout) == {"version": "nafld/1"}
    looked = CliRunner().invoke(app, ["dataset", "look", "nafld/1"])
    assert "people: 37 rows" in looked.stdout
    assert "people.age: age (quasi" in looked.stdout
