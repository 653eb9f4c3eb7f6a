"""An attacker written apart from the engine: cold programmes of scipy, one for each cell and direction, no shared code."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
from scipy.optimize import linprog

from egress_gate.disclosure import TableCell

Key = tuple[Hashable, ...]


def interval(
    cells: Sequence[TableCell], relations: Sequence[Mapping[Key, float]], hidden: Collection[Key], target: Key
) -> tuple[float, float]:
    """What the published cells, the relations and the public's bounds leave of `target`."""
    unknown = [c for c in cells if c.key in hidden]
    place = {c.key: i for i, c in enumerate(unknown)}
    scale = max(abs(next(c.value for c in cells if c.key == target)), 1.0)
    matrix, right = [], []
    for one in relations:
        if not any(key in place for key in one):
            continue
        row, known = np.zeros(len(unknown)), 0.0
        for key, entry in one.items():
            if key in place:
                row[place[key]] = entry
        value = {c.key: c.value for c in cells if c.key in one}
        known = sum(entry * value[key] for key, entry in one.items() if key in place)
        matrix.append(row)
        right.append(known / scale)
    bounds = [(c.low / scale, None if np.isinf(c.high) else c.high / scale) for c in unknown]
    ends = []
    for sign in (1.0, -1.0):
        cost = np.zeros(len(unknown))
        cost[place[target]] = sign
        found = linprog(cost, A_eq=np.array(matrix), b_eq=np.array(right), bounds=bounds, method="highs")
        if found.status == 3:
            ends.append(-sign * np.inf)
        else:
            assert found.status == 0, found.message
            ends.append(sign * found.fun * scale)
    return ends[0], ends[1]


def unprotected(
    cells: Sequence[TableCell], relations: Sequence[Mapping[Key, float]], hidden: Collection[Key]
) -> list[Key]:
    """Primary cells that are published, or that the attacker bounds closer than they require (1e-5 relative)."""
    found = []
    for c in cells:
        if not c.primary:
            continue
        if c.key not in hidden:
            found.append(c.key)
            continue
        low, high = interval(cells, relations, hidden, c.key)
        slack = 1e-5 * max(1.0, abs(c.value))
        if (
            low > c.value - c.lower + slack
            or high < c.value + c.upper - slack
            or high - low < c.sliding - slack
            or (c.lower == c.upper == c.sliding == 0 and high - low < 1e-9)
        ):
            found.append(c.key)
    return found
