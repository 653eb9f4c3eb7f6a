"""Measured tables drawn on the grid of their common atoms, ready to be protected together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from egress_gate.disclosure.atoms import Grid
from egress_gate.disclosure.audit import COUNT
from egress_gate.disclosure.derivation import DIALECT, Aggregate, Derivation
from egress_gate.disclosure.flatten import flatten
from egress_gate.disclosure.judge import JudgedCell
from egress_gate.disclosure.linear import Floats, Ints
from egress_gate.disclosure.linking import Drawing, DrawnCell
from egress_gate.disclosure.protection import is_primary, level_of
from egress_gate.disclosure.rules import Parameters
from egress_gate.disclosure.suppression import Level, count_level
from egress_gate.disclosure.tabulation import MISSING, Cell

PEOPLE = "people"
Table = tuple[int, Derivation, Sequence[JudgedCell]]  # its number in the plan, what it asks, its cells


def draw(grid: Grid, tables: Sequence[Table], rules: Parameters) -> tuple[Drawing, list[list[int]]]:
    """The drawing, and for each table the cell numbers that its drawn cells have there. A cell without a place is left out."""
    atoms: dict[str, Floats] = {PEOPLE: grid.atoms.contributors.astype(float), COUNT: grid.atoms.count}
    atoms |= {name: measure.total for name, measure in grid.atoms.measures.items()}
    drawn, numbers = [], []
    for number, derivation, cells in tables:
        flat = flatten(derivation)
        members = _members(grid, number, derivation)
        quantities = [(_quantity(one), own) for one, own in zip(flat.aggregates, derivation.aggregates, strict=True)]
        mine, at = [], []
        for i, judged in enumerate(cells):
            place = members.get(_place(judged.cell))
            if place is not None:
                mine.append(_drawn(judged, place, quantities, rules))
                at.append(i)
        drawn.append(mine)
        numbers.append(at)
    return Drawing(drawn, atoms), numbers


def _quantity(one: Aggregate) -> str | None:
    """The additive quantity of an aggregate over all rows of its cell; None for any other."""
    if one.where is not None or one.chooses:
        return None
    if one.func == "count" and one.argument is None and not one.of_unit:
        return COUNT
    if one.func in ("sum", "avg") and one.argument is not None:
        return str(one.argument.sql(dialect=DIALECT))
    return None


def _drawn(
    judged: JudgedCell, members: Ints, quantities: Sequence[tuple[str | None, Aggregate]], rules: Parameters
) -> DrawnCell:
    cell = judged.cell
    values: dict[str, float] = {PEOPLE: float(cell.contributors)}
    levels: dict[str, Level] = {PEOPLE: count_level(cell.contributors, rules.min_contributors)}
    for name, one in quantities:
        figure = cell.values.get(one.name)
        if name is not None and figure is not None:
            values[name] = float(figure) * (cell.stats[one.name].rows if one.func == "avg" else 1)
            levels[name] = level_of(one, cell, rules)
    return DrawnCell(members, values, levels, is_primary(judged.findings), max(cell.contributors, 0) ** 0.5 + 1)


def _members(grid: Grid, number: int, derivation: Derivation) -> dict[tuple[tuple[str, str], ...], Ints]:
    """The atoms of each cell, by its place: the keys it has a value of."""
    where = flatten(derivation).where.sql(dialect=DIALECT)
    slices = [
        i
        for i, one in enumerate(grid.plan.slices)
        if one.release == number and one.quantity == COUNT and one.where.sql(dialect=DIALECT) == where
    ]
    names = [key.name for key in derivation.keys]
    found: dict[tuple[tuple[str, str], ...], list[Ints]] = {}
    codes = grid.cell_of[slices[0]]
    for chosen in derivation.grouping_sets:
        for code, key in enumerate(grid.keys[slices[0]]):
            place = tuple((n, _text(v)) for n, v in zip(names, key, strict=True) if n in chosen)
            found.setdefault(place, []).append(np.flatnonzero(codes == code))
        if not chosen:
            found[()] = [np.flatnonzero(codes >= 0)]
    return {place: np.unique(np.concatenate(parts)) for place, parts in found.items()}


def _place(cell: Cell) -> tuple[tuple[str, str], ...]:
    return tuple((name, _text(value)) for name, value in cell.key.items() if name not in cell.totals)


def _text(value: object) -> str:
    if value is None:
        return MISSING
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
