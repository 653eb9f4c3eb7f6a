"""A query's meaning in a sentence, and what changed between two of them, for people who do not read SQL."""

from __future__ import annotations

import difflib

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_FUNCTIONS = {
    "count": "how many rows there are",
    "sum": "the sum of {}",
    "avg": "the average of {}",
    "min": "the smallest {}",
    "max": "the largest {}",
    "stddev": "the standard deviation of {}",
    "quantile": "a quantile of {}",
    "median": "the median of {}",
    "corr": "the correlation of {}",
}


def sentence(sql: str | None) -> str:
    """One sentence, or nothing when the SQL is not of the plain kind that has one."""
    try:
        tree = sqlglot.parse_one(sql or "", dialect="duckdb")
    except SqlglotError:
        return ""
    if not isinstance(tree, exp.Select):
        return ""
    measures = _join([_measure(e) for e in tree.expressions if e.find(exp.AggFunc)])
    keys = _join([_name(e) for e in tree.expressions if not e.find(exp.AggFunc)])
    tables = _join(sorted({t.sql(dialect="duckdb") for t in tree.find_all(exp.Table)}))
    where = tree.args.get("where")
    said = f"Shows {measures or 'values'}"
    said += f" for each {keys}" if keys else " over everything"
    said += f", from {tables}" if tables else ""
    said += f", where {where.this.sql(dialect='duckdb')}" if where else ""
    return said + "."


def _measure(expression: exp.Expression) -> str:
    found = expression.find(exp.AggFunc)
    if found is None:
        return _name(expression)
    if isinstance(found, exp.Count) and isinstance(found.this, exp.Distinct):
        inner = _join([e.sql(dialect="duckdb") for e in found.this.expressions])
        return f"how many different {inner} there are"
    words = _FUNCTIONS.get(found.key, f"{found.key} of {{}}")
    return words.format(found.this.sql(dialect="duckdb") if found.this else "rows")


def _name(expression: exp.Expression) -> str:
    return str(expression.alias_or_name or expression.sql(dialect="duckdb"))


def _join(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def diff_lines(old: str | None, new: str | None) -> tuple[tuple[str, str], ...]:
    """(mark, line) pairs: ``-`` gone, ``+`` new, and a blank for what stayed."""
    lines = difflib.ndiff((old or "").splitlines(), (new or "").splitlines())
    return tuple((text[0].strip(), text[2:]) for text in lines if text[0] in " +-")
