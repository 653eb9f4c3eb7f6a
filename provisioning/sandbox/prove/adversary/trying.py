"""How an attempt is written, run and judged. `error` means that it could not be decided, and is never taken for blocked."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BLOCKED, OPEN, ERROR = "blocked", "open", "error"
Observed = tuple[str, str]


@dataclass(frozen=True)
class Attempt:
    """One thing that is tried: its name, the channel it belongs to, a sentence, and the function that tries it."""

    id: str
    channel: str
    tried: str
    run: Callable[[dict[str, Any]], Observed]
    seconds: float
    kill_means: str
    known: str


ATTEMPTS: list[Attempt] = []


def attempt(
    name: str, channel: str, tried: str, *, seconds: float = 15, kill_means: str = ERROR, known: str = ""
) -> Callable[[Callable[[dict[str, Any]], Observed]], Callable[[dict[str, Any]], Observed]]:
    """Register a function as an attempt. ``kill_means``: what it says when the kernel kills the try (SIGSYS, SIGKILL).

    ``known``: why a channel stays open in every container; it is then expected to be, and reports say so.
    """

    def register(function: Callable[[dict[str, Any]], Observed]) -> Callable[[dict[str, Any]], Observed]:
        ATTEMPTS.append(Attempt(name, channel, tried, function, seconds, kill_means, known))
        return function

    return register


def blocked(detail: str) -> Observed:
    return BLOCKED, detail


def opened(detail: str) -> Observed:
    return OPEN, detail


def unknown(detail: str) -> Observed:
    return ERROR, detail


def errno_name(number: int) -> str:
    return errno.errorcode.get(number, str(number))


# -- raw system calls -------------------------------------------------------------------------------------------------
# name: (x86-64, arm64); None where the architecture has no such call.
CALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "clone": (56, 220),
    "clone3": (435, 435),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "syslog": (103, 116),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "iopl": (172, None),
    "ioperm": (173, None),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "inotify_init1": (294, 26),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "vmsplice": (278, 75),
    "remap_file_pages": (216, 234),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444),
    "mknodat": (259, 33),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "setuid": (105, 146),
    "capset": (126, 91),
    "mbind": (237, 235),
    "move_pages": (279, 239),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "mincore": (27, 232),
    "cachestat": (451, 451),
    "preadv2": (327, 286),
    "fadvise64": (221, 223),
    "flock": (73, 32),
    "sync": (162, 81),
    "statfs": (137, 43),
    "process_madvise": (440, 440),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
    "statmount": (457, 457),
}
X86 = platform.machine() in ("x86_64", "AMD64")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(name: str, *arguments: Any) -> tuple[int, int]:
    """Make a system call by number; (result, errno). A call that the architecture does not have gives ENOSYS."""
    number = CALLS[name][0 if X86 else 1]
    return (-1, errno.ENOSYS) if number is None else raw(number, *arguments)


def raw(number: int, *arguments: Any) -> tuple[int, int]:
    ctypes.set_errno(0)
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *given))
    return result, ctypes.get_errno() if result == -1 else 0


REFUSALS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS})


def surface(name: str, *arguments: Any) -> Observed:
    """Whether the kernel looks at a call's arguments at all: any answer but a refusal means that its code is reachable."""
    result, number = call(name, *arguments)
    if result == -1 and number in REFUSALS:
        return blocked(f"{name}: {errno_name(number)}")
    return opened(f"{name}: {result if result != -1 else errno_name(number)}")


def refused(action: Callable[[], Any], *numbers: int) -> Observed:
    """Whether an action fails with one of the named errors; another error leaves it undecided."""
    try:
        made = action()
    except OSError as refusal:
        word = errno_name(refusal.errno or 0)
        return blocked(word) if refusal.errno in numbers else unknown(f"unexpected {word}")
    return opened(f"succeeded: {made!r}"[:200])


# -- running one ------------------------------------------------------------------------------------------------------
def run(attempt_: Attempt, facts: dict[str, Any]) -> dict[str, str]:
    """Try in a child process, so that a kill or a hang is an observation and not the end of the report."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _try_in_child(attempt_, facts, writer)
    os.close(writer)
    told = _read(reader, attempt_.seconds)
    observed, detail = _ended(child, told, attempt_)
    return {
        "id": attempt_.id,
        "channel": attempt_.channel,
        "tried": attempt_.tried,
        "expected": OPEN if attempt_.known else BLOCKED,
        "observed": observed,
        "detail": f"{detail[:200]} (known: {attempt_.known})" if attempt_.known else detail[:300],
    }


def _try_in_child(attempt_: Attempt, facts: dict[str, Any], writer: int) -> None:
    os.setsid()
    try:
        observed = attempt_.run(facts)
    except Exception as surprise:  # noqa: BLE001 - reported as undecided, never as blocked
        observed = unknown(f"{type(surprise).__name__}: {surprise}")
    os.write(writer, json.dumps(observed).encode())
    os._exit(0)


def _read(reader: int, seconds: float) -> bytes:
    told, deadline = b"", time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([reader], [], [], left)
        part = os.read(reader, 65536) if ready else b""
        if not part:
            break
        told += part
    os.close(reader)
    return told


def _ended(child: int, told: bytes, attempt_: Attempt) -> Observed:
    if told:
        _kill(child)
        observed, detail = json.loads(told)
        return str(observed), str(detail)
    finished, status = os.waitpid(child, os.WNOHANG)
    if not finished:
        time.sleep(0.3)
        finished, status = os.waitpid(child, os.WNOHANG)
    if not finished:
        _kill(child)
        return unknown(f"no answer within {attempt_.seconds:.0f} s")
    number = os.waitstatus_to_exitcode(status)
    if number in (-signal.SIGSYS, -signal.SIGKILL) and attempt_.kill_means == BLOCKED:
        return blocked(f"killed by {signal.Signals(-number).name}")
    return unknown(f"the try ended with {number}")


def _kill(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        return
