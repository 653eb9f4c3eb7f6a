"""Close calls: the linear programme lets a count pass by less than one, so whole tables are looked for.

Around the truth, which is whole, a few thousand columns are set free as integers; a whole table found there that reaches the
level is a proof. Not finding one proves nothing, and the target stays open.
"""

from __future__ import annotations

import highspy
import numpy as np
from scipy import sparse

from egress_gate.disclosure.audit.exact import Bound
from egress_gate.disclosure.audit.system import System
from egress_gate.disclosure.linear import Ints, SecondsLeft
from egress_gate.disclosure.suppression.solver import QuietHighs

_NEAR = 1500
_LONGEST = 2.0


def reaches_in_integers(
    system: System, target: sparse.csr_matrix, enough: float, bound: Bound, left: SecondsLeft
) -> bool:
    """Whether a whole table with at least `enough` in the target is found."""
    seconds = min(_LONGEST, left())
    if seconds <= 0 or np.any(np.abs(system.truth - np.round(system.truth)) > 1e-9):
        return False
    columns = _near(system, bound)
    rows = np.flatnonzero(np.diff(sparse.csr_matrix(system.matrix[:, columns]).indptr) > 0)
    part = sparse.csc_matrix(system.matrix[rows][:, columns])
    goal = np.zeros(len(system.truth))
    goal[target.indices] = target.data
    right = np.asarray(part @ system.truth[columns])
    model = QuietHighs(time_limit=float(seconds))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(columns), len(rows) + 1
    lp.col_cost_ = np.zeros(len(columns))
    lp.col_lower_ = np.maximum(np.ceil(system.low[columns] - 1e-9), -1e30)
    lp.col_upper_ = np.minimum(np.floor(system.high[columns] + 1e-9), 1e30)
    lp.row_lower_ = np.append(right, enough)
    lp.row_upper_ = np.append(right, 1e30)
    whole = sparse.csc_matrix(sparse.vstack([part, sparse.csr_matrix(goal[columns])]))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = whole.indptr.astype(np.int32), whole.indices.astype(np.int32)
    lp.a_matrix_.value_ = whole.data
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(columns)
    model.passModel(lp)
    model.run()
    return bool(model.getModelStatus() == highspy.HighsModelStatus.kOptimal)


def _near(system: System, bound: Bound) -> Ints:
    """What the linear optimum moved most, and the fullest of the rest."""
    moved = np.argsort(-np.abs(bound.point - system.truth), kind="stable")[:_NEAR]
    full = np.argsort(-system.truth, kind="stable")[: _NEAR // 2]
    return np.union1d(moved, full)
