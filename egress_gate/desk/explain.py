"""A query's meaning in a sentence, and what changed between two of them, for people who do not read SQL."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

Say = Callable[..., str]
_FUNCTIONS = {
    "sum": "the sum of %(x)s",
    "avg": "the average of %(x)s",
    "min": "the smallest %(x)s",
    "max": "the largest %(x)s",
    "stddev": "the standard deviation of %(x)s",
    "stddevsamp": "the standard deviation of %(x)s",
    "variance": "the variance of %(x)s",
    "quantile": "a quantile of %(x)s",
    "quantilecont": "a quantile of %(x)s",
    "percentilecont": "a quantile of %(x)s",
    "median": "the median of %(x)s",
    "corr": "the correlation of %(x)s",
}


_GROUPS = re.compile(r"a set of (\d+) groups? by (.*)", re.DOTALL)
_BETWEEN = re.compile(r"people between (.*) and what lies around or inside it", re.DOTALL)


def whom(target: str, say: Say) -> str:
    """Whom an inference of the joint audit is about, in the reader's language; `target` is its record's own text."""
    if found := _GROUPS.fullmatch(target):
        columns = found[2].replace('"', "")
        one = found[1] == "1"
        return (
            say("one combination of %(columns)s", columns=columns)
            if one
            else say("%(n)s combinations of %(columns)s", n=found[1], columns=columns)
        )
    if found := _BETWEEN.fullmatch(target):
        if found[1] == "all":
            return say("the people between everybody and what was told of parts of them")
        return say("the people between %(cell)s and what was told of parts or more of them", cell=found[1])
    return target


def plainly(text: str, **values: object) -> str:
    """English, as the texts stand here."""
    return text % values if values else text


def sentence(sql: str | None, say: Say = plainly) -> str:
    """One sentence in the reader's language (`say` translates), or nothing for SQL that is not of the plain kind that has one."""
    tree = _parsed(sql)
    if tree is None:
        return ""
    tree = _unadorned(tree)
    measures = [_measure(e, say) for e in tree.expressions if e.find(exp.AggFunc)]
    keys = _join([_name(e) for e in tree.expressions if not e.find(exp.AggFunc)], say)
    tables = _join(sorted({t.name for t in tree.find_all(exp.Table)}), say)
    said = say("Shows %(x)s", x=_join(measures, say) or say("values"))
    said += say(" for each %(x)s", x=keys) if keys else say(" over everything")
    said += say(", with totals") if _has_totals(tree) else ""
    said += say(", from %(x)s", x=tables) if tables else ""
    said += "".join(
        say(text, x=found.this.sql(dialect="duckdb"))
        for text, found in (
            (", where %(x)s", tree.args.get("where")),
            (", groups with %(x)s only", tree.args.get("having")),
        )
        if found
    )
    return said + say(".")


def _unadorned(tree: exp.Select) -> exp.Select:
    """Without the quotes and table names that the gate adds for exactness, where the words stay clear."""
    tree = tree.copy()
    alone = len(list(tree.find_all(exp.Table))) == 1
    for column in tree.find_all(exp.Column):
        if alone:
            column.set("table", None)
            column.set("db", None)
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", False)
    return tree


def _has_totals(tree: exp.Select) -> bool:
    return tree.find(exp.Rollup, exp.Cube, exp.GroupingSets) is not None


@dataclass(frozen=True)
class Overlap:
    """How two tables over the same data relate: what they break down by, and whether they look at the same records."""

    shared: tuple[str, ...]
    only_new: tuple[str, ...]
    only_earlier: tuple[str, ...]
    same_records: bool


def overlap(new: str | None, earlier: str) -> Overlap | None:
    """None when one of them cannot be read."""
    one, other = _shape(new), _shape(earlier)
    if one is None or other is None:
        return None
    mine, theirs = one.keys, other.keys
    return Overlap(
        tuple(k for k in mine if k in theirs),
        tuple(k for k in mine if k not in theirs),
        tuple(k for k in theirs if k not in mine),
        one.where == other.where,
    )


@dataclass(frozen=True)
class _Shape:
    keys: tuple[str, ...]
    where: str


@lru_cache(maxsize=8192)
def _shape(sql: str | None) -> _Shape | None:
    """What a table is compared by. Kept: a request is shown beside everything that left before from the same data, again and again."""
    tree = _parsed(sql)
    return None if tree is None else _Shape(tuple(_keys(tree)), _where(tree))


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


def _measure(expression: exp.Expression, say: Say) -> str:
    found = expression.find(exp.AggFunc)
    if found is None:
        return _name(expression)
    if isinstance(found, exp.Count):
        if isinstance(found.this, exp.Distinct):
            inner = _join([e.sql(dialect="duckdb") for e in found.this.expressions], say)
            return say("how many different %(x)s there are", x=inner)
        return say("how many rows there are")
    argument = found.this.sql(dialect="duckdb") if found.this else say("rows")
    text = _FUNCTIONS.get(found.key)
    return say(text, x=argument) if text else say("%(f)s of %(x)s", f=found.key, x=argument)


def _name(expression: exp.Expression) -> str:
    return str(expression.alias_or_name or expression.sql(dialect="duckdb"))


def _join(parts: list[str], say: Say) -> str:
    return say("%(x)s and %(y)s", x=", ".join(parts[:-1]), y=parts[-1]) if len(parts) > 1 else "".join(parts)


def diff_lines(old: str | None, new: str | None) -> tuple[tuple[str, str], ...]:
    """(mark, line) pairs: ``-`` gone, ``+`` new, and a blank for what stayed."""
    lines = difflib.ndiff((old or "").splitlines(), (new or "").splitlines())
    return tuple((text[0].strip(), text[2:]) for text in lines if text[0] in " +-")
