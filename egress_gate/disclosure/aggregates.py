"""Reading one aggregate: which function, over which row expression, for which rows."""

from __future__ import annotations

from sqlglot import exp

from egress_gate.disclosure.allowed import AGGREGATES, NEAREST
from egress_gate.disclosure.derived import Aggregate
from egress_gate.disclosure.errors import refused
from egress_gate.disclosure.expressions import check_row_expression
from egress_gate.disclosure.measures import check_measure
from egress_gate.disclosure.nearest import nearest
from egress_gate.disclosure.sources import RowSource
from egress_gate.disclosure.statement import label


def read_aggregate(name: str, expression: exp.Expr, source: RowSource) -> Aggregate:
    """Read one aggregate, with an optional round(…, digits) around and FILTER (WHERE …) behind it."""
    digits, where = None, None
    if isinstance(expression, exp.Paren):
        expression = expression.this
    if isinstance(expression, exp.Round):
        digits = _whole(expression.args.get("decimals"))
        expression = expression.this
    if isinstance(expression, exp.Filter):
        where = expression.expression.this
        check_row_expression(where, source, "FILTER")
        expression = expression.this
    func = AGGREGATES.get(type(expression))
    if func is None:
        raise _not_an_aggregate(expression)
    return _with_arguments(name, func, expression, where, digits, source)


def has_aggregate(expression: exp.Expr) -> bool:
    return any(isinstance(node, (exp.AggFunc, exp.Window, exp.WithinGroup, exp.Filter)) for node in expression.walk())


def _with_arguments(
    name: str, func: str, call: exp.Expr, where: exp.Expr | None, digits: int | None, source: RowSource
) -> Aggregate:
    argument, second, parameter, distinct = call.this, None, None, False
    if call.args.get("order") or isinstance(argument, exp.Order):
        raise refused(
            f"ORDER BY inside {func}", "The order of records is not a statistic.", f"Leave it out: {func}(column)."
        )
    if isinstance(argument, exp.Distinct):
        if func != "count" or len(argument.expressions) != 1:
            raise refused(
                f"DISTINCT inside {func}", "Only count has a meaning per person with it.", "Use count(DISTINCT column)."
            )
        argument, distinct = argument.expressions[0], True
    if func == "count" and (argument is None or isinstance(argument, exp.Star)):
        return Aggregate(name, func, None, where=where, digits=digits)
    if func == "quantile":
        parameter = _fraction(call.args.get("quantile") or call.args.get("expression"))
    if func == "corr":
        second = call.expression
        check_row_expression(second, source, func)
        check_measure(second, source, func)
    of_unit = distinct and source.is_unit(argument)
    if distinct and not of_unit:
        raise refused(
            "count(DISTINCT …) over anything but the privacy unit",
            "How many different values there are tells a single person's value, one question at a time.",
            "count(DISTINCT id) counts people; GROUP BY the column to see its values.",
        )
    if not of_unit:
        check_row_expression(argument, source, func)
        if func != "count":
            check_measure(argument, source, func)
    derived = any(source.resolve_origin(c) != "table" for c in argument.find_all(exp.Column)) if not of_unit else False
    return Aggregate(name, func, argument, distinct, where, second, parameter, digits, of_unit, derived)


def _whole(value: exp.Expr | None) -> int:
    if value is None:
        return 0
    negative = isinstance(value, exp.Neg)
    literal = value.this if negative else value
    if (
        not isinstance(literal, exp.Literal)
        or literal.is_string
        or not literal.this.isdigit()
        or int(literal.this) > 12
    ):
        raise refused(
            "round with a computed number of digits", "The precision must be known.", "Write round(avg(x), 1)."
        )
    return -int(literal.this) if negative else int(literal.this)


def _fraction(value: exp.Expr | None) -> float:
    try:
        number = float(value.this) if isinstance(value, exp.Literal) and not value.is_string else -1.0
    except ValueError:
        number = -1.0
    if not 0.0 < number < 1.0:
        raise refused(
            "this quantile", "It must be one number between 0 and 1, both excluded.", "Write quantile_cont(x, 0.25)."
        )
    return number


def _not_an_aggregate(expression: exp.Expr) -> Exception:
    if isinstance(expression, exp.Window):
        return refused("a window function", "It computes a value for each record.", NEAREST["window function"])
    if isinstance(expression, (exp.Binary, exp.Case, exp.Cast)):
        return refused(
            "arithmetic over aggregates",
            "Each released number must be an aggregate by itself, so that it can be judged.",
            "Ask for both aggregates and compute with them afterwards.",
        )
    return refused(
        label(expression),
        "It is not among the functions whose disclosure risk the gate can judge.",
        nearest(expression),
    )
