"""The attacker's linear programme for the few targets that no witness covers, by column generation.

Most columns stay at the value they have in a feasible table; only those that the duals ask for are set free. When no resting column
would help, the optimum is that of the whole programme, and its duals are the proof: `g = A'l >= target` on all columns, so the
target is at most `l b`, and so is every set below `g`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from egress_gate.disclosure.audit.system import System
from egress_gate.disclosure.audit.targets import Reached, Targets
from egress_gate.disclosure.linear import Bools, Floats, Ints, SecondsLeft
from egress_gate.disclosure.suppression.solver import KeptModel, Optimum, OutOfTime, SolverFailed, Unbounded

_PRICE = 1e-6
_SAMPLE = 1200
_MORE = 1500


@dataclass(frozen=True, eq=False)
class Bound:
    """The exact end of a target's interval. `duals` prove it, `shadow` is `A'duals` (>= target on every column);
    `point` is a feasible table that attains it."""

    value: float
    duals: Floats
    shadow: Floats
    point: Floats


class Programme:
    """Exact ends of intervals over a system, from one feasible table in which resting columns keep their values."""

    def __init__(self, system: System, rows: Ints, base: Floats) -> None:
        self.system = system
        self.base = base
        self.rows = np.sort(rows)
        self._by_row = sparse.csr_matrix(system.matrix)[self.rows]
        self._by_column = sparse.csc_matrix(self._by_row)
        self._rhs = system.rhs[self.rows]
        self._weight = np.asarray(abs(self._by_row) @ np.abs(base))
        self._free = np.zeros(len(base), dtype=bool)
        self._free[np.argsort(-np.abs(base), kind="stable")[: _SAMPLE // 2]] = True
        chance = np.random.default_rng(3)
        self._free[chance.choice(len(base), min(len(base), _SAMPLE), replace=False)] = True
        self._model: KeptModel | None = None
        self._columns = np.zeros(0, dtype=np.int64)

    def release(self, columns: Bools) -> None:
        """Set further columns free."""
        if np.any(columns & ~self._free):
            self._free |= columns
            self._model = None

    def neighbours(self, target: sparse.csr_matrix, rows: int = 3, most: int = 200) -> Bools:
        """The columns that share the smallest equations with a target."""
        out = np.zeros(len(self.base), dtype=bool)
        out[target.indices] = True
        touching = np.unique(self._by_column[:, target.indices[:20]].indices)
        for row in touching[np.argsort(self._weight[touching], kind="stable")][:rows]:
            members = self._by_row[[int(row)]].indices
            order = np.argsort(-np.abs(self.base[members]), kind="stable")[:most]
            out[members[order]] = True
        return out

    def together(self, targets: Targets, waiting: Ints, reached: Reached, left: SecondsLeft) -> None:
        """Raise all waiting targets in one programme; its table is a witness for each."""
        self._witness(np.asarray(-targets.sets[waiting].sum(axis=0)).ravel(), reached, left)

    def _witness(self, cost: Floats, reached: Reached, left: SecondsLeft) -> None:
        try:
            reached.note(self._whole(self._solve(cost, left)))
        except Unbounded:
            return

    def end(self, target: sparse.csr_matrix, sign: float, enough: float, left: SecondsLeft) -> Bound:
        """The largest (`sign` 1) or smallest (-1) value of a target, or a table that reaches `enough`.

        Raises Unbounded, OutOfTime, SolverFailed.
        """
        cost = np.zeros(len(self.base))
        cost[target.indices] = -sign * target.data
        self.release(self.neighbours(target))
        while True:
            found = self._solve(cost, left)
            whole = self._whole(found)
            duals = np.zeros(self.system.matrix.shape[0])
            duals[self.rows] = -sign * found.duals
            value = float(np.asarray(target @ whole)[0])
            shadow = np.asarray(self.system.matrix.T @ duals)
            reduced = cost + sign * shadow
            asks = (np.abs(reduced) > _PRICE) & ~self._free & ~self._settled(reduced)
            if sign * value >= sign * enough or not asks.any():
                return Bound(value, duals, shadow, whole)
            self._release_best(asks, np.abs(reduced))

    def _settled(self, reduced: Floats) -> Bools:
        """Resting columns that already are where their reduced cost wants them."""
        low = (reduced > 0) & (self.base <= self.system.low + 1e-12)
        return np.asarray(low | ((reduced < 0) & (self.base >= self.system.high - 1e-12)))

    def _release_best(self, asks: Bools, price: Floats) -> None:
        wanted = np.flatnonzero(asks)
        best = wanted[np.argsort(-price[wanted], kind="stable")[:_MORE]]
        more = np.zeros_like(asks)
        more[best] = True
        self.release(more)

    def _solve(self, cost: Floats, left: SecondsLeft) -> Optimum:
        if self._model is None:
            self._columns = np.flatnonzero(self._free)
            resting = np.where(self._free, 0.0, self.base)
            right = self._rhs - self._by_row @ resting
            low, high = self.system.low[self._columns], self.system.high[self._columns]
            self._model = KeptModel(self._by_column[:, self._columns], (right, right), low, high)
        wanted = cost[self._columns]
        cells = np.flatnonzero(wanted)
        return self._model.minimise(cells, wanted[cells], left)

    def _whole(self, found: Optimum) -> Floats:
        point = self.base.copy()
        point[self._columns] = found.point
        return point


__all__ = ["Bound", "OutOfTime", "Programme", "SolverFailed", "Unbounded"]
