"""One HiGHS model that is kept: change costs or bounds, run again from the last basis."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from egress_gate.disclosure.linear import Floats, Ints, SecondsLeft
from installation.fault import Fault

INFINITE = 1e30
_STATUS = highspy.HighsModelStatus
_SETTLED = {
    _STATUS.kOptimal,
    _STATUS.kInfeasible,
    _STATUS.kUnbounded,
    _STATUS.kUnboundedOrInfeasible,
    _STATUS.kTimeLimit,
}


class OutOfTime(Exception):
    """The budget ended before the answer; whoever catches it may say `not proven`, never `safe`."""


class SolverFailed(Fault):
    """The solver stopped without an answer; nothing is concluded from that."""

    code = "solver-failed"


class QuietHighs(highspy.Highs):
    """HiGHS without callbacks: switching those on writes a banner to standard output, where our JSON goes."""

    def __init__(self, **options: float | bool) -> None:
        super(highspy.Highs, self).__init__()
        for name, value in ({"output_flag": False, "threads": 1, "random_seed": 1} | options).items():
            self.setOptionValue(name, value)


@dataclass(frozen=True)
class Optimum:
    """A minimum: its value, the point, the reduced costs of the columns and the duals of the rows."""

    value: float
    point: Floats
    reduced: Floats
    duals: Floats


class Unbounded(Exception):
    """The objective has no limit: an attacker learns nothing in this direction."""


class KeptModel:
    """min cost*x, rows_low <= A x <= rows_high, low <= x <= high; primal simplex, one thread, warm from run to run."""

    def __init__(
        self, matrix: sparse.csc_matrix, rows: tuple[Floats, Floats], low: Floats, high: Floats, *, strategy: int = 4
    ) -> None:
        m, n = matrix.shape
        self._columns = np.arange(n, dtype=np.int32)
        self._cost = np.zeros(n)
        self._model = QuietHighs(simplex_strategy=strategy)
        csc = sparse.csc_matrix(matrix)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = n, m
        lp.col_cost_ = self._cost
        lp.col_lower_, lp.col_upper_ = _finite(low), _finite(high)
        lp.row_lower_, lp.row_upper_ = _finite(rows[0]), _finite(rows[1])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = csc.indptr.astype(np.int32)
        lp.a_matrix_.index_ = csc.indices.astype(np.int32)
        lp.a_matrix_.value_ = csc.data.astype(float)
        self._model.passModel(lp)

    def bounds(self, low: Floats, high: Floats) -> None:
        self._model.changeColsBounds(len(low), self._columns, _finite(low), _finite(high))

    def minimise(self, cells: Ints, costs: Floats, left: SecondsLeft) -> Optimum:
        """Minimum of `costs` over `cells`. Raises Unbounded, OutOfTime, SolverFailed."""
        self._price(cells, costs)
        remaining = left()
        if remaining <= 0:
            raise OutOfTime
        self._model.setOptionValue("time_limit", float(min(self._model.getRunTime() + remaining, INFINITE)))
        self._model.run()
        if self._model.getModelStatus() not in _SETTLED:
            self._model.clearSolver()  # a basis kept from other costs can mislead; the programme itself is the same
            self._model.run()
        status = self._model.getModelStatus()
        if status == _STATUS.kUnbounded or status == _STATUS.kUnboundedOrInfeasible:
            raise Unbounded
        if status == _STATUS.kTimeLimit:
            raise OutOfTime
        if status != _STATUS.kOptimal:
            raise SolverFailed(
                "The linear programme was not solved.",
                why=f"The solver stopped with {self._model.modelStatusToString(status)}.",
                do="Send the request to a steward; nothing was concluded from it.",
            )
        solution = self._model.getSolution()
        return Optimum(
            self._model.getObjectiveValue(),
            np.asarray(solution.col_value),
            np.asarray(solution.col_dual),
            np.asarray(solution.row_dual),
        )

    def add_rows(self, rows: sparse.csr_matrix, low: Floats, high: Floats) -> None:
        """Further constraints; the basis is kept."""
        csr = sparse.csr_matrix(rows)
        start, index = csr.indptr[:-1].astype(np.int32), csr.indices.astype(np.int32)
        self._model.addRows(csr.shape[0], _finite(low), _finite(high), csr.nnz, start, index, csr.data.astype(float))

    def _price(self, cells: Ints, costs: Floats) -> None:
        wanted = np.zeros(len(self._cost))
        wanted[cells] = costs
        changed = np.flatnonzero(wanted != self._cost).astype(np.int32)
        if len(changed):
            self._model.changeColsCost(len(changed), changed, wanted[changed])
        self._cost = wanted


def _finite(bound: Floats) -> Floats:
    """Infinity as the solver writes it."""
    return np.clip(bound, -INFINITE, INFINITE)
