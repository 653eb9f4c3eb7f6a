"""The engine as it stands alone: a ready table in, a pattern and every cell's feasible interval out.

It takes what tau-ARGUS and sdcTable take: cells with value, cost, status and required protection, and what ties them: linear
relations, or one tree of codes for each dimension. Nothing of a request, a policy or a person is known here.

Units: value, protection and bounds of one table share one unit (persons, thousand euros); cost is free.

Sources: the protection levels and the master programme with its cuts are those of Fischetti and Salazar-Gonzalez, "Solving the
cell suppression problem on tabular data with linear constraints", Management Science 47 (2001); the movement of least cost
that the heuristic hides cell by cell is that of Kelly, Golden and Assad, "Cell suppression: disclosure protection for sensitive
tabular data", Networks 22 (1992), section 4, solved as a linear programme so that it needs no network structure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from egress_gate.disclosure.linear import Key, Levels, LinearTable, from_equations, from_hierarchies
from egress_gate.disclosure.suppression.protect import Effort, Pattern, audit_pattern, protect

INFINITE = float("inf")


@dataclass(frozen=True)
class TableCell:
    """One cell of a ready table.

    `primary`: it breaks a rule and must be hidden. An attacker's interval of it must then reach `value - lower` and
    `value + upper` and be at least `sliding` wide; with all three 0 only exact recovery is prevented. `cost`: what hiding it
    costs, sqrt(|value|) + 1 by default. `low`, `high`: what the public knows of it beforehand. `fixed`: it must stay published.
    `contributors`: units behind it; give it for all cells or none: then a lone contributor of one primary cell, who knows its
    value, counts as an attacker of the others in its lines.
    """

    key: Key
    value: float
    primary: bool = False
    lower: float = 0.0
    upper: float = 0.0
    sliding: float = 0.0
    cost: float | None = None
    low: float = 0.0
    high: float = INFINITE
    fixed: bool = False
    contributors: int | None = None


@dataclass(frozen=True)
class Hierarchy:
    """The codes of one dimension as a tree: `children[code]` are the codes whose cells add up to the cell of `code`."""

    children: Mapping[Hashable, tuple[Hashable, ...]]

    @classmethod
    def flat(cls, total: Hashable, codes: Iterable[Hashable]) -> Hierarchy:
        """A dimension without levels: its codes add up to `total`."""
        return cls({total: tuple(codes)})


@dataclass(frozen=True)
class CellAnswer:
    """`suppressed`: None, ``primary`` or ``secondary``. `interval`: all that an attacker can say of the cell, the value twice
    where it is published; `exact`: the interval is no wider than that (else it is at least so wide)."""

    key: Key
    suppressed: str | None
    interval: tuple[float, float]
    exact: bool


@dataclass(frozen=True)
class Suppression:
    """The answer. `safe`: the audit covered every primary cell; else `unprotected` names those that it could not.

    `cost`: of all that is hidden; `bound`: no protecting pattern costs less than that; `optimal`: this one costs no more.
    """

    cells: tuple[CellAnswer, ...]
    cost: float
    bound: float
    optimal: bool
    unprotected: tuple[Key, ...]

    @property
    def safe(self) -> bool:
        return not self.unprotected

    @property
    def suppressed(self) -> frozenset[Key]:
        return frozenset(c.key for c in self.cells if c.suppressed is not None)

    def __getitem__(self, key: Key) -> CellAnswer:
        return next(c for c in self.cells if c.key == key)


def linear_table(
    cells: Sequence[TableCell],
    *,
    relations: Iterable[Mapping[Key, float]] | None = None,
    hierarchies: Sequence[Hierarchy] | None = None,
) -> LinearTable:
    """The cells with what ties them: `relations`, each `sum(coefficient * cell) = 0` by keys, or one hierarchy per key column.

    Cells of a hierarchy that are not listed are known to be empty. Raises TableInconsistent when a relation does not hold,
    ValueError for two cells of one key, a relation over an unknown one, or neither or both of the two ways.
    """
    at = {cell.key: number for number, cell in enumerate(cells)}
    if len(at) != len(cells):
        raise ValueError("two cells have one key")
    if (relations is None) == (hierarchies is None):
        raise ValueError("give relations or hierarchies")
    keys, values, levels = list(at), np.array([float(c.value) for c in cells]), _levels(cells)
    if hierarchies is not None:
        if any(len(key) != len(hierarchies) for key in keys):
            raise ValueError("every key has one code for each hierarchy")
        return from_hierarchies(keys, values, [h.children for h in hierarchies], levels)
    unknown = [key for one in relations or () for key in one if key not in at]
    if unknown:
        raise ValueError(f"a relation names a cell that is not there: {unknown[0]}")
    equations = [{at[key]: float(c) for key, c in one.items()} for one in relations or ()]
    return from_equations(values, equations, levels, keys)


def _levels(cells: Sequence[TableCell]) -> Levels:
    known = [c.contributors for c in cells if c.contributors is not None]
    return Levels(
        primary=[c.primary for c in cells],
        lower=[c.lower for c in cells],
        upper=[c.upper for c in cells],
        sliding=[c.sliding for c in cells],
        cost=[abs(c.value) ** 0.5 + 1 if c.cost is None else c.cost for c in cells],
        lower_bound=[c.low for c in cells],
        upper_bound=[c.high for c in cells],
        fixed=[c.fixed for c in cells],
        contributors=known if known and len(known) == len(cells) else None,
    )


def suppress(
    cells: Sequence[TableCell],
    *,
    relations: Iterable[Mapping[Key, float]] | None = None,
    hierarchies: Sequence[Hierarchy] | None = None,
    effort: Effort | None = None,
) -> Suppression:
    """Find the cheapest pattern that protects every primary cell and say what is left to know of every cell.

    `effort` holds the time limits (none by default: it then ends with the optimum). Out of time it answers with the best
    pattern found, which is audited like any other. Raises as `linear_table` does.
    """
    table = linear_table(cells, relations=None if relations is None else list(relations), hierarchies=hierarchies)
    return answer_of(table, protect(table, effort))


def audit(
    cells: Sequence[TableCell],
    hidden: Iterable[Key],
    *,
    relations: Iterable[Mapping[Key, float]] | None = None,
    hierarchies: Sequence[Hierarchy] | None = None,
    effort: Effort | None = None,
) -> Suppression:
    """What an attacker can work out of somebody else's pattern: `hidden` are the keys that it leaves out."""
    table = linear_table(cells, relations=None if relations is None else list(relations), hierarchies=hierarchies)
    chosen = set(hidden)
    pattern = audit_pattern(table, np.array([key in chosen for key in table.labels], dtype=bool), effort)
    return answer_of(table, pattern)


def answer_of(table: LinearTable, pattern: Pattern) -> Suppression:
    """A pattern in the words of the table's keys."""
    kinds = np.where(pattern.primary, "primary", "secondary")
    made = tuple(
        CellAnswer(
            key,
            str(kinds[i]) if pattern.suppressed[i] else None,
            (float(pattern.intervals[i, 0]), float(pattern.intervals[i, 1])),
            bool(pattern.exact[i]) or not pattern.suppressed[i],
        )
        for i, key in enumerate(table.labels)
    )
    unprotected = tuple(table.labels[i] for i in pattern.unprotected)
    return Suppression(made, pattern.cost, pattern.bound, pattern.optimal, unprotected)
