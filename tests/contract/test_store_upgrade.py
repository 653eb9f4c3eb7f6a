"""An installation is brought up to the newest schema with its rows and its evidence, or left as it was."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, select, text
from typer.testing import CliRunner

from installation.settings import CHECKOUT, Settings
from ledger import keys
from ledger.entry import Entry, decode
from ledger.verify import verify_log
from store import schema, standing, upgrade
from store.database import Database
from store.engine import writer_engine
from store.errors import KeyMismatch, SchemaFault
from store.turn import begun
from workbench.cli import app
from workbench.runtime import doctor, hub_process, process

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
EARLIER = Path(__file__).with_name("installations") / "before_revisions"  # made by the program of 21 November 2026
ENTRIES = 10


@pytest.fixture
def settings(stored: Settings) -> Settings:
    return stored


@pytest.fixture
def earlier(tmp_path: Path) -> Settings:
    """An installation as an earlier program left it: no revision, fewer tables and columns, people's work in it."""
    home = tmp_path / "earlier"
    (home / "secrets").mkdir(mode=0o700, parents=True)
    (home / "ledger.pub").write_bytes((EARLIER / "ledger.pub").read_bytes())
    key = home / "secrets" / "ledger.key"
    key.touch(0o600)
    key.write_bytes((EARLIER / "ledger.key").read_bytes())
    connection = sqlite3.connect(home / "glovebox.sqlite")
    connection.executescript((EARLIER / "glovebox.sql").read_text("utf-8"))
    connection.execute("PRAGMA journal_mode = WAL")  # a property of the file, which the dump does not tell
    connection.close()
    return Settings(home=home)


def alter(settings: Settings, *statements: str) -> None:
    connection = sqlite3.connect(settings.home / "glovebox.sqlite", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def state(settings: Settings) -> list[str]:
    """Everything that the file holds, as text."""
    connection = sqlite3.connect(settings.home / "glovebox.sqlite")
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The revisions run whole, and then the next one fails."""
    run = upgrade.run_revisions

    def run_and_fail(connection: Connection) -> None:
        run(connection)
        connection.execute(text("INSERT INTO no_such_table VALUES (1)"))

    monkeypatch.setattr(upgrade, "run_revisions", run_and_fail)


def test_a_schema_change_without_a_revision_is_noticed(settings: Settings) -> None:
    """On both databases: all revisions, one after another, come to exactly `store.schema`."""
    engine = writer_engine(_made(settings))
    with begun(engine) as connection:
        schema.metadata.drop_all(connection)
        upgrade.run_revisions(connection)
        assert differences(connection) == []
        schema.metadata.tables["download"].drop(connection)
        assert [d[0] for d in differences(connection)] == ["add_table"]  # type: ignore[index]
    engine.dispose()


def test_the_newest_revision_is_the_schemas_number() -> None:
    assert upgrade.revisions().get_heads() == [schema.REVISION]


def test_an_installation_from_before_revisions_opens_without_a_step(settings: Settings) -> None:
    engine = writer_engine(_made(settings))
    with begun(engine) as connection:
        for table in (schema.alembic_version, schema.preview):  # the table that came last before revisions
            table.drop(connection)
        connection.commit()
    Database.open(settings).close()
    with begun(engine) as connection:
        assert standing.revision(connection) == schema.REVISION
        assert differences(connection) == []
    engine.dispose()


def test_an_earlier_installation_is_not_opened_and_says_what_to_do(earlier: Settings) -> None:
    before = state(earlier)
    with pytest.raises(SchemaFault) as refused:
        Database.open(earlier)
    assert "./glovebox database upgrade" in refused.value.do
    assert state(earlier) == before


def test_an_earlier_installation_keeps_its_rows_and_its_evidence(earlier: Settings) -> None:
    before = state(earlier)
    done = upgrade.upgrade(earlier, "adam", AT)
    db = Database.open(earlier)
    report = verify_log(db, keys.public(EARLIER / "ledger.pub"))
    assert (report.ok, report.size) == (True, ENTRIES + 1), report.message
    last = [decode(leaf.body) for leaf in db.leaves()][-1].entry
    assert (last.kind, last.actor, last.facts["to"]) == ("database.upgraded", "adam", schema.SCHEMA_VERSION)
    assert len(last.facts["steps"]) == 64
    with db.read() as c:
        assert differences(c) == []
        asked = c.execute(select(schema.release_request.c.title).order_by(schema.release_request.c.id)).scalars()
        assert list(asked) == ["Counts", "More"]
        assert c.execute(select(schema.sandbox.c.works_on)).scalar() == "data"
    with db.transaction(AT) as t:  # and work goes on
        t.execute(insert(schema.person).values(name="bo", uid=100003))
        t.record(Entry("person.added", "adam", {"person": "bo"}))
    db.close()
    assert done.copy is not None
    assert stat.S_IMODE(done.copy.stat().st_mode) == 0o600
    copied = sqlite3.connect(done.copy)
    assert list(copied.iterdump()) == before
    copied.close()
    assert upgrade.upgrade(earlier, "adam", AT).entry is None


def test_a_table_is_rebuilt_where_sqlite_can_do_no_other(earlier: Settings) -> None:
    """The form of the first commit: `release_request`, to which others refer, without its idempotency key."""
    connection = sqlite3.connect(earlier.home / "glovebox.sqlite", isolation_level=None)
    (made,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'release_request'").fetchone()
    bare = re.sub(r"\n\s*(client_key TEXT|UNIQUE \(author, client_key\)),\s*", "\n", made)
    assert "client_key" not in bare
    names = [row[1] for row in connection.execute("PRAGMA table_info(release_request)") if row[1] != "client_key"]
    connection.execute(bare.replace("TABLE release_request", "TABLE bare"))
    connection.execute(f"INSERT INTO bare SELECT {', '.join(names)} FROM release_request")
    connection.execute("DROP TABLE release_request")
    connection.execute("ALTER TABLE bare RENAME TO release_request")
    connection.close()
    upgrade.upgrade(earlier, "adam", AT)
    db = Database.open(earlier)
    with db.read() as c:
        assert differences(c) == []
        unique = inspect(c).get_unique_constraints("release_request")
        assert ["author", "client_key"] in [u["column_names"] for u in unique]
        assert c.exec_driver_sql("SELECT count(*) FROM request_item").scalar() == 1
    assert verify_log(db, db.verifier).ok
    db.close()


def test_a_step_that_fails_leaves_the_old_database(earlier: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(earlier)
    failing(monkeypatch)
    with pytest.raises(SchemaFault) as refused:
        upgrade.upgrade(earlier, "adam", AT)
    assert "rolled back" in refused.value.why
    assert state(earlier) == before
    assert list(earlier.home.glob("*.schema-*")) == []
    monkeypatch.undo()
    assert upgrade.upgrade(earlier, "adam", datetime(2026, 11, 26, 13, tzinfo=UTC)).entry == ENTRIES


def test_a_step_that_fails_leaves_postgresql_as_it_was(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = writer_engine(_made(settings))
    with begun(engine) as connection:
        for table in (schema.alembic_version, schema.download):
            table.drop(connection)
        connection.execute(text("ALTER TABLE release DROP COLUMN revoke_reason"))
        connection.commit()
    monkeypatch.setattr(upgrade, "_require_sound", _crash)
    with pytest.raises(RuntimeError):
        upgrade.upgrade(settings, "adam", AT)
    with begun(engine) as connection:
        assert not inspect(connection).has_table("download")
        assert standing.revision(connection) is None
    monkeypatch.undo()
    upgrade.upgrade(settings, "adam", datetime(2026, 11, 26, 13, tzinfo=UTC))
    with begun(engine) as connection:
        assert differences(connection) == []
    engine.dispose()
    db = Database.open(settings)
    assert verify_log(db, db.verifier).size == 1
    db.close()


def test_a_process_killed_in_the_middle_leaves_the_old_database(earlier: Settings) -> None:
    before = state(earlier)
    program = (
        "import os, signal, sys; from pathlib import Path; from datetime import UTC, datetime\n"
        "from installation.settings import Settings; from store import upgrade\n"
        "upgrade._require_sound = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "upgrade.upgrade(Settings(home=Path(sys.argv[1])), 'adam', datetime.now(UTC))\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, earlier.home], cwd=CHECKOUT, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert state(earlier) == before


def test_of_two_at_once_one_upgrades_and_the_other_waits(earlier: Settings) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = [f.result(120) for f in [pool.submit(upgrade.upgrade, earlier, by, AT) for by in ("ada", "adam")]]
    assert sorted(one.entry is None for one in done) == [False, True]
    db = Database.open(earlier)
    assert verify_log(db, db.verifier).size == ENTRIES + 1
    db.close()


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("INSERT INTO schema_version VALUES (2)", "newer"),
        ("INSERT INTO schema_version VALUES (0); DELETE FROM schema_version WHERE version = 1", "by hand"),
    ],
)
def test_what_nobody_knows_is_not_upgraded(earlier: Settings, statement: str, word: str) -> None:
    alter(earlier, *statement.split(";"))
    before = state(earlier)
    for attempt in (lambda: upgrade.upgrade(earlier, "adam", AT), lambda: Database.open(earlier)):
        with pytest.raises(SchemaFault) as refused:
            attempt()
        assert word in refused.value.do
    assert state(earlier) == before


def test_an_altered_ledger_is_not_upgraded(earlier: Settings) -> None:
    alter(earlier, "UPDATE ledger_entry SET actor = 'eve' WHERE seq = 3")
    before = state(earlier)
    with pytest.raises(SchemaFault) as refused:
        upgrade.upgrade(earlier, "adam", AT)
    assert "Entry 3" in refused.value.why
    assert state(earlier) == before


def test_rows_that_refer_to_nothing_are_not_upgraded(earlier: Settings) -> None:
    alter(earlier, "PRAGMA foreign_keys = OFF", "DELETE FROM project")
    before = state(earlier)
    with pytest.raises(SchemaFault) as refused:
        upgrade.upgrade(earlier, "adam", AT)
    assert "not there" in refused.value.why
    assert state(earlier) == before


def test_another_key_upgrades_nothing(earlier: Settings) -> None:
    key = earlier.secrets / "ledger.key"
    key.unlink()
    with pytest.raises(SchemaFault):
        upgrade.upgrade(earlier, "adam", AT)
    keys.ensure(key, "glovebox-ledger")
    with pytest.raises(KeyMismatch):
        upgrade.upgrade(earlier, "adam", AT)


def test_a_column_of_another_type_is_refused(earlier: Settings) -> None:
    alter(earlier, "ALTER TABLE person RENAME COLUMN uid TO was", "ALTER TABLE person ADD COLUMN uid TEXT")
    before = state(earlier)
    with pytest.raises(SchemaFault) as refused:
        upgrade.upgrade(earlier, "adam", AT)
    assert "person" in (refused.value.private or "")
    assert state(earlier) == before


def test_what_was_taken_out_by_hand_is_not_made_again(settings: Settings) -> None:
    engine = writer_engine(_made(settings))
    with begun(engine) as connection:
        schema.download.drop(connection)
        connection.commit()
    engine.dispose()
    with pytest.raises(SchemaFault) as refused:
        Database.open(settings)
    assert "download" in refused.value.why
    assert "by hand" in refused.value.do


def test_nothing_is_written_where_somebody_put_a_link_for_the_copy(earlier: Settings, tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    (earlier.home / "glovebox.sqlite.schema-1.20261126T120000.000000Z").symlink_to(tmp_path / "theirs")
    before = state(earlier)
    with pytest.raises(SchemaFault) as refused:
        upgrade.upgrade(earlier, "adam", AT)
    assert "copy" in refused.value.why
    assert (state(earlier), (tmp_path / "theirs").read_bytes()) == (before, b"")


def test_it_is_done_from_the_command_line_and_only_when_told(
    earlier: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GLOVEBOX_HOME", str(earlier.home))
    with pytest.raises(SchemaFault):
        process.up(earlier, print)
    named = {f["name"]: f for f in doctor.examine(earlier)["findings"]}["database"]
    assert not named["well"]
    assert "./glovebox database upgrade" in named["said"]
    run = CliRunner().invoke
    assert run(app, ["database", "upgrade"]).exit_code == 2  # nobody's name
    said = run(app, ["database", "upgrade", "--by", "adam", "--json"])
    assert json.loads(said.stdout)["entry"] == ENTRIES, said.output
    assert "already" in run(app, ["database", "upgrade", "--by", "adam"]).output
    assert run(app, ["ledger", "export", str(tmp_path / "ledger.jsonl")]).exit_code == 0
    verified = run(app, ["verify", str(tmp_path / "ledger.jsonl"), "--key", str(EARLIER / "ledger.pub")])
    assert verified.exit_code == 0, verified.output


def test_a_database_in_use_is_not_upgraded(earlier: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOVEBOX_HOME", str(earlier.home))
    monkeypatch.setattr(hub_process, "running", lambda _: 1)
    before = state(earlier)
    said = CliRunner().invoke(app, ["database", "upgrade", "--by", "adam", "--json"])
    assert "./glovebox down" in json.loads(said.stdout)["error"]["do"]
    assert state(earlier) == before


def _made(settings: Settings) -> str:
    Database.open(settings).close()
    return settings.database


def _crash(*_: object) -> None:
    raise RuntimeError("as a process that dies")
