"""Exact differencing: sets whose figures follow by subtraction of published cells of two layers.

For each cell of one layer, take the cells of another layer that meet it. If they cover it and all are published, "their sum minus
the cell" is known; if some lie inside it, "the cell minus their sum" is. Nested pairs, complements, added and removed
categories and totals over different partitions are all of that form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from egress_gate.disclosure.audit.published import Layer
from egress_gate.disclosure.audit.system import Source
from egress_gate.disclosure.linear import Bools, Floats, Ints, SecondsLeft


@dataclass(frozen=True, eq=False)
class Difference:
    """`sum of plus - sum of minus` of published cells; `total` is the true figure of the implied set."""

    plus: tuple[tuple[int, int, int], ...]
    minus: tuple[tuple[int, int, int], ...]
    atoms: Ints
    total: float
    other: int


def differences(
    truth: Floats, size: Floats, new: Sequence[Source], others: Sequence[Source], largest: float, left: SecondsLeft
) -> Iterator[Difference]:
    """Implied sets of at most `largest` units (by `size` per atom, more than none) between the new table and all layers."""
    for mine in new:
        for other in others:
            if left() <= 0:
                return
            if other is not mine:
                yield from _pair(truth, size, mine, other, largest)
                yield from _pair(truth, size, other, mine, largest)


def _pair(truth: Floats, size: Floats, left: Source, right: Source, largest: float) -> Iterator[Difference]:
    """Sets between each cell of `left` and the cells of `right` around and inside it."""
    a, b = left.layer, right.layer
    joint = _joint(a, b)
    known = _exact(b)
    units_a, units_b = _sum(a, size), _sum(b, size)
    meets = joint.shared
    whole = _whole(joint, b)
    touching = sparse.csr_matrix(meets > 0)
    outside = joint.outside_left > 0
    around = ~outside & ((touching @ (~known).astype(float)) == 0)
    inside_cells = sparse.csr_matrix(whole @ sparse.diags(known.astype(float)))
    around_units = touching @ units_b - units_a
    inner_units = units_a - inside_cells @ units_b
    usable = _exact(a)
    has_inner = np.asarray(inside_cells.sum(axis=1)).ravel() > 0
    for cell in np.flatnonzero(usable & around & (around_units > 0) & (around_units <= largest)):
        plus = tuple((right.table, right.number, int(c)) for c in touching[[int(cell)]].indices)
        yield _difference(truth, left, right, int(cell), plus, outer=True)
    for cell in np.flatnonzero(usable & has_inner & (inner_units > 0) & (inner_units <= largest)):
        minus = tuple((right.table, right.number, int(c)) for c in inside_cells[[int(cell)]].indices)
        yield _difference(truth, left, right, int(cell), minus, outer=False)


def _difference(
    truth: Floats, left: Source, right: Source, cell: int, cells: tuple[tuple[int, int, int], ...], *, outer: bool
) -> Difference:
    picked = np.zeros(right.layer.size + 1, dtype=bool)
    picked[[c for _, _, c in cells]] = True
    theirs = picked[right.layer.cell_of] & (right.layer.cell_of >= 0)
    mine = left.layer.cell_of == cell
    atoms = np.flatnonzero(theirs & ~mine) if outer else np.flatnonzero(mine & ~theirs)
    own = ((left.table, left.number, cell),)
    plus, minus = (cells, own) if outer else (own, cells)
    return Difference(plus, minus, atoms, float(truth[atoms].sum()), _other(left, right))


def _other(left: Source, right: Source) -> int:
    return right.table if left.table < 0 else left.table


@dataclass(frozen=True, eq=False)
class _Joint:
    """How many atoms each cell of one layer shares with each cell of the other, and lie outside it."""

    shared: sparse.csr_matrix
    outside_left: Floats
    size_right: Floats


def _joint(a: Layer, b: Layer) -> _Joint:
    both = (a.cell_of >= 0) & (b.cell_of >= 0)
    code = a.cell_of[both].astype(np.int64) * b.size + b.cell_of[both]
    if a.size * b.size <= 4_000_000:
        counts = np.bincount(code, minlength=0)
        pairs = np.flatnonzero(counts)
        amount = counts[pairs]
    else:
        pairs, amount = np.unique(code, return_counts=True)
    shared = sparse.csr_matrix((amount.astype(float), (pairs // b.size, pairs % b.size)), shape=(a.size, b.size))
    only = a.cell_of[(a.cell_of >= 0) & (b.cell_of < 0)]
    outside = np.bincount(only, minlength=a.size).astype(float)
    size_right = np.bincount(b.cell_of[b.cell_of >= 0], minlength=b.size).astype(float)
    return _Joint(shared, outside, size_right)


def _whole(joint: _Joint, b: Layer) -> sparse.csr_matrix:
    """1 where a right cell lies entirely inside a left cell."""
    entries = joint.shared.tocoo()
    inside = entries.data == joint.size_right[entries.col]
    shape = joint.shared.shape
    ones = np.ones(int(inside.sum()))
    return sparse.csr_matrix((ones, (entries.row[inside], entries.col[inside])), shape=shape)


def _exact(layer: Layer) -> Bools:
    return np.asarray((layer.low == layer.high) & np.isfinite(layer.low))


def _sum(layer: Layer, figure: Floats) -> Floats:
    inside = layer.cell_of >= 0
    return np.bincount(layer.cell_of[inside], weights=figure[inside], minlength=layer.size).astype(np.float64)
