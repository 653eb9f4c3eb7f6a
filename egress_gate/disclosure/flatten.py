"""A derivation over one table behind subqueries, as the same derivation over the table itself.

Two releases can only be compared as equations when they count the same rows. Projections are written into the expressions that
use them, so `WITH x AS (SELECT … FROM t WHERE …)` and `FROM t` share one universe; joins keep their FROM clause as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from egress_gate.disclosure.derivation import DIALECT, Aggregate, Derivation


@dataclass(frozen=True, eq=False)
class Flat:
    """Row expressions over `universe`, a FROM clause without the word; `unit`: the privacy unit of its rows."""

    universe: str
    unit: str
    where: exp.Expr
    keys: tuple[exp.Expr, ...]
    aggregates: tuple[Aggregate, ...]


def flatten(derivation: Derivation) -> Flat:
    """Raises nothing: what cannot be flattened keeps its own universe."""
    keys = tuple(k.expression for k in derivation.keys)
    where = derivation.where if derivation.where is not None else exp.true()
    source = derivation.source
    unit = source.units()[0].sql(dialect=DIALECT)
    made = source.into(exp.Select().select(exp.Star()))
    relation = source.relations[0]
    if len(source.relations) > 1:
        return Flat(_from_text(made), unit, where, keys, derivation.aggregates)
    inner = _base(made)
    if inner is None:
        return Flat(_from_text(made), unit, where, keys, derivation.aggregates)
    table, columns, filters = inner
    aggregates = tuple(_aggregate(a, columns) for a in derivation.aggregates)
    conditions = [*filters, _swap(where, columns)]
    joined = exp.and_(*conditions) if len(conditions) > 1 else conditions[0]
    name = exp.table_(table.name, db=table.args.get("db"), quoted=True).sql(dialect=DIALECT)
    hidden = relation.tables[0].unit_column
    return Flat(
        name,
        exp.column(hidden, quoted=True).sql(dialect=DIALECT),
        joined,
        tuple(_swap(k, columns) for k in keys),
        aggregates,
    )


Columns = Mapping[str, exp.Expr] | None


def _base(select: exp.Select) -> tuple[exp.Table, Columns, list[exp.Expr]] | None:
    """The one table behind a SELECT, what its visible columns are in the table's, and the filters on the way."""
    if select.args.get("joins"):
        return None
    part = (select.args.get("from_") or select.args["from"]).this
    if isinstance(part, exp.Table):
        return part, None, []
    below = part.this if isinstance(part, exp.Subquery) else None
    found = _base(below) if isinstance(below, exp.Select) else None
    if found is None or not isinstance(below, exp.Select):
        return None
    table, columns, filters = found
    visible = {p.alias_or_name.casefold(): _swap(p.unalias(), columns) for p in below.expressions}
    own = below.args.get("where")
    return table, visible, [*filters, *([_swap(own.this, columns)] if own is not None else [])]


def _swap(expression: exp.Expr, columns: Columns) -> exp.Expr:
    """Columns of a subquery become what they are made of; a table's own columns lose their qualifier."""

    def one(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            return node
        if columns is None:
            return exp.column(node.name.casefold(), quoted=True)
        found = columns[node.name.casefold()]
        return found.copy() if isinstance(found, exp.Column) else exp.Paren(this=found.copy())

    return expression.copy().transform(one)


def _aggregate(one: Aggregate, columns: Columns) -> Aggregate:
    return replace(
        one,
        argument=_swap(one.argument, columns) if one.argument is not None else None,
        where=_swap(one.where, columns) if one.where is not None else None,
        second=_swap(one.second, columns) if one.second is not None else None,
    )


def _from_text(select: exp.Select) -> str:
    text: str = select.sql(dialect=DIALECT)
    return text[text.index(" FROM ") + len(" FROM ") :]
