"""The log as a plain file: one JSON object a line, readable by any language, verifiable with the public key alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.entry import MAX_BYTES
from ledger.errors import LedgerFault
from ledger.verify import Leaf, LogReader

MAX_LINE = 4 * MAX_BYTES


def line_of(leaf: Leaf) -> str:
    """One line of an export, without its newline."""
    facts = {
        "seq": leaf.seq,
        "body": base64.b64encode(leaf.body).decode(),
        "leaf": leaf.leaf_hash.hex(),
        "checkpoint": leaf.checkpoint,
    }
    return json.dumps(facts, ensure_ascii=False)


def write(reader: LogReader, path: Path) -> int:
    """Write every leaf to ``path`` and return how many. The file appears whole or not at all."""
    count = 0
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with fresh.open("x", encoding="utf-8", newline="\n") as file:
            for leaf in reader.leaves():
                file.write(line_of(leaf) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return count


@dataclass(frozen=True)
class ExportedLog:
    """A log that was written by `write`. Raises LedgerFault for a line that is not a leaf."""

    path: Path

    def leaves(self) -> Iterator[Leaf]:
        with self.path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE):
                number += 1
                try:
                    yield _leaf(line)
                except (ValueError, KeyError, TypeError, RecursionError) as broken:
                    raise LedgerFault(
                        f"Line {number} of {self.path.name} is not a ledger entry.",
                        why="It is not the JSON that an export writes.",
                        do="Export the ledger again, and compare.",
                    ) from broken


def _leaf(line: bytes) -> Leaf:
    """Raises ValueError, KeyError, TypeError or RecursionError unless the line is, byte for byte, what `write` writes."""
    raw = json.loads(line.decode("utf-8"))
    body, leaf = base64.b64decode(raw["body"], validate=True), bytes.fromhex(raw["leaf"])
    found = Leaf(raw["seq"], body, leaf, raw["checkpoint"])
    typed = type(found.seq) is int and isinstance(found.checkpoint, str)
    if not typed or (line_of(found) + "\n").encode("utf-8") != line:
        raise ValueError("not the line that is written")
    return found
