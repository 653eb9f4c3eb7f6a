"""Opened files in huge pages: `/dev/shm` keeps small ones, and copying out of them costs twice to three times as much.

``madvise(MADV_COLLAPSE)`` (Linux 6.1) puts what lies in a file on a tmpfs into huge pages, whatever the mount says, and needs no
privilege. An older kernel refuses it, and reading stays as it was.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

log = logging.getLogger("glovebox.vault")

_HUGE = 2 * 1024 * 1024
_AT_ONCE = 32 * _HUGE
_COLLAPSE = 25  # MADV_COLLAPSE; the mmap module of our Python does not name it
_FIXED, _NOTHING = 0x10, 0  # MAP_FIXED, PROT_NONE

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def collapse_soon(files: Sequence[Path]) -> Thread:
    """Begin `collapse` of each beside what the caller does. The thread may be waited for, and need not be."""
    thread = Thread(target=lambda: [collapse(one) for one in files], name="huge pages", daemon=True)
    thread.start()
    return thread


def collapse(file: Path) -> int:
    """The bytes of `file` that lie in huge pages afterwards, 0 where the kernel refuses. Its content stays. Raises nothing."""
    done = 0
    try:
        with file.open("rb") as opened:
            whole = os.fstat(opened.fileno()).st_size // _HUGE * _HUGE
            for start in range(0, whole, _AT_ONCE):
                size = min(_AT_ONCE, whole - start)
                _collapse(opened.fileno(), start, size)
                done += size
    except OSError as refused:
        log.info("opened data stays in small pages: %s", refused)
    return done


def _collapse(file: int, start: int, size: int) -> None:
    """A huge page needs an address that is a multiple of its size: map into the middle of a larger reserved range."""
    reserved = _mapped(None, size + _HUGE, _NOTHING, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    try:
        place = (reserved + _HUGE - 1) // _HUGE * _HUGE
        _mapped(place, size, mmap.PROT_READ, mmap.MAP_SHARED | _FIXED, file, start)
        if _libc.madvise(place, size, _COLLAPSE) != 0:
            raise _refused()
    finally:
        _libc.munmap(reserved, size + _HUGE)


def _mapped(place: int | None, size: int, protection: int, flags: int, file: int, start: int) -> int:
    made = _libc.mmap(place, size, protection, flags, file, start)
    if made is None or made == ctypes.c_void_p(-1).value:
        raise _refused()
    return int(made)


def _refused() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
