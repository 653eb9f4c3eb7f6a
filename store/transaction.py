"""State and evidence in one transaction (DESIGN.md, invariant 10): what a transaction changed is watched, not declared.

The watch sits on the connection, below SQLAlchemy's statements, so that text statements count too. Rows are counted, not
statements: an UPDATE that matches nothing is no change. The ledger's own tables can be written only by `record`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, event, insert, select

from ledger.entry import Entry, encode
from ledger.merkle import Frontier, leaf_hash
from ledger.note import Checkpoint, Signer
from store import schema
from store.errors import StatementRefused, Unevidenced

_COMMENTS = re.compile(r"\A(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|REPLACE)\b", re.IGNORECASE)
_LEDGER = re.compile(r"\b(ledger_entry|ledger_subject|schema_version|alembic_version)\b", re.IGNORECASE)
_CHANGING = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
_READING = frozenset({"SELECT", "VALUES"})


@dataclass(frozen=True)
class Receipt:
    """Proof that an entry is in the ledger: its bytes, the path to the root, the signed checkpoint over that root."""

    seq: int
    body: bytes
    path: tuple[bytes, ...]
    checkpoint: str


class Transaction:
    """One unit of work: state changes and the entries that say so. Made by `Database.transaction` only."""

    def __init__(self, connection: Connection, signer: Signer, at: str) -> None:
        self._connection = connection
        self._signer = signer
        self.at = at
        self._watch = _Watch(connection)
        self._frontier: Frontier | None = None
        self._receipts: dict[int, Receipt] = {}

    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a SQLAlchemy Core statement inside this transaction. Raises StatementRefused for what could end it."""
        result: CursorResult[Any] = self._connection.execute(statement, parameters)
        return result

    def record(self, entry: Entry) -> int:
        """Append ``entry`` to the ledger in this transaction and return its number. Raises EntryRefused."""
        before = self._frontier if self._frontier is not None else self._stored_frontier()
        body = encode(entry, seq=before.size, time=self.at)
        leaf = leaf_hash(body)
        after = before.append(leaf)
        note = Checkpoint(self._signer.name, after.size, after.root()).sign(self._signer)
        row = {
            "seq": before.size,
            "body": body,
            "leaf_hash": leaf,
            "kind": entry.kind,
            "actor": entry.actor,
            "time": self.at,
            "frontier": after.pack(),
            "checkpoint": note,
        }
        subjects = [{"seq": before.size, "noun": noun, "name": name} for noun, name in entry.subject.items()]
        with self._watch.recording(1 + len(subjects)):
            self._connection.execute(insert(schema.ledger_entry).values(row))
            self._connection.execute(insert(schema.ledger_subject), subjects)
        self._frontier = after
        self._receipts[before.size] = Receipt(before.size, body, tuple(reversed(before.roots)), note)
        return before.size

    def receipt(self, seq: int) -> Receipt:
        """The proof for an entry that this transaction recorded: it holds once the transaction is committed."""
        return self._receipts[seq]

    def _stored_frontier(self) -> Frontier:
        newest = select(schema.ledger_entry.c.frontier).order_by(schema.ledger_entry.c.seq.desc()).limit(1)
        packed = self._connection.execute(newest).scalar()
        return Frontier.unpack(bytes(packed)) if packed is not None else Frontier()

    def require_evidence(self) -> None:
        """Raises Unevidenced unless change and entry come together, and every entry was written whole."""
        if self._watch.broken:
            raise Unevidenced(
                "The change was rolled back.",
                why="Its ledger entry could not be written.",
                do="Nothing was lost; try again, and look at the log for the first error.",
            )
        changed = self._watch.changed()
        if changed != bool(self._receipts):
            raise Unevidenced(
                "The change was rolled back.",
                why="It had no ledger entry." if changed else "A ledger entry was recorded for no change.",
                do="Nothing was lost; report this as a fault of the program.",
                private=f"last statement: {self._watch.last_change}" if changed else f"entries: {self._kinds()}",
            )

    def _kinds(self) -> list[bytes]:
        return [receipt.body for receipt in self._receipts.values()]

    def close(self) -> None:
        """Nothing runs through it any more."""
        self._watch.open = False


class _Watch:
    """Sees every statement that reaches the driver on one connection, and counts the rows that moved."""

    def __init__(self, connection: Connection) -> None:
        self.last_change = ""
        self.open = True
        self.broken = False
        self._recording = False
        self._rows_of_ledger = 0
        self._rows = 0
        self._unfinished: list[Any] = []
        driver = connection.connection.driver_connection
        self._sqlite = driver if isinstance(driver, sqlite3.Connection) else None
        self._start = self._sqlite.total_changes if self._sqlite else 0
        event.listen(connection, "before_cursor_execute", self._before)
        event.listen(connection, "after_cursor_execute", self._after)

    @contextmanager
    def recording(self, rows: int) -> Iterator[None]:
        """While `record` writes its ``rows`` rows, which are evidence and no change."""
        self._recording = True
        self._rows_of_ledger += rows
        try:
            yield
        except BaseException:
            self.broken = True
            raise
        finally:
            self._recording = False

    def changed(self) -> bool:
        """Whether rows of the state moved. Asked once, at the end: it closes what is still being fetched."""
        if self._sqlite is None:
            return self._rows > 0
        while self._unfinished:
            self._unfinished.pop().close()  # SQLite counts the rows of a RETURNING statement when it is finished
        return self._sqlite.total_changes - self._start > self._rows_of_ledger

    def _before(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        if not self.open:
            raise _refused("The transaction is over.", "Open a new one.", statement)
        verb = _verb(statement)
        if verb not in _CHANGING and verb not in _READING and verb != "WITH":
            raise _refused("Only reading and changing rows is allowed inside it.", "Use SELECT or DML.", statement)
        if not self._recording and _WRITES.search(statement) and _LEDGER.search(statement):
            raise _refused("Only recording an entry writes the ledger.", "Call record.", statement)

    def _after(self, connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        if self._recording or not _may_change(statement):
            return
        self.last_change = statement
        self._rows += abs(cursor.rowcount)  # -1: the driver does not know, so it may have
        if cursor.description is not None:
            self._unfinished.append(cursor)


def _verb(statement: str) -> str:
    rest = statement[_COMMENTS.match(statement).end() :]  # type: ignore[union-attr]  # matches the empty string
    return rest.split(None, 1)[0].upper() if rest else ""


def _may_change(statement: str) -> bool:
    verb = _verb(statement)
    return verb in _CHANGING or (verb == "WITH" and _WRITES.search(statement) is not None)


def _refused(why: str, do: str, statement: str) -> StatementRefused:
    return StatementRefused("The statement was not run.", why=why, do=do, private=statement)
