"""Signs a release certificate with the installation's ledger key, as a C2SP signed note over canonical JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger import keys
from ledger.entry import canonical


class LedgerNotary:
    """A certificate is one line of canonical JSON and the note's signature; `ledger.note.open_note` checks it."""

    def __init__(self, key: Path) -> None:
        self._signer = keys.load(key)

    def certify(self, facts: dict[str, Any], /) -> bytes:
        text = canonical(facts).decode() + "\n"
        return self._signer.sign(text).encode()
