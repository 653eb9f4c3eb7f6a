"""Opening a database: what is refused, what is made, who may read it."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from installation.settings import Settings
from ledger import keys
from ledger.entry import Entry
from ledger.note import Signer
from store import evidence
from store.database import LEDGER_NAME, Database
from store.errors import KeyMismatch, SchemaFault, StoreBusy
from store.schema import person

AT = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path / "home")
    db = Database.open(made)
    with db.transaction(AT) as t:
        t.execute(insert(person).values(name="ana", uid=1))
        t.record(Entry("person.added", "adam", {"person": "ana"}))
    db.close()
    return made


def alter(settings: Settings, *statements: str) -> None:
    connection = sqlite3.connect(settings.home / "glovebox.sqlite")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(("version", "word"), [(2, "newer"), (0, "by hand")])
def test_another_schema_version_is_refused_and_left_alone(settings: Settings, version: int, word: str) -> None:
    alter(settings, f"UPDATE schema_version SET version = {version}", "DROP TABLE download")
    with pytest.raises(SchemaFault) as fault:
        Database.open(settings)
    assert word in fault.value.do
    connection = sqlite3.connect(settings.home / "glovebox.sqlite")
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'download'").fetchone() == (0,)
    connection.close()


def test_a_table_that_lacks_a_column_is_named(settings: Settings) -> None:
    alter(settings, "ALTER TABLE release DROP COLUMN revoke_reason")
    with pytest.raises(SchemaFault) as fault:
        Database.open(settings)
    assert "release.revoke_reason" in fault.value.why


def test_a_lost_key_is_not_replaced_by_another(settings: Settings) -> None:
    (settings.secrets / "ledger.key").unlink()
    with pytest.raises(KeyMismatch):
        Database.open(settings)


def test_another_public_key_in_its_place_is_noticed(settings: Settings) -> None:
    (settings.home / "ledger.pub").write_text(f"{Signer(LEDGER_NAME, bytes(32)).verifier}\n")
    with pytest.raises(KeyMismatch) as fault:
        Database.open(settings)
    assert "ledger.pub" in fault.value.why
    (settings.home / "ledger.pub").unlink()
    Database.open(settings).close()


def test_a_ledger_whose_end_was_forged_is_not_appended_to(settings: Settings) -> None:
    alter(settings, "UPDATE ledger_entry SET checkpoint = replace(checkpoint, 'glovebox-ledger', 'forged-ledger')")
    with pytest.raises(KeyMismatch):
        Database.open(settings)


def test_opening_again_finds_what_is_there(settings: Settings) -> None:
    db = Database.open(settings)
    assert evidence.verify(db, verifier=keys.public(settings.home / "ledger.pub")).size == 1
    db.close()


def test_only_the_owner_reads_the_database_and_it_is_durable(settings: Settings) -> None:
    old = os.umask(0)
    try:
        db = Database.open(settings)
        with db.transaction(AT) as t:
            for pragma, value in (("synchronous", 2), ("foreign_keys", 1), ("journal_mode", "wal")):
                query = text(f"SELECT * FROM pragma_{pragma}")
                assert t.execute(query).scalar() == value
        modes = {p.name: p.stat().st_mode & 0o777 for p in settings.home.glob("glovebox.sqlite*")}
        db.close()
    finally:
        os.umask(old)
    assert set(modes) == {"glovebox.sqlite", "glovebox.sqlite-wal", "glovebox.sqlite-shm"}
    assert set(modes.values()) == {0o600}


def test_a_writer_that_hangs_is_reported_as_busy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.engine.BUSY_SECONDS", 0)
    monkeypatch.setattr("store.engine.SQLITE_PRAGMAS", ("busy_timeout = 50",))
    db = Database.open(settings)
    other = sqlite3.connect(settings.home / "glovebox.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy) as fault, db.transaction(AT):
        pass
    assert "locked" in (fault.value.private or "")
    other.close()
    db.close()


def test_a_database_in_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="file"):
        Database.open(Settings(home=tmp_path, database_url="sqlite://"))
