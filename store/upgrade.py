"""Bringing the database of an earlier program up: all revisions, their ledger entry and both marks, in one transaction.

SQLite changes tables inside a transaction like any row, once the driver no longer commits by itself and foreign keys rest
while a table is rebuilt; they are checked before the commit, and so is the whole ledger. A crash leaves the old database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, insert
from sqlalchemy.exc import SQLAlchemyError

from installation.settings import Settings
from ledger import keys
from ledger.entry import Entry
from ledger.note import Signer, Verifier
from ledger.verify import Leaf, verify_log
from store import log, schema, standing
from store.clock import stamp
from store.copying import copy_sqlite
from store.database import LEDGER_NAME, require_own_ledger
from store.engine import writer_engine
from store.errors import SchemaFault
from store.transaction import Transaction
from store.turn import begun, is_sqlite

REVISIONS = Path(__file__).with_name("revisions")
KIND = "database.upgraded"


@dataclass(frozen=True)
class Upgraded:
    """From which schema to which; the entry that says so, and the copy from before, where one was made."""

    before: int
    after: int
    entry: int | None
    copy: Path | None


def upgrade(settings: Settings, by: str, at: datetime) -> Upgraded:
    """Bring the database to this program's schema; nothing is done to one that has it.

    Another process that upgrades is waited for. Raises SchemaFault for a newer or damaged database, for a ledger that does
    not verify and for a revision that fails; KeyMismatch for a foreign key. The database is then as it was.
    """
    key = settings.secrets / "ledger.key"
    if not key.exists():
        raise _refused(
            "There is no signing key in the secrets folder.", "Bring back secrets/ledger.key from the backup."
        )
    signer, engine = keys.ensure(key, LEDGER_NAME), writer_engine(settings.database)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _rest_foreign_keys)
    try:
        with begun(engine) as connection:
            before = standing.version(connection)
            if before is None:
                raise _refused("There is none yet.", "Nothing needs upgrading: ./glovebox up makes it.")
            standing.require_known(connection, before)
            require_own_ledger(connection, signer.verifier)
            if not standing.needs_upgrade(connection, before):
                return Upgraded(before, before, None, None)
            copy = _copy(connection, before, at)
            try:
                seq = _upgraded(connection, signer, Entry(KIND, by, {"database": "store"}, _facts(before, copy)), at)
            except BaseException:
                _remove(copy)  # nothing was changed
                raise
            return Upgraded(before, schema.SCHEMA_VERSION, seq, copy)
    finally:
        engine.dispose()


def _upgraded(connection: Connection, signer: Signer, entry: Entry, at: datetime) -> int:
    _run(connection)
    _require_sound(connection, signer.verifier)
    transaction = Transaction(connection, signer, stamp(at))
    seq = transaction.record(entry)
    transaction.close()
    connection.commit()
    return seq


def revisions() -> ScriptDirectory:
    """Every revision, in the store's own folder."""
    return ScriptDirectory(str(REVISIONS), version_locations=[str(REVISIONS)])


def run_revisions(connection: Connection) -> None:
    """Run every revision that ``connection`` has not had, in its transaction, which the caller ends."""
    script = revisions()

    def steps(borne: tuple[str, ...], _: MigrationContext) -> list[RevisionStep]:
        return list(script._upgrade_revs("head", borne))  # type: ignore[arg-type]  # what alembic.command.upgrade calls

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=schema.metadata, render_as_batch=True)
        environment.run_migrations()


def _run(connection: Connection) -> None:
    before = standing.version(connection)
    try:
        run_revisions(connection)
    except (SQLAlchemyError, ValueError) as broken:
        connection.rollback()
        raise _refused(
            "A step of the upgrade failed, and all of them were rolled back.",
            "Work on with the program version that wrote it, and report this with the log.",
            str(broken),
        ) from broken
    if before != schema.SCHEMA_VERSION:
        connection.execute(insert(schema.schema_version).values(version=schema.SCHEMA_VERSION))


def _require_sound(connection: Connection, verifier: Verifier) -> None:
    """Raises SchemaFault when the upgraded rows do not refer to each other, or the ledger does not verify."""
    if is_sqlite(connection):
        torn = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if torn:
            raise _refused(
                "Rows of it refer to rows that are not there.",
                "Bring back a backup from before the damage.",
                f"{len(torn)} rows, the first in {torn[0][0]}",
            )
    report = verify_log(_Log(connection), verifier)
    if not report.ok:
        raise _refused(f"Its ledger does not verify: {report.message}", "Find out what happened before upgrading.")


@dataclass(frozen=True)
class _Log:
    connection: Connection

    def leaves(self) -> Iterator[Leaf]:
        return log.leaves(self.connection)


def _facts(before: int, copy: Path | None) -> dict[str, Any]:
    after = {"to": schema.SCHEMA_VERSION, "revision": schema.REVISION, "steps": _digest()}
    return {"from": before, **after, "copy": copy.name if copy else None}


def _digest() -> str:
    """SHA-256 over the revisions' files: which program's steps these were."""
    found = sha256()
    for file in sorted(REVISIONS.glob("r*.py")):
        found.update(f"{file.name} {sha256(file.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def _copy(connection: Connection, before: int, at: datetime) -> Path | None:
    """The SQLite file as it is while the lock is held, for its owner only; None on PostgreSQL, where its tools do that."""
    if not is_sqlite(connection) or not (source := connection.engine.url.database):
        return None
    moment = stamp(at).replace(":", "").replace("-", "")
    copy = Path(source).with_name(f"{Path(source).name}.schema-{before}.{moment}")
    try:
        copy_sqlite(Path(source), copy)
    except OSError as failed:
        raise _refused(f"Its copy was not made: {failed}.", "Make room beside it, then again.") from failed
    return copy


def _remove(copy: Path | None) -> None:
    if copy is not None:
        copy.unlink(missing_ok=True)


def _rest_foreign_keys(connection: sqlite3.Connection, _: object) -> None:
    """Dropping the old form of a table would count as deleting its rows; SQLite takes this only outside a transaction."""
    connection.execute("PRAGMA foreign_keys = OFF")


def _refused(why: str, do: str, private: str | None = None) -> SchemaFault:
    return SchemaFault("The database was not upgraded.", why=why, do=do, private=private)
