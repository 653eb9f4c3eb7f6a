"""One table from its files to one Parquet file, and the facts that the catalogue keeps about it."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from provisioning.domain.dataset import Column, RegisteredTable
from provisioning.domain.errors import FileRefused, RegistrationRefused
from provisioning.domain.registration import TableSource
from provisioning.intake import csv_reader, readers
from provisioning.intake.engine import literal, quoted, refusal

_CHUNK = 4 * 1024 * 1024
PARQUET = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"


@dataclass(frozen=True)
class SourceFile:
    """Which bytes a table was made from, for provenance."""

    name: str
    bytes: int
    digest: str

    def facts(self) -> dict[str, object]:
        return {"name": self.name, "bytes": self.bytes, "sha256": self.digest}


@dataclass(frozen=True)
class Ingested:
    table: RegisteredTable
    sources: tuple[SourceFile, ...]


def ingest(engine: duckdb.DuckDBPyConnection, source: TableSource, work: Path, folder: Path) -> Ingested:
    """Write ``<folder>/<table>.parquet`` (0444, synced). Raises RegistrationRefused or FileRefused; then nothing is left."""
    work.mkdir(mode=0o700, exist_ok=True)
    files = _neutral(source, work)
    target = folder / f"{source.name}.parquet"
    try:
        _write(engine, source, files, work, target)
        table = _described(engine, source, target)
    except duckdb.Error as broken:
        target.unlink(missing_ok=True)
        raise refusal(source.name, broken) from broken
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    sources = tuple(
        SourceFile(given.name, path.stat().st_size, digest(path))
        for given, path in zip(source.files, files, strict=True)
    )
    return Ingested(table, sources)


def digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(engine: duckdb.DuckDBPyConnection, source: TableSource, files: list[Path], work: Path, target: Path) -> None:
    copy = f"COPY ({{select}}) TO {literal(str(target)).replace('{', '{{').replace('}', '}}')} {PARQUET}"
    if source.kind == "csv":
        csv_reader.write(engine, source.name, csv_reader.prepare(engine, source, files, work), target, copy)
    elif source.kind in ("excel", "sqlite"):
        csv_reader.write(engine, source.name, readers.as_csv(engine, source, files, work), target, copy)
    else:
        engine.execute(copy.format(select=readers.typed_select(engine, source, files)))


def describe(
    engine: duckdb.DuckDBPyConnection, name: str, target: Path, meanings: Mapping[str, str]
) -> RegisteredTable:
    """The catalogue's facts about a Parquet file that is whole; seals it. Raises FileRefused when it has no rows."""
    relation = f"read_parquet({literal(str(target))})"
    columns = tuple(
        Column(str(row[0]), str(row[1]), str(meanings.get(str(row[0]), "")))
        for row in engine.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    )
    rows = int(engine.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])
    if rows == 0:
        raise FileRefused(
            f"Table {name} was not registered: it has no rows.",
            why="There is a header and nothing below it.",
            do="Give the file with its rows.",
        )
    _seal(target)
    return RegisteredTable(name, target.name, digest(target), rows, target.stat().st_size, None, columns)


def _described(engine: duckdb.DuckDBPyConnection, source: TableSource, target: Path) -> RegisteredTable:
    found = describe(engine, source.name, target, source.meanings)
    relation = f"read_parquet({literal(str(target))})"
    return replace(found, unit=_unit(engine, source, relation, [column.name for column in found.columns]))


def _unit(engine: duckdb.DuckDBPyConnection, source: TableSource, relation: str, columns: list[str]) -> str | None:
    if source.unit is None:
        return None
    if source.unit not in columns:
        near = difflib.get_close_matches(source.unit, columns, n=1)
        raise RegistrationRefused(
            f"Table {source.name} was not registered: it has no column {source.unit[:60]!a}.",
            why="This column was named as the privacy unit, so that people can be counted.",
            do=f"Did you mean {near[0]}?" if near else f"Name one of: {', '.join(columns[:30])}.",
        )
    column = quoted(source.unit)
    missing = int(
        engine.execute(
            f"SELECT count(*) FROM {relation} WHERE {column} IS NULL OR trim(CAST({column} AS VARCHAR)) = ''"
        ).fetchall()[0][0]
    )
    if missing:
        raise RegistrationRefused(
            f"Table {source.name} was not registered: {missing} rows do not say whom they are about.",
            why=f"Their privacy unit, column {source.unit}, is empty, so that nobody could count people.",
            do="Complete the column or leave these rows out yourself, then register again.",
        )
    return source.unit


def _seal(target: Path) -> None:
    """On the disk, and not writable, before anything says that it is there."""
    target.chmod(0o444)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _neutral(source: TableSource, work: Path) -> list[Path]:
    """Links with names of our own: DuckDB takes ``*`` and ``[`` in a file's name for a pattern."""
    links = []
    for number, path in enumerate(source.files):
        if ".." in path.parts or not path.is_file():
            raise FileRefused(
                f"Table {source.name} was not registered: {path.name[:80]!a} is not a file that can be read.",
                why="It does not exist, is a folder, or its path goes through '..'.",
                do="Give the plain path of an ordinary file.",
            )
        link = (
            work
            / f"source-{number}{path.suffix.lower() if path.suffix.isascii() and path.suffix[1:].isalnum() else ''}"
        )
        link.symlink_to(path.resolve())
        links.append(link)
    return links
