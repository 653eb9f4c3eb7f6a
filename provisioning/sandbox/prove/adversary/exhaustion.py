"""Denial of service: take until refused. Every try has a ceiling a little above what the profile allows, so that it also
ends where nothing refuses; reaching the ceiling is an open channel."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import socket
import time
from typing import Any

from .trying import BLOCKED, Observed, attempt, blocked, call, errno_name, opened, unknown

Facts = dict[str, Any]
MIB = 1024**2
_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EROFS, errno.EACCES)


@attempt("fork-bomb", "denial-of-service", "start processes without end", seconds=60)
def fork_bomb(facts: Facts) -> Observed:
    ceiling, children = int(facts["pids"]) * 2, []
    try:
        for _ in range(ceiling):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.append(child)
    except OSError as refusal:
        observed = blocked(f"{errno_name(refusal.errno or 0)} after {len(children)}")
    else:
        observed = opened(f"{len(children)} processes")
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    return observed


@attempt("memory-bomb", "denial-of-service", "take memory without end", seconds=60, kill_means=BLOCKED)
def memory_bomb(facts: Facts) -> Observed:
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")  # this process goes first, and not the one that counts
    taken: list[bytearray] = []
    ceiling = int(facts["memory"]) * 3 // 2
    while len(taken) * 16 * MIB < ceiling:
        block = bytearray(16 * MIB)
        block[::4096] = b"x" * (len(block) // 4096)
        taken.append(block)
    return opened(f"{len(taken) * 16} MiB")


@attempt("disk-fill-home", "denial-of-service", "fill the disk through the home", seconds=120)
def fill_home(facts: Facts) -> Observed:
    return _fill("/home/analyst", int(facts["home_bytes"]) + 32 * MIB)


@attempt("disk-fill-tmp", "denial-of-service", "fill memory or disk through /tmp", seconds=60)
def fill_tmp(facts: Facts) -> Observed:
    return _fill("/tmp", int(facts["tmp_bytes"]) + 16 * MIB)  # noqa: S108


@attempt("disk-fill-shm", "denial-of-service", "fill memory through /dev/shm", seconds=60)
def fill_shm(facts: Facts) -> Observed:
    return _fill("/dev/shm", int(facts["shm_bytes"]) + 16 * MIB)  # noqa: S108


@attempt("disk-fill-root", "denial-of-service", "fill the host's disk through the root or /var/tmp", seconds=60)
def fill_root(_: Facts) -> Observed:
    for folder in ("/var/tmp", "/"):  # noqa: S108
        if os.access(folder, os.W_OK):
            return _fill(folder, 64 * MIB)
    return blocked("nothing there can be written")


@attempt("disk-fill-served", "denial-of-service", "fill the served folder")
def fill_served(_: Facts) -> Observed:
    return _fill("/run/glovebox/serve", 4 * MIB)


def _fill(folder: str, ceiling: int) -> Observed:
    path, written, block = os.path.join(folder, "adversary.fill"), 0, b"x" * MIB
    try:
        with open(path, "wb", buffering=0) as file:
            while written < ceiling:
                written += file.write(block)
    except OSError as refusal:
        word = errno_name(refusal.errno or 0)
        return blocked(f"{word} after {written // MIB} MiB") if refusal.errno in _SPACE else unknown(word)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return opened(f"{written // MIB} MiB")


@attempt("inode-fill-home", "denial-of-service", "use up inodes through the home", seconds=120)
def inodes_home(facts: Facts) -> Observed:
    return _inodes("/home/analyst", int(facts["home_inodes"]) + 256)


@attempt("inode-fill-tmp", "denial-of-service", "use up inodes through /tmp", seconds=60)
def inodes_tmp(facts: Facts) -> Observed:
    return _inodes("/tmp", int(facts["tmp_inodes"]) + 256)  # noqa: S108


def _inodes(folder: str, ceiling: int) -> Observed:
    place, made = os.path.join(folder, "adversary.many"), 0
    os.mkdir(place)
    try:
        for made in range(ceiling):
            os.close(os.open(os.path.join(place, str(made)), os.O_CREAT | os.O_WRONLY))
    except OSError as refusal:
        observed = blocked(f"{errno_name(refusal.errno or 0)} after {made}")
    else:
        observed = opened(f"{ceiling} files")
    for number in range(made + 1):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(place, str(number)))
    os.rmdir(place)
    return observed


@attempt("huge-file", "denial-of-service", "make an 8 TiB sparse file in the home or /tmp")
def huge_file(_: Facts) -> Observed:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for folder in ("/home/analyst", "/tmp"):  # noqa: S108
        path = os.path.join(folder, "adversary.huge")
        try:
            with open(path, "wb") as file:
                file.truncate(8 * 1024**4)
        except OSError as refusal:
            if refusal.errno not in _SPACE:
                return unknown(errno_name(refusal.errno or 0))
        else:
            return opened(path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)
    return blocked("EFBIG")


@attempt("descriptors", "denial-of-service", "open files without end")
def descriptors(facts: Facts) -> Observed:
    ceiling, held = int(facts["files"]) + 64, []
    try:
        for _ in range(ceiling):
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as refusal:
        observed = blocked(f"{errno_name(refusal.errno or 0)} after {len(held)}")
    else:
        observed = opened(f"{len(held)} descriptors")
    for descriptor in held:
        os.close(descriptor)
    return observed


@attempt("terminals", "denial-of-service", "use up the machine's pseudo-terminals")
def terminals(facts: Facts) -> Observed:
    ceiling, held = int(facts["terminals"]) + 16, []
    try:
        for _ in range(ceiling):
            held.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
    except OSError as refusal:
        return blocked(f"{errno_name(refusal.errno or 0)} after {len(held)}")
    return opened(f"{len(held)} terminals")


@attempt("raise-limits", "denial-of-service", "raise its own limits")
def raise_limits(_: Facts) -> Observed:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard + 1, hard + 1))
    except (ValueError, OSError) as refusal:
        return blocked(type(refusal).__name__)
    return opened("raised")


@attempt("core-dump", "denial-of-service", "have a core dump written, or a core helper run, on the host")
def core_dump(_: Facts) -> Observed:
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    return blocked("size 0, and cannot be raised") if limit == (0, 0) else opened(f"limit {limit}")


@attempt("locked-memory", "denial-of-service", "lock memory without end")
def locked(_: Facts) -> Observed:
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if 0 <= limit <= 16 * MIB:
        return blocked(f"{limit} bytes")
    return opened(f"limit {limit}")


@attempt("pending-signals", "denial-of-service", "queue signals and timers without end")
def pending(_: Facts) -> Observed:
    limit = resource.getrlimit(resource.RLIMIT_SIGPENDING)[1]
    return blocked(str(limit)) if 0 <= limit <= 4096 else opened(f"limit {limit}")


@attempt("processor", "denial-of-service", "take more processor time than granted", seconds=30)
def processor(facts: Facts) -> Observed:
    granted, wanted = float(facts["cpus"]), max(2, os.cpu_count() or 2)
    start, children = time.monotonic(), []
    for _ in range(wanted):
        child = os.fork()
        if child == 0:
            while time.monotonic() - start < 3:
                pass
            os._exit(0)
        children.append(child)
    used = 0.0
    for child in children:
        usage = os.wait4(child, 0)[2]
        used += usage.ru_utime + usage.ru_stime
    share = used / (time.monotonic() - start)
    if wanted <= granted:
        return unknown("the machine has no more processors than were granted")
    return blocked(f"{share:.2f} of {granted} processors") if share <= granted * 1.15 + 0.05 else opened(f"{share:.2f}")


@attempt("log-flood", "denial-of-service", "flood the container's log on the host", seconds=60)
def log_flood(facts: Facts) -> Observed:
    """Whether it stayed small can only be said outside: there `log size on the host` decides; here it is only done."""
    line, written = b"x" * 65536 + b"\n", 0
    try:
        descriptor = os.open("/proc/1/fd/1", os.O_WRONLY | os.O_NONBLOCK)
    except OSError as refusal:
        return blocked(f"the first process's output cannot be opened: {errno_name(refusal.errno or 0)}")
    end = time.monotonic() + 5
    while time.monotonic() < end and written < 64 * MIB:
        with contextlib.suppress(BlockingIOError):
            written += os.write(descriptor, line)
    target = os.readlink("/proc/1/fd/1")
    if target.startswith("/tmp/"):  # noqa: S108 - inside the sandbox
        os.truncate(target, 0)
        return blocked(f"it goes to {target}, in the sandbox's own bounded folder")
    limit = str(facts.get("log_limit", ""))
    return (
        blocked(f"{written // MIB} MiB sent; the log is cut at {limit}") if limit else opened(f"{written // MIB} MiB")
    )


@attempt(
    "socket-buffers",
    "denial-of-service",
    "pile up socket buffers outside the memory limit",
    seconds=60,
    kill_means=BLOCKED,
)
def socket_buffers(facts: Facts) -> Observed:
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")
    held, sent, ceiling = [], 0, int(facts["memory"]) * 3 // 2
    try:
        while sent < ceiling:
            pair = socket.socketpair()
            pair[0].setblocking(False)
            held.append(pair)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sent += pair[0].send(b"x" * 65536)
    except OSError as refusal:
        return blocked(f"{errno_name(refusal.errno or 0)} after {sent // MIB} MiB")
    return opened(f"{sent // MIB} MiB")


@attempt("asynchronous-io", "denial-of-service", "use up the machine's asynchronous I/O contexts")
def aio(_: Facts) -> Observed:
    result, number = call("io_setup", 65536, bytes(8))
    return blocked(errno_name(number)) if number in (errno.ENOSYS, errno.EPERM) else opened(f"{result} {number}")
