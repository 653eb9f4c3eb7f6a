"""From a file to an immutable version, with the real engine: what is read, what is refused, and what is left behind."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from provisioning.domain.errors import FileRefused, ProvisioningFault, RegistrationRefused, RowsRefused
from provisioning.domain.registration import TableSource
from provisioning.intake.engine import engine
from provisioning.intake.masking import anonymity
from provisioning.service import catalogue
from store import schema
from tests.unit.provisioning.world import CSV, START, World
from vault import Vault
from workbench.runtime import doctor


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    yield made
    made.db.close()


def stored(world: World, version: str = "nafld/1", table: str = "people") -> list[tuple[Any, ...]]:
    with world.opened(version) as folder, duckdb.connect() as connection:
        return connection.read_parquet(str(folder / f"{table}.parquet")).fetchall()


def types(world: World, version: str = "nafld/1") -> dict[str, str]:
    with world.db.read() as c:
        (table,) = catalogue.tables_of(c, version)
    return {column.name: column.type for column in table.columns}


def nothing_is_left(world: World) -> None:
    """No version, no entry, no folder."""
    assert world.rows(schema.dataset_version) == 0
    assert world.rows(schema.dataset) == 0
    assert world.entries() == []
    folder = world.settings.datasets
    assert [path for path in folder.rglob("*") if path.is_file()] == []


# -- what is read -----------------------------------------------------------------------------------------------------
def test_a_csv_becomes_an_immutable_version(world: World) -> None:
    assert world.register() == "nafld/1"
    assert stored(world) == [(1, 50, "MI"), (2, 61, None), (3, 47, "death")]
    folder = world.settings.datasets / "nafld/1"
    assert sorted(path.name for path in folder.iterdir()) == ["key.json", "people.parquet.sealed"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o400}
    assert folder.stat().st_mode & 0o777 == 0o500
    with world.db.read() as c:
        (table,) = catalogue.tables_of(c, "nafld/1")
    with world.opened() as opened:
        plain = (opened / "people.parquet").read_bytes()
        assert (opened / "people.parquet").stat().st_mode & 0o777 == 0o444
    assert (table.rows, table.unit, table.bytes) == (3, "id", len(plain))
    assert table.digest == hashlib.sha256(plain).hexdigest()


def test_the_record_names_what_came_in(world: World) -> None:
    world.register()
    (entry,) = world.entries("dataset.registered")
    assert entry["subject"] == {"dataset": "nafld", "version": "nafld/1"}
    (table,) = entry["facts"]["tables"]
    assert table["sources"] == [
        {"name": "people.csv", "bytes": len(CSV), "sha256": hashlib.sha256(CSV.encode()).hexdigest()}
    ]


def test_a_new_delivery_is_a_new_version_and_the_old_one_stays(world: World) -> None:
    world.register()
    assert world.register(content=CSV + "4,33,\n") == "nafld/2"
    assert (len(stored(world)), len(stored(world, "nafld/2"))) == (3, 4)


def test_the_same_delivery_twice_is_refused(world: World) -> None:
    world.register()
    with pytest.raises(RegistrationRefused) as refused:
        world.register()
    assert "nafld/1" in refused.value.why
    assert world.rows(schema.dataset_version) == 1


@pytest.mark.parametrize(
    "changes", [{"classification": 2}, {"stewards": ("stan",)}, {"title": "Other"}, {"provider": "Somebody"}]
)
def test_a_new_version_does_not_change_the_dataset_in_passing(world: World, changes: dict[str, Any]) -> None:
    world.register()
    with pytest.raises(RegistrationRefused) as refused:
        world.register(content=CSV + "4,33,\n", **changes)
    assert next(iter(changes)) in refused.value.why


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_dialects(world: World, delimiter: str, newline: str) -> None:
    text = CSV.replace(",", delimiter).replace("\n", newline)
    world.register(content=text)
    assert stored(world) == [(1, 50, "MI"), (2, 61, None), (3, 47, "death")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_and_chinese_headers(world: World, encoding: str) -> None:
    text = "编号,姓名,年龄\n1,张三,50\n2,李四,61\n3,欧阳修,47\n"
    world.register(table=world.table(text.encode(encoding), unit="编号"))
    assert stored(world) == [(1, "张三", 50), (2, "李四", 61), (3, "欧阳修", 47)]
    assert list(types(world)) == ["编号", "姓名", "年龄"]


def test_latin_letters_are_not_taken_for_chinese(world: World) -> None:
    text = "id,name,city\n1,Jürgen Müller,Köln\n2,Zoë,Łódź\n".replace("Łódź", "Mâcon")
    with pytest.raises(FileRefused) as refused:
        world.register(content=text.encode("latin-1"))
    assert "encoding" in refused.value.do
    world.register(table=world.table(text.encode("latin-1"), encoding="latin-1"))
    assert stored(world)[0] == (1, "Jürgen Müller", "Köln")


def test_quotes_and_line_breaks_inside_values(world: World) -> None:
    world.register(content='id,note\n1,"a ""b"", c"\n2,"two\nlines"\n3,plain\n')
    assert stored(world) == [(1, 'a "b", c'), (2, "two\nlines"), (3, "plain")]


def test_names_of_things_stay_text(world: World) -> None:
    world.register(
        content="id,zip,card,when,share,yes\n1,01067,6222021234567890123,2026-01-02,0.5,true\n2,10115,6222021234567890124,2026-01-03,1,false\n"
    )
    assert types(world) == {
        "id": "BIGINT",
        "zip": "VARCHAR",
        "card": "VARCHAR",
        "when": "DATE",
        "share": "DOUBLE",
        "yes": "BOOLEAN",
    }
    assert stored(world)[0][1:3] == ("01067", "6222021234567890123")


def test_whole_numbers_with_fractions_far_below_are_numbers(world: World) -> None:
    rows = "".join(f"{i},{i % 90}\n" for i in range(1, 120_001))
    world.register(content=f"id,age\n{rows}120001,50.5\n")
    assert types(world)["age"] == "DOUBLE"
    assert len(stored(world)) == 120_001


def test_long_whole_numbers_far_below_are_not_rounded(world: World) -> None:
    """An eighteen-digit number has no exact fraction-carrying form, so that its column must be named as text."""
    rows = "".join(f"{i},{i % 90}\n" for i in range(1, 120_001))
    content = f"id,code\n{rows}120001,110101199003074514\n"
    with pytest.raises(FileRefused, match="more digits"):
        world.register(content=content)
    world.register(table=world.table(content, types={"code": "VARCHAR"}))
    assert stored(world)[-1] == (120_001, "110101199003074514")


def test_a_given_whole_number_is_exact(world: World) -> None:
    world.register(table=world.table("id,code\n1,110101199003074514\n2,\n", types={"code": "BIGINT"}))
    assert stored(world) == [(1, 110101199003074514), (2, None)]
    with pytest.raises(FileRefused, match="not whole"):
        world.register("second", table=world.table("id,code\n1,1.5\n", types={"code": "BIGINT"}))


def test_texts_that_mean_missing(world: World) -> None:
    world.register(table=world.table("id,age\n1,50\n2,NA\n3,61\n", nulls=("", "NA")))
    assert stored(world) == [(1, 50), (2, None), (3, 61)]


def test_several_files_are_one_table(world: World) -> None:
    files = (world.file("a.csv", CSV), world.file("b.csv", "id;age;event\n4;33;\n"))
    world.register(table=TableSource("people", files, unit="id"))
    assert [row[0] for row in stored(world)] == [1, 2, 3, 4]


def parquet(world: World, select: str) -> Path:
    path = world.file("people.parquet", "")
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


def test_parquet(world: World) -> None:
    path = parquet(world, "SELECT 1 AS id, 50::SMALLINT AS age, DATE '2026-01-02' AS seen, 1.5::DECIMAL(9,2) AS dose")
    world.register(table=TableSource("people", (path,), unit="id"))
    assert types(world) == {"id": "INTEGER", "age": "SMALLINT", "seen": "DATE", "dose": "DECIMAL(9,2)"}


def test_nested_values_are_refused(world: World) -> None:
    path = parquet(world, "SELECT 1 AS id, [1, 2] AS list")
    with pytest.raises(RegistrationRefused, match="single values"):
        world.register(table=TableSource("people", (path,), unit="id"))
    nothing_is_left(world)


def test_json_lines(world: World) -> None:
    path = world.file("people.jsonl", '{"id": 1, "age": 50}\n{"id": 2, "age": null}\n')
    world.register(table=TableSource("people", (path,), unit="id"))
    assert stored(world) == [(1, 50), (2, None)]


def test_sqlite(world: World) -> None:
    path = world.file("delivery.sqlite", "")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (id, name, age)")
        connection.executemany("INSERT INTO people VALUES (?, ?, ?)", [(1, "", 50), (2, None, 61.5), (3, 'a"b', None)])
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    world.register(table=TableSource("people", (path,), unit="id"))
    assert stored(world) == [(1, "", 50.0), (2, None, 61.5), (3, 'a"b', None)]
    with pytest.raises(RegistrationRefused, match="holds no table"):
        world.register("second", table=TableSource("people", (path,), unit="id", sheet="nothing"))


def test_duckdb(world: World) -> None:
    path = world.settings.home / "in.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE people AS SELECT i AS id, 'x' AS name FROM range(5) t(i)")
    world.register(table=TableSource("people", (path,), unit="id"))
    assert len(stored(world)) == 5


def test_excel(world: World) -> None:
    from datetime import datetime

    path = world.file("people.xlsx", "")
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["编号", "姓名", "日期", None], [1, "张三", datetime(2026, 1, 2)], [], [2, None, datetime(2026, 1, 3)]):  # noqa: DTZ001
        sheet.append(row)
    book.save(path)
    world.register(table=TableSource("people", (path,), unit="编号"))
    assert [row[:2] for row in stored(world)] == [(1, "张三"), (2, None)]
    assert types(world)["日期"] == "DATE"


# -- what is refused --------------------------------------------------------------------------------------------------
BROKEN = "id,age,event\n1,50,MI\n2,old,MI\n3,61,MI,9\n4,7\n" + "".join(f"{i},{i},x\n" for i in range(5, 60))


def test_rows_that_cannot_be_read_stop_the_registration_with_their_lines(world: World) -> None:
    with pytest.raises(RowsRefused) as refused:
        world.register(content=BROKEN)
    assert [(row.line, row.column) for row in refused.value.rows] == [(3, "age"), (4, None), (5, None)]
    assert "line 3, column age: is not a whole number" in refused.value.why
    assert "old" not in str(refused.value)
    nothing_is_left(world)


def test_a_quote_that_does_not_end_is_named(world: World) -> None:
    with pytest.raises(RowsRefused) as refused:
        world.register(content='id,event\n1,MI\n2,"MI\n3,MI\n')
    assert refused.value.rows[0].line == 3
    nothing_is_left(world)


def test_bytes_that_are_not_the_encoding_are_named_by_line(world: World) -> None:
    rows = b"".join(b"%d,plain text\n" % i for i in range(90_000))
    with pytest.raises(FileRefused) as refused:
        world.register(content=b"id,name\n" + rows + b"90001,\xff\xfe\xfa\n")
    assert "90002" in refused.value.why
    nothing_is_left(world)


def test_broken_gb18030_is_named_by_line(world: World) -> None:
    text = "编号,姓名\n" + "".join(f"{i},张三丰\n" for i in range(200_000))
    with pytest.raises(FileRefused) as refused:
        world.register(table=world.table(text.encode("gb18030") + b"7,\xff\xff\n", unit="编号"))
    assert "200002" in refused.value.why
    nothing_is_left(world)


def refusals() -> dict[str, tuple[bytes, dict[str, Any], str]]:
    return {
        "an empty file": (b"", {}, "empty"),
        "a header alone": (b"id,age\n", {}, "no rows"),
        "columns of one name": (b"id,age,AGE\n1,2,3\n", {}, "both named"),
        "a column without name": (b"id,,x\n1,2,3\n", {}, "no name"),
        "a missing unit column": (b"person_id,age\n1,2\n", {}, "no column"),
        "an empty unit": (CSV.encode() + b",44,MI\n", {}, "do not say whom"),
        "a blank unit": (b"id,age\na,1\n ,2\n", {}, "do not say whom"),
        "a binary file": (b"\x7fELF\0\0\0\0\1,2\n", {}, "cannot be read"),
        "an unknown encoding": (CSV.encode(), {"encoding": "klingon"}, "cannot be read"),
        "an unknown type": (CSV.encode(), {"types": {"age": "BLOB"}}, "cannot be used"),
        "a type for no column": (CSV.encode(), {"types": {"size": "BIGINT"}}, "cannot be used"),
        "text for a number": (CSV.encode(), {"types": {"event": "BIGINT"}}, "not whole"),
        "no parquet at all": (CSV.encode(), {"format": "parquet"}, "cannot be read"),
        "no database at all": (CSV.encode() * 50, {"format": "duckdb"}, "cannot be read"),
        "no sqlite at all": (CSV.encode() * 50, {"format": "sqlite"}, "cannot be read"),
        "no worksheet at all": (CSV.encode(), {"format": "excel"}, "cannot be read"),
        "broken json": (b'{"id": 1}\n{"id": \n', {"format": "jsonl"}, "cannot be read"),
    }


@pytest.mark.parametrize("case", refusals())
def test_bad_files_are_refused_in_three_parts_and_leave_nothing(world: World, case: str) -> None:
    content, changes, word = refusals()[case]
    with pytest.raises(RegistrationRefused) as refused:
        world.register(table=world.table(content, **changes))
    assert word in str(refused.value)
    assert all(refused.value.public().values())
    assert str(world.home) not in str(refused.value)
    nothing_is_left(world)


def test_a_near_column_is_proposed(world: World) -> None:
    with pytest.raises(RegistrationRefused, match=r"Did you mean id\?"):
        world.register(table=world.table(unit="idd"))


def test_files_with_other_headers_are_not_one_table(world: World) -> None:
    files = (world.file("a.csv", CSV), world.file("b.csv", "id,event,age\n4,,33\n"))
    with pytest.raises(RegistrationRefused, match="differ"):
        world.register(table=TableSource("people", files, unit="id"))
    nothing_is_left(world)


def test_the_second_table_broken_leaves_nothing_of_the_first(world: World) -> None:
    wanted = world.registration()
    both = (*wanted.tables, world.table(BROKEN, name="labs"))
    with pytest.raises(RowsRefused):
        catalogue.register_dataset(
            world.db,
            world.settings,
            world.registration().__class__(**{**wanted.__dict__, "tables": both}),
            actor="adam",
            at=START,
        )
    nothing_is_left(world)


# -- faults -----------------------------------------------------------------------------------------------------------
def test_two_registrations_at_once_are_two_versions(world: World) -> None:
    contents = [CSV + f"{100 + i},{i},x\n" for i in range(4)]
    made = [
        world.registration(table=world.table(content, name="people", files=(world.file(f"d{i}.csv", content),)))
        for i, content in enumerate(contents)
    ]
    with ThreadPoolExecutor(4) as pool:
        ids = list(
            pool.map(lambda r: catalogue.register_dataset(world.db, world.settings, r, actor="adam", at=START), made)
        )
    assert sorted(ids) == [f"nafld/{n}" for n in range(1, 5)]
    for content, version in zip(contents, ids, strict=True):
        assert stored(world, version)[-1][0] == int(content.splitlines()[-1].split(",")[0])


APART = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.provisioning.world import World
world = World(Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
table = world.table(name="people", files=(Path(sys.argv[3]),))
print(world.register(table=table), flush=True)
"""


def test_two_processes_that_register_at_once_make_two_versions(world: World) -> None:
    """No lock inside one process helps here: only what the store and the file system hold between two."""
    import subprocess
    import sys

    checkout = Path(__file__).resolve().parents[2]
    contents = [CSV + f"{100 + i},{i},x\n" for i in range(2)]
    files = [world.file(f"delivery{i}.csv", content) for i, content in enumerate(contents)]
    both = [
        subprocess.Popen(
            [sys.executable, "-c", APART, str(checkout), str(world.home), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
        )
        for file in files
    ]
    try:
        assert [each.stdout.readline() for each in both if each.stdout] == ["ready\n"] * 2
        for each in both:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        ids = [each.communicate(timeout=120)[0].strip() for each in both]
    finally:
        for each in both:
            each.kill()
            each.wait()
    assert [each.returncode for each in both] == [0, 0]
    assert sorted(ids) == ["nafld/1", "nafld/2"]
    assert len(world.entries("dataset.registered")) == 2
    for content, version in zip(contents, ids, strict=True):
        assert stored(world, version)[-1][0] == int(content.splitlines()[-1].split(",")[0])


def test_a_failed_commit_leaves_no_version(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(catalogue, "put_in_place", full)
    with pytest.raises(OSError, match="No space left"):
        world.register()
    nothing_is_left(world)


def test_a_folder_that_a_crash_left_is_in_nobodys_way(world: World) -> None:
    orphan = world.settings.datasets / "nafld/1"
    orphan.mkdir(parents=True)
    (orphan / "half.parquet").write_text("half")
    world.register()
    assert sorted(path.name for path in orphan.iterdir()) == ["key.json", "people.parquet.sealed"]


def test_sweep_removes_what_a_crash_left_and_nothing_else(world: World) -> None:
    world.register()
    for left in ("nafld/2", "gone/1", ".incoming/abc/version"):
        (world.settings.datasets / left).mkdir(parents=True)
    removed = {
        path.relative_to(world.settings.datasets).as_posix() for path in catalogue.sweep(world.db, world.settings) or ()
    }
    assert removed == {"nafld/2", "gone/1", ".incoming/abc"}
    assert len(stored(world)) == 3
    assert catalogue.sweep(world.db, world.settings) == []


CRASH = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from provisioning.service import catalogue
from tests.unit.provisioning.world import World
from vault import sealing
world = World(Path(sys.argv[2]))
def die(*_):
    os.kill(os.getpid(), 9)
def moved(*arguments):
    real(*arguments)
    die()
def half(primitive, source, out, about):
    out.write(source.read(10))
    out.flush()
    die()
real = catalogue.put_in_place
if sys.argv[3] == "key, no file":
    sealing.SealedWriter.pipe = die
elif sys.argv[3] == "key, half a file":
    sealing.seal = half
else:
    catalogue.put_in_place = {"all, not moved": die, "moved, not committed": moved}[sys.argv[3]]
world.register()
"""


@pytest.mark.parametrize("when", ["key, no file", "key, half a file", "all, not moved", "moved, not committed"])
def test_a_kill_at_the_worst_moment_leaves_no_half_version(world: World, when: str) -> None:
    import subprocess
    import sys

    checkout = Path(__file__).resolve().parents[2]
    died = subprocess.run(
        [sys.executable, "-c", CRASH, str(checkout), str(world.home), when], check=False, cwd=checkout
    )
    assert died.returncode == -9
    assert world.rows(schema.dataset_version) == 0
    left = {path.name for path in world.settings.datasets.rglob("*") if path.is_file() and not path.is_symlink()}
    assert left == ({"key.json"} if when == "key, no file" else {"key.json", "people.parquet.sealed"}), (
        "the moment was missed"
    )
    catalogue.sweep(world.db, world.settings)
    nothing_is_left(world)
    assert world.register() == "nafld/1"


SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from provisioning.service import catalogue
from tests.unit.provisioning.world import World
world = World(Path(sys.argv[2]))
real = getattr(catalogue, sys.argv[3])
def slowly(*arguments):
    real(*arguments)
    print("here", flush=True)
    sys.stdin.readline()
setattr(catalogue, sys.argv[3], slowly)
print(world.register(), flush=True)
"""


@pytest.mark.parametrize(
    "where", ["keep_codes", "put_in_place"]
)  # when all is read; when it is moved and not committed
@pytest.mark.parametrize("ends", ["well", "killed"])
def test_nothing_is_swept_from_another_process_and_what_a_killed_one_left_is(
    world: World, where: str, ends: str
) -> None:
    import subprocess
    import sys

    checkout = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", SLOW, str(checkout), str(world.home), where]
    with subprocess.Popen(command, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "here\n"
        assert catalogue.sweep(world.db, world.settings) is None
        if where == "keep_codes":  # inside the transaction the doctor waits for the database
            assert "is being brought in" in doctor._datasets(world.settings)[1]
        if ends == "well":
            assert other.communicate("go\n", timeout=60)[0] == "nafld/1\n"
        else:
            other.kill()
    said = doctor._datasets(world.settings)[1]
    if ends == "well":
        assert said.startswith("0 left-overs")
        assert Vault(world.settings).can_open("nafld/1")
        assert world.rows(schema.dataset_version) == 1
    else:
        assert not said.startswith("0 left-overs")
        nothing_is_left(world)


def test_what_needs_more_memory_than_there_is_spills_sealed(tmp_path: Path) -> None:
    """Counting people of a table that does not fit: it works, and what lies on the disk meanwhile tells nothing."""
    people = "(SELECT 'person-' || sha256(i::VARCHAR) AS person, i % 7 AS age FROM range(1_000_000) r(i))"
    with engine(tmp_path, memory="100MB") as small:
        found = anonymity(small, people, "person", ["age"], None)
        assert found is not None
        assert (found.people, found.groups) == (1_000_000, 7)
        small.execute(
            f"CREATE TEMP TABLE kept AS SELECT person, 'person-' || md5(person) AS again, sha1(person) AS more FROM {people}"
        )
        spilled = [path for path in (tmp_path / "spill").iterdir() if path.is_file()]
        assert sum(path.stat().st_size for path in spilled) > 10_000_000
        assert not any(b"person-" in path.read_bytes() for path in spilled)


def test_a_row_that_does_not_fit_into_memory_is_said_plainly(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "engine", functools.partial(engine, memory="20MB"))
    with pytest.raises(ProvisioningFault, match="more memory than a registration has"):
        world.register(content="id,note\n" + "".join(f"{i},{'x' * 1000}\n" for i in range(40_000)))
    nothing_is_left(world)


def test_a_full_disk_in_the_middle_is_said_plainly(world: World, tmp_path: Path) -> None:
    """A real full file system: a small tmpfs under the datasets."""
    import subprocess

    world.settings.datasets.mkdir(parents=True)
    if os.geteuid() != 0:
        pytest.fail("this test mounts a tmpfs, so that it runs as root only")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(world.settings.datasets)], check=True)
    try:
        rows = "".join(f"{i},{hashlib.sha256(str(i).encode()).hexdigest()}\n" for i in range(60_000))
        with pytest.raises(Exception, match="disk is full") as refused:
            world.register(content="id,noise\n" + rows)
        assert "Free some space" in str(refused.value)
        assert world.rows(schema.dataset_version) == 0
        assert [path for path in world.settings.datasets.rglob("*") if path.is_file()] == []
    finally:
        subprocess.run(["umount", str(world.settings.datasets)], check=True)


def test_progress_is_told_before_each_table(world: World) -> None:
    told: list[tuple[str, float, int]] = []
    catalogue.register_dataset(
        world.db, world.settings, world.registration(), actor="adam", at=START, progress=lambda *step: told.append(step)
    )
    assert told[0] == ("people", 0, 1)
    assert all(done < 1 for _, done, _ in told)


def test_progress_goes_on_inside_a_large_table_and_never_back(world: World) -> None:
    rows = "".join(f"{i},{hashlib.sha256(str(i).encode()).hexdigest() * 8}\n" for i in range(200_000))
    told: list[float] = []
    catalogue.register_dataset(
        world.db,
        world.settings,
        world.registration(content="id,noise\n" + rows),
        actor="adam",
        at=START,
        progress=lambda _, done, __: told.append(done),
    )
    assert told[0] == 0
    assert len(told) > 1
    assert told == sorted(set(told))
    assert told[-1] < 1


def test_the_version_does_not_follow_its_source(world: World) -> None:
    world.register()
    shutil.rmtree(world.home / "in")
    assert len(stored(world)) == 3
