"""What counts of people and of rows tell together, where a person has several rows.

People do not add up: somebody may stand in several cells. But a combination of published counts that is negative for nobody is
a count of people too, perhaps of very few: a whole minus a part of it; parts minus the whole that they cover (who is in two of
them); rows minus people (who has several rows). Whoever makes such a figure more than nothing must be nobody or enough. A whole
minus several parts that share people is not known closely; it is open where few people are behind it.

A **profile** says in which atoms a person has one row, or more than one (2 stands for more). Nobody is named: a profile comes with
the number of people who have it. Shapes: p profiles, N atoms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from egress_gate.disclosure.audit.published import Layer
from egress_gate.disclosure.linear import Bools, Floats, Ints

ROWS, PEOPLE = "rows", "people"
MOST_PROFILES = 100_000
MOST_APART = 50


@dataclass(frozen=True, eq=False)
class Profiles:
    """`rows`: p x N, rows of a person in each atom, 2 for more than one; `size`: people with each profile. `several`: whether anybody
    has more than one row; `complete`: whether all profiles are here."""

    rows: sparse.csr_matrix
    size: Floats
    several: bool
    complete: bool = True


@dataclass(frozen=True, eq=False)
class Counted:
    """One layer of counts, of ROWS or PEOPLE; table -1 is the new one."""

    table: int
    kind: str
    layer: Layer


@dataclass(frozen=True, eq=False)
class Apart:
    """A combination that few people are behind. `certain`: its figure is known, `value`; else it may be known, nearly. `atoms`: which
    it is about where it is of rows alone, as the audit of rows sees it; else none."""

    target: str
    value: float
    other: int
    certain: bool
    atoms: Ints


def read_profiles(
    answer: Sequence[Sequence[Any]], number_of: Mapping[tuple[int, ...], int], people: Floats, atom_of: Ints
) -> Profiles:
    """`answer`: profiles of those who have several rows, as `1,0:2;…` (points and rows in them), and how many have each. Everybody
    else has one row. `people` by point counts distinct people, `atom_of` says which atom it belongs to (-1: none)."""
    entries = [
        (i, number_of[tuple(int(v) for v in point.split(","))], int(rows))
        for i, (text, _) in enumerate(answer)
        for point, _, rows in (part.partition(":") for part in str(text).split(";"))
    ]
    i, j, n = np.array(entries, dtype=np.int64).reshape(-1, 3).T
    several = sparse.csr_matrix((n.astype(float), (i, j)), shape=(len(answer), len(people)))
    size = np.array([float(row[1]) for row in answer])
    alone = people - np.asarray((several > 0).T @ size).ravel()
    where = np.flatnonzero((alone > 0) & (atom_of >= 0))
    single = sparse.csr_matrix((np.ones(len(where)), (np.arange(len(where)), where)), shape=(len(where), len(people)))
    inside = np.flatnonzero(atom_of >= 0)
    atoms = int(atom_of.max(initial=-1)) + 1
    merge = sparse.csr_matrix((np.ones(len(inside)), (inside, atom_of[inside])), shape=(len(people), atoms))
    rows = sparse.csr_matrix(sparse.vstack([several, single]) @ merge)
    return Profiles(rows, np.concatenate([size, alone[where]]), bool(len(answer)), len(answer) <= MOST_PROFILES)


def apart(profiles: Profiles, layers: Sequence[Counted], threshold: int) -> list[Apart]:
    """Combinations of a new layer with any other that 1 to `threshold` - 1 people are behind."""
    read = [_Read.of(one, profiles) for one in layers]
    found: dict[tuple[str, int, bool], Apart] = {}
    for mine in read:
        if mine.counted.table >= 0:
            continue
        for other in read:
            for left, right in ((mine, other), (other, mine)):
                for one in (*_around(left, right, profiles, threshold), *_inside(left, right, profiles, threshold)):
                    found.setdefault((one.target, one.other, one.certain), one)
                    if len(found) >= MOST_APART:
                        return list(found.values())
    return list(found.values())


@dataclass(frozen=True, eq=False)
class _Read:
    """A layer over the profiles. `figure`: p x C, what a person adds to each cell; `cells`: N x C; `exact`: whether it is known."""

    counted: Counted
    figure: sparse.csc_matrix
    cells: sparse.csc_matrix
    exact: Bools

    @classmethod
    def of(cls, counted: Counted, profiles: Profiles) -> _Read:
        layer = counted.layer
        inside = np.flatnonzero(layer.cell_of >= 0)
        shape = (len(layer.cell_of), layer.size)
        cells = sparse.csc_matrix((np.ones(len(inside)), (inside, layer.cell_of[inside])), shape=shape)
        rows = sparse.csc_matrix(profiles.rows @ cells)
        figure = sparse.csc_matrix((rows > 0).astype(float)) if counted.kind == PEOPLE else rows
        return cls(counted, figure, cells, np.asarray((layer.low == layer.high) & np.isfinite(layer.low)))


def _around(left: _Read, right: _Read, profiles: Profiles, threshold: int) -> Iterator[Apart]:
    """The cells of `right` that cover a cell of `left`, all known, minus it. Not for rows minus people's cover, which may be negative."""
    if left.counted.kind == ROWS and right.counted.kind == PEOPLE:
        return
    touching = sparse.csr_matrix(((left.cells.T @ right.cells) > 0).astype(float))
    covered = left.cells.multiply(np.asarray(right.cells.sum(axis=1))).sum(axis=0)
    whole = np.asarray(covered).ravel() == np.asarray(left.cells.sum(axis=0)).ravel()
    known = np.asarray(touching @ (~right.exact).astype(float)).ravel() == 0
    cells = np.flatnonzero(left.exact & whole & known)
    more = sparse.csc_matrix(right.figure @ touching[cells].T - left.figure[:, cells])
    where = sparse.csc_matrix(right.cells @ touching[cells].T - left.cells[:, cells])
    yield from _few(
        (left, right), cells, more, where, profiles.size, threshold, certain=np.ones(len(cells), dtype=bool)
    )


def _inside(left: _Read, right: _Read, profiles: Profiles, threshold: int) -> Iterator[Apart]:
    """A cell of `left` minus all known cells of `right` that lie in it. Of people, close only where nobody is in two of these."""
    if left.counted.kind == PEOPLE and right.counted.kind == ROWS:
        return
    shared = sparse.coo_matrix(left.cells.T @ right.cells)
    size = np.asarray(right.cells.sum(axis=0)).ravel()
    whole = (shared.data == size[shared.col]) & right.exact[shared.col]
    picked = sparse.csr_matrix(
        (np.ones(int(whole.sum())), (shared.row[whole], shared.col[whole])), shape=(left.cells.shape[1], len(size))
    )
    cells = np.flatnonzero(left.exact & (np.asarray(picked.sum(axis=1)).ravel() > 0))
    parts = sparse.csc_matrix(right.figure @ picked[cells].T)
    if left.counted.kind == PEOPLE:
        shares = np.asarray((parts > 1).sum(axis=0)).ravel() > 0
        parts = sparse.csc_matrix((parts > 0).astype(float))
    else:
        shares = np.zeros(len(cells), dtype=bool)
    more = sparse.csc_matrix(left.figure[:, cells] - parts)
    where = sparse.csc_matrix(left.cells[:, cells] - right.cells @ picked[cells].T)
    yield from _few((left, right), cells, more, where, profiles.size, threshold, certain=~shares)


def _few(
    pair: tuple[_Read, _Read],
    cells: Ints,
    more: sparse.csc_matrix,
    where: sparse.csc_matrix,
    size: Floats,
    threshold: int,
    *,
    certain: Bools,
) -> Iterator[Apart]:
    """Combinations (for each cell a column of `more`, p x C, and of `where`, N x C) that somebody is behind, but too few."""
    left, right = (one.counted for one in pair)
    of_rows = left.kind == right.kind == ROWS
    behind = np.asarray(sparse.csc_matrix(more > 0).T @ size).ravel()
    for at in np.flatnonzero((behind > 0) & (behind < threshold)):
        other = right.table if left.table < 0 else left.table
        target = f"people between {left.layer.label(int(cells[at])) or 'all'} and what lies around or inside it"
        atoms = np.flatnonzero(where[:, [int(at)]].toarray().ravel() > 0) if of_rows else np.zeros(0, dtype=np.int64)
        yield Apart(target, float(behind[at]), other, bool(certain[at]), atoms)
