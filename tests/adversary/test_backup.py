"""A backup passes through other hands: what they change is not restored, and what they read is no key."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from installation.settings import Settings
from ledger import keys
from ledger.entry import Entry
from ledger.verify import verify_log
from store.blobs import Blobs
from store.database import LEDGER_NAME, Database
from store.schema import person
from workbench.cli import app
from workbench.errors import WorkbenchFault
from workbench.runtime import backup

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Settings]:
    """A store that a process has open, with a person, a blob and data that is nobody's to copy."""
    settings = Settings(home=tmp_path / "home")
    db = Database.open(settings)
    with db.transaction(AT) as t:
        t.execute(insert(person).values(name="ana", uid=1))
        t.record(Entry("person.added", "adam", {"person": "ana"}))
    Blobs(settings.blobs).put(b"what was decided on")
    (settings.home / "homes").mkdir()
    (settings.home / "homes" / "notes.txt").write_text("plain")
    yield settings
    db.close()


@pytest.fixture
def made(open_store: Settings, tmp_path: Path) -> Path:
    backup.backup(open_store, tmp_path / "copy", tmp_path / "keys.json", AT)
    return tmp_path / "copy"


def fresh(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "elsewhere")


def test_state_ledger_and_evidence_come_back(open_store: Settings, made: Path, tmp_path: Path) -> None:
    done = backup.restore(fresh(tmp_path), made, tmp_path / "keys.json")
    db = Database.open(fresh(tmp_path))
    assert verify_log(db, keys.public(open_store.home / "ledger.pub"), [done.head]).size == done.entries == 1
    with db.read() as c:
        assert c.execute(select(person.c.name)).scalar() == "ana"
    with db.transaction(AT) as t:
        t.execute(insert(person).values(name="bo", uid=2))
        t.record(Entry("person.added", "adam", {"person": "bo"}))
    db.close()
    (blob,) = [path for path in (fresh(tmp_path).blobs / "sha256").rglob("*") if path.is_file()]
    with Blobs(fresh(tmp_path).blobs).open(blob.name) as opened:
        assert opened.read() == b"what was decided on"


def test_it_holds_neither_keys_nor_homes_and_only_its_owner_reads_it(made: Path, tmp_path: Path) -> None:
    held = [path for path in made.rglob("*") if path.is_file()]
    assert not any(b"PRIVATE+KEY" in path.read_bytes() or path.read_bytes() == b"plain" for path in held)
    assert {stat.S_IMODE(path.stat().st_mode) for path in [*held, tmp_path / "keys.json"]} == {0o600}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def _alter_row(copy: Path) -> None:
    connection = sqlite3.connect(copy / "glovebox.sqlite")
    connection.execute("UPDATE person SET name = 'eve'")
    connection.commit()
    connection.close()


def _alter_manifest(copy: Path) -> None:
    note = (copy / backup.MANIFEST).read_text("utf-8")
    (copy / backup.MANIFEST).write_text(note.replace("blobs/", "blobs/../../"), "utf-8")


def _alter_blob(copy: Path) -> None:
    next(path for path in (copy / "blobs").rglob("*") if path.is_file()).write_bytes(b"another")


def _remove_blob(copy: Path) -> None:
    next(path for path in (copy / "blobs").rglob("*") if path.is_file()).unlink()


def _replace_by_own(copy: Path) -> None:
    """Signed throughout, with the key of whoever kept it."""
    theirs = keys.ensure(copy.parent / "theirs.key", LEDGER_NAME)
    digest = backup._digest(copy / "glovebox.sqlite")
    text = f"{backup.FORMAT}\n2026\n{digest}  glovebox.sqlite\n"
    (copy / backup.MANIFEST).write_text(theirs.sign(text), "utf-8")


@pytest.mark.parametrize("attack", [_alter_row, _alter_manifest, _alter_blob, _remove_blob, _replace_by_own])
def test_an_altered_backup_is_not_restored(attack: Callable[[Path], None], made: Path, tmp_path: Path) -> None:
    attack(made)
    with pytest.raises(WorkbenchFault):
        backup.restore(fresh(tmp_path), made, tmp_path / "keys.json")
    assert list(fresh(tmp_path).home.glob("*")) == []


def test_a_ledger_altered_before_the_backup_is_noticed(open_store: Settings, tmp_path: Path) -> None:
    connection = sqlite3.connect(open_store.home / "glovebox.sqlite")
    connection.execute("UPDATE ledger_entry SET actor = 'eve'")
    connection.commit()
    connection.close()
    backup.backup(open_store, tmp_path / "copy", tmp_path / "keys.json", AT)
    with pytest.raises(WorkbenchFault) as refused:
        backup.restore(fresh(tmp_path), tmp_path / "copy", tmp_path / "keys.json")
    assert "Entry 0" in refused.value.why
    assert list(fresh(tmp_path).home.glob("*")) == []


def test_keys_of_another_installation_restore_nothing(made: Path, tmp_path: Path) -> None:
    other = Settings(home=tmp_path / "other")
    Database.open(other).close()
    backup.backup(other, tmp_path / "others", tmp_path / "others.json", AT)
    with pytest.raises(WorkbenchFault) as refused:
        backup.restore(fresh(tmp_path), made, tmp_path / "others.json")
    assert "not signed by this key" in refused.value.why


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"ledger.key": "!"}', '{"../x": "eA=="}', '{"ledger.key": "eA=="}']
)
def test_what_is_no_file_of_keys_is_refused(content: str, made: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(WorkbenchFault):
        backup.restore(fresh(tmp_path), made, tmp_path / "bad.json")
    assert not (tmp_path / "x").exists()


def test_an_installation_is_not_restored_over(open_store: Settings, made: Path, tmp_path: Path) -> None:
    before = (open_store.home / "glovebox.sqlite").read_bytes()
    with pytest.raises(WorkbenchFault) as refused:
        backup.restore(open_store, made, tmp_path / "keys.json")
    assert "already" in refused.value.why
    assert (open_store.home / "glovebox.sqlite").read_bytes() == before


def test_nothing_that_exists_is_written_over(open_store: Settings, made: Path, tmp_path: Path) -> None:
    before = (tmp_path / "keys.json").read_bytes()
    for folder in (made, tmp_path / "second"):
        with pytest.raises(WorkbenchFault):
            backup.backup(open_store, folder, tmp_path / "keys.json", AT)
    assert (tmp_path / "keys.json").read_bytes() == before
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(("folder", "file"), [("copy", "copy/keys.json"), ("home/blobs/copy", "keys.json")])
def test_keys_do_not_lie_in_it_nor_it_in_the_state_folder(
    folder: str, file: str, open_store: Settings, tmp_path: Path
) -> None:
    with pytest.raises(WorkbenchFault):
        backup.backup(open_store, tmp_path / folder, tmp_path / file, AT)
    assert not (tmp_path / folder).exists()


def test_from_the_command_line(open_store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, copy, kept = CliRunner().invoke, str(tmp_path / "copy"), str(tmp_path / "keys.json")
    monkeypatch.setenv("GLOVEBOX_HOME", str(open_store.home))
    assert run(app, ["backup", copy, "--keys", kept]).exit_code == 0
    assert run(app, ["restore", copy, "--keys", kept]).exit_code == 1
    monkeypatch.setenv("GLOVEBOX_HOME", str(tmp_path / "elsewhere"))
    said = run(app, ["restore", copy, "--keys", kept, "--json"])
    assert json.loads(said.stdout)["entries"] == 1, said.output
    assert run(app, ["ledger", "verify"]).exit_code == 0
