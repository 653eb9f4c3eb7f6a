"""The whole ledger as a file that anyone can verify with the public key. Who took it is an entry of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.gate import Gate
from ledger import export
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp

CHUNK = 256 * 1024


@dataclass(frozen=True)
class Exported:
    """`chunks` can be read once; the file behind them is gone afterwards."""

    name: str
    size: int
    chunks: Iterator[bytes]


def export_ledger(gate: Gate, person: Person, at: datetime) -> Exported:
    """Written whole before a byte is sent, so that a slow reader holds no snapshot open. Its last entry says who took it."""
    may(gate.engine, person, "view_ledger", at).require("export the ledger")
    with gate.store.transaction(at) as t:
        made = t.execute(insert(s.ledger_export).values(person=person.name, exported_at=stamp(at)))
        number = int(made.inserted_primary_key[0])  # type: ignore[index]  # the database numbers it
        last = t.record(Entry("ledger.exported", person.name, {"export": str(number)}))
    folder = Path(tempfile.mkdtemp(prefix="glovebox-export-"))
    path = folder / "ledger.jsonl"
    try:
        count = export.write(gate.store, path)
    except BaseException:
        _clear(folder)
        raise
    return Exported(f"glovebox-ledger-{max(count, last + 1)}.jsonl", path.stat().st_size, _chunks(folder, path))


def _chunks(folder: Path, path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    finally:
        _clear(folder)


def _clear(folder: Path) -> None:
    for each in folder.iterdir():
        each.unlink(missing_ok=True)
    folder.rmdir()
