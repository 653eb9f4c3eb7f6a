"""What the auditor does: verify the log, then alter one entry in a copy and see that verification names it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from installation.settings import Settings
from ledger import export, keys
from ledger.merkle import leaf_hash
from ledger.verify import Leaf, Report, verify_log
from store.database import Database


@dataclass(frozen=True)
class Forged:
    """The verification of a forged copy; ``altered`` is the entry that was changed in it."""

    report: Report
    altered: int


def verify_installation(settings: Settings) -> Report:
    """The installation's own log against its public key."""
    return verify_log(Database.open(settings), keys.public(settings.home / "ledger.pub"))


def verify_altered_copy(settings: Settings, request: str) -> Forged:
    """Export a copy, change who approved ``request`` and even mend the leaf's hash, then verify the copy."""
    db = Database.open(settings)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ledger.jsonl"
        export.write(db, copy)
        altered, forged = -1, []
        for leaf in export.ExportedLog(copy).leaves():
            body = json.loads(leaf.body)
            if altered < 0 and body["subject"].get("request") == request and body["kind"].startswith("review."):
                altered = leaf.seq
                bytes_ = leaf.body.replace(f'"actor":"{body["actor"]}"'.encode(), b'"actor":"nobody"')
                forged.append(replace(leaf, body=bytes_, leaf_hash=leaf_hash(bytes_)))
            else:
                forged.append(leaf)
        export.write(_Leaves(forged), copy)
        return Forged(verify_log(export.ExportedLog(copy), keys.public(settings.home / "ledger.pub")), altered)


class _Leaves:
    def __init__(self, leaves: list[Leaf]) -> None:
        self._leaves = leaves

    def leaves(self) -> Iterator[Leaf]:
        return iter(self._leaves)
