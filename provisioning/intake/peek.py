"""A first look at files that nobody registered yet: their columns, and what those may identify, from the first rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from provisioning.domain.dataset import Column, RegisteredTable
from provisioning.domain.identifiers import Proposal
from provisioning.domain.registration import TableSource
from provisioning.intake import csv_reader, readers
from provisioning.intake.engine import quoted, refusal
from provisioning.intake.ingest import neutral
from provisioning.intake.profiling import scan

ROWS = 100_000


@dataclass(frozen=True)
class Peeked:
    """A table's columns as they would be read, and the scan's proposals."""

    name: str
    columns: tuple[Column, ...]
    proposals: tuple[Proposal, ...]


def peek(engine: duckdb.DuckDBPyConnection, source: TableSource, work: Path) -> Peeked:
    """Raises RegistrationRefused or FileRefused for what a registration would refuse, too. Keeps nothing."""
    work.mkdir(mode=0o700, exist_ok=True)
    files = neutral(source, work)
    relation = quoted(f"peeked {source.name}")
    try:
        engine.execute(f"CREATE TEMP TABLE {relation} AS {_first_rows(engine, source, files, work)}")
        described = engine.execute(f"DESCRIBE {relation}").fetchall()
        columns = tuple(Column(str(row[0]), str(row[1])) for row in described)
        table = RegisteredTable(source.name, "", "", 0, 0, None, columns)
        found = Peeked(source.name, columns, tuple(scan(engine, relation, table)))
        engine.execute(f"DROP TABLE {relation}")
    except duckdb.Error as broken:
        raise refusal(source.name, broken) from broken
    return found


def _first_rows(engine: duckdb.DuckDBPyConnection, source: TableSource, files: list[Path], work: Path) -> str:
    if source.kind in ("csv", "excel", "sqlite"):
        prepared = csv_reader.prepare if source.kind == "csv" else readers.as_csv
        return prepared(engine, source, files, work).select(keep_going=True, limit=ROWS)
    return f"SELECT * FROM ({readers.typed_select(engine, source, files)}) LIMIT {ROWS}"
