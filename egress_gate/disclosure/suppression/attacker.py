"""What an attacker can work out of a pattern: the feasible interval of hidden cells.

The attacker knows every published cell, every relation, and the public bounds. In deviations `d = x - a` from the truth the
feasible tables are `A d = 0`, `low <= d <= high` over the hidden cells. Every solution of that is a table the attacker cannot
rule out, so each solved programme is a witness for all cells at once; only cells that no witness covers need a programme of
their own (witness pruning), and one programme first pushes all open cells together (bulk).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from egress_gate.disclosure.linear import Bools, Floats, Ints, LinearTable, SecondsLeft
from egress_gate.disclosure.suppression.solver import KeptModel, Optimum, OutOfTime, Unbounded

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Reach:
    """How far below and above the truth each cell is proven to reach; `exact`: no further than that."""

    below: Floats
    above: Floats
    exact_below: Bools
    exact_above: Bools
    finished: bool


@dataclass(frozen=True)
class Needs:
    """How far below and above the truth each cell has to reach, and how wide its interval must be, in the table's units."""

    below: Floats
    above: Floats
    width: Floats


def needs_of(table: LinearTable) -> Needs:
    """The protection of primary cells; where the rule asks for none, exact recovery is still to be prevented.

    No need is smaller than the solver can tell from nothing beside the table's other figures: a zero, or one euro among
    millions, is moved by a hundredth of what the middle cell needs, as far as the public's bounds leave room.
    """
    below = np.where(table.primary, np.maximum(table.lower_protection, 0.0), 0.0)
    above = np.where(table.primary, np.maximum(table.upper_protection, 0.0), 0.0)
    width = np.where(table.primary, table.sliding, 0.0)
    width = np.where(width > below + above, width, 0.0)
    bare = table.primary & (below <= 0) & (above <= 0) & (width <= 0)
    above = np.where(bare, 1e-3 * np.maximum(np.abs(table.values), 1.0), above)
    least = 1e-3 * scale_of(table)
    above = np.where(above > 0, np.maximum(above, np.minimum(least, table.upper_bound - table.values)), above)
    below = np.where(below > 0, np.maximum(below, np.minimum(least, table.values - table.lower_bound)), below)
    return Needs(below, above, width)


class Attacker:
    """The attacker's programme over the hidden cells of one pattern; `known` cells are what an insider knows besides."""

    def __init__(self, table: LinearTable, hidden: Bools, known: Ints | None = None) -> None:
        free = hidden.copy()
        if known is not None:
            free[known] = False
        self.cells = np.flatnonzero(free)
        self._place = np.full(table.size, -1, dtype=np.int64)
        self._place[self.cells] = np.arange(len(self.cells))
        part = sparse.csr_matrix(table.relations[:, self.cells])
        part = part[np.diff(part.indptr) > 0]
        self.scale = scale_of(table)
        low = (table.lower_bound - table.values)[self.cells] / self.scale
        high = (table.upper_bound - table.values)[self.cells] / self.scale
        zero = np.zeros(part.shape[0])
        self._below, self._above = np.zeros(len(self.cells)), np.zeros(len(self.cells))
        self._exact_below, self._exact_above = np.zeros(len(self.cells), bool), np.zeros(len(self.cells), bool)
        self._model = KeptModel(sparse.csc_matrix(part), (zero, zero), low, high)

    def reach(self, needs: Needs, left: SecondsLeft, *, exact: bool = False) -> Reach:
        """Push until every needed cell is covered or known not to be; `exact`: solve each hidden cell to the end."""
        finished = True
        try:
            self._bulk(needs, left)
            for cell in np.flatnonzero((needs.below > 0) | (needs.above > 0) | (needs.width > 0)):
                self._push_to(int(cell), needs, left)
            if exact:
                for place in range(len(self.cells)):
                    self._solve(place, +1, left)
                    self._solve(place, -1, left)
        except OutOfTime:
            finished = False
        return self._answer(len(self._place), finished)

    def _push_to(self, cell: int, needs: Needs, left: SecondsLeft) -> None:
        place = int(self._place[cell])
        if place < 0:
            return
        if not _covers(self._above[place] * self.scale, needs.above[cell]):
            self._solve(place, +1, left)
        if not _covers(self._below[place] * self.scale, needs.below[cell]):
            self._solve(place, -1, left)
        for sign in (+1, -1):
            if not _covers((self._above[place] + self._below[place]) * self.scale, needs.width[cell]):
                self._solve(place, sign, left)

    def _bulk(self, needs: Needs, left: SecondsLeft, rounds: int = 3) -> None:
        """Push all open cells together; each round leaves out what the witnesses already cover."""
        for _ in range(rounds):
            for sign in (+1, -1):
                gap, need = (self._above, needs.above) if sign > 0 else (self._below, needs.below)
                wanted = need[self.cells] / self.scale
                open_cells = np.flatnonzero((wanted > 0) & (gap < wanted * (1 - TOLERANCE)))
                if len(open_cells) < 3:
                    continue
                try:
                    self._witness(self._model.minimise(open_cells, np.full(len(open_cells), -float(sign)), left))
                except Unbounded:
                    continue

    def _solve(self, place: int, sign: int, left: SecondsLeft) -> None:
        gap, exact = (self._above, self._exact_above) if sign > 0 else (self._below, self._exact_below)
        if exact[place]:
            return
        try:
            self._witness(self._model.minimise(np.array([place]), np.array([-float(sign)]), left))
        except Unbounded:
            gap[place] = np.inf
        exact[place] = True

    def _witness(self, found: Optimum) -> None:
        np.maximum(self._above, found.point, out=self._above)
        np.maximum(self._below, -found.point, out=self._below)

    def _answer(self, n: int, finished: bool) -> Reach:
        below, above = np.zeros(n), np.zeros(n)
        exact_below, exact_above = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
        below[self.cells], above[self.cells] = self._below * self.scale, self._above * self.scale
        exact_below[self.cells], exact_above[self.cells] = self._exact_below, self._exact_above
        return Reach(below, above, exact_below, exact_above, finished)


def _covers(reached: float, needed: float) -> bool:
    return bool(reached >= needed - TOLERANCE * max(1.0, needed))


def covered(reach: Reach, needs: Needs) -> Bools:
    """Which cells reach what they need, on both sides."""
    slack_above = TOLERANCE * np.maximum(1.0, needs.above)
    slack_below = TOLERANCE * np.maximum(1.0, needs.below)
    wide = reach.above + reach.below >= needs.width - TOLERANCE * np.maximum(1.0, needs.width)
    return np.asarray((reach.above >= needs.above - slack_above) & (reach.below >= needs.below - slack_below) & wide)


def scale_of(table: LinearTable) -> float:
    """Euros in thousands or millions: the unit in which the solver's absolute tolerances mean something."""
    levels = (table.upper_protection, table.lower_protection, table.sliding)
    wanted = np.concatenate([level[table.primary] for level in levels])
    wanted = wanted[wanted > 0]
    middle = float(np.median(wanted)) if len(wanted) else 1.0
    return middle / 10.0 if middle > 100.0 else 1.0
