"""A derived table as the gate understands it: parsed, restricted, and written anew; the analyst's text is never run.

The grammar is one aggregating SELECT over row-level sources: granted tables, joins on equality, and WITH or FROM subqueries that
only project and filter. That shape is what makes contributors countable: every row of the source still knows whose it is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from egress_gate.disclosure.allowed import AGGREGATES, MAX_DEPTH, MAX_NODES, MAX_SQL, NEAREST
from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.errors import SqlSyntax, UnknownColumn, refused
from egress_gate.disclosure.expressions import check_row_expression
from egress_gate.disclosure.measures import check_measure, is_plain
from egress_gate.disclosure.sources import RowSource, read_source, text

DIALECT = "duckdb"
MAX_SETS = 64
MAX_WORD, MAX_WORDS = 60, 1200


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

    @property
    def chooses(self) -> bool:
        """Whether a condition inside the aggregate, or in what it is taken of, may leave some people out."""
        return self.where is not None or self.derived or not is_plain(self.argument)


@dataclass(frozen=True)
class Derivation:
    """One table: keys × grouping sets × aggregates over ``source`` rows that ``where`` keeps.

    ``grouping_sets`` are sets of key names; a key outside a cell's set stands for the total over it.
    """

    source: RowSource
    where: exp.Expr | None
    keys: tuple[Key, ...]
    grouping_sets: tuple[frozenset[str], ...]
    aggregates: tuple[Aggregate, ...]
    order: tuple[str, ...] = ()
    tables: tuple[TableSchema, ...] = field(default=())

    def canonical_sql(self) -> str:
        """The same table as SQL, written by us."""
        return self.select(hidden=False).sql(dialect=DIALECT, pretty=False)

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


def parse(sql: str, catalogue: Mapping[str, TableSchema]) -> Derivation:
    """Read ``sql`` against the granted tables.

    Raises SqlSyntax, UnknownTable, UnknownColumn, or DerivationRefused, which names the construct and the nearest allowed.
    """
    select = one_select(sql)
    refuse_parts(select)
    source = read_source(select, catalogue)
    where = select.args.get("where")
    if where is not None:
        check_row_expression(where.this, source, "WHERE")
    keys, aggregates = _projections(select, source)
    sets = _grouping_sets(select, keys, source)
    if not aggregates:
        raise refused(
            "a table without an aggregate",
            "It would show records, not statistics.",
            "Add count(*) or sum(column), and GROUP BY the keys.",
        )
    _unique_names([*(k.name for k in keys), *(a.name for a in aggregates)])
    where_expression = where.this if where is not None else None
    return Derivation(source, where_expression, keys, sets, aggregates, _order(select, keys), source.tables())


def refuse_parts(select: exp.Select) -> None:
    """Raises DerivationRefused for a clause that no statement to the gate may have."""
    for part, label in (
        ("limit", "LIMIT"),
        ("offset", "OFFSET"),
        ("qualify", "QUALIFY"),
        ("windows", "WINDOW"),
        ("distinct", "SELECT DISTINCT"),
        ("having", "HAVING"),
        ("laterals", "LATERAL"),
        ("sample", "SAMPLE"),
        ("pivots", "PIVOT"),
        ("into", "INTO"),
        ("locks", "FOR UPDATE"),
        ("kind", "SELECT AS"),
        ("hint", "a hint"),
        ("cluster", "CLUSTER BY"),
        ("distribute", "DISTRIBUTE BY"),
        ("sort", "SORT BY"),
    ):
        if select.args.get(part):
            raise _refuse_part(label)


def one_select(sql: str) -> exp.Select:
    """The one SELECT that ``sql`` is. Raises SqlSyntax or DerivationRefused."""
    if len(sql) > MAX_SQL:
        raise refused(
            "a statement this long",
            f"It has more than {MAX_SQL} characters.",
            "Shorten it; long lists belong into a range or CASE.",
        )
    try:
        statements = [s for s in sqlglot.parse(sql, dialect=DIALECT) if s is not None]
    except RecursionError:
        raise refused("a statement this large", "It is nested too deeply.", "Split it into several tables.") from None
    except SqlglotError as broken:
        raise SqlSyntax(
            "The SQL could not be read.", why=_first_line(str(broken)), do="Correct it; try it with glovebox.sql first."
        ) from None
    if len(statements) != 1:
        raise refused(
            "more than one statement" if statements else "an empty statement",
            "A table is one SELECT.",
            "Write one SELECT … GROUP BY ….",
        )
    (statement,) = statements
    if not isinstance(statement, exp.Select):
        raise refused(
            _label(statement),
            "Only a SELECT makes a table.",
            "Write one SELECT … GROUP BY …; no UNION, no COPY, no PRAGMA.",
        )
    _bounded(statement)
    return statement


def _bounded(statement: exp.Expr) -> None:
    count, level = 0, [(statement, 0)]
    while level:
        node, depth = level.pop()
        count += 1
        node.comments = None
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise refused(
                "a statement this large",
                "It is nested too deeply or has too many parts.",
                "Split it into several tables.",
            )
        level.extend((child, depth + 1) for child in node.iter_expressions())


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
        if _has_aggregate(expression):
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


def _has_aggregate(expression: exp.Expr) -> bool:
    return any(isinstance(node, (exp.AggFunc, exp.Window, exp.WithinGroup, exp.Filter)) for node in expression.walk())


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


def _grouping_sets(select: exp.Select, keys: tuple[Key, ...], source: RowSource) -> tuple[frozenset[str], ...]:
    group = select.args.get("group")
    full = frozenset(key.name for key in keys)
    if group is None:
        if keys:
            raise refused(
                "a key outside GROUP BY",
                f"{keys[0].name} is neither grouped nor aggregated.",
                f"Add GROUP BY {', '.join(k.name for k in keys)}.",
            )
        return (full,)
    if group.args.get("all"):
        return (full,)
    plain = [e for e in group.expressions if not isinstance(e, (exp.Rollup, exp.Cube, exp.GroupingSets))]
    special = [e for e in group.expressions if isinstance(e, (exp.Rollup, exp.Cube, exp.GroupingSets))]
    special += [e for part in ("rollup", "cube", "grouping_sets") for e in group.args.get(part) or []]
    sets: list[frozenset[str]] = [frozenset(_key_of(e, keys) for e in plain)]
    for one in special:
        sets = [base | chosen for base in sets for chosen in _expanded(one, keys)]
        if len(sets) > MAX_SETS:
            raise refused(
                "this many margins",
                f"It asks for more than {MAX_SETS} grouping sets.",
                "Name the margins you need with GROUPING SETS.",
            )
    distinct = tuple(dict.fromkeys(sets))
    missing = full - frozenset().union(*distinct)
    if missing:
        raise refused(
            "a key outside GROUP BY",
            f"{', '.join(sorted(missing))} is neither grouped nor aggregated.",
            "Add it to GROUP BY, or take it out.",
        )
    return tuple(sorted(distinct, key=lambda chosen: (-len(chosen), sorted(chosen))))


def _expanded(one: exp.Expr, keys: tuple[Key, ...]) -> list[frozenset[str]]:
    """The sets that ROLLUP, CUBE or GROUPING SETS stands for."""
    if isinstance(one, exp.GroupingSets):
        return [frozenset(_key_of(e, keys) for e in _members(member)) for member in one.expressions]
    parts = [frozenset(_key_of(e, keys) for e in _members(member)) for member in one.expressions]
    if isinstance(one, exp.Rollup):
        return [frozenset().union(*parts[:n]) for n in range(len(parts), -1, -1)]
    if len(parts) > 6:
        raise refused(
            "a CUBE of more than six keys", "It has too many cells to be judged together.", "Use GROUPING SETS."
        )
    return [
        frozenset().union(*(p for i, p in enumerate(parts) if mask >> i & 1))
        for mask in range(2 ** len(parts) - 1, -1, -1)
    ]


def _members(one: exp.Expr) -> list[exp.Expr]:
    if isinstance(one, exp.Tuple):
        return list(one.expressions)
    return [one.this] if isinstance(one, exp.Paren) else [one]


def _key_of(expression: exp.Expr, keys: tuple[Key, ...]) -> str:
    """The key that a GROUP BY element means: its number, its name, or the same expression."""
    if isinstance(expression, exp.Literal) and not expression.is_string and expression.this.isdigit():
        raise refused("GROUP BY a position", "The statement is written anew, and positions may shift.", "Name the key.")
    for key in keys:
        if (
            isinstance(expression, exp.Column)
            and not expression.table
            and expression.name.casefold() == key.name.casefold()
        ):
            return key.name
        if expression == key.expression:
            return key.name
    raise refused(
        f"GROUP BY {text(expression)[:80]}",
        "Every grouping key must be shown, or the rows of the table could not be told apart.",
        "Put the same expression into SELECT.",
    )


def _order(select: exp.Select, keys: tuple[Key, ...]) -> tuple[str, ...]:
    ordered = select.args.get("order")
    if ordered is None:
        return ()
    names = {key.name.casefold(): key.name for key in keys}
    result = []
    for one in ordered.expressions:
        found = one.this if isinstance(one, exp.Ordered) else one
        name = found.name.casefold() if isinstance(found, exp.Column) else ""
        if (
            isinstance(found, exp.Literal)
            and not found.is_string
            and found.this.isdigit()
            and 0 < int(found.this) <= len(select.expressions)
        ):
            name = (select.expressions[int(found.this) - 1].alias_or_name or "").casefold()
        same = [key.name for key in keys if key.expression == found]
        if name not in names and not same:
            raise refused(
                "ORDER BY a value",
                "The rank of a suppressed cell would tell its size.",
                "Order by keys; sort the file after its release.",
            )
        result.append(names.get(name) or same[0])
    return tuple(result)


def _unique_names(names: list[str]) -> None:
    folded = [name.casefold() for name in names]
    twice = sorted({n for n in folded if folded.count(n) > 1})
    if twice:
        raise UnknownColumn(
            f"Two columns are called {twice[0]}.",
            why="The file that leaves needs one name for each.",
            do="Rename one with AS.",
        )
    plain_words(names)
    hidden = [n for n in names if n.startswith("__")]
    if hidden:
        raise refused(
            f"the name {hidden[0]}", "Names that start with two underscores are the gate's own.", "Choose another name."
        )


def plain_words(words: list[str]) -> None:
    """Names and labels leave with the table, so they are short and hold nothing invisible. Raises DerivationRefused."""
    for word in words:
        visible = all(
            c.isprintable() and unicodedata.category(c) not in ("Cf", "Cc", "Zl", "Zp", "Co", "Cn") for c in word
        )
        if len(word) > MAX_WORD or not visible:
            raise refused(
                "a label like this",
                f"Labels leave with the table: at most {MAX_WORD} visible characters.",
                "Use a short plain label.",
            )
    if sum(len(word) for word in words) > MAX_WORDS:
        raise refused(
            "this much text in labels",
            f"Labels leave with the table: {MAX_WORDS} characters in all.",
            "Use fewer, shorter labels.",
        )


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
        _label(expression),
        "It is not among the functions whose disclosure risk the gate can judge.",
        NEAREST["function"],
    )


def _refuse_part(label: str) -> Exception:
    why = {
        "HAVING": "Which groups are missing would tell their size.",
        "LIMIT": "A cut-off list of records or of the largest groups tells single values.",
    }.get(label, "It is not part of the grammar that the gate can judge.")
    nearest = {"HAVING": "Leave HAVING out: the gate suppresses small cells itself."}.get(
        label, NEAREST.get(label, "Leave it out.")
    )
    return refused(label, why, nearest)


def _label(expression: exp.Expr) -> str:
    if isinstance(expression, exp.Anonymous):
        return f"the function {expression.name}"
    if isinstance(expression, (exp.IgnoreNulls, exp.RespectNulls)):
        return _label(expression.this)
    if isinstance(expression, exp.Command):
        return str(expression.this).upper()
    if isinstance(expression, exp.Func):
        return f"the function {expression.sql_name().lower()}"
    return type(expression).__name__.upper()


def _first_line(said: str) -> str:
    return said.splitlines()[0].replace("\x1b[4m", "").replace("\x1b[0m", "")[:200] if said else "It is not valid SQL."
