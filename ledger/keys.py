"""The signing key as a file: made once, 0600, never shown; the public key beside it for everyone."""

from __future__ import annotations

import os
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
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{signer}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)  # fails when another process was first, whose key then counts
    except FileExistsError:
        return load(path)
    finally:
        fresh.unlink()
    return signer


def load(path: Path) -> Signer:
    """Raises FileNotFoundError, or KeyFault when the file is malformed or not private."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise KeyFault(
            f"The signing key {path.name} was not used.",
            why="Other accounts on this machine may read or change it.",
            do=f"Check who had access, then: chmod 600 {path.name}",
        )
    return Signer.parse(path.read_text("utf-8"))


def publish(signer: Signer, path: Path) -> None:
    """Write the public verifier key for everyone to read."""
    path.write_text(f"{signer.verifier}\n", "utf-8")
    path.chmod(0o644)


def public(path: Path) -> Verifier:
    return Verifier.parse(path.read_text("utf-8"))
