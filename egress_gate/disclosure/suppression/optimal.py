"""The cheapest protecting pattern: linear relaxation with cuts, then integer programmes with further cuts.

Every integer solution that protects is a pattern; every relaxation is a lower bound of the cost, so an answer that ran out of
time still says how far from the optimum it can be. Cells whose reduced cost alone exceeds the gap are left out for good.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from egress_gate.disclosure.linear import Bools, Floats, LinearTable, SecondsLeft
from egress_gate.disclosure.suppression.cuts import Cut, Separator
from egress_gate.disclosure.suppression.solver import KeptModel, OutOfTime, QuietHighs, SolverFailed

_CLOSE = 1e-6


@dataclass(frozen=True)
class Relaxed:
    """The end of the linear phase: fractional choice, lower bound, reduced costs; `closed`: no violated cut is left."""

    y: Floats
    bound: float
    reduced: Floats
    closed: bool


class Master:
    """min cost*y, y[primary] = 1, cuts. Constant cells never enter the programme."""

    def __init__(self, table: LinearTable, cuts: list[Cut]) -> None:
        self.table = table
        self.cells = np.flatnonzero(~table.fixed)
        self._place = np.full(table.size, -1, dtype=np.int64)
        self._place[self.cells] = np.arange(len(self.cells))
        self._low = table.hidden_anyway[self.cells].astype(float)
        self._cost = table.cost[self.cells]
        self.cuts: list[Cut] = []
        empty = sparse.csc_matrix((0, len(self.cells)))
        none = np.zeros(0)
        self._model = KeptModel(empty, (none, none), self._low, np.ones(len(self.cells)), strategy=1)
        self.add(cuts)

    def add(self, cuts: list[Cut]) -> None:
        self.cuts += cuts
        if cuts:
            self._model.add_rows(self._rows(cuts), np.ones(len(cuts)), np.full(len(cuts), np.inf))

    def _rows(self, cuts: list[Cut]) -> sparse.csr_matrix:
        inside = [(self._place[c.cells] >= 0) for c in cuts]
        columns = np.concatenate([self._place[c.cells][k] for c, k in zip(cuts, inside, strict=True)])
        entries = np.concatenate([c.coefficients[k] for c, k in zip(cuts, inside, strict=True)])
        start = np.concatenate([[0], np.cumsum([k.sum() for k in inside])])
        return sparse.csr_matrix((entries, columns, start), shape=(len(cuts), len(self.cells)))

    def relax(self, left: SecondsLeft) -> Relaxed:
        found = self._model.minimise(np.arange(len(self.cells)), self._cost, left)
        y, reduced = np.zeros(self.table.size), np.zeros(self.table.size)
        y[self.cells] = np.clip(found.point, 0.0, 1.0)
        reduced[self.cells] = found.reduced
        return Relaxed(y, found.value, reduced, closed=False)

    def integer(self, out: Bools, incumbent: Bools, left: SecondsLeft) -> tuple[Bools, float]:
        """The cheapest 0/1 choice under the cuts so far, without the cells in `out`, and its proven bound.

        `incumbent` is the answer when there is none. It is not given to the solver to start from: HiGHS 1.16.0 then called a
        dearer choice optimal.
        """
        keep = np.flatnonzero(~out[self.cells] | (self._low > 0))
        model = _integer_model(self._rows(self.cuts)[:, keep], self._cost[keep], self._low[keep])
        remaining = left()
        if remaining <= 0:
            raise OutOfTime
        model.setOptionValue("time_limit", float(min(remaining, 1e30)))
        model.run()
        status = model.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return incumbent.copy(), float("inf")
        if status == highspy.HighsModelStatus.kTimeLimit:
            raise OutOfTime
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverFailed(
                "The integer programme was not solved.",
                why=f"The solver stopped with {model.modelStatusToString(status)}.",
                do="Use the pattern of the heuristic, which protects as well.",
            )
        chosen = np.zeros(self.table.size, dtype=bool)
        chosen[self.cells[keep]] = np.asarray(model.getSolution().col_value) > 0.5
        return chosen, float(model.getInfo().mip_dual_bound)


def _integer_model(rows: sparse.csr_matrix, cost: Floats, low: Floats) -> QuietHighs:
    model = QuietHighs(mip_rel_gap=1e-7, mip_abs_gap=1e-7)
    csc = sparse.csc_matrix(rows)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), rows.shape[0]
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, low, np.ones(len(cost))
    lp.row_lower_, lp.row_upper_ = np.ones(rows.shape[0]), np.full(rows.shape[0], 1e30)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = csc.indptr.astype(np.int32), csc.indices.astype(np.int32)
    lp.a_matrix_.value_ = csc.data.astype(float)
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(cost)
    model.passModel(lp)
    return model


def close_relaxation(master: Master, separator: Separator, inside: Bools, left: SecondsLeft) -> Relaxed | None:
    """Add cuts until the relaxation violates none; the last bound when the time runs out, None without any.

    Cuts are looked for between the relaxation and the pattern `inside`, which protects (in-out separation: Ben-Ameur and Neto,
    "Acceleration of cutting-plane and column generation algorithms", Networks 49 (2007)); where that finds none, at the
    relaxation itself.
    """
    last: Relaxed | None = None
    try:
        while True:
            last = master.relax(left)
            cuts = violated(separator.relaxed_cuts(0.5 * last.y + 0.5 * inside, left), last.y)
            cuts = cuts or separator.relaxed_cuts(last.y, left)
            if not cuts:
                return Relaxed(last.y, last.bound, last.reduced, closed=True)
            master.add(cuts)
    except OutOfTime:
        return last


def violated(cuts: list[Cut], y: Floats) -> list[Cut]:
    return [c for c in cuts if float(c.coefficients @ y[c.cells]) < 1 - 1e-5]


@dataclass(frozen=True)
class Searched:
    """The best pattern known and the lower bound of any pattern's cost."""

    hidden: Bools
    bound: float
    optimal: bool


def search(
    master: Master, separator: Separator, relaxed: Relaxed, incumbent: Bools, repair: Repair, left: SecondsLeft
) -> Searched:
    """Integer programmes with cuts until one's solution protects. `repair` turns a solution into a protecting pattern."""
    best, bound = incumbent.copy(), relaxed.bound
    try:
        while True:
            upper = cost_of(master.table, best)
            if bound >= upper - _CLOSE * max(1.0, upper):
                return Searched(best, upper, optimal=True)
            out = ~master.table.hidden_anyway & (relaxed.reduced > upper - relaxed.bound + 1e-7)
            chosen, proven = master.integer(out, best, left)
            bound = max(bound, min(proven, upper))
            if bound >= upper - _CLOSE * max(1.0, upper):
                continue
            cuts = separator.patterns_cuts(chosen, left)
            if not cuts:
                return Searched(chosen, cost_of(master.table, chosen), optimal=True)
            master.add(cuts)
            repaired = repair(chosen, left)
            if repaired is not None and cost_of(master.table, repaired) < cost_of(master.table, best):
                best = repaired
    except OutOfTime:
        return Searched(best, bound, optimal=False)


class Repair:
    """Makes a protecting pattern of a choice that does not protect yet."""

    def __call__(self, chosen: Bools, left: SecondsLeft) -> Bools | None:
        raise NotImplementedError


def cost_of(table: LinearTable, hidden: Bools) -> float:
    return float(table.cost[hidden].sum())
