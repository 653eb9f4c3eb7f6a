"""Bytes under their SHA-256: what was reviewed is what leaves, because it is hashed again whenever it is read."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from store.errors import BlobFault

MAX_BYTES = 512 * 1024 * 1024
_CHUNK = 1024 * 1024
_STALE_SECONDS = 24 * 3600
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A content-addressed folder: ``sha256/ab/abcd…``, files 0600, written to a temporary name, synced, then renamed.

    Safe for any number of processes: the same bytes put twice are one file, and a reader sees all of them or none.
    """

    def __init__(self, folder: Path, limit: int = MAX_BYTES) -> None:
        self._root = folder / "sha256"
        self._limit = limit
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()

    def put(self, data: bytes | Iterable[bytes]) -> str:
        """Store the bytes and return their digest (hex). Raises BlobFault above the size limit; then nothing is kept.

        When this returns, the bytes survive a power cut.
        """
        chunks = [data] if isinstance(data, bytes) else data
        fresh = self._root / f".{secrets.token_hex(16)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
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

    def open(self, digest: str) -> BinaryIO:
        """A file at its start, hashed just now, without holding it in memory. Raises BlobFault. The caller closes it."""
        try:
            file = os.fdopen(os.open(self._path(digest), os.O_RDONLY | os.O_NOFOLLOW), "rb")
        except FileNotFoundError as missing:
            raise _fault("they are not in the store") from missing
        except OSError as error:
            raise _fault("their file cannot be opened", private=str(error)) from error
        try:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise _fault("they no longer hash to their name: the file was altered or damaged")
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def read(self, digest: str) -> bytes:
        """The bytes. Raises BlobFault when they are missing or no longer hash to ``digest``."""
        with self.open(digest) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != digest:
            raise _fault("they no longer hash to their name: the file changed while it was read")
        return data

    def has(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def path(self, digest: str) -> Path:
        """Where the bytes lie, verified just now. Raises BlobFault."""
        self.open(digest).close()
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

    def _sweep(self) -> None:
        """Remove what a put left behind that was killed in the middle."""
        for left in self._root.glob(".*"):
            try:
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    left.unlink()
            except FileNotFoundError:
                continue  # another process swept it, or its put is just done


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(
    why: str,
    do: str = "Restore the blob folder from a backup; the ledger says what it must hold.",
    private: str | None = None,
) -> BlobFault:
    return BlobFault("The bytes were not stored or read.", why=f"Because {why}.", do=do, private=private)
