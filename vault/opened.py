"""Who holds which opened version. The last holder that leaves closes it.

<place>/open/<dataset>/<number>/       the plain files, read-only
<place>/held/<dataset>/<number>/s-ID   a sandbox holds it: until it is removed
<place>/held/<dataset>/<number>/p-ID   a process holds it: locked as long as the process lives
<place>/lock                           taken while something is opened or closed
"""

from __future__ import annotations

import fcntl
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from installation.settings import Settings
from vault.errors import VaultFault
from vault.master import master_of
from vault.pages import collapse_soon
from vault.place import place_of, require_room
from vault.sealing import SealedFolder, SealedWriter, erase_key, sealed_bytes

_VERSION = re.compile(r"[a-z][a-z0-9_-]{0,62}/[1-9][0-9]{0,8}")
_HOLDER = re.compile(r"[0-9a-f]{8,64}")

Expected = Mapping[str, str]  # file name → SHA-256 of its plain bytes, as the catalogue has them


class Vault:
    """One installation's vault. Cheap to make; it keeps nothing between calls but files."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def writer(self, folder: Path) -> SealedWriter:
        """Seals the files of a new version into ``folder``, which is empty and ours."""
        return SealedWriter(folder, master_of(self._settings))

    @property
    def root(self) -> Path:
        """The folder that opened versions appear in, as ``<dataset>/<number>``."""
        return place_of(self._settings) / "open"

    def path(self, version: str) -> Path:
        """Where the version's plain files lie while somebody holds it."""
        return self.root / _checked(version)

    def hold(self, version: str, expected: Expected, sandbox: str) -> Path:
        """Open a version for a sandbox, until `release`. Raises VaultFault; then the sandbox does not hold it."""
        if not _HOLDER.fullmatch(sandbox):
            raise ValueError(f"not a sandbox id: {sandbox!r}")
        with self._locked():
            mark = self._held(version) / f"s-{sandbox}"
            mark.touch(mode=0o600)
            fresh = not self.path(version).exists()
            try:
                found = self._open(version, expected)
            except BaseException:
                mark.unlink()
                self._close_unheld(version)
                raise
        if fresh:  # people will read it again and again; a check reads it once
            collapse_soon([found / name for name in sorted(expected)])
        return found

    def release(self, sandbox: str) -> None:
        """The sandbox is gone: close what nobody else holds. Twice is once."""
        with self._locked():
            for mark in (place_of(self._settings) / "held").glob(f"*/*/s-{sandbox}"):
                mark.unlink()
            self._close_all_unheld()

    @contextmanager
    def opened(self, wanted: Mapping[str, Expected]) -> Iterator[dict[str, Path]]:
        """Versions open for the block: version → folder. A process that dies inside lets go of them. Raises VaultFault."""
        with ExitStack() as stack:
            found = {}
            for version, expected in sorted(wanted.items()):
                stack.callback(self._close_soon, version)
                stack.enter_context(self._mark(version))
                with self._locked():
                    found[version] = self._open(version, expected)
            yield found

    def close_unheld(self, sandboxes: set[str]) -> None:
        """After a crash: forget holders that are no longer there, and close what nobody holds. ``sandboxes`` are the living."""
        with self._locked():
            for mark in (place_of(self._settings) / "held").glob("*/*/s-*"):
                if mark.name.removeprefix("s-") not in sandboxes:
                    mark.unlink()
            self._close_all_unheld()

    def can_open(self, version: str) -> bool:
        """Whether the version's key is there and the master key unwraps it. Reads no data."""
        try:
            SealedFolder(self._settings.datasets / _checked(version), master_of(self._settings))
        except VaultFault:
            return False
        return True

    def erase_key(self, folder: Path) -> None:
        """Make a version unreadable for good."""
        erase_key(folder)

    # -- inside -----------------------------------------------------------------------------------------------------
    def _open(self, version: str, expected: Expected) -> Path:
        """Under the lock: the folder with every expected file. A file that is there was checked when it was written."""
        target = self.path(version)
        missing = {name: digest for name, digest in expected.items() if not (target / name).exists()}
        if not missing:
            return target
        sealed = self._settings.datasets / version
        require_room(place_of(self._settings), sealed_bytes(sealed))
        folder = SealedFolder(sealed, master_of(self._settings))
        target.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.chmod(0o755)
        for name, digest in sorted(missing.items()):
            folder.open_to(name, target / name, digest)
        target.chmod(0o555)
        return target

    def _held(self, version: str) -> Path:
        folder = place_of(self._settings) / "held" / _checked(version)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @contextmanager
    def _mark(self, version: str) -> Iterator[None]:
        """A locked file says that this process holds the version."""
        with self._locked():
            path = self._held(version) / f"p-{secrets.token_hex(8)}"
            file = path.open("xb")
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            file.close()

    def _close_soon(self, version: str) -> None:
        with self._locked():
            self._close_unheld(version)

    def _close_all_unheld(self) -> None:
        for folder in sorted((place_of(self._settings) / "open").glob("*/*")):
            self._close_unheld(f"{folder.parent.name}/{folder.name}")

    def _close_unheld(self, version: str) -> None:
        if any(_alive(mark) for mark in sorted(self._held(version).iterdir())):
            return
        folder = self.path(version)
        if folder.exists():
            folder.chmod(0o700)
            shutil.rmtree(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (place_of(self._settings) / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _alive(mark: Path) -> bool:
    """A sandbox's mark counts until it is taken away; a process's as long as the process has it locked."""
    if mark.name.startswith("s-"):
        return True
    with mark.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    mark.unlink(missing_ok=True)
    return False


def _checked(version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise VaultFault("The data could not be opened.", why="It is not the name of a version.", do="Use NAME/NUMBER.")
    return version
