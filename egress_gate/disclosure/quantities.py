"""What a sum is a sum of, whatever way it is spelt: the joint audit compares quantities, and a person who wants a figure twice writes
it in two ways.

`sum(2 * pay)`, `sum(pay / 12)`, `-pay`, `coalesce(pay, 0)` and `CAST(pay AS DOUBLE)` are multiples of one quantity;
`sum(CASE WHEN c THEN pay END)` is that quantity of the rows that `c` keeps; `sum(CASE WHEN c THEN 1 ELSE 0 END)` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlglot import exp

from egress_gate.disclosure.audit.published import COUNT
from egress_gate.disclosure.measures import is_nothing

DIALECT = "duckdb"
_FLOATS = frozenset({exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT})


@dataclass(frozen=True)
class Quantity:
    """`factor` times the sum of `name` (SQL of a row, or COUNT) over the rows that `where` keeps; None: all."""

    name: str
    factor: float = 1.0
    where: exp.Expr | None = None


def quantity_of(argument: exp.Expr) -> Quantity:
    """What `sum(argument)` adds up. Raises nothing: what is not understood is a quantity of its own."""
    node = argument.unnest()
    if isinstance(node, exp.Literal) and not node.is_string and float(node.this) != 0.0:
        return Quantity(COUNT, float(node.this))
    if isinstance(node, exp.Neg):
        return _times(quantity_of(node.this), -1.0)
    if isinstance(node, (exp.Cast, exp.TryCast)) and node.args["to"].this in _FLOATS:
        return quantity_of(node.this)
    if isinstance(node, exp.Coalesce) and all(is_nothing(e) for e in node.expressions):
        return quantity_of(node.this)
    if isinstance(node, (exp.Case, exp.If)):
        return _chosen(node) or _itself(node)
    if isinstance(node, (exp.Mul, exp.Div)):
        return _product(node)
    return _itself(node)


def _itself(node: exp.Expr) -> Quantity:
    return Quantity(node.sql(dialect=DIALECT))


def _times(one: Quantity, factor: float) -> Quantity:
    return replace(one, factor=one.factor * factor)


def _product(node: exp.Binary) -> Quantity:
    left, right = node.left.unnest(), node.right.unnest()
    if (number := _number(right)) is not None and number != 0.0:
        return _times(quantity_of(left), 1.0 / number if isinstance(node, exp.Div) else number)
    if isinstance(node, exp.Div):
        return _itself(node)
    if (number := _number(left)) is not None and number != 0.0:
        return _times(quantity_of(right), number)
    first, second = sorted((left, right), key=lambda side: str(side.sql(dialect=DIALECT)))
    return _itself(exp.Mul(this=first.copy(), expression=second.copy()))


def _number(node: exp.Expr) -> float | None:
    if isinstance(node, exp.Neg):
        inner = _number(node.this.unnest())
        return None if inner is None else -inner
    return float(node.this) if isinstance(node, exp.Literal) and not node.is_string else None


def _chosen(node: exp.Expr) -> Quantity | None:
    """The one value that a CASE or IF gives, and when; None where it may give several, or one to everybody else."""
    if isinstance(node, exp.If):
        branches, otherwise, tested = [node], node.args.get("false"), None
    else:
        branches, otherwise, tested = node.args["ifs"], node.args.get("default"), node.this
    if not is_nothing(otherwise):
        return None
    value: exp.Expr | None = None
    taken: list[exp.Expr] = []
    passed: list[exp.Expr] = []
    for branch in branches:
        condition = branch.this.copy() if tested is None else exp.EQ(this=tested.copy(), expression=branch.this.copy())
        given = branch.args["true"]
        if is_nothing(given):
            passed.append(condition)
            continue
        if value is not None and given != value:
            return None
        value = given
        taken.append(_and_not(condition, passed))
    if value is None:
        return None
    inner = quantity_of(value)
    where = exp.or_(*taken) if len(taken) > 1 else taken[0]
    return replace(inner, where=where if inner.where is None else exp.and_(inner.where.copy(), where))


def _and_not(condition: exp.Expr, passed: list[exp.Expr]) -> exp.Expr:
    """The condition, where none of those before it held."""
    before = [exp.Not(this=exp.Coalesce(this=one.copy(), expressions=[exp.false()])) for one in passed]
    return exp.and_(condition, *before) if before else condition
