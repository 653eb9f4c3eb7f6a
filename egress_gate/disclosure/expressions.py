"""Row expressions: what a key, a filter or an argument may be computed from, and that it never touches whose row it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from egress_gate.disclosure.allowed import CAST_TYPES, LONGEST_INTERVAL, NEAREST, PERIODS, ROW_EXPRESSIONS
from egress_gate.disclosure.errors import refused
from egress_gate.disclosure.nearest import name_of, nearest

if TYPE_CHECKING:
    from egress_gate.disclosure.sources import RowSource


def check_row_expression(expression: exp.Expr, source: RowSource, place: str, *, units_allowed: bool = False) -> None:
    """Raises DerivationRefused for a node outside the allow-list or for a use of the privacy unit, UnknownColumn for others."""
    for node in expression.walk():
        if isinstance(node, (exp.Subquery, exp.Select, exp.Exists, exp.SetOperation)):
            raise refused(f"a subquery in {place}", "It could compare single records.", NEAREST["subquery"])
        if isinstance(node, exp.Window):
            raise refused("a window function", "It computes a value for each record.", NEAREST["window function"])
        if isinstance(node, exp.AggFunc):
            raise refused(
                f"an aggregate in {place}", "Aggregates stand once, in the outer SELECT.", NEAREST["subquery"]
            )
        if type(node) not in ROW_EXPRESSIONS:
            raise refused(_named(node), f"It is not among what {place} may be computed with.", nearest(node))
        if isinstance(node, exp.DataType) and node.this not in CAST_TYPES:
            raise refused(
                f"the type {node.sql(dialect='duckdb')}",
                "Only simple types are allowed.",
                "Cast to integer, double, varchar, date or timestamp.",
            )
        if isinstance(node, (exp.Mod, exp.IntDiv)) and not _is_number(node.expression):
            raise refused(
                "a remainder by something computed",
                "It fails when that is zero, and a failure tells.",
                "Divide by a number.",
            )
        if isinstance(node, (exp.DateDiff, exp.Interval)):
            _check_period(node)
        if isinstance(node, exp.In) and (node.args.get("query") or node.args.get("unnest")):
            raise refused("IN with a query", "It could compare single records.", "List the values: IN ('a', 'b').")
        if isinstance(node, exp.Column):
            _check_column(node, source, place, units_allowed=units_allowed)


def _check_column(column: exp.Column, source: RowSource, place: str, *, units_allowed: bool) -> None:
    if isinstance(column.this, exp.Star):
        raise refused("*", "Every column must be named.", "Name the columns.")
    if source.tainted(column) and not units_allowed:
        raise refused(
            f"the privacy unit {column.name} in {place}",
            "It says whose record it is: a key or filter on it singles out people.",
            f"Use it only to join tables (USING ({column.name})) and in count(DISTINCT {column.name}).",
        )


def _named(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return f"the function {node.name}"
    if isinstance(node, exp.Func):
        return f"the function {name_of(node)}"
    return f"the construct {type(node).__name__}"


def _check_period(node: exp.DateDiff | exp.Interval) -> None:
    """Raises DerivationRefused for a period that could overflow, or that the data decide."""
    period = str(node.args["unit"]).upper().rstrip("S") if node.args.get("unit") else ""
    if period not in PERIODS:
        raise refused(
            f"the period {period.lower() or 'without a unit'}",
            "Dates are compared in whole periods.",
            f"Use one of: {', '.join(sorted(p.lower() for p in PERIODS))}.",
        )
    if isinstance(node, exp.Interval):
        length = node.this.unnest() if node.this is not None else None
        if not isinstance(length, exp.Literal) or not length.this.isdigit() or int(length.this) > LONGEST_INTERVAL:
            raise refused("this interval", "Its length must be a known whole number.", "Write INTERVAL 3 DAY.")


def _is_number(node: exp.Expr) -> bool:
    literal = node.unnest()
    return isinstance(literal, exp.Literal) and not literal.is_string and float(literal.this) != 0.0
