"""Row-level sources: granted tables, joins on equality, and projections of them; each row keeps the units it belongs to.

A source knows, for each of its columns, whether it carries a privacy unit (*tainted*), and which hidden unit columns its rows
have. A subquery is written anew with those hidden columns added, so that contributors can be counted at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from egress_gate.disclosure.allowed import MAX_SOURCES, NEAREST
from egress_gate.disclosure.catalogue import TableSchema, find_table
from egress_gate.disclosure.errors import DerivationRefused, UnknownColumn, UnknownTable, refused
from egress_gate.disclosure.expressions import check_row_expression
from egress_gate.disclosure.measures import check_measure

DIALECT = "duckdb"


@dataclass(frozen=True)
class Relation:
    """One named part of FROM: ``columns`` maps a column's name to whether it carries a unit; ``units`` are its hidden columns."""

    alias: str
    columns: Mapping[str, bool]
    units: tuple[str, ...]
    unit_names: frozenset[str]  # columns that ARE the unit, unchanged
    tables: tuple[TableSchema, ...]
    expression: exp.Expr  # with the hidden unit columns
    plain: exp.Expr  # as people read it
    origins: Mapping[
        str, str | None
    ]  # by column: "table" unchanged, "measure" chosen or scaled, None composed otherwise


@dataclass
class RowSource:
    """FROM with its joins."""

    relations: list[Relation] = field(default_factory=list)
    joins: list[exp.Join] = field(default_factory=list)  # one for each relation after the first, without its target
    merged: list[set[tuple[str, str]]] = field(default_factory=list)  # unit columns that a join makes equal

    def tables(self) -> tuple[TableSchema, ...]:
        return tuple({t.key: t for r in self.relations for t in r.tables}.values())

    def into(self, select: exp.Select, *, hidden: bool = True) -> exp.Select:
        """Put this FROM into ``select``, with the hidden unit columns or without."""
        targets = [r.expression.copy() if hidden else r.plain.copy() for r in self.relations]
        made = select.from_(targets[0], copy=False)
        joins = []
        for join, target in zip(self.joins, targets[1:], strict=True):
            joins.append(join.copy())
            joins[-1].set("this", target)
        made.set("joins", joins)
        return made

    def units(self) -> list[exp.Column]:
        """One column for each privacy unit that a row may belong to; units that a join makes equal count once."""
        chosen: list[exp.Column] = []
        seen: set[tuple[str, str]] = set()
        for relation in self.relations:
            for unit in relation.units:
                place = (relation.alias, unit)
                if place in seen:
                    continue
                seen |= next((group for group in self.merged if place in group), {place})
                chosen.append(exp.column(unit, table=relation.alias, quoted=True))
        return chosen

    def resolve(self, column: exp.Column) -> Relation:
        """The relation that a column belongs to. Raises UnknownColumn."""
        name, table = column.name.casefold(), column.table.casefold()
        if column.args.get("db") and not table:
            raise refused("a column of another catalogue", "Only granted tables can be read.", "Write table.column.")
        found = [
            r
            for r in self.relations
            if (not table or r.alias.casefold() == table) and name in {c.casefold() for c in r.columns}
        ]
        if not found:
            shown = ", ".join(sorted({c for r in self.relations for c in r.columns if not c.startswith("__")})[:40])
            raise UnknownColumn(
                f"There is no column {column.sql(dialect=DIALECT)}.",
                why="None of the tables named has it.",
                do=f"There are: {shown}.",
            )
        if len(found) > 1 and not self._shared(name, found):
            names = " or ".join(f"{r.alias}.{column.name}" for r in found)
            raise UnknownColumn(f"{column.name} could be {names}.", why="Several tables have it.", do=f"Write {names}.")
        return found[0]

    def _shared(self, name: str, found: list[Relation]) -> bool:
        used = {i.name.casefold() for join in self.joins for i in join.args.get("using") or []}
        return name in used

    def every_column(self, alias: str = "") -> Iterator[exp.Column]:
        """What ``*`` stands for, or ``alias.*``: each column that people can name, those of USING once. Raises UnknownTable."""
        shown = [r for r in self.relations if not alias or r.alias.casefold() == alias.casefold()]
        if not shown:
            named = ", ".join(r.alias for r in self.relations)
            raise UnknownTable(f"There is no {alias} in this FROM.", why="* needs its name.", do=f"There are: {named}.")
        given: set[str] = set()
        for relation, name in ((r, name) for r in shown for name in r.columns):
            folded = name.casefold()
            if not name.startswith("__") and not (folded in given and self._shared(folded, shown)):
                given.add(folded)
                yield exp.column(name, table=relation.alias, quoted=True)

    def tainted(self, column: exp.Column) -> bool:
        """Whether the column carries a privacy unit. Raises UnknownColumn."""
        if column.name.startswith("__"):
            raise UnknownColumn(
                f"There is no column {column.name}.",
                why="Such names are the gate's own.",
                do="Name a column of a table.",
            )
        relation = self.resolve(column)
        return next(flag for name, flag in relation.columns.items() if name.casefold() == column.name.casefold())

    def resolve_origin(self, column: exp.Column) -> str | None:
        """Where the column's values come from, as `Relation.origins` says. Raises UnknownColumn."""
        origins = self.resolve(column).origins
        return next(origin for name, origin in origins.items() if name.casefold() == column.name.casefold())

    def is_unit(self, expression: exp.Expr) -> bool:
        """Whether the expression is a unit's column itself, so that counting it distinctly counts contributors."""
        if not isinstance(expression, exp.Column) or isinstance(expression.this, exp.Star):
            return False
        relation = self.resolve(expression)
        return expression.name.casefold() in {n.casefold() for n in relation.unit_names}


def text(expression: exp.Expr) -> str:
    return expression.sql(dialect=DIALECT)


def read_source(
    select: exp.Select, catalogue: Mapping[str, TableSchema], outer: Mapping[str, Relation] | None = None
) -> RowSource:
    """Read WITH, FROM and JOIN of ``select``. Raises the faults of `errors`."""
    named: dict[str, Relation] = dict(outer or {})
    with_ = select.args.get("with_") or select.args.get("with")
    if with_ is not None:
        if with_.args.get("recursive"):
            raise refused("WITH RECURSIVE", "It is not part of the grammar that the gate can judge.", "Use plain WITH.")
        for cte in with_.expressions:
            named[cte.alias.casefold()] = _projection(cte.this, cte.alias, catalogue, named)
    from_ = select.args.get("from_") or select.args.get("from")
    if from_ is None:
        raise refused("a SELECT without FROM", "There is nothing to aggregate.", "Add FROM table.")
    source = RowSource()
    _add(source, from_.this, catalogue, named)
    for join in select.args.get("joins") or []:
        _join(source, join, catalogue, named)
    return source


def _add(
    source: RowSource, part: exp.Expr, catalogue: Mapping[str, TableSchema], named: Mapping[str, Relation]
) -> None:
    if part.args.get("joins") or part.args.get("laterals") or part.args.get("pivots") or part.args.get("sample"):
        if part.args.get("sample"):
            raise refused("SAMPLE", "A different sample each time tells single records.", "Use the whole table.")
        raise refused("this form of FROM", "Joins are written one after another.", "FROM a JOIN b ON a.x = b.x.")
    if isinstance(part, exp.Subquery):
        if not part.alias:
            raise refused(
                "a subquery without a name", "Its columns could not be referred to.", "FROM (SELECT …) AS name."
            )
        relation = _projection(part.this, part.alias, catalogue, named)
    elif isinstance(part, exp.Table) and isinstance(part.this, exp.Identifier):
        relation = _table(part, catalogue, named)
    else:
        raise refused(
            f"{text(part)[:60]} in FROM",
            "Only granted tables can be read: no functions, files, values or lists.",
            "FROM table, by its name.",
        )
    if relation.alias.casefold() in {r.alias.casefold() for r in source.relations}:
        raise UnknownTable(
            f"{relation.alias} stands twice in FROM.",
            why="Its columns could not be told apart.",
            do="Give each a name with AS.",
        )
    source.relations.append(relation)
    if len(source.relations) > MAX_SOURCES:
        raise refused("a join this wide", f"More than {MAX_SOURCES} tables are joined.", "Join fewer tables.")


def _table(part: exp.Table, catalogue: Mapping[str, TableSchema], named: Mapping[str, Relation]) -> Relation:
    if (
        part.catalog
        or part.args.get("version")
        or part.args.get("when")
        or part.args.get("only")
        or part.args.get("hints")
    ):
        raise refused(f"{text(part)[:60]}", "Only granted tables can be read, by dataset.table.", "FROM dataset.table.")
    alias_node = part.args.get("alias")
    if alias_node is not None and alias_node.args.get("columns"):
        raise refused("column names behind an alias", "They hide which column is which.", "Rename with AS in SELECT.")
    if not part.db and part.name.casefold() in named:
        made = named[part.name.casefold()]
        expression, plain = (_named(inner, part.alias_or_name) for inner in (made.expression, made.plain))
        return Relation(
            part.alias_or_name, made.columns, made.units, made.unit_names, made.tables, expression, plain, made.origins
        )
    table = find_table(catalogue, part.db, part.name)
    alias = part.alias or table.name
    columns = {name: name == table.unit for name in table.columns}
    expression = exp.alias_(exp.table_(table.name, db=table.dataset, quoted=True), alias, table=True, quoted=True)
    units = frozenset({table.unit} if table.unit else ())
    return Relation(
        alias, columns, (table.unit_column,), units, (table,), expression, expression, dict.fromkeys(columns, "table")
    )


def _named(subquery: exp.Expr, alias: str) -> exp.Expr:
    """The subquery behind a WITH name, under the alias it has here."""
    made = subquery.copy()
    made.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    return made


def _projection(
    query: exp.Expr, alias: str, catalogue: Mapping[str, TableSchema], named: Mapping[str, Relation]
) -> Relation:
    """A subquery that only projects and filters, written anew with its hidden unit columns."""
    if not isinstance(query, exp.Select):
        raise refused(
            "a set operation", "UNION, INTERSECT and EXCEPT mix rows of different people.", NEAREST["subquery"]
        )
    allowed = {"expressions", "from", "from_", "joins", "where", "with", "with_", "operation_modifiers"}
    used = {name for name, value in query.args.items() if value} - allowed
    if used:
        part = sorted(used)[0].rstrip("_").upper()
        raise refused(
            f"{part} inside a subquery", "Subqueries may only choose columns and filter rows.", NEAREST["subquery"]
        )
    inner = read_source(query, catalogue, named)
    if query.args.get("where"):
        check_row_expression(query.args["where"].this, inner, "WHERE")
    made, unit_names = exp.Select(), set()
    columns: dict[str, bool] = {}
    origins: dict[str, str | None] = {}
    for projected in _without_stars(query.expressions, inner):
        expression = projected.unalias()
        name = projected.alias_or_name
        if not name or name.startswith("__"):
            raise refused(
                "a column without a name in a subquery", "It could not be referred to.", "Give it a name with AS."
            )
        if name.casefold() in {one.casefold() for one in columns}:
            raise refused(
                f"a subquery with two columns called {name}",
                "Which of them a later part means could not be told.",
                "Give each its own name with AS.",
            )
        is_unit = inner.is_unit(expression)
        if not is_unit:
            check_row_expression(expression, inner, "a derived column")
        else:
            unit_names.add(name)
        columns[name] = is_unit
        origins[name] = _origin(expression, inner)
        made = made.select(exp.alias_(expression.copy(), name, quoted=True), copy=False)
    if query.args.get("where"):
        made = made.where(query.args["where"].this.copy(), copy=False)
    plain = inner.into(made.copy(), hidden=False)
    hidden = []
    for number, unit in enumerate(inner.units()):
        hidden.append(f"__u{number}")
        made = made.select(exp.alias_(unit, hidden[-1], quoted=True), copy=False)
    made = inner.into(made)
    expression, shown = (_named(exp.Subquery(this=one), alias) for one in (made, plain))
    return Relation(alias, columns, tuple(hidden), frozenset(unit_names), inner.tables(), expression, shown, origins)


def _without_stars(projections: Sequence[exp.Expr], inner: RowSource) -> Iterator[exp.Expr]:
    """What a subquery chooses, with ``*`` and ``table.*`` written out. Raises DerivationRefused, UnknownTable."""
    for projected in projections:
        star = projected.this if isinstance(projected, exp.Column) else projected
        if not isinstance(star, exp.Star):
            yield projected
            continue
        wanted = projected.table if isinstance(projected, exp.Column) else ""
        if any(star.args.values()) or (isinstance(projected, exp.Column) and projected.args.get("db")):
            raise refused(
                "* with exceptions", "It is not part of the grammar that the gate can judge.", NEAREST["star"]
            )
        yield from inner.every_column(wanted)


def _origin(expression: exp.Expr, inner: RowSource) -> str | None:
    if isinstance(expression, exp.Column):
        return inner.resolve_origin(expression)
    try:
        check_measure(expression, inner, "a sum")
    except DerivationRefused:
        return None
    return "measure"


def _join(
    source: RowSource, join: exp.Join, catalogue: Mapping[str, TableSchema], named: Mapping[str, Relation]
) -> None:
    side, kind, method = (str(join.args.get(k) or "").upper() for k in ("side", "kind", "method"))
    if side not in ("", "LEFT") or kind not in ("", "INNER", "OUTER") or method:
        shown = " ".join(w for w in (method, side, kind, "JOIN") if w)
        raise refused(
            shown, "Only inner and left joins keep clear whose row it is.", "a JOIN b ON a.x = b.x, or LEFT JOIN."
        )
    using, on = join.args.get("using"), join.args.get("on")
    if not using and on is None:
        raise refused(
            "a join without a condition",
            "It would pair everybody with everybody.",
            "JOIN b USING (id), or ON a.id = b.id.",
        )
    before = list(source.relations)
    _add(source, join.this, catalogue, named)
    new = source.relations[-1]
    tied: list[set[tuple[str, str]]] = []
    if using:
        for name in using:
            tied.append(_equal(source, _column_in(before, name.name), _column_in([new], name.name)))
    elif on is not None:
        conditions = all_of(on)
        for condition in conditions:
            tied.append(_read_condition(source, condition))
        _require_a_tie(conditions, before, new)
    tied = [pair for pair in tied if pair]
    if side == "LEFT":
        _require_clear_left_join(tied, new)
    for pair in tied:
        _merge(source, pair)
    source.joins.append(exp.Join(**{k: v for k, v in join.args.items() if k in ("side", "kind", "using", "on") and v}))


def all_of(on: exp.Expr) -> list[exp.Expr]:
    """The conditions that ON asks for together, without brackets around the whole or each."""
    on = on.unnest()
    return [one.unnest() for one in on.flatten()] if isinstance(on, exp.And) else [on]


def _require_a_tie(conditions: Sequence[exp.Expr], before: Sequence[Relation], new: Relation) -> None:
    """A join pairs rows that agree in something. Raises DerivationRefused for one that pairs whom it names with everybody: a single
    person would be counted as many times over as there are others."""
    for one in conditions:
        if isinstance(one, exp.EQ) and isinstance(one.left, exp.Column) and isinstance(one.right, exp.Column):
            sides = [one.left, one.right]
            if any(_may_be_of(a, [new]) and _may_be_of(b, before) for a, b in (sides, sides[::-1])):
                return
    raise refused(
        "an ON without a column of both tables that must agree",
        "It would pair some people with everybody, and repeat one person's value.",
        "JOIN b ON a.x = b.x, and put what chooses rows into WHERE.",
    )


def _may_be_of(column: exp.Column, relations: Sequence[Relation]) -> bool:
    if column.table:
        return column.table.casefold() in {r.alias.casefold() for r in relations}
    return any(column.name.casefold() in {name.casefold() for name in r.columns} for r in relations)


def _require_clear_left_join(tied: list[set[tuple[str, str]]], new: Relation) -> None:
    """A left join keeps rows for which its condition does not hold: it can tie the new table's people to one older table's,
    and can never make two older ones the same. Raises DerivationRefused."""
    if len(tied) > 1 or any(new.alias not in {alias for alias, _ in pair} for pair in tied):
        raise refused(
            "a LEFT JOIN that compares people of several tables",
            "Rows stay for which the comparison does not hold, so nobody would know whose they are.",
            "Tie the new table to one other: LEFT JOIN b ON b.id = a.id; use JOIN for the rest.",
        )


def _merge(source: RowSource, places: set[tuple[str, str]]) -> None:
    group = {p for g in source.merged if g & places for p in g} | places
    source.merged = [g for g in source.merged if not g & places] + [group]


def _column_in(relations: list[Relation], name: str) -> tuple[Relation, str]:
    for relation in relations:
        for column in relation.columns:
            if column.casefold() == name.casefold():
                return relation, column
    raise UnknownColumn(f"There is no column {name} to join on.", why="Both sides need it.", do="Use ON a.x = b.y.")


def _read_condition(source: RowSource, condition: exp.Expr) -> set[tuple[str, str]]:
    condition = condition.unnest()
    if (
        isinstance(condition, exp.EQ)
        and isinstance(condition.this, exp.Column)
        and isinstance(condition.expression, exp.Column)
    ):
        left, right = source.resolve(condition.this), source.resolve(condition.expression)
        return _equal(source, (left, condition.this.name), (right, condition.expression.name))
    check_row_expression(condition, source, "ON")
    return set()


def _equal(source: RowSource, left: tuple[Relation, str], right: tuple[Relation, str]) -> set[tuple[str, str]]:
    """Two columns are joined: both carry a unit, or neither does. The two units that the condition makes equal, if it does."""
    carries = [next(f for n, f in r.columns.items() if n.casefold() == name.casefold()) for r, name in (left, right)]
    if carries[0] != carries[1]:
        raise refused(
            f"joining {left[1]} with {right[1]}",
            "One says whose record it is and the other does not.",
            "Join unit with unit, or other columns.",
        )
    if not all(carries):
        return set()
    places = set()
    for relation, name in (left, right):
        if len(relation.units) == 1 and name.casefold() in {n.casefold() for n in relation.unit_names}:
            places.add((relation.alias, relation.units[0]))
    return places if len(places) == 2 else set()
