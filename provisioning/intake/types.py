"""Which type a text column has: decided on a sample, held against every row, and never by rounding.

Long digit strings and numbers with a leading zero stay text: they are names of things (identity and card numbers, postal
codes), not amounts. A type is proposed when nine in ten values fit; the tenth then stops the registration with its line,
so that a slip of the keyboard cannot turn a measure into text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from provisioning.intake.engine import quoted

_SHARE = 0.9
_LIKELY = 0.5
_FIRST = 2_000
_TESTS = {
    "BIGINT": r"regexp_full_match({c}, '[+-]?(0|[1-9][0-9]{{0,13}})')",
    "DOUBLE": r"regexp_full_match({c}, '[+-]?(0|[1-9][0-9]{{0,13}})?(\.[0-9]*)?([eE][+-]?[0-9]{{1,3}})?')"
    " AND try_cast({c} AS DOUBLE) IS NOT NULL",
    "DATE": r"regexp_full_match({c}, '[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}') AND try_cast({c} AS DATE) IS NOT NULL",
    "TIMESTAMP": r"regexp_full_match({c}, '[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}[ T][0-9:.]+')"
    " AND try_cast({c} AS TIMESTAMP) IS NOT NULL",
    "BOOLEAN": r"lower({c}) IN ('true', 'false')",
}
_CODE = r"regexp_full_match({c}, '[+-]?0[0-9]+|[0-9]{{15,}}')"


def infer(
    engine: duckdb.DuckDBPyConnection, select: str, columns: Sequence[str], *, known: Mapping[str, str]
) -> dict[str, str]:
    """Type of each column of ``select`` (all texts); ``known`` ones are not questioned."""
    engine.execute(f"CREATE OR REPLACE TEMP TABLE looked_at AS {select}")
    try:
        return {name: known.get(name) or _type(engine, name) for name in columns}
    finally:
        engine.execute("DROP TABLE looked_at")


def _type(engine: duckdb.DuckDBPyConnection, name: str) -> str:
    """A look at the first values says which tests are worth their time on all."""
    column = quoted(name)
    values, codes, shares = _fits(engine, column, tuple(_TESTS), f"(SELECT {column} FROM looked_at LIMIT {_FIRST})")
    likely = tuple(kind for kind, fit in shares.items() if fit >= _LIKELY * values)
    if codes or (values and not likely):
        return "VARCHAR"
    values, codes, shares = _fits(engine, column, likely, "looked_at")
    if not values or codes:
        return "VARCHAR"
    whole = [kind for kind, fit in shares.items() if fit == values]
    near = [kind for kind, fit in shares.items() if fit >= _SHARE * values]
    return (whole or near or ["VARCHAR"])[0]


def _fits(
    engine: duckdb.DuckDBPyConnection, column: str, kinds: Sequence[str], relation: str
) -> tuple[int, int, dict[str, int]]:
    """How many values there are, how many look like codes, and how many fit each of the types."""
    wanted = [_CODE, *(_TESTS[kind] for kind in kinds)]
    tests = ", ".join(f"count(*) FILTER (WHERE {test.format(c=column)})" for test in wanted)
    values, codes, *fits = engine.execute(f"SELECT count({column}), {tests} FROM {relation}").fetchall()[0]
    return int(values), int(codes), {kind: int(fit) for kind, fit in zip(kinds, fits, strict=True)}
