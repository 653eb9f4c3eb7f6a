"""A folder of one's own for a version in the making, and the clearing of what a crash left of such folders; never both at once.

Whoever makes a version holds a shared lock on a file of the installation until it is committed; the sweep takes that lock alone, or does
not sweep. The kernel drops the lock of a process that died, so that a crash blocks nothing.
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from installation.settings import Settings

INCOMING = ".incoming"
_LOCK = "versions.lock"


@contextmanager
def delivery(settings: Settings) -> Iterator[Path]:
    """A new, empty folder with an empty ``version`` in it, gone at the end. Waits while a sweep is under way."""
    with _lock_file(settings) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        made = settings.datasets / INCOMING / secrets.token_hex(8)
        (made / "version").mkdir(mode=0o700, parents=True)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


@contextmanager
def nothing_under_way(settings: Settings) -> Iterator[bool]:
    """Whether no version is being made, by any process; if so none begins meanwhile."""
    with _lock_file(settings) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _lock_file(settings: Settings) -> IO[str]:
    settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    return (settings.run / _LOCK).open("a", encoding="ascii")
