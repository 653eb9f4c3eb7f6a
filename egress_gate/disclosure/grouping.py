"""Reading GROUP BY and ORDER BY: which sets of keys a table is grouped by, and how its rows stand."""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

from egress_gate.disclosure.derived import Key
from egress_gate.disclosure.errors import refused
from egress_gate.disclosure.sources import text

MAX_SETS = 64


def grouping_sets(select: exp.Select, keys: tuple[Key, ...]) -> tuple[frozenset[str], ...]:
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
    group = _named(group, select, keys)
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


def _named(group: exp.Expr, select: exp.Select, keys: tuple[Key, ...]) -> exp.Expr:
    """The same with positions as names, because the statement is written anew and its columns may move."""
    names = {key.name for key in keys}

    def name(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Literal) or not _is_element(node):
            return node
        at = int(node.this) if not node.is_string and node.this.isdigit() else 0
        shown = select.expressions[at - 1].alias_or_name if 0 < at <= len(select.expressions) else ""
        if shown not in names:
            raise refused(f"GROUP BY {node.sql()[:40]}", "At that position stands no key.", "Name the key.")
        return exp.column(exp.to_identifier(shown, quoted=True))

    return group.copy().transform(name)


def _is_element(node: exp.Expr) -> bool:
    """Whether a literal stands for a grouping key and is not part of one."""
    parent = node.parent
    while isinstance(parent, (exp.Tuple, exp.Paren)):
        parent = parent.parent
    return isinstance(parent, (exp.Group, exp.Rollup, exp.Cube, exp.GroupingSets))


def order_of(
    select: exp.Select, keys: tuple[Key, ...], published: Collection[str] = (), values: Collection[exp.Expr] = ()
) -> tuple[str, ...]:
    """The keys that ORDER BY names. A published value (by name in ``published``, or as one of ``values``) is read and dropped: a file
    stands in the order of its keys whatever was asked, so that no place in it tells of a figure. Anything else is refused."""
    ordered = select.args.get("order")
    if ordered is None:
        return ()
    names = {key.name.casefold(): key.name for key in keys}
    shown = {name.casefold() for name in published}
    result = []
    for one in ordered.expressions:
        found = one.this if isinstance(one, exp.Ordered) else one
        name = _ordered_by(found, select)
        same = [key.name for key in keys if key.expression == found]
        if name in names or same:
            result.append(names.get(name) or same[0])
        elif name not in shown and found not in values:
            raise refused(
                "ORDER BY something that is not published",
                "The order of the rows would tell of it.",
                "Order by columns of the SELECT.",
            )
    return tuple(result)


def _ordered_by(found: exp.Expr, select: exp.Select) -> str:
    """The name, in lower case, of the column that an element of ORDER BY means by its name or position; empty for another."""
    if isinstance(found, exp.Column):
        return found.name.casefold()
    whole = isinstance(found, exp.Literal) and not found.is_string and found.this.isdigit()
    if whole and 0 < int(found.this) <= len(select.expressions):
        return (select.expressions[int(found.this) - 1].alias_or_name or "").casefold()
    return ""


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
    """The key that a GROUP BY element means: its name, or the same expression."""
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
