"""A backup of state and evidence while the workbench runs, and the way back, which trusts nothing that it has not verified.

The database is copied in one snapshot and the blobs after it: a blob is there before a row names it, and none is ever removed. The
manifest is a note signed with the ledger's key, so that whoever keeps a backup cannot change it. Data and homes are not in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from installation.settings import Settings
from ledger import keys
from ledger.errors import LedgerFault
from ledger.note import Signer, Verifier, open_note
from store.clock import stamp
from store.copying import copy_sqlite, verify_copy
from workbench.errors import WorkbenchFault

FORMAT = "glovebox-backup/1"
MANIFEST = "manifest.note"
DATABASES = ("hub.sqlite", "glovebox.sqlite")  # the last is put in its place last
FILES = ("ledger.pub", "settings.toml")
FOLDERS = ("blobs", "certificates")
KEY = "ledger.key"


@dataclass(frozen=True)
class Restored:
    files: int
    entries: int
    head: str


def backup(settings: Settings, folder: Path, keys_to: Path | None, at: datetime) -> int:
    """Write a backup into ``folder``, which must not exist, and the keys into a file only when one is named.

    Returns how many files it holds. Raises WorkbenchFault, and then leaves no folder.
    """
    if settings.database_url:
        raise _not_made(
            "The store is on PostgreSQL, whose own tools copy it.", "Use pg_dump and copy the state folder."
        )
    if not (settings.home / DATABASES[-1]).exists():
        raise _not_made("There is no database here.", "Look at GLOVEBOX_HOME.")
    if keys_to is not None and keys_to.resolve().is_relative_to(folder.resolve()):
        raise _not_made("Keys and backup would lie together.", "Name a file elsewhere with --keys.")
    if folder.resolve().is_relative_to(settings.home.resolve()):
        raise _not_made(f"{folder} is inside the state folder.", "Name a folder elsewhere, on another disk.")
    signer = keys.load(settings.secrets / KEY)
    try:
        folder.mkdir(mode=0o700)
    except OSError as refused:
        raise _not_made(
            f"{folder} was not made: {refused.strerror}.", "Name a folder that does not exist yet."
        ) from refused
    try:
        _fill(settings.home, folder)
        lines = [f"{_digest(folder / name)}  {name}" for name in _names(folder)]
        _write(folder / MANIFEST, signer.sign("\n".join([FORMAT, stamp(at), *lines]) + "\n").encode())
        if keys_to is not None:
            _write(keys_to, _keys(settings.secrets))
    except BaseException as failed:
        shutil.rmtree(folder)
        if isinstance(failed, OSError):
            raise _not_made(f"{failed}.", "Make room, or name a file that does not exist yet.") from failed
        raise
    return len(lines)


def restore(settings: Settings, folder: Path, keys_from: Path) -> Restored:
    """Bring a backup into an empty state folder, verified against the signing key in ``keys_from``.

    Manifest, every file and the whole ledger are verified before anything is put in its place. Raises WorkbenchFault.
    """
    secrets = _read_keys(keys_from)
    verifier = _signer(secrets).verifier
    wanted = _manifest(folder, verifier)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = [name for name in ("secrets", *FOLDERS, *FILES, *DATABASES) if (settings.home / name).exists()]
    if there:
        raise _not_restored(f"{settings.home} holds {there[0]} already.", "Name an empty folder in GLOVEBOX_HOME.")
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir=settings.home) as beside:
        staged = Path(beside)
        _take(folder, wanted, staged)
        (staged / "secrets").mkdir(mode=0o700)
        for name, data in secrets.items():
            _write(staged / "secrets" / name, data)
        report = verify_copy(staged / DATABASES[-1], verifier)
        if not report.ok:
            raise _not_restored(f"Its ledger does not verify: {report.message}", "Take an older backup.")
        for name in ("secrets", *FOLDERS, *FILES, *DATABASES):
            if (staged / name).exists():
                os.rename(staged / name, settings.home / name)
    return Restored(len(wanted), report.size, report.head)


def _fill(home: Path, folder: Path) -> None:
    for name in DATABASES:
        if (home / name).exists():
            copy_sqlite(home / name, folder / name)
    for name in FILES:
        if (home / name).exists():
            _write(folder / name, (home / name).read_bytes())
    for name in FOLDERS:
        for relative in _names(home / name):
            _copy(home / name / relative, folder / name / relative)


def _names(folder: Path) -> list[str]:
    """Every finished file below, by its relative name; what begins with a dot is still being written."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    names = [path.relative_to(folder) for path in found]
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def _copy(source: Path, target: Path) -> str:
    """The digest of what was written, which is what counts: the source may be changed at any time."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as reading, _private(target) as writing:
        while chunk := reading.read(1024 * 1024):
            digest.update(chunk)
            writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _private(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _keys(secrets: Path) -> bytes:
    held = {name: base64.b64encode((secrets / name).read_bytes()).decode() for name in _names(secrets)}
    return json.dumps(held, indent=1).encode()


def _read_keys(path: Path) -> dict[str, bytes]:
    try:
        held = {name: base64.b64decode(data, validate=True) for name, data in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError, binascii.Error) as unreadable:
        raise _not_restored(
            f"{path.name} is no file of keys.", "Name the one that backup --keys wrote."
        ) from unreadable
    if any(not _is_inside(name) for name in held):
        raise _not_restored(f"{path.name} names files outside its folder.", "Name the one that backup --keys wrote.")
    return held


def _signer(secrets: dict[str, bytes]) -> Signer:
    try:
        return Signer.parse(secrets[KEY].decode())
    except (KeyError, UnicodeDecodeError, LedgerFault) as missing:
        raise _not_restored(
            "The file of keys has no signing key.", "Name the one that backup --keys wrote."
        ) from missing


def _manifest(folder: Path, verifier: Verifier) -> dict[str, str]:
    """Name → SHA-256, as the installation signed it."""
    try:
        text = open_note((folder / MANIFEST).read_text("utf-8"), verifier)
    except (OSError, UnicodeDecodeError, LedgerFault) as untrue:
        why = "Its manifest is not signed by this key: it was altered, or the key is another installation's."
        raise _not_restored(why, "Take the keys that belong to it, or another backup.") from untrue
    form, _, *lines = text.splitlines()
    if form != FORMAT:
        raise _not_restored(f"It has the format {form}.", "Use the program version that wrote it.")
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if DATABASES[-1] not in wanted or any(not _is_ours(name) for name in wanted):
        raise _not_restored("Its manifest names files that a backup does not have.", "Take another backup.")
    return wanted


def _take(folder: Path, wanted: dict[str, str], staged: Path) -> None:
    for name, digest in wanted.items():
        try:
            found = _copy(folder / name, staged / name)
        except OSError as missing:
            raise _not_restored(f"{name} was not read: {missing.strerror}.", "Take another backup.") from missing
        if found != digest:
            raise _not_restored(f"{name} is not what was backed up.", "Take another backup.")


def _is_ours(name: str) -> bool:
    return _is_inside(name) and (name in (*FILES, *DATABASES) or PurePosixPath(name).parts[0] in FOLDERS)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _not_made(why: str, do: str) -> WorkbenchFault:
    return WorkbenchFault("No backup was made.", why=why, do=do)


def _not_restored(why: str, do: str) -> WorkbenchFault:
    return WorkbenchFault("Nothing was restored.", why=why, do=do)
