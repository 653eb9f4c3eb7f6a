"""A master key in a PKCS#11 module, named as RFC 7512 says. AES-GCM with a fresh 96-bit nonce; the key stays in the module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from vault.errors import VaultFault, cannot_open

_NONCE = 12
_TAG_BITS = 128


class HardwareMaster:
    """Raises VaultFault for an address that lacks a part, and when the module refuses."""

    def __init__(self, address: str) -> None:
        self._parts = parts_of(address)

    def encrypt(self, plaintext: bytes, associated_data: bytes, /) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._run("encrypt", plaintext, nonce, associated_data)

    def decrypt(self, ciphertext: bytes, associated_data: bytes, /) -> bytes:
        return self._run("decrypt", ciphertext[_NONCE:], ciphertext[:_NONCE], associated_data)

    def _run(self, verb: str, data: bytes, nonce: bytes, context: bytes) -> bytes:
        import pkcs11
        from pkcs11 import GCMParams, Mechanism, ObjectClass

        try:
            token = pkcs11.lib(self._parts["module-path"]).get_token(token_label=self._parts["token"])
            with token.open(user_pin=_pin(self._parts["pin-source"])) as session:
                key: Any = session.get_key(object_class=ObjectClass.SECRET_KEY, label=self._parts["object"])
                work = getattr(key, verb)
                params = GCMParams(nonce, context, _TAG_BITS)
                return bytes(work(data, mechanism=Mechanism.AES_GCM, mechanism_param=params))
        except (pkcs11.PKCS11Error, RuntimeError) as refused:
            raise cannot_open("The hardware module refused.", type(refused).__name__) from refused


def parts_of(address: str) -> dict[str, str]:
    """``token``, ``object``, ``module-path``, ``pin-source`` of an address. Raises VaultFault when one is missing."""
    path, _, query = address.removeprefix("pkcs11:").partition("?")
    pairs = [p.partition("=") for p in (*path.split(";"), *query.split("&")) if p]
    found = {name: unquote(value) for name, _, value in pairs}
    missing = sorted({"token", "object", "module-path", "pin-source"} - set(found))
    if missing:
        raise VaultFault(
            "The vault has no master key.",
            why=f"The setting vault_master lacks {', '.join(missing)}.",
            do='Write it as "pkcs11:token=NAME;object=KEY?module-path=/path/lib.so&pin-source=/path/pin".',
        )
    return found


def _pin(source: str) -> str:
    path = Path(source.removeprefix("file:"))
    try:
        if path.stat().st_mode & 0o077:
            raise cannot_open("The file with the hardware module's PIN can be read by others than its owner.")
        return path.read_text("utf-8").strip()
    except OSError as missing:
        raise cannot_open("The file with the hardware module's PIN cannot be read.") from missing
