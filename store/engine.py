"""One way to open each kind of database: SQLite made durable and patient, PostgreSQL through psycopg."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url

BUSY_SECONDS = 30
SQLITE_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit that was acknowledged survives a power cut
    "foreign_keys = ON",
    f"busy_timeout = {BUSY_SECONDS * 1000}",
)
_POSTGRES = {"client_encoding": "utf8", "application_name": "glovebox"}


def writer_engine(address: str) -> Engine:
    """For transactions. The caller says BEGIN and COMMIT; the driver begins nothing by itself."""
    url = _url(address)
    if not is_sqlite(url):
        return create_engine(url, pool_pre_ping=True, connect_args=_POSTGRES)
    _private_file(url)
    return _sqlite(url, pool_size=1, pragmas=SQLITE_PRAGMAS)


def reader_engine(address: str) -> Engine:
    """For snapshots. The database itself refuses a write on these connections."""
    url = _url(address)
    if not is_sqlite(url):
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args=_POSTGRES,
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
        )
    return _sqlite(url, pool_size=8, pragmas=(*SQLITE_PRAGMAS, "query_only = ON"))


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _url(address: str) -> URL:
    url = make_url(address)
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    return url


def _sqlite(url: URL, *, pool_size: int, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=32,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _private_file(url: URL) -> None:
    """The database file exists and only its owner reads it; SQLite gives its side files the same mode."""
    if not url.database or url.database == ":memory:":
        raise ValueError("the store needs a file: an in-memory database keeps no evidence")
    path = Path(url.database)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
