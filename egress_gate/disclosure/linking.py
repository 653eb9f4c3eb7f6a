"""Several tables as one protection problem: every cell of every table is a set of atoms, and nobody publishes the atoms.

Linked tables (region by sex beside region by age), margins of ROLLUP and CUBE, grouping sets that no finer one refines, and keys
of which one determines another (a region lies in one country) all come out of the same relations: `cell = sum of its atoms`.
Cells that are the same set of atoms are one cell: what one table hides, the others hide too.

The picture is tau-ARGUS' for linked tables, with one problem in place of its round trips (Handbook on Statistical Disclosure
Control, section 4.3.4; de Wolf and Giessing, "How to make the tau-ARGUS modular method applicable to linked tables", 2008).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from egress_gate.disclosure.linear import Bools, Floats, Ints, Levels, LinearTable, from_equations
from egress_gate.disclosure.suppression import Effort, Level, protect


@dataclass(frozen=True, eq=False)
class DrawnCell:
    """One cell: the atoms it adds up over, its figure in each quantity, what each asks for if the cell is `primary`."""

    atoms: Ints
    values: Mapping[str, float]
    levels: Mapping[str, Level]
    primary: bool
    cost: float


@dataclass(frozen=True, eq=False)
class Drawing:
    """Tables over N common atoms. `atoms[q]`: the figure of each atom in quantity q, N entries, in the unit of q's cells."""

    tables: Sequence[Sequence[DrawnCell]]
    atoms: Mapping[str, Floats]


@dataclass(frozen=True)
class Together:
    """For each table the numbers of its hidden cells. `safe` False: some cell could not be shown to be protected."""

    hidden: tuple[frozenset[int], ...]
    safe: bool
    optimal: bool


@dataclass(frozen=True, eq=False)
class _Places:
    """Distinct sets of atoms, which table cells stand for each, and whether one of these is primary."""

    members: list[Ints]
    cells: list[list[tuple[int, int]]] = field(default_factory=list)


def protect_together(drawing: Drawing, left: Callable[[], float]) -> Together:
    """Hide cells of all tables at once so that no primary cell can be bounded closer than its levels from all that is published.

    A quantity whose cells are not the sums of their atoms (people who stand in several groups) gives no relations and is left to
    each table's own protection and to the joint audit.
    """
    places = _places(drawing)
    hidden = np.array([any(drawing.tables[t][i].primary for t, i in cells) for cells in places.cells], dtype=bool)
    safe, optimal = True, True
    if hidden.any():
        for _ in range(2):
            before = hidden.copy()
            for quantity in drawing.atoms:
                table = _problem(drawing, places, quantity, hidden)
                if table is None:
                    continue
                pattern = protect(table, Effort(left=left, audit_left=left, exact_intervals=False))
                hidden |= pattern.suppressed[: len(hidden)]
                safe, optimal = safe and pattern.safe, optimal and pattern.optimal
            if (hidden == before).all() or not safe:
                break
    found: list[set[int]] = [set() for _ in drawing.tables]
    for place in np.flatnonzero(hidden):
        for table_number, cell in places.cells[int(place)]:
            found[table_number].add(cell)
    return Together(tuple(frozenset(one) for one in found), safe, optimal)


def _places(drawing: Drawing) -> _Places:
    at: dict[bytes, int] = {}
    made = _Places([])
    for number, cells in enumerate(drawing.tables):
        for i, cell in enumerate(cells):
            members = np.unique(cell.atoms)
            place = at.setdefault(members.tobytes(), len(made.members))
            if place == len(made.members):
                made.members.append(members)
                made.cells.append([])
            made.cells[place].append((number, i))
    return made


def _problem(drawing: Drawing, places: _Places, quantity: str, hidden: Bools) -> LinearTable | None:
    """Cells first, then the atoms; None where no cell of this quantity is the sum of its atoms."""
    truth = drawing.atoms[quantity]
    count = len(places.members)
    values, holds = np.zeros(count), np.zeros(count, dtype=bool)
    lower, upper, primary = np.zeros(count), np.zeros(count), np.zeros(count, dtype=bool)
    costs = np.zeros(count)
    for place, cells in enumerate(places.cells):
        mine = [drawing.tables[t][i] for t, i in cells]
        costs[place] = sum(c.cost for c in mine)
        figures = [c.values[quantity] for c in mine if quantity in c.values]
        total = float(truth[places.members[place]].sum())
        values[place] = total
        holds[place] = bool(figures) and all(abs(f - total) <= 1e-6 * max(1.0, abs(total)) for f in figures)
        needs = [c.levels[quantity] for c in mine if c.primary and quantity in c.levels]
        primary[place] = holds[place] and bool(needs)
        lower[place] = max((n.lower for n in needs), default=0.0)
        upper[place] = max((n.upper for n in needs), default=0.0)
    if not primary.any():
        return None
    floor = 0.0 if (truth >= 0).all() else -np.inf
    used = np.unique(np.concatenate([places.members[p] for p in np.flatnonzero(holds)]))
    where = {int(a): count + j for j, a in enumerate(used)}
    equations = [{p: -1.0} | {where[int(a)]: 1.0 for a in places.members[p]} for p in map(int, np.flatnonzero(holds))]
    size = count + len(used)
    everything = np.concatenate([np.maximum(values, floor), truth[used]])
    unseen = np.concatenate([(hidden & ~primary) | ~holds, np.ones(len(used), dtype=bool)])
    room = everything[:count] - floor
    return from_equations(
        everything,
        equations,
        Levels(
            primary=_padded(primary, size).astype(bool),
            lower=_padded(np.minimum(lower, np.maximum(room, 0.0)), size),
            upper=_padded(upper, size),
            cost=_padded(np.where(hidden, 0.0, costs), size),
            lower_bound=floor,
            unseen=unseen,
        ),
    )


def _padded(part: Floats | Bools, size: int) -> Floats:
    out = np.zeros(size)
    out[: len(part)] = part
    return out
