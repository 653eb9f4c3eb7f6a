"""Signs release certificates with the installation's ledger key."""

from __future__ import annotations

from pathlib import Path

from ledger import certificate, keys
from store.transaction import Receipt


class LedgerNotary:
    """Holds the key read at start. Raises KeyFault for a key file that others may read."""

    def __init__(self, key: Path) -> None:
        self._signer = keys.load(key)

    def seal(self, statement: bytes, receipt: Receipt, /) -> bytes:
        return certificate.seal(statement, self._signer, receipt)
