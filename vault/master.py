"""The master key: it wraps each version's data key and never touches data.

Three places for it, by the setting ``vault_master``:

``file``
    ``<secrets>/vault.master``, a Tink keyset with mode 0600, made at first use.
``pkcs11:…``
    A secret key in a hardware module, named by an RFC 7512 address
    (``pkcs11:token=NAME;object=KEY?module-path=/path/lib.so&pin-source=/path/pin``). The key never leaves the module.
``command:/path/to/program``
    Any key service: the program is called with ``wrap`` or ``unwrap``, gets ``{"key", "context"}`` in base64 as JSON, and answers
    ``{"key"}``.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Protocol

import tink
from tink import aead, json_proto_keyset_format, secret_key_access

from installation.settings import Settings
from vault.errors import VaultFault, cannot_open

_SECONDS = 30
aead.register()


class Master(Protocol):
    """As `tink.aead.Aead`. ``decrypt`` raises `VaultFault` for what it did not wrap under this context."""

    def encrypt(self, plaintext: bytes, associated_data: bytes, /) -> bytes: ...

    def decrypt(self, ciphertext: bytes, associated_data: bytes, /) -> bytes: ...


def master_of(settings: Settings) -> Master:
    """The configured master key. Raises VaultFault when it is not there or the setting names no known place."""
    kind, colon, rest = settings.vault_master.partition(":")
    if settings.vault_master == "file":
        return FileMaster(settings.secrets / "vault.master")
    if kind == "command" and colon:
        return CommandMaster(Path(rest))
    if kind == "pkcs11" and colon:
        from vault.hardware import HardwareMaster

        return HardwareMaster(settings.vault_master)
    raise VaultFault(
        "The vault has no master key.",
        why="The setting vault_master names no place for a key.",
        do='Set it to "file", "pkcs11:…" or "command:/path/to/program".',
    )


class FileMaster:
    """A keyset in a file that only its owner reads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def encrypt(self, plaintext: bytes, associated_data: bytes, /) -> bytes:
        if not self._path.exists():
            _make(self._path)
        return bytes(self._aead().encrypt(plaintext, associated_data))

    def decrypt(self, ciphertext: bytes, associated_data: bytes, /) -> bytes:
        try:
            return bytes(self._aead().decrypt(ciphertext, associated_data))
        except tink.TinkError as wrong:
            raise cannot_open("Its key was not wrapped by this installation's master key.") from wrong

    def _aead(self) -> aead.Aead:
        try:
            if self._path.stat().st_mode & 0o077:
                raise cannot_open("The master key's file can be read by others than its owner.")
            text = self._path.read_text("ascii")
            handle = json_proto_keyset_format.parse(text, secret_key_access.TOKEN)
            return handle.primitive(aead.Aead)
        except (OSError, UnicodeDecodeError, tink.TinkError) as broken:
            raise cannot_open("The master key's file is missing or damaged.", type(broken).__name__) from broken


def _make(path: Path) -> None:
    """Whole or not at all; whoever comes second uses the first one's."""
    text = json_proto_keyset_format.serialize(
        tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM), secret_key_access.TOKEN
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{secrets.token_hex(8)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
        sync_folder(path.parent)
    except FileExistsError:
        pass  # another process made it at the same moment
    finally:
        fresh.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """The folder's names are on the disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class CommandMaster:
    """A key service behind a program of the operator's."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def encrypt(self, plaintext: bytes, associated_data: bytes, /) -> bytes:
        return self._ask("wrap", plaintext, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes, /) -> bytes:
        return self._ask("unwrap", ciphertext, associated_data)

    def _ask(self, verb: str, key: bytes, context: bytes) -> bytes:
        question = json.dumps({"key": _text(key), "context": _text(context)})
        try:
            done = subprocess.run(
                [str(self._program), verb], input=question, capture_output=True, text=True, timeout=_SECONDS, check=True
            )
            return base64.b64decode(json.loads(done.stdout)["key"], validate=True)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as failed:
            # what the program printed may hold a key: only what kind of failure it was is kept
            raise cannot_open(f"The key service did not {verb} the key.", type(failed).__name__) from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
