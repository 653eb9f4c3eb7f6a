"""What sum, avg and other figures over a magnitude may be taken of: a person's own value, chosen or scaled, never mixed.

A sum is judged by what each person contributes. An argument that the analyst composes can hide one person's value among numbers
that the analyst knows: ``sum(pay + 1000000)`` makes nobody dominant, ``sum(CASE WHEN age = 93 THEN pay ELSE 50000 END)`` is one
person's pay plus a constant. So the argument is a column, a product or ratio of columns, a multiple of one, or one of these
where a condition holds (nothing or 0 where it does not). An indicator (``CASE WHEN … THEN 1 ELSE 0 END``) counts people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from egress_gate.disclosure.errors import refused

if TYPE_CHECKING:
    from egress_gate.disclosure.sources import RowSource

_WHY = "One person's value could be hidden among numbers that the analyst knows."
_FLOATS = frozenset({exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT})
_NUMBERS = exp.DataType.NUMERIC_TYPES | {exp.DataType.Type.BOOLEAN}


def check_measure(expression: exp.Expr, source: RowSource, func: str) -> None:
    """Raises DerivationRefused for an argument of ``func`` whose contributions would not be people's own."""
    node = expression.unnest()
    if isinstance(node, exp.Column):
        if source.resolve_origin(node) is None:
            raise refused(
                f"{func} over the computed column {node.name}", _WHY, f"Write {func}(column), or scale or filter one."
            )
    elif isinstance(node, exp.Neg):
        check_measure(node.this, source, func)
    elif isinstance(node, (exp.Cast, exp.TryCast)):
        _check_cast(node, source, func)
    elif isinstance(node, (exp.Mul, exp.Div)):
        _check_product(node, source, func)
    elif isinstance(node, (exp.Case, exp.If)):
        _check_condition(node, source, func)
    elif (isinstance(node, exp.Coalesce) and all(is_nothing(e) for e in node.expressions)) or isinstance(node, exp.Abs):
        check_measure(node.this, source, func)
    elif isinstance(node, (exp.Add, exp.Sub)):
        raise refused(f"adding inside {func}", _WHY, f"Ask for {func} of each column, and add them afterwards.")
    elif isinstance(node, exp.Literal):
        raise refused(f"{func} of a constant", "It is a count in disguise.", "Write count(*).")
    else:
        raise refused(f"{_shown(node)} inside {func}", _WHY, f"Write {func}(column), or scale or filter one.")


def is_nothing(node: exp.Expr | None) -> bool:
    """Absent, NULL or zero: what a person outside a condition may contribute."""
    if node is None or isinstance(node, exp.Null):
        return True
    return isinstance(node, exp.Literal) and not node.is_string and float(node.this) == 0.0


def is_plain(expression: exp.Expr | None) -> bool:
    """Whether everybody with a value contributes it: no condition chooses among people."""
    if expression is None:
        return True
    return not any(isinstance(n, (exp.Case, exp.If, exp.Nullif, exp.Predicate)) for n in expression.walk())


def is_composed(expression: exp.Expr | None) -> bool:
    """Whether one column weighs another, so that a 0 in one takes a person's value in the other out."""
    if expression is None:
        return False
    return any(
        isinstance(n, (exp.Mul, exp.Div)) and all(any(s.find_all(exp.Column)) for s in (n.left, n.right))
        for n in expression.walk()
    )


def _check_cast(node: exp.Expr, source: RowSource, func: str) -> None:
    inner = node.this.unnest()
    if node.args["to"].this not in _NUMBERS:
        raise refused(f"CAST to no number inside {func}", "A measure is a number.", f"Write {func}(column).")
    own = isinstance(inner, exp.Column) and source.resolve_origin(inner) == "table"
    if not own and node.args["to"].this not in _FLOATS:
        raise refused(f"CAST inside {func}", "It can round values to an indicator.", f"Write round({func}(column)).")
    check_measure(inner, source, func)


def _check_product(node: exp.Binary, source: RowSource, func: str) -> None:
    sides = [node.left.unnest(), node.right.unnest()]
    numbers = [isinstance(s, exp.Literal) and not s.is_string for s in sides]
    if all(numbers):
        raise refused(f"{func} of a constant", "It is a count in disguise.", "Write count(*).")
    if not any(numbers):
        for side in sides:
            if not isinstance(side, exp.Column) or source.resolve_origin(side) != "table":
                raise refused(
                    f"the product of {_shown(side)} inside {func}", _WHY, "Multiply columns of tables, or by a number."
                )
        return
    if isinstance(node, exp.Div) and numbers[0]:
        raise refused(f"a number divided by a column inside {func}", _WHY, f"Write {func}(column / number).")
    check_measure(sides[numbers.index(False)], source, func)


def _check_condition(node: exp.Expr, source: RowSource, func: str) -> None:
    otherwise = node.args.get("default") if isinstance(node, exp.Case) else node.args.get("false")
    branches = [one.args["true"] for one in node.args["ifs"]] if isinstance(node, exp.Case) else [node.args["true"]]
    if not is_nothing(otherwise):
        raise refused(f"a value behind ELSE inside {func}", _WHY, f"Write {func}(column) FILTER (WHERE …), or ELSE 0.")
    kept = {branch.sql(): branch for branch in branches if not is_nothing(branch)}
    if len(kept) > 1:
        raise refused(f"a CASE of several values inside {func}", _WHY, "One table, or one FILTER, for each value.")
    for branch in kept.values():
        if not isinstance(branch.unnest(), exp.Literal):
            check_measure(branch, source, func)


def _shown(node: exp.Expr) -> str:
    return node.sql_name().lower() if isinstance(node, exp.Func) else node.sql(dialect="duckdb")[:60]
