"""A table well inside everything the attacker cannot rule out, and straight moves from it that stay inside.

The centre is the table of greatest entropy that has all published figures (iterative proportional fitting, finished by
Newton steps). In the metric `W` of the centre, the move that serves a wish `g` and keeps every published figure is
`d = W (g - A'l)` with `A W A' l = A W g`: one factorisation, then each move costs two sparse products. The move is followed to the
edge of the feasible tables, and the table there is a witness: proof that some cells reach that far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import lapack, solve_triangular

from egress_gate.disclosure.audit.system import System
from egress_gate.disclosure.linear import Floats, Ints, SecondsLeft
from egress_gate.disclosure.suppression.solver import OutOfTime

SLACK = 1e-7
LARGEST = 9_000
_STEPS_A_SECOND = 5e9  # of a factorisation, on a small machine


class TooLarge(Exception):
    """More independent equations than can be factorised here; nothing is proven that way."""


@dataclass(frozen=True, eq=False)
class Factor:
    """Independent rows of the system and the triangular factor of `A W A'` over them."""

    rows: Ints
    triangle: Floats
    scale: Floats

    def solve(self, right: Floats) -> Floats:
        """Least duals for one right side, or for several as columns."""
        scale = self.scale if right.ndim == 1 else self.scale[:, None]
        picked = right[self.rows] * scale
        half = solve_triangular(self.triangle, picked, lower=True, check_finite=False)
        whole = solve_triangular(self.triangle, half, lower=True, trans=1, check_finite=False)
        out = np.zeros(right.shape)
        out[self.rows] = whole * scale
        return out


@dataclass(frozen=True, eq=False)
class Centre:
    """`point` has every published figure; `weight` is the metric of the moves."""

    system: System
    point: Floats
    weight: Floats
    factor: Factor

    def move(self, wish: Floats) -> Floats:
        """The direction closest to `weight * wish` that changes no published figure; wishes may be columns."""
        a = self.system.matrix
        weight = self.weight if wish.ndim == 1 else self.weight[:, None]
        duals = self.factor.solve(np.asarray(a @ (weight * wish)))
        return np.asarray(weight * (wish - a.T @ duals))

    def follow(self, direction: Floats, longest: float) -> Floats:
        """The feasible table at the end of the move, at most `longest` times it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            down = np.where(direction < 0, (self.point - self.system.low) / -direction, np.inf)
            up = np.where(direction > 0, (self.system.high - self.point) / direction, np.inf)
        step = min(longest, float(down.min()) * (1 - 1e-9), float(up.min()) * (1 - 1e-9))
        return self.point + max(step, 0.0) * direction

    def holds(self, point: Floats) -> bool:
        """Whether a table has all published figures, to rounding error, and no impossible figure."""
        return feasible(self.system, point)


def feasible(system: System, point: Floats) -> bool:
    off = np.abs(system.matrix @ point - system.rhs)
    size = np.maximum(1.0, np.abs(system.rhs))
    inside = (point >= system.low - SLACK) & (point <= system.high + SLACK)
    return bool(np.all(off <= SLACK * size * 10) and inside.all())


def find_centre(system: System, left: SecondsLeft) -> Centre:
    """Raises OutOfTime, or TooLarge when the equations are too many."""
    equations = system.matrix.shape[0]
    if equations > LARGEST or equations**3 / 3 / _STEPS_A_SECOND > left() / 4:
        raise TooLarge
    if not np.isfinite(system.low[: system.atoms]).all():
        return _free_centre(system)
    point = _fitted(system, left)
    for _ in range(6):
        if left() <= 0:
            raise OutOfTime
        weight = _weight(system, point)
        factor = factorise(system.matrix, weight)
        centre = Centre(system, point, weight, factor)
        exact = _corrected(centre)
        if np.all(exact > system.low) and np.all(exact < system.high) and feasible(system, exact):
            return Centre(system, exact, weight, factor)
        point = _newton(centre)
    return _mixed(centre, exact)


def _free_centre(system: System) -> Centre:
    """Without public bounds every table with the published figures is possible: the truth is as central as any."""
    size = np.abs(system.truth[: system.atoms])
    weight = np.ones(len(system.truth))
    weight[: system.atoms] = np.maximum(size, float(size.mean()) if len(size) else 1.0)
    weight[system.atoms :] = 1e-3 * float(weight[: system.atoms].sum() / max(1, system.atoms))
    point = _with_slacks(system, system.truth.copy())
    start = Centre(system, point, weight, factorise(system.matrix, weight))
    exact = _corrected(start)
    if np.all(exact >= system.low) and np.all(exact <= system.high) and feasible(system, exact):
        return Centre(system, exact, weight, start.factor)
    return Centre(system, system.truth.copy(), weight, start.factor)


def _fitted(system: System, left: SecondsLeft, sweeps: int = 120) -> Floats:
    """Iterative proportional fitting from equal cells; rows known to an interval are only brought into it."""
    point = system.truth.copy()
    atoms = point[: system.atoms]
    low = float(system.low[0]) if system.atoms else 0.0
    atoms[:] = max(float(np.mean(atoms)) - low, 1e-9)
    for sweep in range(sweeps):
        if left() <= 0:
            raise OutOfTime
        worst = 0.0
        for block in system.blocks:
            total = np.bincount(block.rows, weights=atoms[block.columns], minlength=len(block.cells))
            shift = np.bincount(block.rows, minlength=len(block.cells)) * low
            tenth = np.where(np.isfinite(block.high - block.low), (block.high - block.low) * 0.1, 1.0)
            wanted = np.clip(total, block.low + tenth - shift, np.maximum(block.high - tenth - shift, 0.0))
            factor = np.divide(wanted, total, out=np.ones_like(total), where=total > 0)
            worst = max(worst, float(np.max(np.abs(factor - 1.0), initial=0.0)))
            atoms[block.columns] *= factor[block.rows]
        if worst < 1e-5 or (sweep >= 40 and worst < 1e-2):
            break
    atoms += low
    return _with_slacks(system, point)


def _with_slacks(system: System, point: Floats) -> Floats:
    """Each slack takes the value of its row, brought strictly inside its interval."""
    slack = system.matrix[:, system.atoms :]
    if slack.shape[1]:
        total = -(slack.T @ (system.matrix[:, : system.atoms] @ point[: system.atoms]))
        low, high = system.low[system.atoms :], system.high[system.atoms :]
        edge = np.where(np.isfinite(high - low), (high - low) * 0.05, 0.5)
        point[system.atoms :] = np.clip(total, low + edge, high - edge)
    return point


def _weight(system: System, point: Floats) -> Floats:
    room = np.minimum(point - system.low, system.high - point)
    return np.maximum(room, 1e-9)


def factorise(matrix: sparse.csr_matrix, weight: Floats) -> Factor:
    """A pivoted Cholesky factor: its pivots are the independent rows."""
    gram = (matrix @ sparse.diags(weight) @ matrix.T).toarray()
    diagonal = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    gram /= diagonal[:, None]
    gram /= diagonal
    triangle, pivots, rank, _ = lapack.dpstrf(gram, tol=1e-9, lower=1, overwrite_a=True)
    rows = pivots[:rank].astype(np.int64) - 1
    return Factor(rows, np.asfortranarray(np.tril(triangle[:rank, :rank])), 1.0 / diagonal[rows])


def _corrected(centre: Centre) -> Floats:
    """The nearest table in the centre's metric with exactly the published figures."""
    point = centre.point
    for _ in range(3):
        off = centre.system.rhs - centre.system.matrix @ point
        point = point + centre.weight * (centre.system.matrix.T @ centre.factor.solve(off))
    return np.asarray(point)


def _newton(centre: Centre) -> Floats:
    """One damped step of the dual of maximum entropy; room stays positive."""
    system = centre.system
    off = system.rhs - system.matrix @ centre.point
    step = np.clip(system.matrix.T @ centre.factor.solve(off), -2.0, 2.0)
    room = np.maximum(centre.point[: system.atoms] - system.low[: system.atoms], 1e-9)
    point = centre.point.copy()
    point[: system.atoms] = system.low[: system.atoms] + room * np.exp(step[: system.atoms])
    return _with_slacks(system, point)


def _mixed(centre: Centre, exact: Floats) -> Centre:
    """As far from the truth towards the exact table as no figure becomes impossible."""
    system = centre.system
    start = Centre(system, system.truth.copy(), centre.weight, centre.factor)
    point = start.follow(exact - system.truth, 0.5)
    return Centre(system, point, centre.weight, centre.factor)
