"""Where opened data lies: memory that a crash of the machine or a reboot clears.

By default a folder of ours in the machine's shared memory (``/dev/shm``), else the folder that the setting ``vault_place`` names. Either
must be a tmpfs, be ours, and be closed to everybody else; it is refused otherwise: another person of the machine may have made it first.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from installation.settings import Settings
from vault.errors import VaultFault

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  the folder in it is checked, not trusted
_KEPT_FREE = 256 * 1024 * 1024


def place_of(settings: Settings) -> Path:
    """The folder, made if need be. Raises VaultFault when it is not a tmpfs that only we can read."""
    if settings.vault_place:
        place = Path(settings.vault_place)
    else:
        mark = hashlib.sha256(str(settings.home).encode()).hexdigest()[:16]
        place = SHARED_MEMORY / f"glovebox-{os.getuid()}-{mark}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        _check(place)
    except OSError as refused:
        raise _refused(f"It cannot be made: {refused.strerror}.", str(refused)) from refused
    return place


def _check(place: Path) -> None:
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise _refused("It belongs to somebody else, or others can look into it.", str(place))
    if _kind(place) != "tmpfs":
        raise _refused("It does not lie in memory (tmpfs), so that a reboot would not clear it.", str(place))


def _kind(place: Path) -> str:
    """The file system that holds ``place``, by the longest mount point above it."""
    best, kind = "", ""
    real = str(place.resolve())
    for line in Path("/proc/self/mounts").read_text("utf-8").splitlines():
        _, point, found, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, found
    return kind


def require_room(place: Path, wanted: int) -> None:
    """Raises VaultFault when ``wanted`` bytes would fill the memory that the machine has left."""
    room = os.statvfs(place)
    free = min(room.f_bavail * room.f_frsize, _available())
    if wanted + _KEPT_FREE > free:
        raise VaultFault(
            "The data cannot be opened now: there is no room for it.",
            why=f"It needs {_shown(wanted)} of memory, and {_shown(max(free - _KEPT_FREE, 0))} are free for it.",
            do="Stop a workspace that is not used, or ask the operator for more memory or a larger vault_place.",
        )


def _available() -> int:
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _shown(size: int) -> str:
    return f"{size / 1024**2:.0f} MiB"


def _refused(why: str, private: str) -> VaultFault:
    return VaultFault(
        "The vault has no place to open data in.",
        why=why,
        do="Set vault_place to a folder on a tmpfs that only the operator's account can read.",
        private=private,
    )
