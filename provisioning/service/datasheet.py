"""The readable description of a version: what it holds, what its columns may identify, what changed since the one before.

These figures come from the data unprotected, so that they are for the admins and stewards who may see it anyway.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

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
from vault import Vault


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
    profiles, proposals = {}, {}
    with opened_tables(db, settings, version) as (tables, connection):
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
    with opened_tables(db, settings, version) as (tables, connection):
        return {t.name: profile(connection, f"read_parquet({literal(str(path))})", t) for t, path in tables}


@contextmanager
def opened_tables(
    db: Database, settings: Settings, version: str
) -> Iterator[tuple[list[tuple[RegisteredTable, Path]], duckdb.DuckDBPyConnection]]:
    """The version's tables with their plain files, and a connection to look at them with."""
    tables = _tables(db, version)
    wanted = {version: {table.file: table.digest for table in tables}}
    with (
        Vault(settings).opened(wanted) as opened,
        tempfile.TemporaryDirectory(prefix="glovebox-") as work,
        engine(Path(work)) as connection,
    ):
        yield [(table, opened[version] / table.file) for table in tables], connection


def _tables(db: Database, version: str) -> list[RegisteredTable]:
    with db.read() as c:
        found, tables = catalogue.version(c, version), catalogue.tables_of(c, version)
    if found is None:
        raise not_found("dataset version", ascii(version[:60]), "./glovebox dataset list")
    if found.state != AVAILABLE:
        raise ProvisioningFault(
            f"{version} cannot be looked at.", why="It was destroyed.", do="Look at a version that is available."
        )
    return tables
