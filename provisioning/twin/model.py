"""A tree of two-way tables, learnt privately, and rows drawn from it.

After the MST mechanism: R. McKenna, G. Miklau, D. Sheldon, "Winning the NIST contest: a scalable and general approach to
differentially private synthetic data", 2021. Pairs are chosen one by one by how far their table is from independence; then only
the chosen ones are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from provisioning.twin.mechanisms import Floats, Ints


class Draws(Protocol):
    def counts(self, values: Ints, sensitivity: int, epsilon: float, /) -> Ints: ...

    def best(self, scores: Floats, sensitivity: float, epsilon: float, /) -> int: ...


@dataclass(frozen=True, eq=False)
class Tree:
    """``order``: columns from the root on; ``parent`` of each (-1: none); ``shares``: for the root its levels' shares, for others
    a row of shares for each level of the parent."""

    order: tuple[int, ...]
    parent: dict[int, int]
    shares: dict[int, Floats]


def fit(codes: list[Ints], sizes: list[int], draws: Draws, sensitivity: int, epsilon: float) -> Tree:
    """``codes``: one level for each row, by column. The whole tree costs ``epsilon``."""
    columns = len(codes)
    single = epsilon * (0.3 if columns > 1 else 1.0)
    margins = [
        _shares(
            draws.counts(np.bincount(c, minlength=n), sensitivity, single / columns), sensitivity * columns / single
        )
        for c, n in zip(codes, sizes, strict=True)
    ]
    if columns == 1:
        return Tree((0,), {0: -1}, {0: margins[0]})
    chosen = _choose(codes, sizes, margins, draws, sensitivity, epsilon * 0.2)
    each = epsilon * 0.5 / len(chosen)
    pairs = {pair: draws.counts(_pair(codes, sizes, pair), sensitivity, each) for pair in chosen}
    return _rooted(columns, margins, pairs, sensitivity / each)


def _choose(
    codes: list[Ints], sizes: list[int], margins: list[Floats], draws: Draws, sensitivity: int, epsilon: float
) -> list[tuple[int, int]]:
    """Edges of a spanning tree, the next one always between what is not yet joined."""
    columns, rows = len(codes), len(codes[0])
    scores = {
        (a, b): float(np.abs(_pair(codes, sizes, (a, b)) - rows * np.outer(margins[a], margins[b])).sum())
        for a in range(columns)
        for b in range(a + 1, columns)
    }
    group = list(range(columns))
    chosen: list[tuple[int, int]] = []
    for _ in range(columns - 1):
        open_ = [pair for pair in scores if group[pair[0]] != group[pair[1]]]
        pair = open_[draws.best(np.array([scores[p] for p in open_]), 2.0 * sensitivity, epsilon / (columns - 1))]
        chosen.append(pair)
        old, new = group[pair[1]], group[pair[0]]
        group = [new if g == old else g for g in group]
    return chosen


def _pair(codes: list[Ints], sizes: list[int], pair: tuple[int, int]) -> Ints:
    a, b = pair
    flat = np.bincount(codes[a] * sizes[b] + codes[b], minlength=sizes[a] * sizes[b])
    return np.asarray(flat, dtype=np.int64).reshape(sizes[a], sizes[b])


def _shares(counts: Ints, scale: float) -> Floats:
    """Noisy counts as shares: what noise alone would often give is taken for nothing."""
    kept = np.where(counts > 1.5 * scale, counts, 0).astype(np.float64)
    total = kept.sum()
    if total <= 0:
        kept = np.maximum(counts, 0).astype(np.float64) + 1e-9
        total = kept.sum()
    return np.asarray(kept / total)


def _rooted(columns: int, margins: list[Floats], pairs: dict[tuple[int, int], Ints], scale: float) -> Tree:
    order, parent, shares = [0], {0: -1}, {0: margins[0]}
    for at in order:
        for (a, b), counts in pairs.items():
            if at not in (a, b) or (child := b if at == a else a) in parent:
                continue
            table = counts if at == a else counts.T
            parent[child] = at
            shares[child] = np.stack([_conditional(row, margins[child], scale) for row in table])
            order.append(child)
    return Tree(tuple(order), parent, shares)


def _conditional(row: Ints, margin: Floats, scale: float) -> Floats:
    kept = np.where(row > 1.5 * scale, row, 0).astype(np.float64)
    return np.asarray(kept / kept.sum()) if kept.sum() > 0 else margin


def sample(tree: Tree, rows: int, rng: np.random.Generator) -> list[Ints]:
    """Levels of ``rows`` new rows, by column."""
    made: dict[int, Ints] = {}
    for column in tree.order:
        share = tree.shares[column]
        if tree.parent[column] < 0:
            made[column] = rng.choice(len(share), size=rows, p=share).astype(np.int64)
            continue
        cumulative = np.cumsum(share, axis=1)[made[tree.parent[column]]]
        drawn = rng.random(rows)[:, None] * cumulative[:, -1:]
        made[column] = (drawn > cumulative).sum(axis=1).astype(np.int64)
    return [made[c] for c in range(len(tree.order))]
