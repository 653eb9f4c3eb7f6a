"""A query's meaning in a sentence, and what changed between two of them, for people who do not read SQL."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

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
    tree = _parsed(sql)
    if tree is None:
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


@dataclass(frozen=True)
class Overlap:
    """How two tables over the same data relate: what they break down by, and whether they look at the same records."""

    shared: tuple[str, ...]
    only_new: tuple[str, ...]
    only_earlier: tuple[str, ...]
    same_records: bool


def overlap(new: str | None, earlier: str) -> Overlap | None:
    """None when one of them cannot be read."""
    one, other = _parsed(new), _parsed(earlier)
    if one is None or other is None:
        return None
    mine, theirs = _keys(one), _keys(other)
    return Overlap(
        tuple(k for k in mine if k in theirs),
        tuple(k for k in mine if k not in theirs),
        tuple(k for k in theirs if k not in mine),
        _where(one) == _where(other),
    )


def _parsed(sql: str | None) -> exp.Select | None:
    try:
        tree = sqlglot.parse_one(sql or "", dialect="duckdb")
    except SqlglotError:
        return None
    return tree if isinstance(tree, exp.Select) else None


def _keys(tree: exp.Select) -> list[str]:
    return [_name(e) for e in tree.expressions if not e.find(exp.AggFunc)]


def _where(tree: exp.Select) -> str:
    where = tree.args.get("where")
    return str(where.this.sql(dialect="duckdb", normalize=True)) if where else ""


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
