"""Whether several releases together tell what a hidden full cell would have told: that nobody of a group is in a category.

A full cell (everybody of a ward is ill) is hidden though its people are many, so no rule about few people guards it beside other
releases. What gives it away is a count of 0 of those who are not in the category: a set of atoms that holds nobody in any table that
agrees with what is published. One linear programme each says whether it could hold anybody. A row that is missing beside hidden
ones is no published 0, because hidden rows are missing too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from egress_gate.disclosure.audit.published import COUNT, Layer, PublishedTable
from egress_gate.disclosure.linear import Bools, Floats, Ints, SecondsLeft

_MOST = 100
_NEAR = 1e-6
_UNBOUNDED = 3  # of linprog


@dataclass(frozen=True, eq=False)
class Category:
    """`atoms` hold nobody, and that must not be known; `label` names the cell in words."""

    atoms: Ints
    label: str


@dataclass(frozen=True)
class Told:
    """A category that the tables numbered in `tables` give away (-1: the new one)."""

    label: str
    tables: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Counts:
    """Published counts over atoms, and the table of each."""

    rows: sparse.csr_matrix
    value: Floats
    owner: Ints


def told(
    new: PublishedTable, earlier: Sequence[PublishedTable], categories: Sequence[Category], size: int, left: SecondsLeft
) -> tuple[list[Told], bool]:
    """Categories that are given away with the new table and not without it, and whether all could be looked at in time."""
    if not categories:
        return [], True
    every = _counts([(-1, new), *enumerate(earlier)], size)
    before = _counts(list(enumerate(earlier)), size)
    found: list[Told] = []
    for one in categories[:_MOST]:
        by = _nobody(every, one.atoms, left)
        if by is None:
            return found, False
        if by and _nobody(before, one.atoms, left) == ():
            found.append(Told(one.label, by))
    return list(dict.fromkeys(found)), len(categories) <= _MOST


def _counts(tables: Sequence[tuple[int, PublishedTable]], size: int) -> _Counts:
    rows, value, owner = [], [np.zeros(0)], [np.zeros(0, np.int64)]
    for number, table in tables:
        for layer in table.layers.get(COUNT, ()):
            inside = np.flatnonzero(layer.cell_of >= 0)
            kept = inside[_shown(layer)[layer.cell_of[inside]]]
            picked, row = np.unique(layer.cell_of[kept], return_inverse=True)
            rows.append(sparse.csr_matrix((np.ones(len(kept)), (row, kept)), shape=(len(picked), size)))
            value.append(layer.low[picked])
            owner.append(np.full(len(picked), number, dtype=np.int64))
    stacked = sparse.csr_matrix(sparse.vstack(rows)) if rows else sparse.csr_matrix((0, size))
    return _Counts(stacked, np.concatenate(value), np.concatenate(owner))


def _shown(layer: Layer) -> Bools:
    """Cells whose count the reader knows. Of a layer with hidden cells an absent one is not told from them."""
    exact = np.isfinite(layer.low) & (layer.low == layer.high)
    hidden = np.isneginf(layer.low) & np.isposinf(layer.high)
    return np.asarray(exact & ((layer.low > 0) | ~hidden.any()))


def _nobody(counts: _Counts, atoms: Ints, left: SecondsLeft) -> tuple[int, ...] | None:
    """The tables by which nobody can be in `atoms`; empty where somebody can, None where it was not found out in time."""
    if left() <= 0:
        return None
    if not counts.rows.shape[0]:
        return ()
    wanted = np.zeros(counts.rows.shape[1])
    wanted[atoms] = -1.0
    options = {"time_limit": max(left(), 0.01)}
    made = linprog(wanted, A_eq=counts.rows, b_eq=counts.value, bounds=(0, None), method="highs", options=options)
    if made.status == _UNBOUNDED:
        return ()
    if made.status != 0:
        return None
    if -made.fun > _NEAR:
        return ()
    return tuple(sorted({-1, *counts.owner[np.abs(made.eqlin.marginals) > _NEAR].tolist()}))
