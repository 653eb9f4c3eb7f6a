"""Kernel surface: calls that a data analyst never needs and an attacker does. Reachable code counts as open."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pty
import stat
from collections.abc import Callable
from typing import Any

from .trying import Observed, attempt, blocked, call, errno_name, opened, refused, surface, unknown

Facts = dict[str, Any]
_BUFFER = ctypes.create_string_buffer(4096)
_PATH = ctypes.c_char_p(b"/tmp/adversary")
_NULL = ctypes.c_void_p(None)
_NEWUSER = 0x10000000

CALLS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("ptrace", "trace a process", (0, 0, 0, 0)),
    ("process_vm_readv", "read another process's memory", (1, _BUFFER, 0, _BUFFER, 0, 0)),
    ("process_vm_writev", "write another process's memory", (1, _BUFFER, 0, _BUFFER, 0, 0)),
    ("kcmp", "compare kernel objects of two processes", (1, 1, 99, 0, 0)),
    ("pidfd_getfd", "take another process's descriptor", (-1, 0, 0)),
    ("bpf", "load a kernel program", (5, _BUFFER, 48)),
    ("perf_event_open", "open performance counters", (_BUFFER, 0, -1, -1, 0)),
    ("userfaultfd", "handle page faults (a race helper)", (0,)),
    ("add_key", "add a key to the kernel's keyring", (_PATH, _PATH, _BUFFER, 1, -3)),
    ("request_key", "ask for a key, which runs a helper on the host", (_PATH, _PATH, _NULL, 0)),
    ("keyctl", "look through the kernel's keyrings", (0, -3, 0)),
    ("unshare", "make a user namespace", (_NEWUSER,)),
    ("setns", "enter another namespace", (-1, 0)),
    ("clone3", "make a process with new namespaces", (_BUFFER, 0)),
    ("mount", "mount", (_PATH, _PATH, _PATH, 0, _NULL)),
    ("umount2", "unmount what covers a path", (_PATH, 2)),
    ("open_tree", "clone a mount", (-100, _PATH, 1)),
    ("fsopen", "make a file system", (_PATH, 0)),
    ("mount_setattr", "change a mount's flags", (-100, _PATH, 0, _BUFFER, 32)),
    ("pivot_root", "change the root", (_PATH, _PATH)),
    ("chroot", "change the root of a process", (_PATH,)),
    ("init_module", "load a kernel module", (_BUFFER, 0, _PATH)),
    ("finit_module", "load a kernel module from a file", (-1, _PATH, 0)),
    ("delete_module", "unload a kernel module", (_PATH, 0)),
    ("kexec_load", "load another kernel", (0, 0, _NULL, 0)),
    ("swapon", "add swap", (_PATH, 0)),
    ("settimeofday", "set the clock", (_BUFFER, _NULL)),
    ("clock_settime", "set a clock", (0, _BUFFER)),
    ("sethostname", "rename the machine", (_PATH, 4)),
    ("syslog", "read the kernel's log", (3, _BUFFER, 4096)),
    ("personality", "switch off address randomisation", (0x0040000,)),
    ("modify_ldt", "change the local descriptor table", (0, _BUFFER, 16)),
    ("iopl", "reach I/O ports", (3,)),
    ("ioperm", "reach one I/O port", (0x70, 1, 1)),
    ("name_to_handle_at", "turn a path into a handle", (-100, _PATH, _BUFFER, _BUFFER, 0)),
    ("open_by_handle_at", "open any file of the host by handle", (-100, _BUFFER, 0)),
    ("fanotify_init", "watch a whole file system", (0, 0)),
    ("inotify_init1", "watch files", (0,)),
    ("memfd_create", "make a file that can be run though everything is noexec", (_PATH, 0)),
    ("memfd_secret", "hide memory from the kernel", (0,)),
    ("vmsplice", "splice memory into a pipe", (-1, _BUFFER, 0, 0)),
    ("remap_file_pages", "remap pages", (0, 0, 0, 0, 0)),
    ("io_setup", "use the old asynchronous I/O", (1, _BUFFER)),
    ("seccomp", "load another filter", (2, 0, _BUFFER)),
    ("landlock_create_ruleset", "use Landlock", (_NULL, 0, 1)),
    ("acct", "write process accounting", (_PATH,)),
    ("quotactl", "change disk quotas", (0, _PATH, 0, _NULL)),
    ("capset", "raise capabilities", (_BUFFER, _BUFFER)),
    ("move_pages", "move another process's pages", (1, 0, _NULL, _NULL, _NULL, 0)),
    ("process_madvise", "advise on another process's memory", (-1, _NULL, 0, 0, 0)),
    ("vhangup", "hang up the terminal", ()),
    ("lookup_dcookie", "look up a profiler's cookie", (0, _BUFFER, 10)),
    ("statmount", "read mounts by number", (_BUFFER, _BUFFER, 64, 0)),
    ("sync", "make the whole machine write its disks", ()),
)


def _surface(name: str, arguments: tuple[Any, ...]) -> Callable[[Facts], Observed]:
    return lambda _: surface(name, *arguments)


for _name, _what, _arguments in CALLS:
    attempt(f"call-{_name.replace('_', '-')}", "kernel", f"{_what} ({_name})")(_surface(_name, _arguments))


@attempt("clone-newuser", "kernel", "make a user namespace through clone")
def clone_newuser(_: Facts) -> Observed:
    result, number = call("clone", _NEWUSER | 17, 0, 0, 0, 0)
    if result == 0:
        os._exit(0)
    if result > 0:
        os.waitpid(result, 0)
        return opened("a process in a new user namespace")
    return blocked(errno_name(number)) if number in (errno.EPERM, errno.ENOSYS) else unknown(errno_name(number))


@attempt("mknod-disk", "kernel", "make a node for the first disk and open it")
def mknod(_: Facts) -> Observed:
    return refused(
        lambda: os.mknod("/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)),  # noqa: S108
        errno.EPERM,
        errno.EACCES,
    )


@attempt("terminal-injection", "kernel", "put keystrokes into a terminal (TIOCSTI)")
def tiocsti(_: Facts) -> Observed:
    terminal = pty.openpty()[1]
    return refused(lambda: fcntl.ioctl(terminal, 0x5412, b"x"), errno.EPERM, errno.EIO, errno.ENOSYS, errno.ENOTTY)


@attempt("setuid-root", "kernel", "become root by setuid(0)")
def setuid(_: Facts) -> Observed:
    result, number = call("setuid", 0)
    return opened("uid 0") if result == 0 else blocked(errno_name(number))


@attempt("already-root", "kernel", "already be root, or hold a capability")
def already_root(_: Facts) -> Observed:
    status = _status()
    if "CapEff" not in status:
        return unknown("no capability sets are shown")
    sets = {name: status.get(name, "0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    held = {name: bits for name, bits in sets.items() if int(bits, 16)}
    if os.getuid() == 0 or held:
        return opened(f"uid {os.getuid()}, {held}")
    return blocked(f"uid {os.getuid()}, no capability in any set")


@attempt("new-privileges", "kernel", "gain rights by running a file (no_new_privs unset)")
def new_privileges(_: Facts) -> Observed:
    return blocked("no_new_privs is set") if _status().get("NoNewPrivs") == "1" else opened("no_new_privs is not set")


@attempt("no-filter", "kernel", "run without a system-call filter")
def no_filter(_: Facts) -> Observed:
    return blocked("filtered") if _status().get("Seccomp") == "2" else opened("no filter")


@attempt("setuid-files", "kernel", "find a file that runs with another's rights", seconds=60)
def setuid_files(_: Facts) -> Observed:
    found = []
    for folder, _folders, names in os.walk("/", onerror=None):
        if folder.startswith(("/proc", "/sys")):
            continue
        for name in names:
            path = os.path.join(folder, name)
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                found.append(path)
    return opened(", ".join(found)) if found else blocked("none")


@attempt("realtime", "kernel", "take a processor for good (real-time scheduling)")
def realtime(_: Facts) -> Observed:
    return refused(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)), errno.EPERM, errno.EINVAL)


@attempt("raise-priority", "kernel", "raise its own priority")
def raise_priority(_: Facts) -> Observed:
    return refused(lambda: os.setpriority(os.PRIO_PROCESS, 0, -10), errno.EPERM, errno.EACCES)


def _status() -> dict[str, str]:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return {name: value.strip() for name, value in (line.split(":", 1) for line in file if ":" in line)}
