"""Readers of the forms in which ready tables and code trees are published; they take text, never a path.

- `.hrc`: one code a line, its depth told by a repeated lead (tau-ARGUS manual, section 4.3.4 "Hierarchy files").
- correspondence: one row a finest code, its ancestors before it (rtauargus' `corr_table`).
- JJ: cells with their levels, then equations: the form in which tau-ARGUS hands tables to its solvers and sdcTable writes them
  (`writeJJFormat`), and in which the test collections of Castro and of Fischetti and Salazar-Gonzalez are kept.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence

from egress_gate.disclosure.suppression.instance import Hierarchy, TableCell
from installation.fault import Fault

_TERM = re.compile(r"(\d+)\s*\(\s*([-+0-9.eE]+)\s*\)")
_STATUS = {"s": "safe", "u": "unsafe", "z": "fixed", "x": "unsafe"}


class InstanceUnreadable(Fault):
    """The text is not in the form that was named."""

    code = "instance-unreadable"


def read_hrc(text: str, total: Hashable, lead: str = "@") -> Hierarchy:
    """The tree below `total`. Raises InstanceUnreadable for a line that is deeper by two than the one before it."""
    children: dict[Hashable, list[Hashable]] = {total: []}
    path: list[Hashable] = [total]
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        code = line.lstrip(lead).strip()
        depth = len(line) - len(line.lstrip(lead))
        if depth + 1 > len(path) or not code:
            raise _unreadable(
                f"Line {number} of the hierarchy has no parent.", f"Lead it by at most {len(path) - 1} {lead}."
            )
        del path[depth + 1 :]
        children.setdefault(path[depth], []).append(code)
        path.append(code)
    return Hierarchy({code: tuple(parts) for code, parts in children.items()})


def read_correspondence(rows: Iterable[Sequence[str]], total: Hashable, present: Iterable[Hashable]) -> Hierarchy:
    """The tree below `total` from rows of codes, coarsest first; only codes in `present` belong to the table.

    A code that stands in two columns of a row is one code.
    """
    known = set(present)
    children: dict[Hashable, dict[Hashable, None]] = {total: {}}
    for row in rows:
        parent = total
        for code in dict.fromkeys(c for c in row if c in known):
            children.setdefault(parent, {})[code] = None
            parent = code
    return Hierarchy({code: tuple(parts) for code, parts in children.items()})


def read_jj(text: str) -> tuple[tuple[TableCell, ...], tuple[dict[tuple[Hashable, ...], float], ...]]:
    """Cells (keyed by their number in the file) and relations, ready for `suppress(cells, relations=...)`.

    A cell line is `number value cost status low high LPL UPL SPL`, status s (safe), u (primary) or z (must stay published); an
    equation line is `0 terms : number (coefficient) ...`. Raises InstanceUnreadable; equations to another constant are refused.
    """
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    try:
        count = int(lines[1])
        cells = tuple(_jj_cell(line) for line in lines[2 : 2 + count])
        equations = int(lines[2 + count])
        relations = tuple(_jj_relation(line) for line in lines[3 + count : 3 + count + equations])
    except (IndexError, ValueError, KeyError) as broken:
        raise _unreadable(
            "The table is not in JJ form.", "Give `0`, the number of cells, the cells, the equations."
        ) from broken
    if len(cells) != count or len(relations) != equations:
        raise _unreadable("The table ends before its last line.", "Give as many lines as the file says it has.")
    return cells, relations


def _jj_cell(line: str) -> TableCell:
    number, value, cost, status, *rest = line.split()
    low, high, lower, upper, sliding = (float(x) for x in rest)
    kind = _STATUS[status.lower()]
    return TableCell(
        key=(int(number),),
        value=float(value),
        primary=kind == "unsafe",
        lower=lower,
        upper=upper,
        sliding=sliding,
        cost=float(cost),
        low=low,
        high=high,
        fixed=kind == "fixed",
    )


def _jj_relation(line: str) -> dict[tuple[Hashable, ...], float]:
    head, _, terms = line.partition(":")
    constant, length = head.split()
    found: dict[tuple[Hashable, ...], float] = {(int(number),): float(entry) for number, entry in _TERM.findall(terms)}
    if float(constant) != 0 or len(found) != int(length):
        raise ValueError(line)
    return found


def write_jj(cells: Sequence[TableCell], relations: Sequence[dict[tuple[Hashable, ...], float]]) -> str:
    """The same form, so that another solver can be given exactly this table. Unknown upper bounds are written as 1e20."""
    at = {cell.key: number for number, cell in enumerate(cells)}
    lines = ["0", str(len(cells))]
    for number, c in enumerate(cells):
        status = "u" if c.primary else "z" if c.fixed else "s"
        cost = abs(c.value) ** 0.5 + 1 if c.cost is None else c.cost
        bounds = (max(c.low, -1e20), min(c.high, 1e20), c.lower, c.upper, c.sliding)
        lines.append(f"{number} {c.value!r} {cost!r} {status} " + " ".join(repr(float(x)) for x in bounds))
    lines.append(str(len(relations)))
    for one in relations:
        terms = " ".join(f"{at[key]} ({entry!r})" for key, entry in one.items())
        lines.append(f"0 {len(one)} : {terms}")
    return "\n".join(lines) + "\n"


def _unreadable(what: str, do: str) -> InstanceUnreadable:
    return InstanceUnreadable(what, why="An instance that is only half read would be protected wrongly.", do=do)
