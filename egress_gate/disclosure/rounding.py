"""Controlled rounding of counts: every figure a multiple of a base, every margin still the sum of its parts.

Each count goes to the multiple below or above it; one that is a multiple stays what it is (zero-restricted). Among all tables that
add up, the one nearest to the truth is taken. Where no such table exists, figures may go one multiple further, at a price.

Sources: Cox and Ernst, "Controlled rounding", INFOR 20 (1982), for the problem and its network form in two dimensions;
Salazar-Gonzalez, "Controlled rounding and cell perturbation: statistical disclosure limitation methods for tabular data",
Mathematical Programming 105 (2006), for the integer programme below.

Units: counts and base in persons; shapes: n counts, equations as in `linear.from_equations`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from egress_gate.disclosure.linear import Floats, Ints, SecondsLeft
from egress_gate.disclosure.suppression.solver import QuietHighs

FURTHER = 10.0  # price of going one multiple further, in bases


@dataclass(frozen=True, eq=False)
class Rounded:
    """`values`: n multiples of the base. `additive`: all equations hold for them. `restricted`: none is a whole base or more away
    from its count. A table that is not additive must not leave as a rounded one."""

    values: Ints
    additive: bool
    restricted: bool


def round_counts(
    counts: Sequence[int] | Ints, equations: Sequence[Mapping[int, float]], base: int, left: SecondsLeft
) -> Rounded:
    """Round with all equations kept: first to the neighbours, else a multiple further, else bottom-up from the finest cells.

    Raises ValueError for a base under 2, a negative count, or an equation that the counts themselves do not fulfil.
    """
    exact = np.asarray(counts, dtype=np.int64)
    if base < 2 or (exact < 0).any():
        raise ValueError("a base is at least 2 and a count is not negative")
    matrix = _matrix(equations, len(exact))
    if matrix.shape[0] and np.any(np.abs(matrix @ exact.astype(float)) > 1e-6):
        raise ValueError("a margin is not the sum of its parts")
    for further in (0, 1):
        found = _solve(exact, matrix, base, further, left)
        if found is not None:
            return _judged(exact, matrix, base, found)
    return _judged(exact, matrix, base, _bottom_up(exact, equations, base))


def _judged(exact: Ints, matrix: sparse.csr_matrix, base: int, values: Ints) -> Rounded:
    additive = not matrix.shape[0] or bool(np.all(np.abs(matrix @ values.astype(float)) < 1e-6))
    return Rounded(values, additive, bool((np.abs(values - exact) < base).all()))


def _matrix(equations: Sequence[Mapping[int, float]], n: int) -> sparse.csr_matrix:
    made = sparse.lil_matrix((len(equations), n))
    for row, one in enumerate(equations):
        for cell, entry in one.items():
            made[row, cell] = entry
    return sparse.csr_matrix(made)


def _solve(exact: Ints, matrix: sparse.csr_matrix, base: int, further: int, left: SecondsLeft) -> Ints | None:
    """The nearest additive table in multiples `floor - further .. ceiling + further`; None when there is none, or no time.

    Columns: `z` multiples over the floor; with `further`, `up` and `down` how many of them are beyond the neighbours.
    """
    remaining = left()
    if remaining <= 0:
        return None
    n, rest = len(exact), exact % base
    floor = exact // base
    near = (rest > 0).astype(float)  # how many multiples up the ceiling is
    cost = np.where(rest > 0, base - 2.0 * rest, 0.0) / base
    columns = sparse.csc_matrix(matrix)
    if further:
        columns = sparse.hstack([columns, columns, -columns], format="csc")
        cost = np.concatenate([cost, np.full(2 * n, FURTHER)])
    high = np.concatenate([near, np.full(n, float(further)), np.minimum(float(further), floor)]) if further else near
    right = -(matrix @ floor.astype(float))
    model = QuietHighs(mip_rel_gap=1e-6, time_limit=float(min(remaining, 1e30)))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), matrix.shape[0]
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(len(cost)), high
    lp.row_lower_, lp.row_upper_ = right, right
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = columns.indptr.astype(np.int32), columns.indices.astype(np.int32)
    lp.a_matrix_.value_ = columns.data.astype(float)
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(cost)
    model.passModel(lp)
    model.run()
    if model.getInfo().primal_solution_status != 2:  # no table that adds up
        return None
    point: Floats = np.round(np.asarray(model.getSolution().col_value))
    moved = point[:n] + (point[n : 2 * n] - point[2 * n :] if further else 0.0)
    return np.asarray((floor + moved) * base, dtype=np.int64)


def _bottom_up(exact: Ints, equations: Sequence[Mapping[int, float]], base: int) -> Ints:
    """Finest cells to the nearest multiple, every margin the sum of its parts; margins can drift further than a base."""
    values = np.asarray(np.round(exact / base) * base, dtype=np.int64)
    margins = [(cell, one) for one in equations for cell, entry in one.items() if entry < 0]
    for _ in range(len(margins) + 1):
        before = values.copy()
        for cell, one in margins:
            values[cell] = round(sum(entry * values[part] for part, entry in one.items() if part != cell))
        if (values == before).all():
            break
    return values
