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

from sqlalchemy import Connection, Engine, select

from installation.settings import Settings
from ledger import keys
from ledger.errors import NoteFault
from ledger.note import Signer, Verifier, open_checkpoint
from ledger.verify import Leaf
from store import log, schema, standing
from store.clock import stamp
from store.engine import reader_engine, writer_engine
from store.errors import KeyMismatch
from store.transaction import Receipt, Transaction
from store.turn import WAIT_SECONDS, begun, busy, is_sqlite

__all__ = ["LEDGER_NAME", "Database", "Receipt", "Transaction"]

LEDGER_NAME = "glovebox-ledger"


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

        Raises SchemaFault for a database of another version (`store.upgrade` brings an older one up), KeyMismatch when
        the ledger in it was signed by a key other than the one in the secrets folder: appending would then break the log.
        """
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = keys.ensure(settings.secrets / "ledger.key", LEDGER_NAME)
        db = cls(writer_engine(settings.database), reader_engine(settings.database), signer)
        try:
            db._ensure_schema()
            with db.read() as connection:
                require_own_ledger(connection, signer.verifier)
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
        with self._our_turn(), begun(self._writer) as connection:
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
            if is_sqlite(connection):
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
            raise busy()
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = None
            self._turn.release()

    def _ensure_schema(self) -> None:
        with begun(self._writer) as connection:
            found = standing.version(connection)
            if found is None:
                standing.create(connection)
            else:
                standing.require_known(connection, found)
                standing.require_current(connection, found)
                if standing.revision(connection) is None:
                    standing.mark(connection)
            connection.commit()


def require_own_ledger(connection: Connection, verifier: Verifier) -> None:
    """Raises KeyMismatch unless the newest checkpoint was signed by this installation's key."""
    newest = select(schema.ledger_entry.c.checkpoint).order_by(schema.ledger_entry.c.seq.desc()).limit(1)
    note = connection.execute(newest).scalar()
    if note is None:
        return
    try:
        open_checkpoint(note, verifier)
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
