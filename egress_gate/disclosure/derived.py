"""A derived table as data: keys, grouping sets and aggregates over row-level sources, and the SQL that the gate writes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from sqlglot import exp

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.measures import is_composed, is_plain
from egress_gate.disclosure.sources import RowSource

DIALECT = "duckdb"


@dataclass(frozen=True)
class Key:
    """A grouping column of the result: its name and the row expression it is computed from."""

    name: str
    expression: exp.Expr


@dataclass(frozen=True)
class Aggregate:
    """A value column: ``func`` of the row expression ``argument`` (None for ``count(*)``) over rows that ``filter`` keeps."""

    name: str
    func: str
    argument: exp.Expr | None
    distinct: bool = False
    where: exp.Expr | None = None
    second: exp.Expr | None = None  # corr's other argument
    parameter: float | None = None  # the quantile
    digits: int | None = None  # round(…, digits)
    of_unit: bool = False  # count(DISTINCT unit): the contributors themselves
    derived: bool = False  # over a column that a subquery computed, where a condition may hide

    @cached_property
    def chooses(self) -> bool:
        """Whether a condition inside the aggregate, or in what it is taken of, may leave some people out."""
        return self.where is not None or self.derived or not is_plain(self.argument) or not is_plain(self.second)

    @cached_property
    def weighs(self) -> bool:
        """Whether people for whom one column is 0 count for nothing, so that only the others stand behind the value."""
        return self.func == "corr" or is_composed(self.argument)


@dataclass(frozen=True)
class Derivation:
    """One table: keys × grouping sets × aggregates over ``source`` rows that ``where`` keeps.

    ``grouping_sets`` are sets of key names; a key outside a cell's set stands for the total over it. ``having`` chooses, by names of
    the columns, among the rows that leave (`having`); nothing that measures, judges or audits the table looks at it.
    """

    source: RowSource
    where: exp.Expr | None
    keys: tuple[Key, ...]
    grouping_sets: tuple[frozenset[str], ...]
    aggregates: tuple[Aggregate, ...]
    order: tuple[str, ...] = ()
    tables: tuple[TableSchema, ...] = field(default=())
    having: exp.Expr | None = None

    def canonical_sql(self, *, having: bool = True) -> str:
        """The same table as SQL, written by us; the whole of it without ``having``."""
        made = self.select(hidden=False)
        if having and self.having is not None:
            made = made.having(self.having.copy(), copy=False)
        return made.sql(dialect=DIALECT, pretty=False)

    def select(self, *, hidden: bool) -> exp.Select:
        """The regenerated statement; ``hidden`` adds ``__g0…``, which say for each key whether it is totalled over."""
        made = exp.Select()
        for key in self.keys:
            made = made.select(exp.alias_(key.expression.copy(), key.name, quoted=True), copy=False)
        if hidden:
            for number, key in enumerate(self.keys):
                bit = exp.Grouping(expressions=[key.expression.copy()])
                made = made.select(exp.alias_(bit, f"__g{number}"), copy=False)
        for one in self.aggregates:
            made = made.select(exp.alias_(aggregate_sql(one), one.name, quoted=True), copy=False)
        made = self.source.into(made, hidden=hidden)
        if self.where is not None:
            made = made.where(self.where.copy(), copy=False)
        if self.keys:
            made.set("group", grouping(self.keys, self.grouping_sets))
        if self.order and not hidden:
            made = made.order_by(*[exp.column(name, quoted=True) for name in self.order], copy=False)
        return made


def grouping(keys: tuple[Key, ...], sets: tuple[frozenset[str], ...]) -> exp.Group:
    """GROUP BY the keys, or GROUPING SETS when there is more than the full set."""
    full = [key.expression.copy() for key in keys]
    if sets == (frozenset(key.name for key in keys),):
        return exp.Group(expressions=full)
    tuples = [exp.Tuple(expressions=[k.expression.copy() for k in keys if k.name in chosen]) for chosen in sets]
    return exp.Group(grouping_sets=[exp.GroupingSets(expressions=tuples)])


def aggregate_sql(one: Aggregate) -> exp.Expr:
    """The aggregate's own expression, from its parts."""
    argument = one.argument.copy() if one.argument is not None else exp.Star()
    made: exp.Expr
    if one.func == "corr" and one.second is not None:
        made = exp.Corr(this=argument, expression=one.second.copy())
    elif one.func == "quantile":
        made = exp.func("quantile_cont", argument, exp.Literal.number(str(one.parameter)), dialect=DIALECT)
    elif one.func == "count":
        inner = exp.Distinct(expressions=[argument]) if one.distinct else argument
        made = exp.Count(this=inner)
    else:
        name = {"stddev": "stddev_samp", "variance": "var_samp"}.get(one.func, one.func)
        made = exp.func(name, argument, dialect=DIALECT)
    if one.where is not None:
        made = exp.Filter(this=made, expression=exp.Where(this=one.where.copy()))
    if one.digits is not None:
        made = exp.Round(this=made, decimals=exp.Literal.number(one.digits))
    return made
