"""The readable description of a version: what it holds, what its columns may identify, what changed since the one before.

These figures come from the data unprotected, so that they are for the admins and stewards who may see it anyway.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installation.settings import Settings
from provisioning.domain.classification import Classification
from provisioning.domain.dataset import AVAILABLE, RegisteredTable
from provisioning.domain.errors import ProvisioningFault, not_found
from provisioning.domain.identifiers import Proposal, classification_of
from provisioning.domain.profile import TableProfile, differences
from provisioning.intake.engine import engine, literal
from provisioning.intake.profiling import profile, scan
from provisioning.store import catalogue
from store.database import Database


@dataclass(frozen=True)
class Looked:
    """Profiles and proposals by table, and the level they speak for."""

    profiles: Mapping[str, TableProfile]
    proposals: Mapping[str, tuple[Proposal, ...]]
    classification: Classification

    def facts(self) -> dict[str, Any]:
        return {
            "tables": [found.facts() for found in self.profiles.values()],
            "proposals": {name: [p.facts() for p in found] for name, found in self.proposals.items()},
            "proposed_classification": int(self.classification),
        }


def look_at(db: Database, settings: Settings, version: str) -> Looked:
    """Profile and scan a version. Raises NotFound, or ProvisioningFault when it was destroyed."""
    tables = _tables(db, settings, version)
    profiles, proposals = {}, {}
    with tempfile.TemporaryDirectory(prefix="glovebox-") as work, engine(Path(work)) as connection:
        for table, path in tables:
            relation = f"read_parquet({literal(str(path))})"
            profiles[table.name] = profile(connection, relation, table)
            proposals[table.name] = tuple(scan(connection, relation, table))
    every = [proposal for found in proposals.values() for proposal in found]
    return Looked(profiles, proposals, classification_of(every))


def changes(db: Database, settings: Settings, before: str, after: str) -> list[str]:
    """What changed between two versions, in sentences."""
    return differences(_profiles(db, settings, before), _profiles(db, settings, after))


def _profiles(db: Database, settings: Settings, version: str) -> dict[str, TableProfile]:
    tables = _tables(db, settings, version)
    with tempfile.TemporaryDirectory(prefix="glovebox-") as work, engine(Path(work)) as connection:
        return {t.name: profile(connection, f"read_parquet({literal(str(path))})", t) for t, path in tables}


def _tables(db: Database, settings: Settings, version: str) -> list[tuple[RegisteredTable, Path]]:
    with db.read() as c:
        found, tables = catalogue.version(c, version), catalogue.tables_of(c, version)
    if found is None:
        raise not_found("dataset version", ascii(version[:60]), "./glovebox dataset list")
    if found.state != AVAILABLE:
        raise ProvisioningFault(
            f"{version} cannot be looked at.", why="It was destroyed.", do="Look at a version that is available."
        )
    return [(table, settings.datasets / found.folder / table.file) for table in tables]
