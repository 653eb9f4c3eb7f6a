"""The log as a plain file: one JSON object a line, readable by any language, verifiable with the public key alone."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import LedgerFault
from ledger.verify import Leaf, LogReader


def write(reader: LogReader, path: Path) -> int:
    """Write every leaf to ``path`` and return how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for leaf in reader.leaves():
            line = {
                "seq": leaf.seq,
                "body": base64.b64encode(leaf.body).decode(),
                "leaf": leaf.leaf_hash.hex(),
                "checkpoint": leaf.checkpoint,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    return count


@dataclass(frozen=True)
class ExportedLog:
    """A log that was written by `write`. Raises LedgerFault for a line that is not a leaf."""

    path: Path

    def leaves(self) -> Iterator[Leaf]:
        with self.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    raw = json.loads(line)
                    body = base64.b64decode(raw["body"], validate=True)
                    yield Leaf(int(raw["seq"]), body, bytes.fromhex(raw["leaf"]), str(raw["checkpoint"]))
                except (ValueError, KeyError, TypeError, binascii.Error) as broken:
                    raise LedgerFault(
                        f"Line {number} of {self.path.name} is not a ledger entry.",
                        why="It is not the JSON that an export writes.",
                        do="Export the ledger again, and compare.",
                    ) from broken
