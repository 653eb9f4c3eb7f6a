"""A derived table as the gate understands it: parsed, restricted, and written anew; the analyst's text is never run.

The grammar is one aggregating SELECT over row-level sources: granted tables, joins on equality, and WITH or FROM subqueries that
only project and filter. That shape is what makes contributors countable: every row of the source still knows whose it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from egress_gate.disclosure.aggregates import has_aggregate, read_aggregate
from egress_gate.disclosure.allowed import AGGREGATES
from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derived import DIALECT, Aggregate, Derivation, Key
from egress_gate.disclosure.errors import refused
from egress_gate.disclosure.expressions import check_row_expression
from egress_gate.disclosure.grouping import grouping_sets, order_of
from egress_gate.disclosure.having import read_having
from egress_gate.disclosure.labels import plain_words, unique_names
from egress_gate.disclosure.sources import RowSource, read_source
from egress_gate.disclosure.statement import one_select, refuse_parts

__all__ = ["DIALECT", "Aggregate", "Derivation", "Key", "one_select", "parse", "plain_words", "refuse_parts"]


def parse(sql: str, catalogue: Mapping[str, TableSchema]) -> Derivation:
    """Read ``sql`` against the granted tables.

    Raises SqlSyntax, UnknownTable, UnknownColumn, or DerivationRefused, which names the construct and the nearest allowed.
    """
    select = one_select(sql)
    refuse_parts(select, having=True)
    source = read_source(select, catalogue)
    where = select.args.get("where")
    if where is not None:
        check_row_expression(where.this, source, "WHERE")
    keys, aggregates = _projections(select, source)
    sets = grouping_sets(select, keys)
    if not aggregates:
        raise refused(
            "a table without an aggregate",
            "It would show records, not statistics.",
            "Add count(*) or sum(column), and GROUP BY the keys.",
        )
    unique_names([*(k.name for k in keys), *(a.name for a in aggregates)])
    where_expression = where.this if where is not None else None
    values = [p.unalias() for p in select.expressions if has_aggregate(p.unalias())]
    order = order_of(select, keys, [a.name for a in aggregates], values)
    having = read_having(select, keys, aggregates, source)
    return Derivation(source, where_expression, keys, sets, aggregates, order, source.tables(), having)


def _projections(select: exp.Select, source: RowSource) -> tuple[tuple[Key, ...], tuple[Aggregate, ...]]:
    keys: list[Key] = []
    aggregates: list[Aggregate] = []
    for number, projected in enumerate(select.expressions):
        expression = projected.unalias()
        if isinstance(expression, exp.Star) or (
            isinstance(expression, exp.Column) and isinstance(expression.this, exp.Star)
        ):
            raise refused(
                "SELECT *",
                "It would show records, not statistics.",
                "Name keys and aggregates: SELECT sex, count(*) … GROUP BY sex.",
            )
        name = projected.alias or (
            expression.name if isinstance(expression, exp.Column) else _own_name(expression, number)
        )
        if has_aggregate(expression):
            aggregates.append(read_aggregate(name, expression, source))
        else:
            check_row_expression(expression, source, "a key")
            plain_words([str(n.this) for n in expression.find_all(exp.Literal) if n.is_string])
            keys.append(Key(name, expression))
    return tuple(keys), tuple(aggregates)


def _own_name(expression: exp.Expr, number: int) -> str:
    """A name for a column that the analyst did not name: the function's, with its place where that helps."""
    inner = expression.this if isinstance(expression, (exp.Round, exp.Filter, exp.Paren)) else expression
    return f"{AGGREGATES.get(type(inner), 'column')}_{number + 1}"
