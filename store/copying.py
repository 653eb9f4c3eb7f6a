"""A consistent copy of a SQLite file while others write it, for its owner only; and whether a copy's ledger holds."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ledger.note import Verifier
from ledger.verify import Leaf, Report, verify_log
from store import log
from store.engine import reader_engine


def copy_sqlite(source: Path, target: Path) -> None:
    """``target`` must not exist and is whole and on the disk afterwards. Raises OSError, leaving none."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(target)) as writing:
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except sqlite3.Error as failed:
        target.unlink()
        raise OSError(f"{source.name} was not copied: {failed}") from failed
    except BaseException:
        target.unlink()
        raise


def verify_copy(file: Path, verifier: Verifier) -> Report:
    """The whole ledger of a database that nothing has opened yet, read and never written."""
    return verify_log(_Log(file), verifier)


@dataclass(frozen=True)
class _Log:
    file: Path

    def leaves(self) -> Iterator[Leaf]:
        engine = reader_engine(f"sqlite:///{self.file}")
        try:
            with engine.connect() as connection:
                yield from log.leaves(connection)
        finally:
            engine.dispose()
