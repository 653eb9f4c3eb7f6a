"""What a column scan proposes before a registration, and the same on the record after it, until a steward confirms."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger.entry import Entry
from provisioning.domain.classification import Classification
from provisioning.domain.dataset import parse_version
from provisioning.domain.errors import not_found
from provisioning.domain.identifiers import classification_of
from provisioning.domain.masking import TableRecipe
from provisioning.domain.registration import TableSource
from provisioning.intake.engine import engine
from provisioning.intake.peek import Peeked, peek
from provisioning.store import catalogue
from store.database import Database


@dataclass(frozen=True)
class Scanned:
    """Tables as they would be read, and the level that their columns speak for."""

    tables: tuple[Peeked, ...]
    classification: Classification

    def facts(self) -> dict[str, Any]:
        return {"tables": [_table(one) for one in self.tables], "level": int(self.classification)}


def scan_files(sources: Sequence[TableSource], recipes: Mapping[str, TableRecipe] | None = None) -> Scanned:
    """Look at the first rows of each table, masked where there is a recipe; keeps nothing. Raises RegistrationRefused or FileRefused."""
    found = []
    with tempfile.TemporaryDirectory(prefix="glovebox-") as folder, engine(Path(folder)) as connection:
        for source in sources:
            work = Path(folder) / source.name
            found.append(peek(connection, source, work, (recipes or {}).get(source.name)))
            shutil.rmtree(work)
    every = [proposal for table in found for proposal in table.proposals]
    return Scanned(tuple(found), classification_of(every))


def keep_proposals(
    db: Database, version: str, scanned: Scanned, *, actor: str, at: datetime, lower: bool = False
) -> None:
    """Put the proposals into the dataset's datasheet, where its stewards see them and confirm or correct.

    ``lower``: that ``actor`` confirmed a level below the one that the columns speak for."""
    name, _ = parse_version(version)
    proposed = {f"{table.name}.{p.column}": p.facts() for table in scanned.tables for p in table.proposals}
    with db.transaction(at) as t:
        known = catalogue.known_dataset(t, name)
        if known is None:
            raise not_found("dataset", name, "./glovebox dataset list")
        row, _ = known
        levels: dict[str, Any] = {
            "proposed_level": int(scanned.classification),
            "registered_level": int(row["classification"]),
            **({"lower_level_confirmed_by": actor} if lower else {}),
        }
        said = {**catalogue.sheet_of(t, name), "proposed": proposed, "scan": {"version": version, **levels}}
        catalogue.put_sheet(t, name, said)
        facts = {**levels, "proposed": {place: one["role"] for place, one in sorted(proposed.items())}}
        t.record(Entry("dataset.scanned", actor, {"dataset": name, "version": version}, facts))


def _table(found: Peeked) -> Mapping[str, Any]:
    proposals = {p.column: p for p in found.proposals}
    columns = [
        {"name": c.name, "type": c.type, **(proposals[c.name].facts() if c.name in proposals else {})}
        for c in found.columns
    ]
    return {"name": found.name, "columns": columns, "effect": found.effect}
