"""What the sandbox's limits are and which one an error means, in three parts: what happened, why, what to do."""

import errno
import os
import pathlib
import resource

CGROUP = pathlib.Path("/sys/fs/cgroup")
UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def memory_limit(root=CGROUP):
    """Bytes of memory this sandbox may use, or None where the kernel does not say."""
    return _number(root / "memory.max") or _number(root / "memory" / "memory.limit_in_bytes")


def process_limit(root=CGROUP):
    """Processes and threads that may run at once, or None."""
    return _number(root / "pids.max") or _number(root / "pids" / "pids.max")


def killed_for_memory(root=CGROUP):
    """How often the kernel has ended a process of this sandbox because the memory limit was reached."""
    for path in (root / "memory.events", root / "memory" / "memory.oom_control"):
        for line in _text(path).splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.strip().isdigit():
                return int(value)
    return 0


def memory_said(root=CGROUP):
    """What to tell whoever's kernel was ended by the memory limit."""
    limit = memory_limit(root)
    size = f"its memory limit of {shown(limit)}" if limit else "its memory limit"
    return (
        f"The kernel was ended: this sandbox reached {size}. "
        "Variables are lost; files in your home are kept, other notebooks go on. "
        "Read fewer rows or columns at a time, let DuckDB work on the files, delete what you no longer need, "
        "or close other notebooks; then run the cells again."
    )


def explained(error, root=CGROUP):
    """What to tell about an error that a limit of the sandbox explains, or an empty text."""
    number = getattr(error, "errno", None)
    if isinstance(error, MemoryError):
        return f"This sandbox has {shown(memory_limit(root))} of memory. Work on less at a time, or free what you hold."
    if number == errno.EAGAIN or "can't start new thread" in str(error):
        return (
            f"This sandbox may run {process_limit(root) or 'only so many'} processes and threads at once. "
            "Close terminals and other notebooks, or use fewer workers."
        )
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"{_space(getattr(error, 'filename', None))} Delete what you no longer need, then try again."
    if number == errno.EMFILE:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f"A process here may hold {limit} files open at once. Close files after use, for example with 'with'."
    if number == errno.EFBIG:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return f"A file here may be {shown(limit)} at most. Write several smaller ones."
    return ""


def _space(path):
    """The file system that is full: how large it is, and whether bytes or files ran out."""
    folder = os.fspath(path) if path else os.path.expanduser("~")
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    try:
        found = os.statvfs(folder or ".")
    except OSError:
        return "The place written to is full."
    size = shown(found.f_blocks * found.f_frsize)
    if found.f_files and not found.f_favail:
        return f"{folder} holds its {found.f_files} files, and no more."
    return f"{folder} lies on a file system of {size}, which is full."


def shown(size):
    """A size as people write it."""
    if not size:
        return "only so much"
    for unit, name in UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def _number(path):
    said = _text(path).strip()
    return int(said) if said.isdigit() and int(said) < 2**60 else None


def _text(path):
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
