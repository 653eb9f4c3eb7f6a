"""Neighbours: a second sandbox with the same dataset tries to be seen; this one tries to see it.

`be_a_neighbour` runs in the other sandbox and offers every channel at once; each attempt here looks for one of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import struct
import time
from typing import Any

from .trying import Observed, attempt, blocked, call, errno_name, opened, refused, surface, unknown

Facts = dict[str, Any]
ABSTRACT = "\0glovebox-neighbour"
SHARED_KEY = 0x476C6F76
SHARED_NAME = "glovebox-neighbour"
PORT = 47474
_LOCK = "hhqqi"


def be_a_neighbour(table: str, seconds: float) -> None:
    """Offer every channel until killed or the time is over. What is refused is left out: then nobody can see it."""
    kept: list[Any] = [open(table, "rb")]  # noqa: SIM115 - held on purpose
    _quietly(lambda: fcntl.flock(kept[0], fcntl.LOCK_EX))
    _quietly(lambda: fcntl.fcntl(kept[0], fcntl.F_SETLK, struct.pack(_LOCK, fcntl.F_RDLCK, 0, 0, 0, 0)))
    _quietly(lambda: kept.append(_listen(socket.AF_UNIX, ABSTRACT)))
    _quietly(lambda: kept.append(_listen(socket.AF_INET, ("0.0.0.0", PORT))))  # noqa: S104 - a neighbour that wants to be found
    _quietly(lambda: kept.append(os.open(f"/dev/shm/{SHARED_NAME}", os.O_CREAT | os.O_RDWR)))  # noqa: S108
    call("shmget", SHARED_KEY, 4096, 0o1000 | 0o666)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        kept[0].seek(0)
        kept[0].read(4096)
        time.sleep(0.2)


def _listen(family: int, address: Any) -> socket.socket:
    server = socket.socket(family)
    server.bind(address)
    server.listen()
    return server


def _quietly(action: Any) -> None:
    with contextlib.suppress(OSError):
        action()


@attempt("lock-flock", "neighbours", "read a bit through flock on the shared dataset")
def lock_flock(facts: Facts) -> Observed:
    with open(str(facts["table"]), "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return opened("the neighbour's lock is seen")
        except OSError as refusal:
            return blocked(errno_name(refusal.errno or 0))
    return blocked("no lock of the neighbour is seen")


@attempt("lock-record", "neighbours", "read a bit through record locks on the shared dataset")
def lock_record(facts: Facts) -> Observed:
    return _lock(facts, fcntl.F_GETLK)


@attempt("lock-open-file", "neighbours", "read a bit through open-file-description locks on the shared dataset")
def lock_open_file(facts: Facts) -> Observed:
    return _lock(facts, 36)  # F_OFD_GETLK


def _lock(facts: Facts, control: int) -> Observed:
    with open(str(facts["table"]), "rb") as file:
        asked = struct.pack(_LOCK, fcntl.F_WRLCK, 0, 0, 0, 0)
        try:
            kind = struct.unpack(_LOCK, fcntl.fcntl(file, control, asked))[0]
        except OSError as refusal:
            return blocked("no such lock") if refusal.errno == errno.EINVAL else unknown(errno_name(refusal.errno or 0))
    return (
        blocked("no lock of the neighbour is seen") if kind == fcntl.F_UNLCK else opened("the neighbour's lock is seen")
    )


@attempt("lease", "neighbours", "notice a neighbour's opening through a lease on the shared dataset")
def lease(facts: Facts) -> Observed:
    with open(str(facts["table"]), "rb") as file:
        return refused(
            lambda: fcntl.fcntl(file, 1024, fcntl.F_RDLCK), errno.EACCES, errno.EPERM, errno.EINVAL, errno.EAGAIN
        )


@attempt("directory-notice", "neighbours", "notice a neighbour's reading through directory notification")
def dnotify(facts: Facts) -> Observed:
    seen = []
    signal.signal(signal.SIGIO, lambda *_: seen.append(1))
    folder = os.open(os.path.dirname(str(facts["table"])), os.O_RDONLY)
    try:
        fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_ACCESS | fcntl.DN_MULTISHOT)
    except OSError as refusal:
        return blocked(errno_name(refusal.errno or 0))
    time.sleep(1.5)
    return opened("the neighbour's reads are seen") if seen else blocked("no read of the neighbour is seen")


@attempt("access-time", "neighbours", "notice a neighbour's reading through the file's access time")
def access_time(facts: Facts) -> Observed:
    before = os.stat(str(facts["table"])).st_atime_ns
    time.sleep(1.5)
    after = os.stat(str(facts["table"])).st_atime_ns
    return opened("it moved") if after != before else blocked("it did not move")


@attempt(
    "page-cache-mincore", "neighbours", "ask which pages of the dataset a neighbour has brought into memory (mincore)"
)
def cache_mincore(facts: Facts) -> Observed:
    with open(str(facts["table"]), "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
        vector = ctypes.create_string_buffer(16)
        address = ctypes.c_void_p(_address(pages))
        result, number = call("mincore", address, mmap.PAGESIZE, vector)
    if result == 0:
        return opened("answered")
    return blocked(errno_name(number)) if number in (errno.ENOSYS, errno.EPERM) else unknown(errno_name(number))


def _address(pages: mmap.mmap) -> int:
    """The address of a read-only mapping, from the process's own list of mappings: the last one of this file."""
    with open("/proc/self/maps", encoding="utf-8") as file:
        lines = [line for line in file if "/data/" in line]
    return int(lines[-1].split("-")[0], 16)


@attempt("page-cache-preadv2", "neighbours", "ask whether a page is in memory (preadv2, RWF_NOWAIT)")
def cache_preadv2(facts: Facts) -> Observed:
    return surface("preadv2", -1, ctypes.create_string_buffer(16), 0, 0, 0, 8)


@attempt("page-cache-cachestat", "neighbours", "count the pages of the dataset in memory (cachestat)")
def cachestat(facts: Facts) -> Observed:
    return surface("cachestat", -1, ctypes.create_string_buffer(16), ctypes.create_string_buffer(64), 0)


@attempt(
    "page-cache-evict", "neighbours", "throw the dataset out of memory, to time who brings it back (fadvise DONTNEED)"
)
def evict(facts: Facts) -> Observed:
    with open(str(facts["table"]), "rb") as file:
        return refused(
            lambda: os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED),
            errno.EPERM,
            errno.ENOSYS,
            errno.EINVAL,
        )


@attempt("abstract-socket", "neighbours", "connect to a neighbour's abstract socket")
def abstract_socket(_: Facts) -> Observed:
    with socket.socket(socket.AF_UNIX) as client:
        return refused(lambda: client.connect(ABSTRACT), errno.ECONNREFUSED)


@attempt("neighbour-tcp", "neighbours", "connect to a neighbour over TCP")
def neighbour_tcp(facts: Facts) -> Observed:
    address = str(facts.get("neighbour_address") or "127.0.0.1")
    try:
        with socket.socket() as client:
            client.settimeout(4)
            client.connect((address, PORT))
    except OSError as refusal:
        return blocked(errno_name(refusal.errno or 0))
    return opened(f"connected to {address}")


@attempt("shared-memory-sysv", "neighbours", "find a neighbour's System V shared memory")
def sysv(_: Facts) -> Observed:
    result, number = call("shmget", SHARED_KEY, 0, 0)
    return opened(f"segment {result}") if result >= 0 else blocked(errno_name(number))


@attempt("shared-memory-posix", "neighbours", "find a neighbour's POSIX shared memory")
def posix(_: Facts) -> Observed:
    return refused(lambda: os.open(f"/dev/shm/{SHARED_NAME}", os.O_RDONLY), errno.ENOENT)  # noqa: S108


@attempt("message-queue", "neighbours", "open a message queue")
def message_queue(_: Facts) -> Observed:
    return surface("mq_open", ctypes.c_char_p(b"glovebox"), 0o102, 0o600, None)


@attempt("semaphores-sysv", "neighbours", "use System V semaphores or message queues")
def semaphores(_: Facts) -> Observed:
    observed, detail = surface("semget", SHARED_KEY, 1, 0o1600)
    return surface("msgget", SHARED_KEY, 0o1600) if observed == "blocked" else (observed, detail)


@attempt("neighbour-processes", "neighbours", "see or signal a neighbour's processes")
def processes(_: Facts) -> Observed:
    mark = "be_a_neighbour"
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", encoding="latin-1") as file:
                if mark in file.read():
                    found.append(entry)
    return opened(f"process {', '.join(found)}") if found else blocked("none is seen")


@attempt("global-counters", "neighbours", "watch counters that all sandboxes share (open files, inodes)")
def counters(_: Facts) -> Observed:
    found = []
    for path in ("/proc/sys/fs/file-nr", "/proc/sys/fs/inode-nr", "/proc/sys/fs/dentry-state", "/proc/locks"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            if file.read().strip():
                found.append(path)
    return opened(", ".join(found)) if found else blocked("all hidden")
