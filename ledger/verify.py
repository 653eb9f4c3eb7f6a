"""Verify a whole log with nothing but its leaves, its checkpoints and the public key; name the first entry that is wrong.

Every entry carries its own signed checkpoint over the tree that ends with it, so an alteration is found at the very entry:
changed bytes no longer hash to the signed root of that size, and a forger would need the key to sign another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from ledger.entry import decode
from ledger.errors import LedgerFault
from ledger.merkle import Frontier, leaf_hash
from ledger.note import Checkpoint, Verifier, open_checkpoint


@dataclass(frozen=True)
class Leaf:
    """What a store or an export holds for one entry."""

    seq: int
    body: bytes
    leaf_hash: bytes
    checkpoint: str


class LogReader(Protocol):
    def leaves(self) -> Iterator[Leaf]: ...


@dataclass(frozen=True)
class Report:
    """``ok``; ``size`` entries that hold; ``first_bad`` the number of the first that does not; ``message`` in plain words."""

    ok: bool
    size: int
    first_bad: int | None
    message: str
    root: bytes
    head: str = ""


def verify_log(reader: LogReader, verifier: Verifier, remembered: Iterable[str] = ()) -> Report:
    """Check every leaf in order. ``remembered`` are signed checkpoints that somebody kept: the log must extend each."""
    frontier, head = Frontier(), ""
    try:
        kept = {c.size: c for c in (open_checkpoint(note, verifier) for note in remembered)}
    except LedgerFault as fault:
        return Report(False, 0, None, f"A remembered checkpoint cannot be used: {fault.why}", frontier.root())
    for leaf in reader.leaves():
        expected = frontier.size
        problem, frontier_after = _problem(leaf, frontier, verifier)
        if problem is None and (known := kept.get(frontier_after.size)) and known.root != frontier_after.root():
            problem = "the log does not extend a checkpoint that was kept: its history was rewritten here or before"
        if problem:
            return Report(False, expected, expected, f"Entry {expected}: {problem}.", frontier.root(), head)
        frontier, head = frontier_after, leaf.checkpoint
    missing = max(kept, default=0)
    if missing > frontier.size:
        why = f"the log ends after {frontier.size} entries, but a kept checkpoint covers {missing}: its end was cut off"
        return Report(False, frontier.size, frontier.size, f"Entry {frontier.size}: {why}.", frontier.root(), head)
    return Report(True, frontier.size, None, f"{frontier.size} entries verified.", frontier.root(), head)


def _problem(leaf: Leaf, before: Frontier, verifier: Verifier) -> tuple[str | None, Frontier]:
    if leaf.seq != before.size:
        return f"it is missing (the next entry found is {leaf.seq})", before
    computed = leaf_hash(leaf.body)
    if computed != leaf.leaf_hash:
        return "its content was altered: it does not hash to its leaf", before
    after = before.append(computed)
    try:
        signed = open_checkpoint(leaf.checkpoint, verifier)
    except LedgerFault as fault:
        return f"its checkpoint does not hold: {fault.why}", before
    if signed != Checkpoint(verifier.name, after.size, after.root()):
        return "it was altered: the tree ending with it is not the one that was signed", before
    try:
        recorded = decode(leaf.body)
    except LedgerFault as fault:
        return f"its content is not an entry: {fault.why}", before
    if recorded.seq != leaf.seq:
        return f"its content says it is entry {recorded.seq}", before
    return None, after
