"""The installation's database: serialised transactions that carry their evidence, and snapshots for reading.

The entry, its leaf hash, the tree's frontier and a signed checkpoint are rows of the same commit as the change, so after
a crash at any instant either all of it is there or none. Writers are serialised (one at a time in a process, ``BEGIN
IMMEDIATE`` in SQLite or an advisory lock in PostgreSQL between processes), so the ledger has no gaps.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, inspect, select, text
from sqlalchemy.exc import OperationalError

from installation.settings import Settings
from ledger import keys
from ledger.errors import NoteFault
from ledger.note import Signer, Verifier, open_checkpoint
from ledger.verify import Leaf
from store import log, schema
from store.clock import stamp
from store.engine import reader_engine, writer_engine
from store.errors import KeyMismatch, SchemaFault, StoreBusy
from store.transaction import Receipt, Transaction

__all__ = ["LEDGER_NAME", "Database", "Receipt", "Transaction"]

LEDGER_NAME = "glovebox-ledger"
WAIT_SECONDS = 60
_LOCK = 0x61_0B_E8_0C  # the advisory lock's number in PostgreSQL


class Database:
    """The installation's database. Thread-safe; synchronous, so asynchronous services call it in a thread."""

    def __init__(self, writer: Engine, reader: Engine, signer: Signer) -> None:
        self._writer = writer
        self._reader = reader
        self._signer = signer
        self._turn = threading.Lock()
        self._holder: int | None = None

    @classmethod
    def open(cls, settings: Settings) -> Database:
        """Open, creating key and schema when there is none.

        Raises SchemaFault for a database of another version, KeyMismatch when the ledger in it was signed by a key
        other than the one in the secrets folder: appending would then break the log.
        """
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = keys.ensure(settings.secrets / "ledger.key", LEDGER_NAME)
        db = cls(writer_engine(settings.database), reader_engine(settings.database), signer)
        try:
            db._ensure_schema()
            db._require_own_ledger()
            _publish(signer, settings.home / "ledger.pub")
        except BaseException:
            db.close()
            raise
        return db

    @property
    def verifier(self) -> Verifier:
        """The public key of this installation's ledger."""
        return self._signer.verifier

    @contextmanager
    def transaction(self, at: datetime) -> Iterator[Transaction]:
        """A serialised unit of work at the time ``at``.

        Raises Unevidenced, and rolls back, for a change without entry or the reverse; StoreBusy when another writer
        keeps the database; ValueError for a time without a zone. Any exception inside rolls everything back.
        """
        time = stamp(at)
        with self._our_turn(), self._begun() as connection:
            transaction = Transaction(connection, self._signer, time)
            try:
                yield transaction
                transaction.require_evidence()
            except BaseException:
                connection.rollback()
                raise
            finally:
                transaction.close()
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection with one snapshot, on which the database refuses every write."""
        with self._reader.connect() as connection:
            if _is_sqlite(connection):
                connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    def leaves(self) -> Iterator[Leaf]:
        """`ledger.verify.LogReader`: the log in order, each leaf compared with the copies that pages query."""
        with self.read() as connection:
            yield from log.leaves(connection)

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()

    @contextmanager
    def _our_turn(self) -> Iterator[None]:
        if self._holder == threading.get_ident():
            raise RuntimeError("a transaction is already open in this thread: two would wait for each other")
        if not self._turn.acquire(timeout=WAIT_SECONDS):
            raise _busy()
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = None
            self._turn.release()

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self._writer.connect() as connection:
            try:
                if _is_sqlite(connection):
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
                    connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
            except OperationalError as error:
                raise _busy(str(error.orig)) from error
            yield connection

    def _ensure_schema(self) -> None:
        with self._begun() as connection:
            found = _version(connection)
            if found is None:
                schema.metadata.create_all(connection)
                connection.execute(insert(schema.schema_version).values(version=schema.SCHEMA_VERSION))
            elif found == schema.SCHEMA_VERSION:
                schema.metadata.create_all(connection)
                _require_columns(connection)
            else:
                raise _wrong_version(found)
            connection.commit()

    def _require_own_ledger(self) -> None:
        newest = select(schema.ledger_entry.c.checkpoint).order_by(schema.ledger_entry.c.seq.desc()).limit(1)
        with self.read() as connection:
            note = connection.execute(newest).scalar()
        if note is None:
            return
        try:
            open_checkpoint(note, self.verifier)
        except NoteFault as fault:
            raise KeyMismatch(
                "The database was not opened.",
                why="Its ledger was signed by another key than the one in the secrets folder, or was altered.",
                do="Bring back secrets/ledger.key from the backup that belongs to this database; then verify the ledger.",
                private=fault.why,
            ) from fault


def _publish(signer: Signer, path: Path) -> None:
    """Raises KeyMismatch when another public key lies there: people would verify against it."""
    if not path.exists():
        keys.publish(signer, path)
    elif keys.public(path) != signer.verifier:
        raise KeyMismatch(
            "The database was not opened.",
            why=f"{path.name} is not the public key of the ledger's signing key.",
            do=f"Find out who changed it. To write the right one, remove {path.name} and start again.",
        )


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema.schema_version.name):
        return None
    found = connection.execute(select(func.max(schema.schema_version.c.version))).scalar()
    return None if found is None else int(found)


def _require_columns(connection: Connection) -> None:
    """Raises SchemaFault when a table lacks a column this program works with."""
    found: dict[Any, Any] = inspect(connection).get_multi_columns()
    have = {name: {column["name"] for column in columns} for (_, name), columns in found.items()}
    lacking = sorted(
        f"{t.name}.{c.name}" for t in schema.metadata.sorted_tables for c in t.c if c.name not in have[t.name]
    )
    if lacking:
        raise SchemaFault(
            "The database was not opened.",
            why=f"It lacks {', '.join(lacking)}: another state of this program made it.",
            do="Use the program version that wrote it, or start with a fresh state folder.",
        )


def _wrong_version(found: int) -> SchemaFault:
    newer = found > schema.SCHEMA_VERSION
    return SchemaFault(
        "The database was not opened.",
        why=f"It has schema {found} and this program works with {schema.SCHEMA_VERSION}.",
        do="Use the newer program version that wrote it." if newer else "Migrate a copy of it first.",
    )


def _busy(private: str | None = None) -> StoreBusy:
    return StoreBusy(
        "The change was not made.",
        why="Another process is writing and did not finish in time.",
        do="Try again. If it stays so, look for a process that hangs: ./glovebox status.",
        private=private,
    )
