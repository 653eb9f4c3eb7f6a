"""Every kind of source as one SELECT that DuckDB can stream. CSV has its own module, because its rows can be broken."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb

from provisioning.domain import names
from provisioning.domain.errors import FileRefused, RegistrationRefused
from provisioning.domain.registration import TableSource
from provisioning.intake.csv_reader import CsvFile, CsvInput, checked_types
from provisioning.intake.dialect import Dialect
from provisioning.intake.engine import literal, quoted
from provisioning.intake.excel import worksheet_rows
from provisioning.intake.types import infer

_SAMPLE = 100_000
_NULL = ""
_KEPT_AS_IS = frozenset(
    {"BOOLEAN", "VARCHAR", "DATE", "TIME", "TIMESTAMP", "FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}
    | {"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_TIMES = ("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")


def typed_select(
    engine: duckdb.DuckDBPyConnection, source: TableSource, files: Sequence[Path], delivered: str | None = None
) -> str:
    """A SELECT over Parquet, JSON lines, a DuckDB file or what a server ``delivered``, with checked names and plain types."""
    if delivered is not None:
        relation = delivered
    elif source.kind == "parquet":
        relation = f"read_parquet([{_paths(files)}])"
    elif source.kind == "jsonl":
        relation = f"read_json([{_paths(files)}], format='newline_delimited', sample_size=-1, maximum_depth=2)"
    else:
        relation = _attached(engine, source, files)
    described = engine.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    trimmed = names.columns(source.name, [str(row[0]) for row in described])
    parts = [
        f"{_plain(source.name, str(row[0]), str(row[1]))} AS {quoted(name)}"
        for row, name in zip(described, trimmed, strict=True)
    ]
    return f"SELECT {', '.join(parts)} FROM {relation}"


def as_csv(engine: duckdb.DuckDBPyConnection, source: TableSource, files: Sequence[Path], work: Path) -> CsvInput:
    """An Excel sheet or a SQLite table, rewritten as CSV, so that its loosely typed cells meet the same rules."""
    rewritten = []
    for number, path in enumerate(files):
        rows = sqlite_rows(source, path) if source.kind == "sqlite" else worksheet_rows(source, path)
        header = [str(cell if cell is not None else "") for cell in next(rows)]
        target = work / f"rows-{number}.csv"
        _write(source.name, target, header, rows)
        rewritten.append(CsvFile(target, Dialect("utf-8", ",", '"', tuple(header))))
    header = names.columns(source.name, list(rewritten[0].dialect.header))
    if any(names.columns(source.name, list(f.dialect.header)) != header for f in rewritten):
        raise RegistrationRefused(
            f"Table {source.name} was not registered: its files differ.",
            why="They do not have the same columns.",
            do="Give files with the same columns in the same order.",
        )
    nulls = tuple(dict.fromkeys((_NULL, *source.nulls)))
    found = CsvInput(tuple(rewritten), dict.fromkeys(header, "VARCHAR"), nulls, quoted_nulls=False)
    kinds = infer(engine, found.select(keep_going=True, limit=_SAMPLE), header, known=checked_types(source, header))
    return CsvInput(found.files, kinds, nulls, quoted_nulls=False, given=frozenset(source.types))


def sqlite_rows(source: TableSource, path: Path) -> Iterator[Sequence[Any]]:
    """Header, then rows, of one table, read without writing a journal beside it. Raises FileRefused."""
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            found = [
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
            ]
            cursor = connection.execute(f"SELECT * FROM {quoted(_sheet(source, found))}")
            yield [column[0] for column in cursor.description]
            yield from cursor
    except sqlite3.Error as broken:
        raise FileRefused(
            f"Table {source.name} was not registered: its file cannot be read.",
            why="It is not a SQLite database, or it is damaged.",
            do="Copy it with the program that uses it, and register the copy.",
            private=str(broken),
        ) from broken


def _attached(engine: duckdb.DuckDBPyConnection, source: TableSource, files: Sequence[Path]) -> str:
    if len(files) != 1:
        raise RegistrationRefused(
            f"Table {source.name} was not registered: it names several database files.",
            why="A table is read from one database file.",
            do="Name one file, or export the tables to Parquet.",
        )
    alias = quoted(f"delivered_{source.name}")
    engine.execute(f"ATTACH {literal(str(files[0]))} AS {alias} (READ_ONLY)")
    rows = engine.execute(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = ?",
        [f"delivered_{source.name}"],
    ).fetchall()
    by_name = {str(name): str(schema) for schema, name in rows}
    chosen = _sheet(source, list(by_name))
    return f"{alias}.{quoted(by_name[chosen])}.{quoted(chosen)}"


def _sheet(source: TableSource, found: Sequence[str]) -> str:
    """Which table of the file: the one named, the only one, or the one named like the table."""
    wanted = source.sheet or (found[0] if len(found) == 1 else source.name)
    if wanted in found:
        return wanted
    raise RegistrationRefused(
        f"Table {source.name} was not registered: its file holds no table {wanted[:60]!a}.",
        why=f"The file holds {len(found)} tables: {', '.join(sorted(found)[:20]) or 'none'}.",
        do="Name the one that is meant.",
    )


def _plain(table: str, column: str, kind: str) -> str:
    name = quoted(column)
    if kind in _KEPT_AS_IS or kind.startswith("DECIMAL"):
        return name
    if kind in _TIMES:
        return f"CAST({name} AS TIMESTAMP)"
    if kind in ("UUID", "HUGEINT", "UHUGEINT", "INTERVAL") or kind.startswith("ENUM"):
        return f"CAST({name} AS VARCHAR)"
    raise RegistrationRefused(
        f"Table {table} was not registered: column {column} holds values that are not single values.",
        why=f"Its type is {kind.split('(')[0].lower()}; rules can be held for numbers, texts, dates and truth values.",
        do="Unpack it into columns, or leave it out, and register again.",
    )


def _write(table: str, target: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Missing cells stay bare and empty texts are quoted, so that the two remain different."""
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(header)
        for number, row in enumerate(rows, start=2):
            file.write(",".join(_cell(table, number, cell) for cell in row) + "\n")


def _cell(table: str, number: int, cell: Any) -> str:
    if cell is None:
        return _NULL
    if isinstance(cell, bytes):
        raise FileRefused(
            f"Table {table} was not registered: row {number} holds binary data.",
            why="Rules can be held for numbers, texts, dates and truth values.",
            do="Leave that column out and register again.",
        )
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, (int, float)):
        return str(cell)
    return '"' + str(cell).replace('"', '""') + '"'


def _paths(files: Sequence[Path]) -> str:
    return ", ".join(literal(str(path)) for path in files)
