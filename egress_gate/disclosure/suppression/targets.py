"""Who must not learn what: each primary cell, upwards and downwards, seen by the public and by lone contributors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from egress_gate.disclosure.linear import LinearTable
from egress_gate.disclosure.suppression.attacker import needs_of


@dataclass(frozen=True, order=True)
class Target:
    """`cell` must be able to move by `need` in direction `sign`, for one who also knows cell `insider` (-1: nobody).

    With `sign` 0 its interval must be `need` wide, wherever it lies (sliding protection).
    """

    insider: int
    need: float
    cell: int
    sign: int


def targets_of(table: LinearTable) -> list[Target]:
    """All targets, the public's first. An insider is the lone contributor of a primary cell that shares a line with it."""
    needs = needs_of(table)
    public = [
        Target(-1, float(need[cell]), int(cell), sign)
        for sign, need in ((+1, needs.above), (-1, needs.below), (0, needs.width))
        for cell in np.flatnonzero(need > 0)
    ]
    return sorted(public) + sorted(_insiders(table, public))


def _insiders(table: LinearTable, public: list[Target]) -> list[Target]:
    if table.contributors is None:
        return []
    lone = np.flatnonzero(table.primary & (table.contributors == 1))
    lines = sparse.csc_matrix(table.relations)
    rows = sparse.csr_matrix(table.relations)
    found = []
    for j in lone:
        near = {int(c) for r in lines[:, [j]].indices for c in rows[[r]].indices} - {int(j)}
        found += [Target(int(j), t.need, t.cell, t.sign) for t in public if t.cell in near]
    return found
