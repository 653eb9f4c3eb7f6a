"""A profile in counts of people, rounded, and none below the least that policy asks.

Each figure alone keeps its rounding's width, and a difference of two keeps twice that. Released tables beside it do not: the joint
audit does not know the profile, so it is for people inside (stewards, administrators) and is not published.
"""

from __future__ import annotations

import math
from typing import Any

import duckdb

from provisioning.domain.dataset import Column, RegisteredTable
from provisioning.domain.masking import DATES, NUMBERS
from provisioning.intake.engine import quoted

SHOWN = 12
FEW = None  # fewer people than policy lets be counted


def protected_profile(
    engine: duckdb.DuckDBPyConnection, relation: str, table: RegisteredTable, least: int
) -> dict[str, Any]:
    """Per column: people with a value missing, and people by category (text), round interval (numbers), year (dates)."""
    people = f"count(DISTINCT {quoted(table.unit)})" if table.unit else "count(*)"
    every = int(engine.execute(f"SELECT {people} FROM {relation}").fetchall()[0][0])
    columns = {
        column.name: _column(engine, relation, people, column, least)
        for column in table.columns
        if column.name != table.unit
    }
    return {"people": rounded(every, least), "least": least, "columns": columns}


def rounded(count: int, least: int) -> int | None:
    """The nearest multiple of ``least``; None below it, zero included: that nobody is there is also told of somebody."""
    return FEW if count < least else round(count / least) * least


def _column(
    engine: duckdb.DuckDBPyConnection, relation: str, people: str, column: Column, least: int
) -> dict[str, Any]:
    name = quoted(column.name)
    group = _group(engine, relation, column)
    missing = int(engine.execute(f"SELECT {people} FROM {relation} WHERE {name} IS NULL").fetchall()[0][0])
    rows = engine.execute(
        f"SELECT {group} AS part, {people} AS held FROM {relation} WHERE {name} IS NOT NULL GROUP BY part "
        f"HAVING held >= {least} ORDER BY held DESC, part LIMIT {SHOWN}"
    ).fetchall()
    parts = sorted(rows) if _ordered(column) else rows
    return {
        "missing": rounded(missing, least),
        "parts": [{"part": _shown(part), "people": rounded(int(held), least)} for part, held in parts],
    }


def _ordered(column: Column) -> bool:
    return column.type in NUMBERS or column.type.startswith("DECIMAL") or column.type in DATES


def _group(engine: duckdb.DuckDBPyConnection, relation: str, column: Column) -> str:
    """Numbers by the lower end of their interval; its width is a round number, so that no value of a person is an edge."""
    name = quoted(column.name)
    if column.type in DATES:
        return f"year({name})"
    if not _ordered(column):
        return f"CAST({name} AS VARCHAR)"
    low, high = engine.execute(
        f"SELECT quantile_cont(CAST({name} AS DOUBLE), [0.05, 0.95]) FROM {relation} WHERE isfinite(CAST({name} AS DOUBLE))"
    ).fetchall()[0][0] or (0.0, 0.0)
    width = _round_width((high - low) / 8) if high > low else 1.0
    return f"floor(CAST({name} AS DOUBLE) / {width!r}) * {width!r}"


def _round_width(width: float) -> float:
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width)


def _shown(part: Any) -> str:
    return f"{part:g}" if isinstance(part, float) else str(part)
