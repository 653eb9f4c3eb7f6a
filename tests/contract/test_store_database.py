# ruff: noqa: PT012 - what must fail is the transaction as a whole
"""The same promises on SQLite and on a real PostgreSQL: change and evidence together, in order, without gaps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from installation.settings import Settings
from ledger.entry import Entry
from ledger.errors import EntryRefused
from ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from ledger.note import open_checkpoint
from ledger.verify import Damage
from store import evidence
from store.database import Database, Transaction
from store.errors import StatementRefused, StoreBusy, Unevidenced
from store.schema import ledger_entry, ledger_subject, person

AT = datetime(2026, 11, 23, 22, 35, tzinfo=UTC)


@pytest.fixture
def settings(stored: Settings) -> Settings:
    return stored


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    opened = Database.open(settings)
    yield opened
    opened.close()


def entry(name: str = "ana") -> Entry:
    return Entry("person.added", "adam", {"person": name}, {"by": "test"})


def add(t: Transaction, name: str, uid: int) -> int:
    t.execute(insert(person).values(name=name, uid=uid))
    return t.record(entry(name))


def people(db: Database) -> list[str]:
    with db.read() as c:
        return list(c.execute(select(person.c.name).order_by(person.c.uid)).scalars())


def fill(db: Database, count: int) -> None:
    for i in range(count):
        with db.transaction(AT) as t:
            add(t, f"p{i}", i)


CHANGES = {
    "insert": insert(person).values(name="x", uid=99),
    "returning": insert(person).values(name="x", uid=99).returning(person.c.uid),
    "update": update(person).values(uid=person.c.uid + 1),
    "delete": delete(person),
    "from select": insert(person).from_select(["name", "uid"], select(func.max("x"), func.count() + 50)),
    "text": text("INSERT INTO person (name, uid) VALUES ('x', 99)"),
    "comment first": text("/* SELECT */ -- so\n  delete from person"),
    "with": text("WITH a AS (SELECT 1) UPDATE person SET uid = uid + 1"),
    "text returning": text("UPDATE person SET uid = uid + 1 RETURNING uid"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_without_an_entry_is_rolled_back(db: Database, change: object) -> None:
    fill(db, 1)
    with pytest.raises(Unevidenced) as refused, db.transaction(AT) as t:
        t.execute(change)  # type: ignore[arg-type]
    assert "no ledger entry" in refused.value.why
    assert "person" in (refused.value.private or "")
    assert "person" not in str(refused.value.public())
    assert people(db) == ["p0"]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_same_change_with_an_entry_is_kept(db: Database, change: object) -> None:
    fill(db, 1)
    with db.transaction(AT) as t:
        t.execute(change)  # type: ignore[arg-type]
        t.record(entry())
    assert evidence.verify(db).size == 2


NO_CHANGES = {
    "nothing": None,
    "select": select(person),
    "no row matches": update(person).where(person.c.name == "nobody").values(uid=7),
    "no row returned": update(person).where(person.c.name == "nobody").values(uid=7).returning(person.c.uid),
    "nothing deleted": text("DELETE FROM person WHERE uid = -1"),
}


@pytest.mark.parametrize("statement", NO_CHANGES.values(), ids=NO_CHANGES.keys())
def test_an_entry_without_a_change_is_rolled_back(db: Database, statement: object) -> None:
    fill(db, 1)
    with pytest.raises(Unevidenced) as refused, db.transaction(AT) as t:
        if statement is not None:
            t.execute(statement)  # type: ignore[call-overload]
        t.record(entry())
    assert "no change" in refused.value.why
    assert evidence.verify(db).size == 1


@pytest.mark.parametrize("statement", NO_CHANGES.values(), ids=NO_CHANGES.keys())
def test_no_change_needs_no_entry(db: Database, statement: object) -> None:
    with db.transaction(AT) as t:
        if statement is not None:
            t.execute(statement)  # type: ignore[call-overload]
    assert evidence.verify(db).size == 0


@pytest.mark.parametrize(
    "statement",
    [
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "SAVEPOINT a",
        "DROP TABLE person",
        "CREATE TABLE a (b INTEGER)",
        "ALTER TABLE person ADD COLUMN a TEXT",
        "PRAGMA foreign_keys = OFF",
        "ATTACH ':memory:' AS a",
        "VACUUM",
        "/**/ PRAGMA synchronous = OFF",
        "",
        "DELETE FROM ledger_entry",
        "UPDATE ledger_subject SET name = 'x'",
        "UPDATE schema_version SET version = 2",
        "WITH a AS (SELECT 1) DELETE FROM Ledger_Entry",
    ],
)
def test_what_could_end_or_evade_the_transaction_is_not_run(db: Database, statement: str) -> None:
    fill(db, 2)
    with pytest.raises(StatementRefused), db.transaction(AT) as t:
        add(t, "x", 9)
        t.execute(text(statement))
    assert people(db) == ["p0", "p1"]
    assert evidence.verify(db).size == 2


@pytest.mark.parametrize("table", [ledger_entry, ledger_subject])
def test_the_ledger_is_written_by_recording_only(db: Database, table: object) -> None:
    fill(db, 1)
    with pytest.raises(StatementRefused), db.transaction(AT) as t:
        t.execute(delete(table))  # type: ignore[arg-type]


def test_an_exception_takes_everything_back(db: Database) -> None:
    with pytest.raises(KeyError), db.transaction(AT) as t:
        add(t, "x", 1)
        raise KeyError
    with pytest.raises(EntryRefused), db.transaction(AT) as t:
        add(t, "x", 1)
        t.record(Entry("person.added", "adam", {"person": "x"}, {"share": 0.5}))
    assert people(db) == []
    fill(db, 1)
    assert evidence.verify(db).ok


def test_a_swallowed_error_does_not_smuggle_a_half_entry_in(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((Unevidenced, SQLAlchemyError)), db.transaction(AT) as t:
        t.execute(insert(person).values(name="x", uid=1))
        with monkeypatch.context() as patch:
            patch.setattr("store.transaction.insert", lambda _: insert(ledger_subject).values(seq=-1, noun=None))
            with pytest.raises(SQLAlchemyError):
                t.record(entry())
    assert people(db) == []


def test_a_constraint_holds_and_is_told_apart(db: Database) -> None:
    fill(db, 1)
    with pytest.raises(IntegrityError), db.transaction(AT) as t:
        add(t, "p0", 5)


def test_a_time_without_a_zone_is_no_evidence(db: Database) -> None:
    with pytest.raises(ValueError, match="zone"), db.transaction(datetime(2026, 11, 23)):  # noqa: DTZ001 - the point
        pass


def test_times_are_utc(db: Database) -> None:
    with db.transaction(AT.astimezone(timezone(timedelta(hours=8)))) as t:
        assert t.at == "2026-11-23T22:35:00.000000Z"


def test_a_finished_transaction_does_nothing_more(db: Database) -> None:
    with db.transaction(AT) as t:
        add(t, "x", 1)
    with pytest.raises(Exception, match=r"over|closed"):
        t.execute(delete(person))
    assert people(db) == ["x"]


def test_a_second_transaction_in_one_thread_is_refused_at_once(db: Database) -> None:
    with db.transaction(AT) as t:
        add(t, "x", 1)
        with pytest.raises(RuntimeError), db.transaction(AT):
            pass
    assert people(db) == ["x"]


def test_reading_cannot_write(db: Database) -> None:
    with pytest.raises(DBAPIError), db.read() as c:
        c.execute(insert(person).values(name="x", uid=1))
    with pytest.raises(DBAPIError), db.read() as c:
        c.execute(text("DELETE FROM ledger_entry"))


def test_a_reader_keeps_its_snapshot_while_others_write(db: Database) -> None:
    fill(db, 1)
    with db.read() as c:
        assert c.execute(select(func.count()).select_from(person)).scalar() == 1
        with db.transaction(AT) as t:
            add(t, "later", 9)
        assert c.execute(select(func.count()).select_from(person)).scalar() == 1
    assert people(db) == ["p0", "later"]


def test_several_entries_and_their_receipts_are_one_commit(db: Database) -> None:
    fill(db, 5)
    with db.transaction(AT) as t:
        numbers = [add(t, "a", 10), add(t, "b", 11), t.record(entry("c"))]
        receipts = [t.receipt(n) for n in numbers]
    assert numbers == [5, 6, 7]
    for made in receipts:
        head = open_checkpoint(made.checkpoint, db.verifier)
        assert head.size == made.seq + 1
        verify_inclusion(leaf_hash(made.body), made.seq, head.size, made.path, head.root)


def test_a_writer_in_another_process_that_does_not_finish_is_reported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("store.database.WAIT_SECONDS", "store.turn.WAIT_SECONDS"):
        monkeypatch.setattr(name, 1)
    monkeypatch.setattr("store.engine.SQLITE_PRAGMAS", ("journal_mode = WAL", "busy_timeout = 200"))
    one, two = Database.open(settings), Database.open(settings)
    with one.transaction(AT) as t, ThreadPoolExecutor(1) as pool:
        add(t, "x", 1)

        def wait() -> None:
            with two.transaction(AT):
                raise AssertionError("two writers at once")

        with pytest.raises(StoreBusy):
            pool.submit(wait).result(30)
    assert people(two) == ["x"]
    one.close()
    two.close()


def test_many_writers_leave_no_gap(settings: Settings) -> None:
    one, two = Database.open(settings), Database.open(settings)
    barrier = threading.Barrier(8)

    def work(worker: int) -> None:
        barrier.wait()
        for i in range(12):
            with (one, two)[worker % 2].transaction(AT) as t:
                add(t, f"w{worker}-{i}", worker * 100 + i)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    report = evidence.verify(one)
    assert (report.ok, report.size) == (True, 96)
    assert len(people(two)) == 96
    one.close()
    two.close()


def test_entries_are_found_and_proved(db: Database) -> None:
    fill(db, 23)
    with db.read() as c:
        head = open_checkpoint(evidence.checkpoint(c) or "", db.verifier)
        assert [r.seq for r in evidence.entries(c, evidence.Wanted(limit=3))] == [22, 21, 20]
        assert [r.seq for r in evidence.entries(c, evidence.Wanted(subject=("person", "p7")))] == [7]
        assert [r.seq for r in evidence.entries(c, evidence.Wanted(actor="adam", kind="person.added", before=2))] == [
            1,
            0,
        ]
        assert evidence.entries(c, evidence.Wanted(actor="ana")) == []
        recorded, note = evidence.show(c, 7)
        assert recorded.entry == entry("p7")
        old = open_checkpoint(note, db.verifier)
        proof = evidence.consistency(c, 8, 23)
        verify_consistency(8, 23, proof, old.root, head.root)
        for size in (None, 20):
            made = evidence.receipt(c, 7, size)
            tree = open_checkpoint(made.checkpoint, db.verifier)
            assert tree.size == (size or 23)
            verify_inclusion(leaf_hash(made.body), 7, tree.size, made.path, tree.root)


def test_an_export_says_what_the_database_says(db: Database, tmp_path: Path) -> None:
    fill(db, 12)
    path = tmp_path / "ledger.jsonl"
    assert evidence.export(db, path) == 12
    assert evidence.verify_file(path, db.verifier) == evidence.verify(db)


def test_the_next_verification_remembers_the_last(db: Database, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    fill(db, 3)
    assert evidence.verify(db, kept=kept).ok
    with db.transaction(AT) as t:
        add(t, "later", 99)
    assert evidence.verify(db, kept=kept).ok
    assert evidence.verify(db, kept=kept).ok
    assert len(evidence.read_kept(kept)) == 2
    path = tmp_path / "cut.jsonl"
    evidence.export(db, path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert evidence.verify_file(path, db.verifier).ok
    assert evidence.verify_file(path, db.verifier, kept=kept).damage is Damage.TRUNCATED
