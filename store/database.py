"""State and evidence in one transaction (invariant 10).

A transaction that changes a state table records at least one ledger entry, and one that records an entry changes state; otherwise it
is rolled back. The entry, its leaf hash, the tree's frontier and a signed checkpoint are rows of the same commit, so
after a crash at any instant either all of it is there or none. Writers are serialised (``BEGIN IMMEDIATE`` in SQLite, an advisory
lock in PostgreSQL), so the ledger has no gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, Executable, create_engine, event, func, insert, select, text
from sqlalchemy.sql.dml import UpdateBase

from installation.settings import Settings
from ledger import keys
from ledger.entry import Entry, encode
from ledger.merkle import Frontier, leaf_hash
from ledger.note import Checkpoint, Signer
from ledger.verify import Leaf
from store import schema
from store.clock import stamp
from store.errors import SchemaFault, Unevidenced

LEDGER_NAME = "glovebox-ledger"
_LOCK = 0x61_0B_E8_0C  # the advisory lock's number in PostgreSQL


class Transaction:
    """One unit of work: state changes and the entries that say so."""

    def __init__(self, connection: Connection, signer: Signer, at: str) -> None:
        self._connection = connection
        self._signer = signer
        self._at = at
        self._changed = False
        self._recorded = 0

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a SQLAlchemy Core statement inside this transaction."""
        if isinstance(statement, UpdateBase):
            self._changed = True
        result: CursorResult[Any] = self._connection.execute(statement, parameters)
        return result

    def record(self, entry: Entry) -> int:
        """Append ``entry`` to the ledger in this transaction and return its number. Raises EntryRefused."""
        before = self._frontier()
        body = encode(entry, seq=before.size, time=self._at)
        leaf = leaf_hash(body)
        after = before.append(leaf)
        note = Checkpoint(self._signer.name, after.size, after.root()).sign(self._signer)
        self._connection.execute(
            insert(schema.ledger_entry).values(
                seq=before.size,
                body=body,
                leaf_hash=leaf,
                kind=entry.kind,
                actor=entry.actor,
                time=self._at,
                frontier=after.pack(),
                checkpoint=note,
            )
        )
        rows = [{"seq": before.size, "noun": noun, "name": name} for noun, name in entry.subject.items()]
        self._connection.execute(insert(schema.ledger_subject), rows)
        self._recorded += 1
        return before.size

    def _frontier(self) -> Frontier:
        newest = select(schema.ledger_entry.c.frontier).order_by(schema.ledger_entry.c.seq.desc()).limit(1)
        packed = self._connection.execute(newest).scalar()
        return Frontier.unpack(packed) if packed is not None else Frontier()

    def require_evidence(self) -> None:
        """Raises Unevidenced unless change and entry come together."""
        if self._changed != bool(self._recorded):
            raise Unevidenced(
                "The change was rolled back.",
                why="It had no ledger entry." if self._changed else "A ledger entry was recorded for no change.",
                do="Nothing was lost; report this as a fault of the program.",
            )


class Database:
    """The installation's database. Thread-safe; synchronous, so asynchronous services call it in a thread."""

    def __init__(self, engine: Engine, signer: Signer) -> None:
        self.engine = engine
        self._signer = signer

    @classmethod
    def open(cls, settings: Settings) -> Database:
        """Open, creating the schema when there is none. Raises SchemaFault for a database of another version."""
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = keys.ensure(settings.secrets / "ledger.key", LEDGER_NAME)
        public = settings.home / "ledger.pub"
        if not public.exists():
            keys.publish(signer, public)
        engine = _engine(settings.database)
        db = cls(engine, signer)
        db._ensure_schema()
        return db

    @contextmanager
    def transaction(self, at: datetime) -> Iterator[Transaction]:
        """A serialised unit of work. Raises Unevidenced, and rolls back, for a change without entry or the reverse."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
            transaction = Transaction(connection, self._signer, stamp(at))
            try:
                yield transaction
                transaction.require_evidence()
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection with one snapshot, for reading only."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
                connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()
                if self.engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA query_only = OFF")
                    connection.rollback()

    def leaves(self) -> Iterator[Leaf]:
        """The log in order, for `ledger.verify.verify_log` and `ledger.export.write`."""
        table = schema.ledger_entry
        columns = select(table.c.seq, table.c.body, table.c.leaf_hash, table.c.checkpoint).order_by(table.c.seq)
        with self.read() as connection:
            for row in connection.execute(columns):
                yield Leaf(row.seq, bytes(row.body), bytes(row.leaf_hash), row.checkpoint)

    def close(self) -> None:
        self.engine.dispose()

    def _ensure_schema(self) -> None:
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            schema.metadata.create_all(connection)
            found = connection.execute(select(func.max(schema.schema_version.c.version))).scalar()
            if found is None:
                connection.execute(insert(schema.schema_version).values(version=schema.SCHEMA_VERSION))
                connection.commit()
                return
            connection.commit()
        if found != schema.SCHEMA_VERSION:
            raise SchemaFault(
                "The database was not opened.",
                why=f"It has schema {found} and this program works with {schema.SCHEMA_VERSION}.",
                do="Use the program version that wrote it, or migrate a copy first.",
            )


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    Path(url.removeprefix("sqlite:///")).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False} | _legacy())

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 30000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _legacy() -> dict[str, Any]:
    """The driver must not begin transactions by itself: we say ``BEGIN`` ourselves."""
    return {"isolation_level": None}
