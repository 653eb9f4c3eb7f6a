"""Taking cells back from a protecting pattern, dearest first, as long as every target stays protected.

Every movement that was ever found is kept as a witness. A cell can go when each target still has a witness that leaves the cell
alone; only for targets without one a programme is solved, over the pattern's cells in one kept model.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from egress_gate.disclosure.linear import Bools, Floats, Ints, SecondsLeft
from egress_gate.disclosure.suppression.attacker import TOLERANCE
from egress_gate.disclosure.suppression.cuts import Cut, Separator
from egress_gate.disclosure.suppression.solver import KeptModel, OutOfTime
from egress_gate.disclosure.suppression.targets import Target

_STILL = 1e-9
_FAR = 1e3  # times the largest need: no target needs a cell to move further


def trim(separator: Separator, hidden: Bools, lines: list[Cut], lost: set[Target], left: SecondsLeft) -> Bools:
    """The pattern without the cells it can do without; stops early when the time is out. `lost` targets are not looked at."""
    table = separator.table
    kept = hidden.copy()
    candidates = np.flatnonzero(kept & ~table.hidden_anyway)
    if not len(candidates):
        return kept
    cell = candidates[0]
    try:
        witnesses = _Witnesses(separator, kept, [t for t in separator.targets if t not in lost], left)
        if not witnesses.found:
            return kept
        for cell in candidates[np.argsort(-table.cost[candidates], kind="stable")]:
            kept[cell] = False
            broken = any(c.coefficients[kept[c.cells]].sum() < 1 - 1e-9 for c in lines if cell in c.cells)
            if broken or not witnesses.without(int(cell), left):
                kept[cell] = True
    except OutOfTime:
        kept[cell] = True  # the one being tried stays
    return kept


class _Witnesses:
    """Movements over the pattern's cells, in scaled units, that show the targets to be protected."""

    def __init__(self, separator: Separator, hidden: Bools, targets: list[Target], left: SecondsLeft) -> None:
        self._cells = np.flatnonzero(hidden)
        place = np.full(separator.table.size, -1, dtype=np.int64)
        place[self._cells] = np.arange(len(self._cells))
        self._place = place
        self._sign = np.array([t.sign for t in targets])
        self._target = place[[t.cell for t in targets]]
        self._need = np.array([t.need for t in targets]) / separator.scale
        self._insider = np.array([place[t.insider] if t.insider >= 0 else -1 for t in targets])
        cap = _FAR * float(self._need.max(initial=1.0))
        self._low = -np.minimum(separator.low[self._cells], cap)
        self._high = np.minimum(separator.high[self._cells], cap)
        part = separator.relations[:, self._cells]
        zero = np.zeros(part.shape[0])
        self._model = KeptModel(part, (zero, zero), self._low, self._high)
        self._points = np.zeros((0, len(self._cells)))
        self._lines = sparse.csc_matrix(part != 0)
        self.found = bool((self._target >= 0).all()) and self._all(None, left)

    def without(self, cell: int, left: SecondsLeft) -> bool:
        """Whether all targets stay protected when `cell` is published again; then it is, for all that follows."""
        here = int(self._place[cell])
        before = self._low[here], self._high[here]
        self._low[here] = self._high[here] = 0.0
        try:
            fits = self._all(here, left)
        except OutOfTime:
            self._low[here], self._high[here] = before
            raise
        if fits:
            self._points = self._points[np.abs(self._points[:, here]) <= _STILL]
        else:
            self._low[here], self._high[here] = before
        return fits

    def _all(self, taken: int | None, left: SecondsLeft) -> bool:
        """Whether every target has its need within the bounds as they are; those in line with the cell `taken` back first."""
        missing = self._open()
        if taken is None and (self._insider[missing] < 0).sum() > 3:
            self._push_together(missing[self._insider[missing] < 0], left)
            missing = self._open()
        for number in missing if taken is None else self._nearest_first(missing, taken):
            if self._has(int(number)):
                continue
            signs = (int(self._sign[number]),) if self._sign[number] else (+1, -1)
            for sign in signs:
                self._solve(np.array([self._target[number]]), sign, int(self._insider[number]), left)
            if not self._has(int(number)):
                return False
        return True

    def _nearest_first(self, numbers: Ints, taken: int) -> Ints:
        shared = (self._lines.T @ self._lines[:, [taken]]).toarray()[:, 0]
        near = shared[self._target[numbers]].astype(np.int64)
        return np.asarray(numbers[np.argsort(-near, kind="stable")])

    def _push_together(self, numbers: Ints, left: SecondsLeft) -> None:
        for sign in (+1, -1):
            cells = np.unique(self._target[numbers[self._sign[numbers] != -sign]])
            if len(cells):
                self._solve(cells, sign, -1, left)

    def _solve(self, cells: Ints, sign: int, insider: int, left: SecondsLeft) -> None:
        low, high = self._low, self._high
        if insider >= 0:
            low, high = low.copy(), high.copy()
            low[insider] = high[insider] = 0.0
        self._model.bounds(low, high)
        found = self._model.minimise(cells, np.full(len(cells), -float(sign)), left)
        self._points = np.vstack([self._points, found.point])

    def _valid(self, points: Floats) -> Bools:
        """Which points fit the bounds as they are now: those that leave alone what was taken back."""
        gone = (self._low == 0.0) & (self._high == 0.0)
        return np.asarray((np.abs(points[:, gone]) <= _STILL).all(axis=1))

    def _open(self) -> Ints:
        """Targets without a witness."""
        points = self._points[self._valid(self._points)]
        public = self._insider < 0
        ok = np.zeros(len(self._need), dtype=bool)
        ok[public] = self._reaches(points, public)
        for insider in np.unique(self._insider[~public]):
            mine = self._insider == insider
            ok[mine] = self._reaches(points[np.abs(points[:, insider]) <= _STILL], mine)
        return np.flatnonzero(~ok)

    def _has(self, number: int) -> bool:
        points = self._points[self._valid(self._points)]
        insider = int(self._insider[number])
        if insider >= 0:
            points = points[np.abs(points[:, insider]) <= _STILL]
        one = np.zeros(len(self._need), dtype=bool)
        one[number] = True
        return bool(self._reaches(points, one).all())

    def _reaches(self, points: Floats, which: Bools) -> Bools:
        moved = points[:, self._target[which]]
        above = moved.max(axis=0, initial=0.0)
        below = (-moved).max(axis=0, initial=0.0)
        sign, need = self._sign[which], self._need[which]
        reached = np.where(sign > 0, above, np.where(sign < 0, below, above + below))
        return np.asarray(reached >= need - TOLERANCE * np.maximum(1.0, need))
