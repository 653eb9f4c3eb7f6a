"""How close a twin is to its table, and how safe. Taken from the data without noise: for stewards and admins, not for analysts."""

from __future__ import annotations

from typing import Any

import numpy as np

from provisioning.twin.mechanisms import Ints
from provisioning.twin.tables import Twin


def report(twin: Twin, rng: np.random.Generator) -> dict[str, Any]:
    """Shares in percent.

    ``columns``: total variation distance of each column's levels; ``pairs``: the same for pairs of columns, mean and worst.
    ``rows_of_one``: rows of the twin that agree in every column with a combination that exactly one real row has, and how many
    would by chance, each column drawn for itself. A twin that copies people shows many more than chance.
    """
    sizes = [int(max(r.max(initial=0), m.max(initial=0))) + 1 for r, m in zip(twin.real, twin.made, strict=True)]
    single = [_distance(r, m, n) for r, m, n in zip(twin.real, twin.made, sizes, strict=True)]
    pairs = [
        _distance(_joint(twin.real, sizes, a, b), _joint(twin.made, sizes, a, b), sizes[a] * sizes[b])
        for a in range(len(sizes))
        for b in range(a + 1, len(sizes))
    ]
    shuffled = [rng.permutation(codes) for codes in twin.made]
    return {
        "rows": twin.rows.num_rows,
        "columns": {name: round(100 * d, 1) for name, d in zip(twin.columns, single, strict=True)},
        "pairs": {"mean": round(100 * float(np.mean(pairs)), 1), "worst": round(100 * max(pairs), 1)} if pairs else {},
        "rows_of_one": {
            "twin": round(100 * _of_one(twin.real, twin.made), 2),
            "by_chance": round(100 * _of_one(twin.real, shuffled), 2),
        },
    }


def _distance(real: Ints, made: Ints, size: int) -> float:
    if not len(real) or not len(made):
        return 1.0
    a, b = np.bincount(real, minlength=size) / len(real), np.bincount(made, minlength=size) / len(made)
    return float(np.abs(a - b).sum() / 2)


def _joint(codes: list[Ints], sizes: list[int], a: int, b: int) -> Ints:
    return np.asarray(codes[a] * sizes[b] + codes[b])


def _of_one(real: list[Ints], made: list[Ints]) -> float:
    """The share of rows of ``made`` that equal a combination of levels that one real row has alone."""
    if not real or not len(made[0]):
        return 0.0
    rows, counts = np.unique(np.stack(real, axis=1), axis=0, return_counts=True)
    alone = {row.tobytes() for row in rows[counts == 1].astype(np.int64)}
    return sum(row.tobytes() in alone for row in np.stack(made, axis=1).astype(np.int64)) / len(made[0])
