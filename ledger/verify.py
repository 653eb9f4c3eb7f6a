"""Verify a whole log with nothing but its leaves, its checkpoints and the public key; name the first entry that is wrong.

Every entry carries its own signed checkpoint over the tree that ends with it, so an alteration is found at the very entry:
changed bytes no longer hash to the signed root of that size, and a forger would need the key to sign another. What the
entries alone cannot show, a tail that was cut off or a history signed anew, shows against a checkpoint that was kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

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
    beside: str = ""  # what is stored beside it and differs from it; empty when nothing does


class LogReader(Protocol):
    """The whole reading port. A LedgerFault raised while iterating counts as damage of the entry that was due."""

    def leaves(self) -> Iterator[Leaf]: ...


class Damage(StrEnum):
    """What is wrong with the first wrong entry."""

    GAP = "gap"  # its number is not the next one
    BODY = "body"  # its bytes do not hash to its leaf hash
    UNSIGNED = "unsigned"  # its checkpoint is not signed by the key
    TREE = "tree"  # the signed tree is not the one that ends with it
    FORMAT = "format"  # its bytes are not an entry, or say another number
    BESIDE = "beside"  # a copy stored beside its signed bytes says something else
    UNREADABLE = "unreadable"  # the reader could not make sense of it
    REWRITTEN = "rewritten"  # the log does not extend a checkpoint that was kept
    TRUNCATED = "truncated"  # a kept checkpoint covers more entries
    KEPT = "kept-checkpoint"  # the kept checkpoint itself cannot be used


@dataclass(frozen=True)
class Report:
    """``ok``; ``size`` entries that hold; ``first_bad`` the number of the first that does not; ``message`` in plain words.

    ``root`` and ``head`` (signed checkpoint) are those of the entries that hold: keep ``head`` somewhere else.
    """

    ok: bool
    size: int
    first_bad: int | None
    message: str
    root: bytes
    head: str = ""
    damage: Damage | None = None

    def facts(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "ok": self.ok,
            "size": self.size,
            "first_bad": self.first_bad,
            "damage": self.damage.value if self.damage else None,
            "message": self.message,
            "root": self.root.hex(),
            "head": self.head,
        }


@dataclass
class _Walk:
    """The state of one verification: everything before `frontier` holds."""

    verifier: Verifier
    kept: Mapping[int, bytes]
    frontier: Frontier = field(default_factory=Frontier)
    head: str = ""

    def failed(self, damage: Damage, why: str) -> Report:
        at = self.frontier.size
        return Report(False, at, at, f"Entry {at}: {why}.", self.frontier.root(), self.head, damage)

    def step(self, leaf: Leaf) -> Report | None:
        """Take the next leaf; a report when it is wrong."""
        if leaf.seq != self.frontier.size:
            return self.failed(Damage.GAP, f"it is missing (the next entry found is {leaf.seq})")
        computed = leaf_hash(leaf.body)
        if computed != leaf.leaf_hash:
            return self.failed(Damage.BODY, "its content was altered: it does not hash to its leaf")
        after = self.frontier.append(computed)
        wrong = self._unsigned(leaf, after) or self._malformed(leaf) or self._rewritten(after)
        if wrong is None and leaf.beside:
            wrong = self.failed(Damage.BESIDE, leaf.beside)
        if wrong is None:
            self.frontier, self.head = after, leaf.checkpoint
        return wrong

    def _unsigned(self, leaf: Leaf, after: Frontier) -> Report | None:
        try:
            signed = open_checkpoint(leaf.checkpoint, self.verifier)
        except LedgerFault as fault:
            return self.failed(Damage.UNSIGNED, f"its checkpoint does not hold: {_lower(fault.why)}")
        if signed != Checkpoint(self.verifier.name, after.size, after.root()):
            return self.failed(Damage.TREE, "it was altered: the tree ending with it is not the one that was signed")
        return None

    def _malformed(self, leaf: Leaf) -> Report | None:
        try:
            recorded = decode(leaf.body)
        except LedgerFault as fault:
            return self.failed(Damage.FORMAT, f"its content is not an entry: {_lower(fault.why)}")
        if recorded.seq != leaf.seq:
            return self.failed(Damage.FORMAT, f"its content says it is entry {recorded.seq}")
        return None

    def _rewritten(self, after: Frontier) -> Report | None:
        if self.kept.get(after.size, after.root()) == after.root():
            return None
        why = "the log does not extend a checkpoint that was kept: its history was rewritten here or before"
        return self.failed(Damage.REWRITTEN, why)


def verify_log(reader: LogReader, verifier: Verifier, remembered: Iterable[str] = ()) -> Report:
    """Check every leaf in order. ``remembered`` are signed checkpoints that somebody kept: the log must extend each."""
    walk = _Walk(verifier, {})
    try:
        walk.kept = _kept(remembered, verifier)
    except LedgerFault as fault:
        message = f"A remembered checkpoint cannot be used: {fault.why}"
        return Report(False, 0, None, message, walk.frontier.root(), damage=Damage.KEPT)
    try:
        for leaf in reader.leaves():
            if wrong := walk.step(leaf):
                return wrong
    except LedgerFault as fault:
        return walk.failed(Damage.UNREADABLE, f"it cannot be read: {fault.what} {_lower(fault.why)}")
    missing = max(walk.kept, default=0)
    if missing > walk.frontier.size:
        why = f"the log ends after {walk.frontier.size} entries, but a kept checkpoint covers {missing}: its end was cut off"
        return walk.failed(Damage.TRUNCATED, why)
    size = walk.frontier.size
    return Report(True, size, None, f"{size} entries verified.", walk.frontier.root(), walk.head)


def _kept(remembered: Iterable[str], verifier: Verifier) -> dict[int, bytes]:
    kept: dict[int, bytes] = {}
    for checkpoint in (open_checkpoint(note, verifier) for note in remembered):
        if kept.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            raise LedgerFault(
                "Two kept checkpoints contradict each other.",
                why=f"Both are signed for {checkpoint.size} entries, with different roots: the log showed two histories.",
                do="Keep both: together they prove that the holder of the key signed two histories.",
            )
    return kept


def _lower(sentence: str) -> str:
    return sentence.rstrip(".").removeprefix("Because ")
