"""The signing key as a file: made once, 0600, never shown; the public key beside it for everyone."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from ledger.errors import KeyFault
from ledger.note import Signer, Verifier


def ensure(path: Path, name: str) -> Signer:
    """The signer at ``path``, made under ``name`` when there is none. Raises KeyFault for a file that others may read."""
    try:
        return load(path)
    except FileNotFoundError:
        signer = Signer.generate(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = _write_beside(path, signer.secret(), 0o600)
    try:
        os.link(fresh, path)  # fails when another process was first, whose key then counts
    except FileExistsError:
        return load(path)
    finally:
        fresh.unlink()
        _sync(path.parent)
    return signer


def load(path: Path) -> Signer:
    """Raises FileNotFoundError, or KeyFault when the file is malformed or not private."""
    with path.open(encoding="utf-8") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise KeyFault(
                f"The signing key {path.name} was not used.",
                why="Other accounts on this machine may read or change it.",
                do=f"Check who had access, then: chmod 600 {path.name}",
            )
        return Signer.parse(file.read(4096))


def publish(signer: Signer, path: Path) -> None:
    """Write the public verifier key for everyone to read; a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(_write_beside(path, str(signer.verifier), 0o644), path)
    _sync(path.parent)


def public(path: Path) -> Verifier:
    """Raises FileNotFoundError or KeyFault."""
    return Verifier.parse(path.read_text("utf-8"))


def _write_beside(path: Path, line: str, mode: int) -> Path:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
