"""Which process a sandbox's folder belongs to while nobody has it on the record: a start in progress, or one that waits."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "owner"


def sign(folder: Path) -> None:
    """Say that this process makes the sandbox in ``folder``."""
    (folder / NAME).write_text(f"{os.getpid()} {_started(os.getpid())}\n", "ascii")


def owner_lives(folder: Path) -> bool:
    """Whether the process that made it still runs. A number that was given to another process since does not count."""
    try:
        pid, started = (folder / NAME).read_text("ascii").split()
        return started != "" and _started(int(pid)) == started
    except (OSError, ValueError):
        return False


def _started(pid: int) -> str:
    """When a process began, in clock ticks since the machine did; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""
