"""The ledger for people: verify, export, show, prove. What ``./glovebox ledger …`` and the auditor's pages call.

The database and an exported file go through the same `ledger.verify.verify_log`. Verifying the database also compares
the copies that pages query (kind, actor, time, subject, frontier) with the bytes that are signed.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from ledger import export as exporting
from ledger.entry import Recorded, decode
from ledger.errors import LedgerFault
from ledger.merkle import Frontier, prove_consistency, prove_inclusion
from ledger.note import Verifier
from ledger.verify import Report, verify_log
from store import schema
from store.database import Database, Receipt

_entry, _subject = schema.ledger_entry, schema.ledger_subject
_NOTE = re.compile(r"(?:[^\n—][^\n]*\n){3,}\n(?:— [^\n]+\n)+")


def verify(db: Database, *, verifier: Verifier | None = None, kept: Path | None = None) -> Report:
    """Verify the whole ledger of a database.

    ``verifier``: the public key as the auditor holds it; by default the installation's own. ``kept``: a file of signed
    checkpoints, one after the other, that the log must extend (LedgerFault when it holds anything else). When all is
    well the newest is added to it, so that the next run notices a tail cut off meanwhile. Keep that file, or a copy,
    where the operator cannot write.
    """
    report = verify_log(db, verifier or db.verifier, read_kept(kept) if kept else ())
    if report.ok and kept and report.head:
        _remember(kept, report.head)
    return report


def verify_file(path: Path, verifier: Verifier, kept: Path | None = None) -> Report:
    """Verify an exported ledger with nothing but the public key."""
    return verify_log(exporting.ExportedLog(path), verifier, read_kept(kept) if kept else ())


def export(db: Database, path: Path) -> int:
    """Write the ledger to ``path`` as JSON lines and return the number of entries. Exports what is stored, right or wrong."""
    return exporting.write(db, path)


def checkpoint(c: Connection) -> str | None:
    """The newest signed checkpoint, or None while the ledger is empty."""
    found = c.execute(select(_entry.c.checkpoint).order_by(_entry.c.seq.desc()).limit(1)).scalar()
    return None if found is None else str(found)


@dataclass(frozen=True)
class Wanted:
    """A choice of entries. Empty fields choose everything; ``subject`` is (noun, name)."""

    subject: tuple[str, str] | None = None
    actor: str = ""
    kind: str = ""
    before: int | None = None
    limit: int = 100


def entries(c: Connection, wanted: Wanted = Wanted()) -> list[Recorded]:
    """Entries, newest first, read from the signed bytes. Raises EntryRefused for one that cannot be read."""
    query = select(_entry.c.body).order_by(_entry.c.seq.desc()).limit(wanted.limit)
    if wanted.subject:
        noun, name = wanted.subject
        query = query.join(_subject, _subject.c.seq == _entry.c.seq)
        query = query.where(_subject.c.noun == noun, _subject.c.name == name)
    if wanted.actor:
        query = query.where(_entry.c.actor == wanted.actor)
    if wanted.kind:
        query = query.where(_entry.c.kind == wanted.kind)
    if wanted.before is not None:
        query = query.where(_entry.c.seq < wanted.before)
    return [decode(bytes(body)) for body in c.execute(query).scalars()]


def show(c: Connection, seq: int) -> tuple[Recorded, str]:
    """One entry and its signed checkpoint. Raises LedgerFault when there is none of this number."""
    row = c.execute(select(_entry.c.body, _entry.c.checkpoint).where(_entry.c.seq == seq)).first()
    if row is None:
        raise _no_entry(seq)
    return decode(bytes(row.body)), row.checkpoint


def receipt(c: Connection, seq: int, size: int | None = None) -> Receipt:
    """Proof that entry ``seq`` is in the tree of ``size`` entries (the newest by default), with its signed checkpoint."""
    newest = c.execute(select(func.max(_entry.c.seq))).scalar()
    last = (size - 1) if size is not None else newest
    found = c.execute(
        select(_entry.c.seq, _entry.c.body, _entry.c.checkpoint).where(_entry.c.seq.in_([seq, last]))
    ).all()
    rows = {row.seq: row for row in found}
    if last is None or seq not in rows or last not in rows:
        raise _no_entry(seq)
    path = prove_inclusion(StoredNodes(c), seq, last + 1)
    return Receipt(seq, bytes(rows[seq].body), tuple(path), rows[last].checkpoint)


def consistency(c: Connection, first: int, second: int) -> list[bytes]:
    """Proof that the ledger of ``second`` entries extends that of ``first``. Raises ProofFault."""
    return prove_consistency(StoredNodes(c), first, second)


@dataclass(frozen=True)
class StoredNodes:
    """`ledger.merkle.Nodes` over a database: one row read for each hash."""

    c: Connection

    def leaf(self, index: int) -> bytes:
        return bytes(self._value(_entry.c.leaf_hash, index))

    def frontier(self, size: int) -> Frontier:
        return Frontier.unpack(bytes(self._value(_entry.c.frontier, size - 1)))

    def _value(self, column: Any, seq: int) -> bytes:
        value = self.c.execute(select(column).where(_entry.c.seq == seq)).scalar()
        if value is None:
            raise _no_entry(seq)
        return bytes(value)


def read_kept(path: Path) -> list[str]:
    """The signed checkpoints in a file, one after the other; none when there is no file. Raises LedgerFault."""
    if not path.exists():
        return []
    text = path.read_text("utf-8", "replace")
    notes = _NOTE.findall(text)
    if "".join(notes).replace("\n", "") != text.replace("\n", ""):
        raise LedgerFault(
            f"{path.name} was not used.",
            why="It holds something that is not a signed checkpoint.",
            do="Keep in it only checkpoints as they were given, one after the other.",
        )
    return [str(note) for note in notes]


def _remember(path: Path, head: str) -> None:
    kept = read_kept(path)
    if head in kept:
        return
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with fresh.open("x", encoding="utf-8") as file:
            file.write("".join([*kept, head]))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _no_entry(seq: int) -> LedgerFault:
    return LedgerFault(
        f"There is no entry {seq}.", why="The ledger does not reach so far.", do="Ask for one that is in the list."
    )
