"""The rows a regression is fitted to: ``SELECT columns FROM tables [JOIN] [WHERE]``, by the same allow-list as a derived table.

No row leaves: only the fit does. Each row keeps the privacy units it belongs to, and rows with a missing value in any column of the
formula are left out by the statement itself, so that everybody who judges speaks of the same people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import (
    DIALECT,
    Aggregate,
    Derivation,
    Key,
    one_select,
    plain_words,
    refuse_parts,
)
from egress_gate.disclosure.errors import DerivationRefused, UnknownColumn, refused
from egress_gate.disclosure.expressions import check_row_expression
from egress_gate.disclosure.measures import check_measure
from egress_gate.disclosure.regression.formula import Formula
from egress_gate.disclosure.sources import RowSource, read_source

OBSERVATIONS, OUTCOME = "observations_of_model", "outcome_of_model"
MAX_COLUMNS = 60
MAX_FACTOR_SETS = 60


@dataclass(frozen=True)
class ModelRows:
    """``columns``: by name, the row expression of every column that the formula reads."""

    source: RowSource
    where: exp.Expr | None
    columns: Mapping[str, exp.Expr]

    @property
    def tables(self) -> tuple[TableSchema, ...]:
        return self.source.tables()

    @property
    def unit_count(self) -> int:
        return len(self.source.units())

    def complete(self) -> exp.Expr:
        """The filter: the analyst's own, and no missing value."""
        present: list[exp.Expr] = [
            exp.Not(this=exp.Is(this=exp.Paren(this=e.copy()), expression=exp.Null())) for e in self.columns.values()
        ]
        parts = [*([exp.Paren(this=self.where.copy())] if self.where is not None else []), *present]
        return exp.and_(*parts)

    def canonical_sql(self) -> str:
        """The rows as SQL, written by us, without the hidden units."""
        return self._select(hidden=False).sql(dialect=DIALECT)

    def measuring_sql(self) -> str:
        """The same with the units as ``__u0…``, in an order that does not depend on the engine's threads."""
        made = self._select(hidden=True)
        for number, unit in enumerate(self.source.units()):
            made = made.select(exp.alias_(unit.copy(), f"__u{number}", quoted=True), copy=False)
        return f"{made.sql(dialect=DIALECT)} ORDER BY ALL"

    def _select(self, *, hidden: bool) -> exp.Select:
        made = exp.Select()
        for name, expression in self.columns.items():
            made = made.select(exp.alias_(expression.copy(), name, quoted=True), copy=False)
        return self.source.into(made, hidden=hidden).where(self.complete(), copy=False)

    def implied(self, sets: tuple[frozenset[str], ...], outcome: str | None) -> Derivation:
        """The table that the fit tells to whoever knows the rest: how many stand behind each level or crossing of levels, and their
        outcome. It is judged and remembered as if it were released; the regression itself never shows it."""
        names = sorted({name for chosen in sets for name in chosen})
        keys = tuple(Key(name, self.columns[name].copy()) for name in names)
        aggregates = [Aggregate(OBSERVATIONS, "count", None)]
        if outcome is not None:
            aggregates.append(Aggregate(OUTCOME, "sum", self.columns[outcome].copy()))
        ordered = tuple(sorted({*sets, frozenset[str]()}, key=lambda chosen: (-len(chosen), sorted(chosen))))
        return Derivation(self.source, self.complete(), keys, ordered, tuple(aggregates), (), self.tables)


def parse_rows(sql: str, catalogue: Mapping[str, TableSchema], formula: Formula) -> ModelRows:
    """Raises SqlSyntax, UnknownTable, UnknownColumn or DerivationRefused; a column that the formula does not read is dropped."""
    select = one_select(sql)
    refuse_parts(select)
    for part, label in (("group", "GROUP BY"), ("order", "ORDER BY")):
        if select.args.get(part):
            raise refused(
                f"{label} in a regression's rows",
                "The gate fits the model to rows, not to a table.",
                "SELECT outcome, variables FROM table WHERE …",
            )
    source = read_source(select, catalogue)
    where = select.args.get("where")
    if where is not None:
        check_row_expression(where.this, source, "WHERE")
    columns = _columns(select, source, formula)
    response = next(iter(formula.response.columns))
    _require_own_outcome(columns[response], source, transformed=formula.response.column is None)
    return ModelRows(source, where.this if where is not None else None, columns)


def _columns(select: exp.Select, source: RowSource, formula: Formula) -> dict[str, exp.Expr]:
    offered: dict[str, exp.Expr] = {}
    for projected in select.expressions:
        expression = projected.unalias()
        if isinstance(expression, exp.Star) or isinstance(getattr(expression, "this", None), exp.Star):
            raise refused("SELECT *", "Every column must be named.", "Name the columns that the formula uses.")
        name = projected.alias_or_name
        if not name:
            raise refused("a column without a name", "The formula could not refer to it.", "Give it a name with AS.")
        if name in offered:
            raise UnknownColumn(
                f"Two columns are called {name}.", why="The formula needs one.", do="Rename one with AS."
            )
        offered[name] = expression
    missing = [name for name in formula.columns if name not in offered]
    if missing:
        raise UnknownColumn(
            f"The formula uses {missing[0]}, which the SQL does not select.",
            why=f"It selects {', '.join(sorted(offered)) or 'nothing'}.",
            do="Add it to SELECT; names are told apart by case.",
        )
    if len(formula.columns) > MAX_COLUMNS:
        raise refused("a model this wide", f"It reads more than {MAX_COLUMNS} columns.", "Use fewer variables.")
    chosen = {name: offered[name] for name in formula.columns}
    for name, expression in chosen.items():
        check_row_expression(expression, source, f"the variable {name}")
        plain_words([str(n.this) for n in expression.find_all(exp.Literal) if n.is_string])
    plain_words(list(chosen))
    return chosen


def _require_own_outcome(expression: exp.Expr, source: RowSource, *, transformed: bool) -> None:
    """An outcome that the analyst composes can be one person's value and nothing else; so it is a person's own, chosen or scaled."""
    check_measure(expression, source, "a regression's outcome")
    if transformed and not isinstance(expression.unnest(), exp.Column):
        raise DerivationRefused(
            "The SQL was refused: an outcome computed twice is not allowed.",
            why="What each person contributes to it could not be told.",
            do="Transform a column of a table: log(column) ~ ….",
        )
