"""Signed notes and checkpoints of the C2SP specifications ``signed-note`` and ``tlog-checkpoint``, with Ed25519 keys.

A note is UTF-8 text ending in a newline, a blank line, then lines ``— name base64(key id || signature)``. The key id is the first four
bytes of SHA-256(name || "\\n" || 0x01 || public key). A checkpoint's text is origin, size, base64 root, each on a line.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ledger.errors import KeyFault, NoteFault

ED25519 = b"\x01"
MAX_SIGNATURES = 100


@dataclass(frozen=True)
class Verifier:
    """A public key with its name; written ``name+hex key id+base64(0x01 || key)``."""

    name: str
    public: bytes

    @cached_property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Raises KeyFault."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        found = cls(_checked_name(name), _material(encoded))
        if found.key_id.hex() != key_id:
            raise _key_fault("its id does not belong to its name and key")
        return found

    def verify(self, text: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key with its name; written ``PRIVATE+KEY+name+hex key id+base64(0x01 || seed)``."""

    name: str
    seed: bytes

    @classmethod
    def generate(cls, name: str) -> Signer:
        key = Ed25519PrivateKey.generate()
        return cls(_checked_name(name), key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Raises KeyFault."""
        parts = text.strip().split("+", 4)
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise _key_fault("it is not a private note key")
        signer = cls(_checked_name(parts[2]), _material(parts[4]))
        if signer.verifier.key_id.hex() != parts[3]:
            raise _key_fault("its id does not belong to its name and key")
        return signer

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def verifier(self) -> Verifier:
        return Verifier(self.name, self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def secret(self) -> str:
        """The key file's one line. Not what ``str`` gives: a secret is never printed by accident."""
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{base64.b64encode(ED25519 + self.seed).decode()}"

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"

    def sign(self, text: str) -> str:
        """The signed note over ``text``, which must end in a newline and hold no other control character."""
        _checked_text(text)
        blob = base64.b64encode(self.verifier.key_id + self._key.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {blob}\n"


def open_note(note: str, verifier: Verifier) -> str:
    """The text of ``note`` when ``verifier`` signed it. Raises NoteFault; unknown signatures are ignored, as specified."""
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise _note_fault("it is not a signed note")
    text = _checked_text(text + "\n")
    signatures = lines[:-1].split("\n")
    if len(signatures) > MAX_SIGNATURES:
        raise _note_fault("it carries too many signatures")
    for name, blob in [_signature(line) for line in signatures]:
        if name == verifier.name and blob[:4] == verifier.key_id:
            if verifier.verify(text.encode(), blob[4:]):
                return text
            raise _note_fault("its signature does not hold")
    raise _note_fault(f"{verifier.name} did not sign it")


def _signature(line: str) -> tuple[str, bytes]:
    name, blank, encoded = line.removeprefix("— ").partition(" ")
    if not line.startswith("— ") or not blank or not _is_name(name):
        raise _note_fault("a signature line is malformed")
    blob = _strict_base64(encoded)
    if blob is None or len(blob) < 5:
        raise _note_fault("a signature is not base64")
    return name, blob


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: the log's origin, its size in leaves, its root hash (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, signer: Signer) -> str:
        return signer.sign(self.text())


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """Raises NoteFault unless ``note`` is a checkpoint whose origin is the verifier's name, signed by it."""
    lines = open_note(note, verifier).split("\n")
    if len(lines) < 4 or not _is_decimal(lines[1]):
        raise _note_fault("it is not a checkpoint")
    root = _strict_base64(lines[2])
    if lines[0] != verifier.name or root is None or len(root) != 32:
        raise _note_fault("its origin or root is not as expected")
    return Checkpoint(lines[0], int(lines[1]), root)


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20 and (text == "0" or text[0] != "0")


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or ord(c) < 0x20 for c in name)


def _checked_name(name: str) -> str:
    if not _is_name(name):
        raise _key_fault("a key's name holds no blanks and no plus sign, and is not empty")
    return name


def _checked_text(text: str) -> str:
    if not text.endswith("\n") or any((c < " " and c != "\n") or "\ud800" <= c <= "\udfff" for c in text):
        raise _note_fault("its text does not end in a newline or holds what is not text")
    return text


def _strict_base64(text: str) -> bytes | None:
    """The bytes, or None unless ``text`` is their one standard encoding: no other spelling of a signature passes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def _material(encoded: str) -> bytes:
    data = _strict_base64(encoded)
    if data is None or len(data) != 33 or data[:1] != ED25519:
        raise _key_fault("it is not an Ed25519 key in base64")
    return data[1:]


def _key_fault(why: str) -> KeyFault:
    return KeyFault("The key was refused.", why=f"Because {why}.", do="Use the key file that set-up wrote.")


def _note_fault(why: str) -> NoteFault:
    return NoteFault("The signed note was refused.", why=f"Because {why}.", do="Treat what it vouches for as unproven.")
