"""HAVING as a filter on the protected table: it chooses among rows that may leave, by the figures that leave.

Rules, protection and the joint audit never see it, so what leaves is a function of the table that would leave without it and tells
nothing more: neither of a suppressed row, which is gone either way, nor of a figure that is not published. Therefore a condition
compares columns of the SELECT, by name or by the same expression, with constants and with each other.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from egress_gate.disclosure.aggregates import has_aggregate, read_aggregate
from egress_gate.disclosure.allowed import NEAREST
from egress_gate.disclosure.derived import DIALECT, Aggregate, Key, aggregate_sql
from egress_gate.disclosure.errors import DerivationRefused, UnknownColumn, refused
from egress_gate.disclosure.sources import RowSource, text
from egress_gate.disclosure.statement import label

Truth = bool | None  # None: unknown, as SQL has it
_COMPARED: Mapping[type[exp.Expr], Callable[[Any, Any], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
}
_MIDNIGHT = "T00:00:00"


@dataclass(frozen=True)
class _Shown:
    """The columns of the SELECT: by name in lower case, and by what they are computed from."""

    source: RowSource
    names: Mapping[str, str]
    meanings: Mapping[exp.Expr, str]


def read_having(
    select: exp.Select, keys: Sequence[Key], aggregates: Sequence[Aggregate], source: RowSource
) -> exp.Expr | None:
    """The condition over names of published columns; None without one. Raises DerivationRefused for all that is not published."""
    having = select.args.get("having")
    if having is None:
        return None
    meant = [(k.expression, k.name) for k in keys] + [(aggregate_sql(a), a.name) for a in aggregates]
    names = {name.casefold(): name for _, name in meant}
    return _condition(having.this, _Shown(source, names, {_plain(e, source): name for e, name in meant}))


def _condition(node: exp.Expr, shown: _Shown) -> exp.Expr:
    node = node.unnest()
    if isinstance(node, exp.Not):
        inner = _condition(node.this, shown)
        return inner.this.unnest() if isinstance(inner, exp.Not) else exp.Not(this=exp.Paren(this=inner))
    if isinstance(node, (exp.And, exp.Or)):
        parts = [_condition(part, shown) for part in (node.this, node.expression)]
        if isinstance(node, exp.And):
            parts = [exp.Paren(this=part) if isinstance(part, exp.Or) else part for part in parts]
        return type(node)(this=parts[0], expression=parts[1])
    if type(node) in _COMPARED:
        return type(node)(this=_operand(node.this, shown), expression=_operand(node.expression, shown))
    if isinstance(node, exp.Between) and not node.args.get("symmetric"):
        low, high = (_operand(node.args[end], shown) for end in ("low", "high"))
        return exp.Between(this=_operand(node.this, shown), low=low, high=high)
    if isinstance(node, exp.In) and node.expressions:
        return exp.In(this=_operand(node.this, shown), expressions=[_operand(e, shown) for e in node.expressions])
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return exp.Is(this=_operand(node.this, shown), expression=exp.null())
    raise _no_comparison(node)


def _operand(node: exp.Expr, shown: _Shown) -> exp.Expr:
    node = node.unnest()
    if _is_constant(node):
        return node.copy()
    if isinstance(node, exp.Column) and not node.table and node.name.casefold() in shown.names:
        return exp.column(shown.names[node.name.casefold()], quoted=True)
    if node.find(exp.Query, exp.Exists):
        raise _no_comparison(node)
    meant = aggregate_sql(read_aggregate("", node, shown.source)) if has_aggregate(node) else node
    try:
        found = shown.meanings.get(_plain(meant, shown.source))
    except UnknownColumn:
        if isinstance(node, exp.Column):
            raise
        found = None
    if found is not None:
        return exp.column(found, quoted=True)
    raise _not_published(node) if isinstance(node, exp.Column) or has_aggregate(node) else _no_comparison(node)


def _plain(expression: exp.Expr, source: RowSource) -> exp.Expr:
    """The expression with each column named one way. Raises UnknownColumn."""

    def one(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            return node
        return exp.column(node.name.casefold(), table=source.resolve(node).alias.casefold(), quoted=True)

    return expression.copy().transform(one)


def _is_constant(node: exp.Expr) -> bool:
    try:
        _constant(node)
    except ValueError:
        return False
    return True


def _constant(node: exp.Expr) -> Any:
    """A number, text, truth value or NULL; a DATE as its text. Raises ValueError for anything else."""
    if isinstance(node, exp.Neg):
        inner = _constant(node.this)
        if isinstance(inner, (int, float)) and not isinstance(inner, bool):
            return -inner
    elif isinstance(node, exp.Literal):
        if node.is_string:
            return str(node.this)
        return int(node.this) if len(node.this) <= 15 and node.this.isdecimal() else float(node.this)
    elif isinstance(node, exp.Boolean):
        return bool(node.this)
    elif isinstance(node, exp.Null):
        return None
    elif isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.DATE and node.this.is_string:
        return date.fromisoformat(node.this.this).isoformat()
    raise ValueError("no constant")


def _not_published(node: exp.Expr) -> DerivationRefused:
    said = text(node)[:80]
    return refused(
        f"HAVING with {said}",
        "The condition would tell of something that the table does not publish.",
        f"Publish it too (SELECT …, {said} AS name), or drop the condition.",
    )


def _no_comparison(node: exp.Expr) -> DerivationRefused:
    if node.find(exp.Query, exp.Exists):
        return refused(
            "a subquery in HAVING", "It could compare single records.", f"{NEAREST['HAVING']} Or drop the condition."
        )
    said = "arithmetic" if isinstance(node, exp.Binary) and not isinstance(node, exp.Predicate) else label(node)
    return refused(f"{said} in HAVING", "It is no comparison of published columns.", NEAREST["HAVING"])


def without_having(sql: str) -> str:
    """A canonical statement as it would be without its condition."""
    if "HAVING" not in sql.upper():
        return sql
    try:
        tree = sqlglot.parse_one(sql, dialect=DIALECT)
    except (SqlglotError, RecursionError):
        return sql
    tree.set("having", None)
    return tree.sql(dialect=DIALECT)


def holds(condition: exp.Expr, row: Mapping[str, Any]) -> Truth:
    """What `read_having` made, for one row of figures by name (None: a total, or nothing). Unknown is not true: such a row stays out."""
    node = condition.unnest()
    if isinstance(node, exp.Not):
        inner = holds(node.this, row)
        return None if inner is None else not inner
    if isinstance(node, exp.And):
        return _every([holds(node.this, row), holds(node.expression, row)])
    if isinstance(node, exp.Or):
        return _some([holds(node.this, row), holds(node.expression, row)])
    mine = _figure(node.this, row)
    if isinstance(node, exp.Is):
        return mine is None
    if isinstance(node, exp.Between):
        low, high = _figure(node.args["low"], row), _figure(node.args["high"], row)
        return _every([_compared(operator.ge, mine, low), _compared(operator.le, mine, high)])
    if isinstance(node, exp.In):
        return _some([_compared(operator.eq, mine, _figure(e, row)) for e in node.expressions])
    return _compared(_COMPARED[type(node)], mine, _figure(node.expression, row))


def _every(parts: Sequence[Truth]) -> Truth:
    return False if False in parts else None if None in parts else True


def _some(parts: Sequence[Truth]) -> Truth:
    return True if True in parts else None if None in parts else False


def _figure(node: exp.Expr, row: Mapping[str, Any]) -> Any:
    value = row[node.name] if isinstance(node, exp.Column) else _constant(node)
    return None if isinstance(value, float) and math.isnan(value) else value


def _compared(by: Callable[[Any, Any], bool], one: Any, other: Any) -> Truth:
    """Unknown where one side is nothing, or text that is no number stands beside a number."""
    if one is None or other is None:
        return None
    if isinstance(one, str) and isinstance(other, str):
        return by(one.removesuffix(_MIDNIGHT), other.removesuffix(_MIDNIGHT))
    try:
        return by(_number(one), _number(other))
    except (TypeError, ValueError):
        return None


def _number(value: Any) -> int | float:
    return value if isinstance(value, (int, float)) else float(value)
