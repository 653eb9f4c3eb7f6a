"""A file that a browser sends into the intake folder: written as it comes, in its place only when it is whole.

Until then it has no name (``O_TMPFILE``): whatever ends the upload, the browser, the limit, a full disk or a power cut, leaves nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import unicodedata
from pathlib import Path

from egress_gate.service.errors import Conflict, TooLarge
from egress_gate.service.intake import IntakeFile
from installation.fault import Fault
from provisioning.domain.registration import FORMATS
from workbench.errors import WorkbenchFault

LONGEST = 70  # characters, so that the longest is a name on any file system
NOT_TAKEN = "The file was not taken."
SPARE = 1024**3  # what an upload leaves free: the ledger is on the same disk
_NO_PLACE = (errno.ENOSPC, errno.EDQUOT)


class Arriving:
    """`egress_gate.service.intake.Arriving` in a folder. Raises Fault for a name, kind or size that is not taken."""

    def __init__(self, folder: Path, name: str, size: int, limit: int) -> None:
        self.name = clean(name)
        self._path, self._size, self._done = folder / self.name, size, 0
        self._digest = hashlib.sha256()
        if size > limit:
            raise too_large()
        if os.path.lexists(self._path):
            raise _taken()
        if size + SPARE > shutil.disk_usage(folder).free:
            raise _full()
        try:
            self._file: int | None = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
        except OSError as broken:
            raise self._broken(broken) from broken

    def write(self, chunk: bytes, /) -> None:
        """Raises Fault when it cannot be written, or is more than was announced."""
        self._done += len(chunk)
        if self._done > self._size:
            raise _not_as_said()
        self._digest.update(chunk)
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[os.write(self._open, rest) :]
        except OSError as broken:
            raise self._broken(broken) from broken

    def whole(self) -> IntakeFile:
        """Everything that was announced is on the disk. Raises Fault when it is not."""
        if self._done != self._size:
            raise _not_as_said()
        try:
            os.fsync(self._open)
        except OSError as broken:
            raise self._broken(broken) from broken
        return IntakeFile(self.name, self._done, "", self._digest.hexdigest())

    def keep(self) -> None:
        """Give it its name. Raises Conflict when another file has taken that meanwhile: nothing is ever replaced."""
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.link(f"/proc/self/fd/{self._open}", self.name, dst_dir_fd=folder, follow_symlinks=True)
            os.fsync(folder)
        except FileExistsError as taken:
            raise _taken() from taken
        except OSError as broken:
            raise self._broken(broken) from broken
        finally:
            os.close(folder)

    def end(self) -> None:
        """Close it; without a name it is gone."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    @property
    def _open(self) -> int:
        if self._file is None:
            raise ValueError("the upload has ended")
        return self._file

    def _broken(self, broken: OSError) -> Fault:
        if broken.errno in _NO_PLACE:
            return _full()
        return WorkbenchFault(
            NOT_TAKEN,
            why="The intake folder cannot be written, or its file system has no files without a name.",
            do="Put the file into the folder on the server; the operator finds more in the hub's log.",
            private=str(broken),
        )


def clean(name: str) -> str:
    """A browser's name for a file as one of the folder's: no path, nothing that is not seen. Raises WorkbenchFault for another kind."""
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    seen = "".join(c if c.isprintable() and c not in '#<>:"|?*' else "_" for c in base).strip(" .")
    stem, dot, kind = seen.rpartition(".")
    if not dot or f".{kind.lower()}" not in FORMATS or not stem.strip("_ ."):
        raise _refused(
            "Its ending is that of no kind of file that can be read as a table.",
            f"Send one of: {', '.join(sorted(FORMATS))}. Unpack archives first.",
        )
    if len(seen) > LONGEST:
        raise _refused("Its name is too long.", "Give it a shorter one.")
    return seen


def too_large() -> TooLarge:
    return TooLarge(
        NOT_TAKEN,
        why="It is larger than upload_bytes in the settings lets through a browser.",
        do="Put it into the folder intake of the state folder on the server; its size does not matter there.",
    )


def _taken() -> Conflict:
    return Conflict(
        NOT_TAKEN,
        why="A file of this name lies in the intake folder.",
        do="Remove that one, or give yours another name.",
    )


def _full() -> WorkbenchFault:
    return _refused("The disk has no room for it.", "Free some space, or ask the operator, then send it again.")


def _not_as_said() -> WorkbenchFault:
    return _refused("It ended before its end, or went on after it.", "Send it again. Nothing half-done was kept.")


def _refused(why: str, do: str) -> WorkbenchFault:
    return WorkbenchFault(NOT_TAKEN, why=why, do=do)
