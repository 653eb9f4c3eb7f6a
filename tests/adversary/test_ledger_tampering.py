"""Somebody with the database file, but without the key, changes one thing: verification names the very entry."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from installation.settings import Settings
from ledger.entry import Entry, encode
from ledger.errors import LedgerFault
from ledger.merkle import leaf_hash
from ledger.verify import Damage
from store import evidence
from store.database import Database
from store.schema import person

SIZE, VICTIM = 12, 5
AT = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("original")
    db = Database.open(Settings(home=home))
    for i in range(SIZE):
        with db.transaction(AT) as t:
            t.execute(insert(person).values(name=f"p{i}", uid=i))
            t.record(Entry("person.added", "adam", {"person": f"p{i}", "project": "liver"}, {"uid": i}))
    db.close()
    return home


FORGED = encode(
    Entry("person.added", "mallory", {"person": "p5", "project": "liver"}, {"uid": 5}),
    seq=VICTIM,
    time="2026-11-23T00:00:00.000000Z",
)
ATTACKS = {
    "the body": ("UPDATE ledger_entry SET body = ? WHERE seq = 5", [FORGED], VICTIM, Damage.BODY),
    "body and hash": (
        "UPDATE ledger_entry SET body = ?, leaf_hash = ?, actor = 'mallory' WHERE seq = 5",
        [FORGED, leaf_hash(FORGED)],
        VICTIM,
        Damage.TREE,
    ),
    "one byte": (
        "UPDATE ledger_entry SET body = CAST(replace(CAST(body AS TEXT), 'adam', 'adaM') AS BLOB) WHERE seq = 5",
        [],
        VICTIM,
        Damage.BODY,
    ),
    "the shown actor": ("UPDATE ledger_entry SET actor = 'ana' WHERE seq = 5", [], VICTIM, Damage.BESIDE),
    "the shown kind": ("UPDATE ledger_entry SET kind = 'person.removed' WHERE seq = 5", [], VICTIM, Damage.BESIDE),
    "the shown time": ("UPDATE ledger_entry SET time = '2020' WHERE seq = 5", [], VICTIM, Damage.BESIDE),
    "the subject": (
        "UPDATE ledger_subject SET name = 'heart' WHERE seq = 5 AND noun = 'project'",
        [],
        VICTIM,
        Damage.BESIDE,
    ),
    "a subject less": ("DELETE FROM ledger_subject WHERE seq = 5", [], VICTIM, Damage.BESIDE),
    "a subject more": ("INSERT INTO ledger_subject VALUES (5, 'request', 'R-1')", [], VICTIM, Damage.BESIDE),
    "the tree": (
        "UPDATE ledger_entry SET frontier = zeroblob(length(frontier)) WHERE seq = 5",
        [],
        VICTIM,
        Damage.BESIDE,
    ),
    "a borrowed checkpoint": (
        "UPDATE ledger_entry SET checkpoint = (SELECT checkpoint FROM ledger_entry WHERE seq = 6) WHERE seq = 5",
        [],
        VICTIM,
        Damage.TREE,
    ),
    "no checkpoint": ("UPDATE ledger_entry SET checkpoint = '' WHERE seq = 5", [], VICTIM, Damage.UNSIGNED),
    "an entry less": ("DELETE FROM ledger_entry WHERE seq = 5", [], VICTIM, Damage.GAP),
    "the first less": ("DELETE FROM ledger_entry WHERE seq = 0", [], 0, Damage.GAP),
    "all moved up": ("UPDATE ledger_entry SET seq = seq + 100 WHERE seq >= 5", [], VICTIM, Damage.GAP),
    "a body of another type": ("UPDATE ledger_entry SET body = 'text' WHERE seq = 5", [], VICTIM, None),
}


@pytest.mark.parametrize(("statement", "values", "first_bad", "damage"), ATTACKS.values(), ids=ATTACKS.keys())
def test_the_altered_entry_is_named(
    original: Path, tmp_path: Path, statement: str, values: list[bytes], first_bad: int, damage: Damage | None
) -> None:
    home = tmp_path / "copy"
    shutil.copytree(original, home)
    with sqlite3.connect(home / "glovebox.sqlite") as raw:
        raw.execute(statement, values)
    raw.close()
    db = Database.open(Settings(home=home))
    report = evidence.verify(db)
    db.close()
    assert (report.ok, report.first_bad) == (False, first_bad), report.message
    assert damage in (None, report.damage), report.message


def test_the_end_cut_off_is_found_by_whoever_kept_a_checkpoint(original: Path, tmp_path: Path) -> None:
    home, kept = tmp_path / "copy", tmp_path / "kept"
    shutil.copytree(original, home)
    db = Database.open(Settings(home=home))
    assert evidence.verify(db, kept=kept).ok
    with sqlite3.connect(home / "glovebox.sqlite") as raw:
        raw.execute("DELETE FROM ledger_subject WHERE seq >= 9")
        raw.execute("DELETE FROM ledger_entry WHERE seq >= 9")
    raw.close()
    assert evidence.verify(db).ok
    report = evidence.verify(db, kept=kept)
    assert (report.ok, report.first_bad, report.damage) == (False, 9, Damage.TRUNCATED)
    db.close()


def test_a_damaged_database_file_is_said_plainly(original: Path, tmp_path: Path) -> None:
    home = tmp_path / "copy"
    shutil.copytree(original, home)
    db = Database.open(Settings(home=home))
    path = home / "glovebox.sqlite"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    report = evidence.verify(db)
    db.close()
    assert (report.ok, report.damage) == (False, Damage.UNREADABLE)


def test_a_file_of_kept_checkpoints_with_something_else_in_it_is_refused(original: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("something else\n")
    db = Database.open(Settings(home=original))
    with pytest.raises(LedgerFault) as refused:
        evidence.verify(db, kept=kept)
    assert "kept" in refused.value.what
    db.close()
