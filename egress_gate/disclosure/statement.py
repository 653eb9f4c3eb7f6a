"""From text to one SELECT: parsed, bounded in size, without the clauses that no statement to the gate may have."""

from __future__ import annotations

from typing import TypeGuard

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from egress_gate.disclosure.allowed import MAX_DEPTH, MAX_NODES, MAX_SQL, NEAREST
from egress_gate.disclosure.derived import DIALECT
from egress_gate.disclosure.errors import SqlSyntax, refused
from egress_gate.disclosure.nearest import name_of


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
            label(statement),
            "Only a SELECT makes a table.",
            "Write one SELECT … GROUP BY …; no UNION, no COPY, no PRAGMA.",
        )
    _bounded(statement)
    return _with_parts(statement)


def refuse_parts(select: exp.Select, *, having: bool = False) -> None:
    """Raises DerivationRefused for a clause that no statement to the gate may have. ``having``: it has rows to choose among."""
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
        if select.args.get(part) and not (part == "having" and having):
            raise _refuse_part(label)


def label(expression: exp.Expr) -> str:
    if isinstance(expression, exp.Anonymous):
        return f"the function {expression.name}"
    if isinstance(expression, (exp.IgnoreNulls, exp.RespectNulls)):
        return label(expression.this)
    if isinstance(expression, exp.Command):
        return str(expression.this).upper()
    if isinstance(expression, exp.Func):
        return f"the function {name_of(expression)}"
    return type(expression).__name__.upper()


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


def _with_parts(statement: exp.Select) -> exp.Select:
    """``date_part('hour', d)`` as the EXTRACT that it is."""
    for call in list(statement.find_all(exp.Anonymous)):
        part = call.expressions[0] if call.expressions else None
        if call.name.lower() in ("date_part", "datepart") and len(call.expressions) == 2 and _is_word(part):
            call.replace(exp.Extract(this=exp.var(part.this.upper()), expression=call.expressions[1]))
    return statement


def _is_word(node: exp.Expr | None) -> TypeGuard[exp.Literal]:
    return isinstance(node, exp.Literal) and node.is_string and str(node.this).isalpha()


def _refuse_part(label: str) -> Exception:
    why = {
        "LIMIT": "A cut-off list of records or of the largest groups tells single values.",
    }.get(label, "It is not part of the grammar that the gate can judge.")
    nearest = "Leave it out." if label == "HAVING" else NEAREST.get(label, "Leave it out.")
    return refused(label, why, nearest)


def _first_line(said: str) -> str:
    return said.splitlines()[0].replace("\x1b[4m", "").replace("\x1b[0m", "")[:200] if said else "It is not valid SQL."
