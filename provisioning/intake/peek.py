"""A first look at files that nobody registered yet: their columns, and what those may identify, from the first rows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from provisioning.domain.dataset import Column, RegisteredTable
from provisioning.domain.identifiers import Proposal
from provisioning.domain.masking import TableRecipe
from provisioning.domain.masking_key import SECRET_BYTES, MaskingKey
from provisioning.domain.registration import TableSource
from provisioning.intake import csv_reader, databases, readers
from provisioning.intake.engine import quoted, refusal
from provisioning.intake.ingest import Mask, effect_of, masked_rows, neutral
from provisioning.intake.masking import bring_codes, missing_code
from provisioning.intake.profiling import scan

ROWS = 100_000


@dataclass(frozen=True)
class Peeked:
    """A table's columns as they would be stored, and the scan's proposals. ``effect``: of masking, by the columns that its recipe names."""

    name: str
    columns: tuple[Column, ...]
    proposals: tuple[Proposal, ...]
    effect: dict[str, Any] = field(default_factory=dict)


def peek(
    engine: duckdb.DuckDBPyConnection, source: TableSource, work: Path, recipe: TableRecipe | None = None
) -> Peeked:
    """Raises RegistrationRefused or FileRefused for what a registration would refuse, too. Keeps nothing.

    Masked under a key of its own: what is proposed and measured does not depend on it."""
    work.mkdir(mode=0o700, exist_ok=True)
    files = neutral(source, work)
    relation = quoted(f"peeked {source.name}")
    try:
        engine.execute(f"CREATE TEMP TABLE {relation} AS {_first_rows(engine, source, files, work)}")
        found = _looked(engine, source.name, relation)
        if recipe is not None:
            found = _masked(engine, source, relation, found, recipe)
        engine.execute(f"DROP TABLE {relation}")
    except duckdb.Error as broken:
        raise missing_code(source.name, broken) or refusal(source.name, broken) from broken
    return found


def _looked(engine: duckdb.DuckDBPyConnection, name: str, relation: str) -> Peeked:
    described = engine.execute(f"DESCRIBE {relation}").fetchall()
    columns = tuple(Column(str(row[0]), str(row[1])) for row in described)
    return Peeked(name, columns, tuple(scan(engine, relation, RegisteredTable(name, "", "", 0, 0, None, columns))))


def _masked(
    engine: duckdb.DuckDBPyConnection, source: TableSource, relation: str, given: Peeked, recipe: TableRecipe
) -> Peeked:
    bring_codes(engine, recipe)
    before, after = f"SELECT * FROM {relation}", quoted(f"masked {source.name}")
    mask = Mask(recipe, MaskingKey(secrets.token_bytes(SECRET_BYTES)))
    engine.execute(f"CREATE TEMP TABLE {after} AS {masked_rows(source, mask, before, given.columns)}")
    found = replace(
        _looked(engine, source.name, after),
        effect=effect_of(engine, source, recipe, before, f"SELECT * FROM {after}"),
    )
    engine.execute(f"DROP TABLE {after}")
    return found


def _first_rows(engine: duckdb.DuckDBPyConnection, source: TableSource, files: list[Path], work: Path) -> str:
    if source.kind == "server":
        return readers.typed_select(engine, source, files, databases.read(engine, source, ROWS).relation)
    if source.kind in ("csv", "excel", "sqlite"):
        prepared = csv_reader.prepare if source.kind == "csv" else readers.as_csv
        return prepared(engine, source, files, work).select(keep_going=True, limit=ROWS)
    return f"SELECT * FROM ({readers.typed_select(engine, source, files)}) LIMIT {ROWS}"
