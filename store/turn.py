"""One writer at a time, between processes: the lock that every change of the database takes first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from store.errors import StoreBusy

WAIT_SECONDS = 60
_LOCK = 0x61_0B_E8_0C  # the advisory lock's number in PostgreSQL


@contextmanager
def begun(engine: Engine) -> Iterator[Connection]:
    """A connection whose transaction holds the lock; who leaves without a commit leaves nothing. Raises StoreBusy."""
    with engine.connect() as connection:
        try:
            if is_sqlite(connection):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
        except OperationalError as error:
            raise busy(str(error.orig)) from error
        yield connection


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def busy(private: str | None = None) -> StoreBusy:
    return StoreBusy(
        "The change was not made.",
        why="Another process is writing and did not finish in time.",
        do="Try again. If it stays so, look for a process that hangs: ./glovebox status.",
        private=private,
    )
