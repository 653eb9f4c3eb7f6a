"""CSV into typed rows. A row that does not fit stops the registration and is named by its line; none is dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from provisioning.domain import names
from provisioning.domain.errors import BadRow, FileRefused, RegistrationRefused, RowsRefused
from provisioning.domain.registration import TableSource
from provisioning.intake.dialect import Dialect, find, transcode
from provisioning.intake.engine import literal, quoted
from provisioning.intake.types import infer

SHOWN = 20
_KEPT = 1000
_SAMPLE = 100_000
_EXACT = 2**53
_NOT_WHOLE = "not whole: column "
_TOO_LONG = "too long: column "
_NUMBER = re.compile(f"({_NOT_WHOLE}|{_TOO_LONG})([0-9]+);")


@dataclass(frozen=True)
class CsvFile:
    """One file, now in UTF-8, and how it is written."""

    path: Path
    dialect: Dialect


@dataclass(frozen=True)
class CsvInput:
    """``columns``: name → DuckDB type, in the file's order; ``given`` are those whose type a person gave."""

    files: tuple[CsvFile, ...]
    columns: dict[str, str]
    nulls: tuple[str, ...]
    quoted_nulls: bool = True
    given: frozenset[str] = frozenset()

    def select(self, columns: dict[str, str] | None = None, *, keep_going: bool = False, limit: int = 0) -> str:
        """The rows as one SELECT. ``keep_going`` is for looking at samples only."""
        parts = [self._scan(file, columns or self.columns, keep_going, limit) for file in self.files]
        return " UNION ALL ".join(parts)

    def _scan(self, file: CsvFile, columns: dict[str, str], keep_going: bool, limit: int) -> str:
        read_as = {name: self._read_as(name, kind) for name, kind in columns.items()}
        typed = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in read_as.items())
        shown = ", ".join(self._shown(number, name, kind) for number, (name, kind) in enumerate(columns.items()))
        nulls = ", ".join(literal(text) for text in self.nulls)
        faults = "ignore_errors=true" if keep_going else f"store_rejects=true, rejects_limit={_KEPT}"
        tail = f" LIMIT {limit}" if limit else ""
        return (
            f"(SELECT {shown} FROM read_csv({literal(str(file.path))}, auto_detect=false, header=true, columns={{{typed}}}, "
            f"delim={literal(file.dialect.delimiter)}, quote='\"', escape={literal(file.dialect.escape)}, nullstr=[{nulls}], "
            f"allow_quoted_nulls={str(self.quoted_nulls).lower()}, strict_mode=true, {faults}){tail})"
        )

    def _read_as(self, name: str, kind: str) -> str:
        """Whole numbers are read as something wider: read as whole numbers, fractions would be rounded without a word."""
        if kind != "BIGINT":
            return kind
        return "VARCHAR" if name in self.given else "DOUBLE"

    def _shown(self, number: int, name: str, kind: str) -> str:
        column = quoted(name)
        if kind != "BIGINT":
            return column
        if name in self.given:
            whole = f"regexp_full_match(trim({column}), '[+-]?[0-9]{{1,19}}')"
        else:
            whole = f"abs({column}) < {_EXACT} AND {column} = trunc({column})"
        return (
            f"CASE WHEN {column} IS NULL THEN NULL WHEN {whole} THEN CAST({column} AS BIGINT) "
            f"WHEN {'false' if name in self.given else f'abs({column}) >= {_EXACT}'} THEN error('{_TOO_LONG}{number};') "
            f"ELSE error('{_NOT_WHOLE}{number};') END AS {column}"
        )


def prepare(engine: duckdb.DuckDBPyConnection, source: TableSource, files: Sequence[Path], work: Path) -> CsvInput:
    """Dialect, header and types of the files. Raises RegistrationRefused or FileRefused."""
    ready = tuple(_ready(source, path, work, number) for number, path in enumerate(files))
    header = names.columns(source.name, list(ready[0].dialect.header))
    for number, file in enumerate(ready[1:], start=2):
        if names.columns(source.name, list(file.dialect.header)) != header:
            raise RegistrationRefused(
                f"Table {source.name} was not registered: its files differ.",
                why=f"File {number} has another header than the first.",
                do="Give files with the same columns in the same order.",
            )
    found = CsvInput(ready, dict.fromkeys(header, "VARCHAR"), source.nulls or ("",))
    kinds = infer(engine, found.select(keep_going=True, limit=_SAMPLE), header, known=checked_types(source, header))
    return CsvInput(ready, kinds, found.nulls, given=frozenset(source.types))


def write(
    engine: duckdb.DuckDBPyConnection,
    table: str,
    found: CsvInput,
    copy: Callable[[str], None],
    leave_out: int = 0,
) -> list[BadRow]:
    """Write all rows with ``copy``, which takes a SELECT. Returns the rows left out: at most ``leave_out``, none by default.

    Numbers that were whole in the sample and are not further down become numbers with a fraction; nothing becomes text in
    silence. Raises RowsRefused and FileRefused.
    """
    columns = dict(found.columns)
    while True:
        engine.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        try:
            copy(found.select(columns))
        except duckdb.Error as broken:
            wider = _widened(table, found, columns, broken)
            if wider is None:
                raise
            columns = wider
            continue
        bad = _bad_rows(engine, columns)
        if len(bad) >= _KEPT or len(bad) > leave_out:
            raise _rows_refused(table, bad)
        return bad


def checked_types(source: TableSource, header: Sequence[str]) -> dict[str, str]:
    """Types that the registration gives. Raises RegistrationRefused for unknown columns and types."""
    allowed = {"BIGINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN"}
    for column, kind in source.types.items():
        if column not in header or kind.upper() not in allowed:
            raise RegistrationRefused(
                f"Table {source.name} was not registered: the type of {column[:40]!a} cannot be used.",
                why="There is no such column, or no such type.",
                do=f"Use one of {', '.join(sorted(allowed))} for a column of the header.",
            )
    return {column: kind.upper() for column, kind in source.types.items()}


def _ready(source: TableSource, path: Path, work: Path, number: int) -> CsvFile:
    dialect = find(source.name, path, encoding=source.encoding, delimiter=source.delimiter)
    if not dialect.needs_transcoding:
        return CsvFile(path, dialect)
    rewritten = work / f"utf8-{number}.csv"
    transcode(source.name, path, rewritten, dialect.encoding)
    return CsvFile(rewritten, dialect)


_PROBLEMS = {
    "MISSING COLUMNS": "has fewer values than the header",
    "TOO MANY COLUMNS": "has more values than the header",
    "UNQUOTED VALUE": "has a quote that does not end, or text after one",
    "LINE SIZE OVER MAXIMUM": "is longer than a line may be",
    "INVALID ENCODING": "holds bytes that are not UTF-8",
    "INVALID STATE": "has quotes in the wrong place",
}


def _bad_rows(engine: duckdb.DuckDBPyConnection, columns: dict[str, str]) -> list[BadRow]:
    rows = engine.execute(
        "SELECT line, column_name, error_type::VARCHAR FROM reject_errors ORDER BY scan_id, file_id, line, column_idx"
    ).fetchall()
    return [
        BadRow(int(line), column if kind == "CAST" else None, _problem(kind, columns.get(column or "", "")))
        for line, column, kind in rows
    ]


def _problem(kind: str, wanted: str) -> str:
    if kind == "CAST":
        return f"is not a {_WORDS.get(wanted, wanted.lower())}"
    return _PROBLEMS.get(kind, "cannot be read")


_WORDS = {
    "BIGINT": "whole number",
    "DOUBLE": "number",
    "DATE": "date (YYYY-MM-DD)",
    "TIMESTAMP": "time (YYYY-MM-DD HH:MM:SS)",
    "BOOLEAN": "true or false",
}


def _widened(table: str, found: CsvInput, columns: dict[str, str], broken: duckdb.Error) -> dict[str, str] | None:
    """The columns with the one that was not whole made wider; None when the error is another."""
    match = _NUMBER.search(str(broken))
    if match is None:
        return None
    name = list(columns)[int(match[2])]
    if match[1] == _TOO_LONG:
        raise FileRefused(
            f"Table {table} was not registered: column {name} holds numbers with more digits than a number keeps exactly.",
            why="Such numbers are usually names of things, as identity or card numbers are.",
            do="Give the type VARCHAR to keep every digit as text, or BIGINT for whole numbers.",
        )
    if name in found.given:
        raise FileRefused(
            f"Table {table} was not registered: column {name} holds values that are not whole numbers.",
            why="Its type was given as whole numbers, and nothing is rounded in silence.",
            do="Give the type DOUBLE or VARCHAR, or correct the values.",
        )
    return {**columns, name: "DOUBLE"}


def _rows_refused(table: str, bad: Sequence[BadRow]) -> FileRefused:
    shown = "; ".join(str(row) for row in bad[:SHOWN])
    number = f"At least {len(bad)}" if len(bad) >= _KEPT else str(len(bad))
    more = f"; and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    casts = any(row.column for row in bad)
    advice = "Correct these lines and register again; no row is ever left out in silence."
    if casts:
        advice += " If such a value means missing, name it as a null text; if the column is text, give its type."
    return RowsRefused(
        f"Table {table} was not registered: {number} {'row' if len(bad) == 1 else 'rows'} cannot be read.",
        why=f"{shown}{more}.",
        do=advice,
        rows=bad[:_KEPT],
    )
