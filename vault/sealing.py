"""A version's folder as it lies on the disk: one sealed file for each table, and the wrapped key beside them.

Streaming authenticated encryption is Tink's AES256-GCM-HKDF in segments of 1 MiB (after Hoang, Reyhanitabar, Rogaway and Vizár,
*Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance*, 2015): nothing is given out before its segment was authenticated,
and a cut, moved or repeated segment is an error. The folder's random id and the file's name are authenticated with every file, so that
files cannot be swapped within a version or between versions; that a whole version is the registered one, the caller's digests say.

    <version>/key.json           {"format", "id", "wrapped"}   the data key, wrapped by the master key
    <version>/<table>.parquet.sealed
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import tink
from tink import json_proto_keyset_format, streaming_aead

from vault.errors import cannot_open
from vault.master import Master, sync_folder

FORMAT = "glovebox-vault/1"
KEY_FILE = "key.json"
ENDING = ".sealed"
CHUNK = 1024 * 1024
streaming_aead.register()


@dataclass(frozen=True)
class Sealed:
    """What was written: SHA-256 and size in bytes of the plain content."""

    digest: str
    bytes: int


class SealedWriter:
    """Seals files into a new folder under a new data key."""

    def __init__(self, folder: Path, master: Master) -> None:
        self._folder = folder
        self._id = secrets.token_hex(16)
        handle = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB)
        wrapped = json_proto_keyset_format.serialize_encrypted(handle, master, self._id.encode())
        facts = {"format": FORMAT, "id": self._id, "wrapped": json.loads(wrapped)}
        self._primitive = handle.primitive(streaming_aead.StreamingAead)
        _write(folder / KEY_FILE, json.dumps(facts, sort_keys=True).encode())

    @contextmanager
    def pipe(self, name: str, beside: Path) -> Iterator[Pipe]:
        """A named pipe in the private folder ``beside``: what is written into it is sealed as ``name`` and never lies on a disk."""
        made = Pipe(beside / f"{secrets.token_hex(8)}.pipe", self._folder / f"{name}{ENDING}")
        os.mkfifo(made.path, 0o600)
        made.start(self._primitive, context(self._id, name))
        try:
            yield made
        except BaseException:
            made.stop()
            made.target.unlink(missing_ok=True)
            raise
        finally:
            made.path.unlink(missing_ok=True)


class Pipe:
    """One file on its way into the vault. ``path`` is written once, from start to end; then `sealed` waits for the rest."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.target = target
        self._made: Sealed | None = None
        self._failed: Exception | None = None
        self._thread: threading.Thread | None = None

    def start(self, primitive: streaming_aead.StreamingAead, about: bytes) -> None:
        self._thread = threading.Thread(target=self._pump, args=(primitive, about), daemon=True)
        self._thread.start()

    @property
    def failure(self) -> Exception | None:
        """Why nothing could be written, when the writer only saw that its pipe broke."""
        return self._failed

    def sealed(self) -> Sealed:
        """The finished file's facts, once it is on the disk. Raises OSError when it could not be written."""
        self._join()
        if self._failed is not None:
            raise self._failed
        if self._made is None:
            raise OSError("nothing was written")
        return self._made

    def stop(self) -> None:
        """Give up: the reader may still wait for a writer that will never come."""
        while self._thread is not None and self._thread.is_alive():
            with contextlib.suppress(OSError):  # it is not waiting yet, or no more
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
            self._thread.join(0.01)

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _pump(self, primitive: streaming_aead.StreamingAead, about: bytes) -> None:
        try:
            with self.path.open("rb") as source:
                with contextlib.suppress(OSError):  # only faster: a pipe holds 64 KiB unless asked
                    fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, CHUNK)
                self._take(primitive, source, about)
        except Exception as failed:  # noqa: BLE001  carried to the thread that asked
            self._failed = self._failed or failed

    def _take(self, primitive: streaming_aead.StreamingAead, source: BinaryIO, about: bytes) -> None:
        """A failure is noted before the pipe breaks: the writer, who sees that, looks for the reason at once."""
        try:
            with self.target.open("xb") as out:
                self._made = seal(primitive, source, out, about)
                self.target.chmod(0o400)
        except Exception as failed:
            self._failed = failed
            raise


def seal(primitive: streaming_aead.StreamingAead, source: BinaryIO, out: BinaryIO, about: bytes) -> Sealed:
    """Copy ``source`` sealed into ``out``, and see it onto the disk. Returns digest and size of the plain bytes."""
    plain, size = hashlib.sha256(), 0
    with primitive.new_encrypting_stream(Kept(out), about) as stream:
        while chunk := source.read(CHUNK):
            plain.update(chunk)
            size += len(chunk)
            stream.write(chunk)
    out.flush()
    os.fsync(out.fileno())
    return Sealed(plain.hexdigest(), size)


class Kept:
    """A file that Tink's stream must not close, because it is not synced yet."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        self._file.flush()


def context(folder_id: str, name: str) -> bytes:
    """What is authenticated with a file besides its bytes."""
    return f"{FORMAT}\n{folder_id}\n{name}".encode()


class SealedFolder:
    """Reads a sealed folder. Raises VaultFault for a wrong key and for anything that was changed."""

    def __init__(self, folder: Path, master: Master) -> None:
        self._folder = folder
        try:
            facts = json.loads((folder / KEY_FILE).read_bytes())
            self._id = str(facts["id"])
            if facts["format"] != FORMAT:
                raise ValueError("format")
            handle = json_proto_keyset_format.parse_encrypted(json.dumps(facts["wrapped"]), master, self._id.encode())
            self._primitive = handle.primitive(streaming_aead.StreamingAead)
        except (OSError, ValueError, KeyError, TypeError, tink.TinkError) as broken:
            raise cannot_open("The version's key is missing or damaged.", f"{folder}: {broken!r}") from broken

    def open_to(self, name: str, target: Path, digest: str) -> None:
        """Write the plain file (0444). ``digest``: SHA-256 that the catalogue has for it. Nothing is left after an error."""
        part = target.with_name(f".{target.name}.part")
        try:
            found = self._copy(name, part)
            if found != digest:
                raise cannot_open("Another file lies in its place.", f"{self._folder / name}: {found}")
            part.chmod(0o444)
            part.rename(target)
        except (OSError, tink.TinkError) as broken:
            raise cannot_open(
                "It was changed or cut short, or the room for it ended.", f"{name}: {broken!r}"
            ) from broken
        finally:
            part.unlink(missing_ok=True)

    def _copy(self, name: str, part: Path) -> str:
        plain = hashlib.sha256()
        with (
            (self._folder / f"{name}{ENDING}").open("rb") as sealed,
            part.open("xb") as out,
            self._primitive.new_decrypting_stream(sealed, context(self._id, name)) as stream,
        ):
            while chunk := stream.read(CHUNK):
                plain.update(chunk)
                out.write(chunk)
        return plain.hexdigest()


def sealed_bytes(folder: Path) -> int:
    """How much the folder's files hold, a little over-estimated."""
    return sum(path.stat().st_size for path in folder.glob(f"*{ENDING}"))


def erase_key(folder: Path) -> None:
    """Overwrite and remove the wrapped key, and see both onto the disk: what is left cannot be opened any more."""
    path = folder / KEY_FILE
    if not path.exists():
        return
    folder.chmod(0o700)
    path.chmod(0o600)
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(2):
            file.seek(0)
            file.write(secrets.token_bytes(size))
            file.flush()
            os.fsync(file.fileno())
    path.unlink()
    sync_folder(folder)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
