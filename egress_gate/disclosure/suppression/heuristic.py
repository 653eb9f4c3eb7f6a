"""A protecting pattern without the search for the cheapest: one cheap movement per target.

For each target that the pattern does not yet cover, the linear programme finds the movement of least cost that gives the
target its need (hidden cells move for nothing); the cells it moves are hidden too. Patterns only grow, so each movement
stays a witness.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from egress_gate.disclosure.linear import Bools, Floats, LinearTable, SecondsLeft
from egress_gate.disclosure.suppression.attacker import TOLERANCE, Attacker, needs_of
from egress_gate.disclosure.suppression.cuts import Cut, Separator
from egress_gate.disclosure.suppression.solver import KeptModel, OutOfTime, SolverFailed
from egress_gate.disclosure.suppression.targets import Target

FARTHEST = 1e4  # no other cell needs to move more than that many times the need
SMALLEST = 1e-4  # nor does a cell that can carry less than that share of it cost more than its 10,000-fold
NOTHING = 1e-6  # a movement that small, in units of the need, is the solver's noise


class Impossible(Exception):
    """No pattern gives this target its need, not even hiding every cell that may be hidden."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.target = target


class Mover:
    """The programme `A(up - down) = 0` with a price per moved unit; kept, only prices and the target's bounds change."""

    def __init__(self, separator: Separator, weights: Floats) -> None:
        table = separator.table
        self._table, self._separator, self._weights = table, separator, weights
        self._allowed = np.flatnonzero(~table.fixed)
        self._place = np.full(table.size, -1, dtype=np.int64)
        self._place[self._allowed] = np.arange(len(self._allowed))
        part = separator.relations[:, self._allowed]
        both = sparse.csc_matrix(sparse.hstack([part, -part]))
        zero = np.zeros(both.shape[0])
        self._low = np.zeros(2 * len(self._allowed))
        self._high = np.concatenate([separator.high[self._allowed], separator.low[self._allowed]])
        self._model = KeptModel(both, (zero, zero), self._low, self._high, strategy=1)

    def move(self, target: Target, hidden: Bools, left: SecondsLeft) -> Floats:
        """The cheapest movement for one target, in scaled units per cell. Raises Impossible, OutOfTime.

        The programme is solved in units of the need, so that one euro and one million look alike to the solver.
        """
        need = target.need / self._separator.scale
        count = len(self._allowed)
        place = int(self._place[target.cell])
        low, high = self._low.copy(), np.minimum(self._high / need, FARTHEST)
        here, back = (place, place + count) if target.sign > 0 else (place + count, place)
        if high[here] < 1 - TOLERANCE:
            raise Impossible(target)
        low[here] = high[here] = min(1.0, high[here])
        high[back] = 0.0
        if target.insider >= 0 and self._place[target.insider] >= 0:
            inside = int(self._place[target.insider])
            high[inside] = high[inside + count] = 0.0
        self._model.bounds(low, high)
        prices = np.where(hidden, 0.0, self._weights)[self._allowed]
        prices = np.concatenate([prices, prices]) / np.clip(high, SMALLEST, 1.0)
        try:
            found = self._model.minimise(np.arange(2 * count), prices / max(float(prices.max()), 1e-300) * 1e3, left)
        except SolverFailed as failed:
            raise Impossible(target) from failed
        moves = np.zeros(self._table.size)
        moves[self._allowed] = (found.point[:count] - found.point[count:]) * need
        return np.where(np.abs(moves) > NOTHING * need, moves, 0.0)


def grow(
    separator: Separator, start: Bools, weights: Floats, needed_lines: list[Cut], left: SecondsLeft
) -> tuple[Bools, list[Target]]:
    """Hide cells until every target is covered; also the targets that no pattern can cover. Raises OutOfTime."""
    hidden = start.copy()
    _fill_lines(hidden, needed_lines, separator.table)
    mover = Mover(separator, weights)
    reached = _reached_already(separator, hidden, left)
    lost = []
    for target in sorted(separator.targets, key=lambda t: (t.insider, t.sign == 0, -t.need, t.cell, t.sign)):
        for side in _sides(target, reached, separator):
            if _reach(reached, side, separator)[side.cell] >= side.need / separator.scale * (1 - TOLERANCE):
                continue
            try:
                moves = mover.move(side, hidden, left)
            except Impossible:
                lost.append(target)
                break
            hidden |= moves != 0.0
            for sign in (+1, -1):
                _note(reached, side.insider, sign, moves, separator)
    return hidden, lost


def _reached_already(separator: Separator, hidden: Bools, left: SecondsLeft) -> dict[tuple[int, int], Floats]:
    """What the cells hidden so far give the public's targets: most primary cells protect each other."""
    seen = Attacker(separator.table, hidden).reach(needs_of(separator.table), left)
    if not seen.finished:
        raise OutOfTime
    return {(-1, +1): seen.above / separator.scale, (-1, -1): seen.below / separator.scale}


def _sides(target: Target, reached: dict[tuple[int, int], Floats], separator: Separator) -> list[Target]:
    """A target of width as one above and one below, with what is missing put where the bounds leave room."""
    if target.sign:
        return [target]
    scale, cell = separator.scale, target.cell
    room = {+1: float(separator.high[cell]) * scale, -1: float(separator.low[cell]) * scale}
    have = {s: float(_reach(reached, replace(target, sign=s), separator)[cell]) * scale for s in (+1, -1)}
    missing = target.need - have[+1] - have[-1]
    if missing <= TOLERANCE * max(1.0, target.need):
        return []
    above = min(have[+1] + missing, room[+1])
    below = target.need - above
    wanted = ((+1, above), (-1, below))
    return [replace(target, sign=s, need=need) for s, need in wanted if need > have[s]]


def _reach(reached: dict[tuple[int, int], Floats], target: Target, separator: Separator) -> Floats:
    return reached.setdefault((target.insider, target.sign), np.zeros(separator.table.size))


def _note(reached: dict[tuple[int, int], Floats], insider: int, sign: int, moves: Floats, separator: Separator) -> None:
    """A movement that leaves an insider's own cell alone is a witness for that insider too."""
    mine = reached.setdefault((insider, sign), np.zeros(separator.table.size))
    np.maximum(mine, sign * moves, out=mine)
    for other in {t.insider for t in separator.targets} - {insider}:
        if other < 0 or abs(moves[other]) <= 1e-9:
            view = reached.setdefault((other, sign), np.zeros(separator.table.size))
            np.maximum(view, sign * moves, out=view)


def _fill_lines(hidden: Bools, lines: list[Cut], table: LinearTable) -> None:
    """Hide the cheapest further cells of a line until its residual has enough contributors."""
    for line in lines:
        have = float(line.coefficients[hidden[line.cells]].sum())
        order = np.argsort(table.cost[line.cells] / line.coefficients, kind="stable")
        for place in order:
            cell = line.cells[place]
            if have >= 1 - 1e-9:
                break
            if not hidden[cell] and not table.fixed[cell]:
                hidden[cell] = True
                have += float(line.coefficients[place])
