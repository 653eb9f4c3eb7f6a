"""Figures and samples of a stored table, in one pass each."""

from __future__ import annotations

import duckdb

from provisioning.domain.dataset import RegisteredTable
from provisioning.domain.identifiers import Proposal, propose
from provisioning.domain.masking import DATES, NUMBERS
from provisioning.domain.profile import ColumnProfile, TableProfile
from provisioning.intake.engine import quoted

_SAMPLE = 5000


def profile(engine: duckdb.DuckDBPyConnection, relation: str, table: RegisteredTable) -> TableProfile:
    """Missing and different values, range and mean of each column. Ranges of text are not taken: they would be values."""
    parts = []
    for column in table.columns:
        name = quoted(column.name)
        number = column.type in NUMBERS or column.type.startswith("DECIMAL")
        ordered = number or column.type in DATES
        parts += [
            f"count(*) - count({name})",
            f"approx_count_distinct({name})",
            f"CAST(min({name}) AS VARCHAR)" if ordered else "NULL",
            f"CAST(max({name}) AS VARCHAR)" if ordered else "NULL",
            f"CAST(avg(CAST({name} AS DOUBLE)) AS VARCHAR)" if number else "NULL",
        ]
    people = f"count(DISTINCT {quoted(table.unit)})" if table.unit else "NULL"
    row = engine.execute(f"SELECT count(*), {people}, {', '.join(parts)} FROM {relation}").fetchall()[0]
    columns = tuple(
        ColumnProfile(column.name, column.type, int(row[at]), int(row[at + 1]), row[at + 2], row[at + 3], row[at + 4])
        for column, at in zip(table.columns, range(2, len(row), 5), strict=True)
    )
    return TableProfile(table.name, int(row[0]), None if row[1] is None else int(row[1]), columns)


def scan(engine: duckdb.DuckDBPyConnection, relation: str, table: RegisteredTable) -> list[Proposal]:
    """What each column may identify, from a reproducible sample of its values."""
    found = []
    for column in table.columns:
        name = quoted(column.name)
        values = engine.execute(
            f"SELECT CAST({name} AS VARCHAR) FROM (SELECT {name} FROM {relation} WHERE {name} IS NOT NULL) "
            f"USING SAMPLE reservoir({_SAMPLE} ROWS) REPEATABLE (1)"
        ).fetchall()
        proposal = propose(column.name, [str(value) for (value,) in values])
        if proposal is not None:
            found.append(proposal)
    return found
