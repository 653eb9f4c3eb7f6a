"""A derivation over one table behind subqueries, as the same derivation over the table itself.

Two releases can only be compared as equations when they count the same rows. Projections are written into the expressions that
use them, so `WITH x AS (SELECT … FROM t WHERE …)` and `FROM t` share one universe; joins are written in one order and with names of
ours, so that `a JOIN b` and `b AS x JOIN a AS y` share one too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from egress_gate.disclosure.derivation import DIALECT, Aggregate, Derivation
from egress_gate.disclosure.sources import RowSource, all_of


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
    source = derivation.source
    if len(source.relations) > 1:
        return _joined(derivation, source)
    keys = tuple(k.expression for k in derivation.keys)
    where = derivation.where if derivation.where is not None else exp.true()
    unit = source.units()[0].sql(dialect=DIALECT)
    made = source.into(exp.Select().select(exp.Star()))
    relation = source.relations[0]
    inner = _base(made)
    if inner is None:
        return Flat(_from_text(made), unit, where, keys, derivation.aggregates)
    table, columns, filters = inner
    aggregates = tuple(_aggregate(a, lambda e: _swap(e, columns)) for a in derivation.aggregates)
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


def _aggregate(one: Aggregate, rewritten: Callable[[exp.Expr], exp.Expr]) -> Aggregate:
    return replace(
        one,
        argument=rewritten(one.argument) if one.argument is not None else None,
        where=rewritten(one.where) if one.where is not None else None,
        second=rewritten(one.second) if one.second is not None else None,
    )


def _joined(derivation: Derivation, source: RowSource) -> Flat:
    """Over a join: each part under a name of ours, in an order of ours where only inner joins tie them."""
    order = range(len(source.relations))
    inner = not any(join.args.get("side") for join in source.joins)
    if inner:
        order = sorted(order, key=lambda i: _part(source, i, ""))  # type: ignore[assignment]
    names = {source.relations[i].alias: f"j{place}" for place, i in enumerate(order)}

    def rewritten(expression: exp.Expr) -> exp.Expr:
        def one(node: exp.Expr) -> exp.Expr:
            if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star) or node.name.startswith("__"):
                return node
            return exp.column(node.name.casefold(), table=names[source.resolve(node).alias], quoted=True)

        return expression.copy().transform(one)

    conditions = [[rewritten(c) for c in _conditions(source, number)] for number in range(len(source.joins))]
    parts = [_part(source, i, names[source.relations[i].alias]) for i in order]
    if inner:
        together = sorted({_either_way(c) for some in conditions for c in some})
        ties = ["TRUE"] * (len(parts) - 2) + [" AND ".join(together)]
    else:
        ties = [" AND ".join(_either_way(c) for c in some) for some in conditions]
    kinds = ["LEFT JOIN" if join.args.get("side") else "JOIN" for join in source.joins]
    universe = parts[0] + "".join(
        f" {kind} {part} ON {tie}" for kind, part, tie in zip(kinds, parts[1:], ties, strict=True)
    )
    unit = source.units()[0]
    where = derivation.where if derivation.where is not None else exp.true()
    return Flat(
        universe,
        exp.column(unit.name, table=names[unit.table], quoted=True).sql(dialect=DIALECT),
        rewritten(where),
        tuple(rewritten(k.expression) for k in derivation.keys),
        tuple(_aggregate(a, rewritten) for a in derivation.aggregates),
    )


def _part(source: RowSource, number: int, alias: str) -> str:
    made = source.relations[number].expression.copy()
    made.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    return str(made.sql(dialect=DIALECT))


def _conditions(source: RowSource, number: int) -> list[exp.Expr]:
    """What join `number` asks for; USING as the equations that it stands for."""
    join, new = source.joins[number], source.relations[number + 1]
    on = join.args.get("on")
    made = all_of(on) if on is not None else []
    for name in join.args.get("using") or []:
        before = next(
            r for r in source.relations[: number + 1] if name.name.casefold() in {c.casefold() for c in r.columns}
        )
        sides = [exp.column(name.name, table=r.alias, quoted=True) for r in (before, new)]
        made.append(exp.EQ(this=sides[0], expression=sides[1]))
    return made


def _either_way(condition: exp.Expr) -> str:
    """The condition in brackets; of an equation, the same text whichever side comes first."""
    one = condition.unnest()
    if isinstance(one, exp.EQ):
        first, second = sorted((one.left, one.right), key=lambda side: str(side.sql(dialect=DIALECT)))
        one = exp.EQ(this=first.copy(), expression=second.copy())
    return f"({one.sql(dialect=DIALECT)})"


def _from_text(select: exp.Select) -> str:
    text: str = select.sql(dialect=DIALECT)
    return text[text.index(" FROM ") + len(" FROM ") :]
