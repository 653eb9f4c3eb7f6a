"""Bytes under their SHA-256: what was reviewed is what leaves, because it is hashed again whenever it is read."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from store.errors import BlobFault

MAX_BYTES = 512 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A content-addressed folder: ``sha256/ab/abcd…``, files 0600, written to a temporary name, synced, then renamed."""

    def __init__(self, folder: Path, limit: int = MAX_BYTES) -> None:
        self._root = folder / "sha256"
        self._limit = limit
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, data: bytes | Iterable[bytes]) -> str:
        """Store the bytes and return their digest (hex). Raises BlobFault above the size limit; then nothing is kept."""
        chunks = [data] if isinstance(data, bytes) else data
        fresh = self._root / f".{os.getpid()}-{secrets.token_hex(8)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            digest = self._write(descriptor, chunks)
            target = self._path(digest)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(fresh, target)
            _sync_folder(target.parent)
            _sync_folder(self._root)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        return digest

    def read(self, digest: str) -> bytes:
        """The bytes. Raises BlobFault when they are missing or no longer hash to ``digest``."""
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as missing:
            raise _fault("they are not in the store") from missing
        if hashlib.sha256(data).hexdigest() != digest:
            raise _fault("they no longer hash to their name: the file was altered or damaged")
        return data

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def path(self, digest: str) -> Path:
        """Where the bytes lie, verified just now. Raises BlobFault."""
        self.read(digest)
        return self._path(digest)

    def _write(self, descriptor: int, chunks: Iterable[bytes]) -> str:
        running, size = hashlib.sha256(), 0
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > self._limit:
                    raise _fault(f"they are more than {self._limit} bytes", "Send less, or in parts.")
                running.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return running.hexdigest()

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise _fault("the digest is not 64 hexadecimal characters", "Use the digest that was given at upload.")
        return self._root / digest[:2] / digest


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(
    why: str, do: str = "Restore the blob folder from a backup; the ledger says what it must hold."
) -> BlobFault:
    return BlobFault("The bytes were not stored or read.", why=f"Because {why}.", do=do)
