"""Which earlier releases an inference needs: leave one out, and see whether the bound still holds.

A proof uses few equations, and atoms that those equations do not tell apart can be taken together, so the programmes here are
small. The new table is left out first: what can be inferred without it is not its doing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from egress_gate.disclosure.audit.exact import Bound
from egress_gate.disclosure.audit.system import System
from egress_gate.disclosure.linear import Bools, Floats, Ints, SecondsLeft
from egress_gate.disclosure.suppression.solver import KeptModel, OutOfTime, SolverFailed, Unbounded

_USED = 1e-7


@dataclass(frozen=True)
class Needed:
    """The earlier releases that the proof needs; `new`: it needs the new table."""

    earlier: tuple[int, ...]
    new: bool


def needed_releases(
    system: System, bound: Bound, target: sparse.csr_matrix, sign: float, limit: float, left: SecondsLeft
) -> Needed:
    """A minimal set of releases from whose equations the target stays short of `limit`."""
    rows = np.flatnonzero(np.abs(bound.duals) > _USED)
    owners = sorted({int(o) for o in system.owner[rows]})
    for owner in owners.copy():
        rest = rows[[int(system.owner[r]) in owners and int(system.owner[r]) != owner for r in rows]]
        try:
            if _still_short(system, rest, target, sign, limit, left):
                owners.remove(owner)
        except (OutOfTime, SolverFailed):
            break
    owners = sorted(set(owners) | _zeros_needed(system, bound.duals, rows, sign))
    return Needed(tuple(o for o in owners if o >= 0), -1 in owners)


def proof_owners(system: System, bound: Bound) -> Needed:
    """Every release that the equation of an exact figure is made of, and those whose empty groups it leaves out."""
    rows = np.flatnonzero(np.abs(bound.duals) > _USED)
    owners = {int(o) for o in system.owner[rows]}
    for sign in (1.0, -1.0):
        owners |= _zeros_needed(system, bound.duals, rows, sign)
    return Needed(tuple(sorted(o for o in owners if o >= 0)), -1 in owners)


def _zeros_needed(system: System, duals: Floats, rows: Ints, sign: float) -> set[int]:
    """Releases whose empty groups the proof leans on: without them its shadow would be negative somewhere."""
    shadow = np.zeros(len(system.emptied_by))
    layers = {(s.table, s.number): s.layer for s in system.sources}
    for row in rows:
        table, number, cell = system.origin[int(row)]
        shadow[layers[table, number].cell_of == cell] += sign * duals[row]
    leaning = (system.emptied_by >= -1) & (shadow < -_USED)
    return {int(o) for o in np.unique(system.emptied_by[leaning])}


def _still_short(
    system: System, rows: Ints, target: sparse.csr_matrix, sign: float, limit: float, left: SecondsLeft
) -> bool:
    """Whether these equations alone keep the target short of the limit."""
    if not len(rows):
        return False
    merged = _merge(system, rows, target)
    model = KeptModel(merged.matrix, (system.rhs[rows], system.rhs[rows]), merged.low, merged.high)
    try:
        found = model.minimise(np.flatnonzero(merged.target), -sign * merged.target[merged.target != 0], left)
    except Unbounded:
        return False
    slack = 1e-6 * max(1.0, abs(limit))
    return bool(-found.value < sign * limit - slack)


@dataclass(frozen=True, eq=False)
class _Merged:
    matrix: sparse.csc_matrix
    low: Floats
    high: Floats
    target: Floats


def _merge(system: System, rows: Ints, target: sparse.csr_matrix) -> _Merged:
    """Atoms with the same entries in these rows and in the target become one column."""
    chance = np.random.default_rng(9)
    part = sparse.csr_matrix(system.matrix[rows])
    goal = np.zeros(part.shape[1])
    goal[target.indices] = target.data
    mark = part.T @ chance.standard_normal(len(rows)) + goal * 7.389056
    mark[system.atoms :] += np.arange(part.shape[1] - system.atoms) * 1e3 + 1e6
    _, first, group = np.unique(np.round(mark, 9), return_index=True, return_inverse=True)
    count = len(first)
    size = np.bincount(group.reshape(-1), minlength=count)
    matrix = sparse.csc_matrix(part)[:, first]
    low = np.where(size > 1, system.low[first] * np.where(np.isfinite(system.low[first]), size, 1), system.low[first])
    used = _touched(matrix) | (goal[first] != 0)
    return _Merged(matrix[:, np.flatnonzero(used)], low[used], system.high[first][used], goal[first][used])


def _touched(matrix: sparse.csc_matrix) -> Bools:
    return np.asarray(np.diff(matrix.indptr) > 0)
