"""Reading the log back: each leaf, and whether what is stored beside it still says what its signed bytes say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DatabaseError

from ledger.entry import decode
from ledger.errors import LedgerFault
from ledger.merkle import Frontier
from ledger.verify import Leaf
from store import schema

_entry, _subject = schema.ledger_entry, schema.ledger_subject
_BATCH = 500


def leaves(c: Connection) -> Iterator[Leaf]:
    """The log in order, wrong or right. Raises LedgerFault when the database itself cannot be read."""
    try:
        yield from _leaves(c)
    except DatabaseError as error:
        raise LedgerFault(
            "The database cannot be read.",
            why="Its file is damaged, or another process locked it for good.",
            do="Copy the state folder aside first; then restore it from a backup.",
        ) from error


def _leaves(c: Connection) -> Iterator[Leaf]:
    tree = Frontier()
    low = c.execute(select(func.min(_entry.c.seq))).scalar()
    while low is not None:
        rows = c.execute(select(_entry).where(_entry.c.seq >= low).order_by(_entry.c.seq).limit(_BATCH)).all()
        subjects = _subjects(c, [row.seq for row in rows])
        for row in rows:
            leaf = Leaf(row.seq, _bytes(row.body), _bytes(row.leaf_hash), str(row.checkpoint))
            tree = tree.append(leaf.leaf_hash)
            yield replace(leaf, beside=_differs(row, subjects[row.seq], tree))
        low = rows[-1].seq + 1 if len(rows) == _BATCH else None


def _subjects(c: Connection, seqs: Iterable[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for row in c.execute(select(_subject).where(_subject.c.seq.in_(list(seqs)))):
        found[row.seq][row.noun] = row.name
    return found


def _differs(row: Any, subject: dict[str, str], tree: Frontier) -> str:
    """What a query or the next append would read differently from the signed bytes; empty when nothing."""
    try:
        recorded = decode(_bytes(row.body))
    except LedgerFault:
        return ""  # the bytes themselves are wrong, which verification says better
    signed = {"kind": recorded.entry.kind, "actor": recorded.entry.actor, "time": recorded.time}
    for column, value in signed.items():
        if getattr(row, column) != value:
            return f"the column {column} beside it was altered"
    if subject != dict(recorded.entry.subject):
        return "the subject beside it was altered"
    return "" if _bytes(row.frontier) == tree.pack() else "the tree kept beside it was altered"


def _bytes(value: object) -> bytes:
    """SQLite keeps whatever type was forced into a column; a wrong one becomes bytes that cannot verify."""
    return bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode("utf-8", "replace")
