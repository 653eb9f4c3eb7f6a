"""The equations of all releases over the atoms, without those that say nothing new.

Columns are atoms (those that a published zero empties are left out) and one slack per interval row, so that every row is an
equation: `matrix @ x = rhs`, `low <= x <= high`. Rows keep the release they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from egress_gate.disclosure.audit.published import Cells, Layer
from egress_gate.disclosure.linear import Bools, Floats, Ints, SecondsLeft, forever
from egress_gate.disclosure.suppression.solver import OutOfTime
from installation.fault import Fault


class AuditInconsistent(Fault):
    """What is said to be published does not agree with the data; no audit can be made of it."""

    code = "audit-inconsistent"


_NOBODY = -2
_SAMPLE = 4_096


@dataclass(frozen=True, eq=False)
class Source:
    """A layer and where it is from; table -1 is the new one."""

    table: int
    number: int
    layer: Layer


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of one layer: disjoint sets of atoms. Entry i says that column `columns[i]` belongs to row `rows[i]`."""

    columns: Ints
    rows: Ints
    low: Floats
    high: Floats
    table: int
    number: int
    cells: Ints


@dataclass(frozen=True, eq=False)
class System:
    """n columns (the first `atoms` of them atoms, `columns` says which), m rows."""

    columns: Ints
    matrix: sparse.csr_matrix
    rhs: Floats
    low: Floats
    high: Floats
    truth: Floats
    owner: Ints
    origin: tuple[tuple[int, int, int], ...]
    blocks: tuple[Block, ...]
    emptied_by: Ints
    sources: tuple[Source, ...]

    @property
    def atoms(self) -> int:
        return len(self.columns)

    @property
    def says_something(self) -> bool:
        """Whether the new table adds an equation or empties a set that was not known to be empty."""
        return bool((self.owner < 0).any() or (self.emptied_by == -1).any())


def assemble(truth: Floats, atom_low: float, sources: Sequence[Source], left: SecondsLeft = forever) -> System:
    """The system of one quantity. Raises AuditInconsistent when a published figure is not the data's, OutOfTime."""
    emptied_by = _emptied(len(truth), atom_low, sources)
    emptied = emptied_by > _NOBODY
    if np.any(np.abs(truth[emptied]) > 1e-6):
        raise _disagrees("A group that a release shows as empty has records.")
    columns = np.flatnonzero(~emptied)
    blocks = _blocks(columns, _told_apart(sources), truth, left)
    return _equations(columns, truth, atom_low, blocks, emptied_by, tuple(sources))


def _emptied(size: int, atom_low: float, sources: Sequence[Source]) -> Ints:
    """For each atom the first earlier release that shows it to be empty, -1 if only the new table does."""
    by = np.full(size, _NOBODY, dtype=np.int64)
    if atom_low < 0:
        return by
    for source in sorted(sources, key=lambda s: (s.table < 0, s.table)):
        zero = np.append(source.layer.high <= 0, False)
        by[zero[source.layer.cell_of] & (by == _NOBODY)] = source.table
    return by


def _told_apart(sources: Sequence[Source]) -> list[Source]:
    """Finest layers first; the new table's after those of the same size, so that what is known already stays theirs."""
    return sorted(sources, key=lambda s: (-s.layer.size, s.table < 0, s.table, s.number))


def _blocks(columns: Ints, ordered: Sequence[Source], truth: Floats, left: SecondsLeft) -> list[Block]:
    marks = np.random.default_rng(20_24).integers(0, 2**62, len(truth), dtype=np.int64)
    sample = np.random.default_rng(20_25).choice(columns, min(len(columns), _SAMPLE), replace=False)
    seen: set[int] = set()
    kept: list[_Kept] = []
    blocks = []
    for source in sorted(ordered, key=lambda s: s.table < 0):
        if left() <= 0:
            raise OutOfTime
        layer = source.layer
        cell_of = layer.cell_of
        hashes = _set_marks(cell_of[columns], layer.size, marks[columns])
        fresh = layer.known & (hashes != 0) & np.array([int(h) not in seen for h in hashes], dtype=bool)
        exact = layer.low == layer.high
        for finer in kept:
            if not fresh.any():
                break
            fresh &= ~(_implied(finer, cell_of, fresh, columns) & exact)
        seen.update(int(h) for h in hashes[fresh & exact])
        if fresh.any():
            blocks.append(_block(source, fresh, columns, truth))
        if (layer.low == layer.high).any():
            kept.append(_keep(layer, columns, sample))
    return blocks


@dataclass(frozen=True, eq=False)
class _Kept:
    """A layer that others may be unions of: pairs of atoms in one cell of it (2, k), and per cell how many atoms it has
    and whether its figure is exact; the last place stands for no cell."""

    layer: Layer
    pairs: Ints
    atoms: Ints
    exact: Bools


def _keep(layer: Layer, columns: Ints, sample: Ints) -> _Kept:
    ordered = sample[np.argsort(layer.cell_of[sample], kind="stable")]
    cell = layer.cell_of[ordered]
    together = np.flatnonzero((cell[1:] == cell[:-1]) & (cell[1:] >= 0))
    inside = layer.cell_of[columns]
    atoms = np.append(np.bincount(inside[inside >= 0], minlength=layer.size), 0)
    return _Kept(
        layer, np.stack([ordered[together], ordered[together + 1]]), atoms, np.append(layer.low == layer.high, False)
    )


def _set_marks(cell_of: Cells, size: int, marks: Ints) -> Ints:
    """One number per cell that equal sets of atoms share."""
    inside = cell_of >= 0
    out = np.zeros(size, dtype=np.int64)
    np.add.at(out, cell_of[inside], marks[inside])
    return out


def _implied(finer: _Kept, cell_of: Cells, fresh: Bools, columns: Ints) -> Bools:
    """Which fresh cells are the union of exactly published cells of another layer.

    Atoms that the other layer holds together rule out most cells cheaply; only the atoms of the rest are looked at.
    """
    here, there = cell_of[finer.pairs]
    apart = here != there
    possible = np.append(fresh, False)
    possible[here[apart]] = False
    possible[there[apart]] = False
    possible[-1] = False
    if not possible.any():
        return possible[:-1]
    inside = columns[possible[cell_of[columns]]]
    mine = cell_of[inside]
    theirs = finer.layer.cell_of[inside] % len(finer.atoms)
    image = np.full(len(finer.atoms), -1, dtype=np.int64)
    image[theirs] = mine
    broken = ~finer.exact | (np.bincount(theirs, minlength=len(finer.atoms)) != finer.atoms)
    broken[theirs[image[theirs] != mine]] = True
    possible[mine[broken[theirs]]] = False
    return possible[:-1]


def _block(source: Source, fresh: Bools, columns: Ints, truth: Floats) -> Block:
    layer = source.layer
    cells = np.flatnonzero(fresh)
    row_of = np.full(layer.size + 1, -1, dtype=np.int64)
    row_of[cells] = np.arange(len(cells))
    rows = row_of[layer.cell_of[columns]]
    inside = np.flatnonzero(rows >= 0)
    total = np.bincount(rows[inside], weights=truth[columns[inside]], minlength=len(cells))
    slack = 1e-6 * np.maximum(1.0, np.abs(total))
    if np.any(total < layer.low[cells] - slack) or np.any(total > layer.high[cells] + slack):
        raise _disagrees(f"A figure of release {source.table} is not what the data give.")
    return Block(inside, rows[inside], layer.low[cells], layer.high[cells], source.table, source.number, cells)


def _equations(
    columns: Ints,
    truth: Floats,
    atom_low: float,
    blocks: list[Block],
    emptied_by: Ints,
    sources: tuple[Source, ...],
) -> System:
    starts = np.concatenate([[0], np.cumsum([len(b.cells) for b in blocks])]).astype(np.int64)
    n, m = len(columns), int(starts[-1])
    rows = np.concatenate([b.rows + s for b, s in zip(blocks, starts, strict=False)] or [np.zeros(0, dtype=np.int64)])
    cols = np.concatenate([b.columns for b in blocks] or [np.zeros(0, dtype=np.int64)])
    low = np.concatenate([b.low for b in blocks] or [np.zeros(0)])
    high = np.concatenate([b.high for b in blocks] or [np.zeros(0)])
    matrix = sparse.csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(m, n))
    known = truth[columns]
    loose = np.flatnonzero(low < high)
    slack = sparse.csr_matrix((-np.ones(len(loose)), (loose, np.arange(len(loose)))), shape=(m, len(loose)))
    return System(
        columns=columns,
        matrix=sparse.csr_matrix(sparse.hstack([matrix, slack])),
        rhs=np.where(low < high, 0.0, low),
        low=np.concatenate([np.full(n, atom_low), low[loose]]),
        high=np.concatenate([np.full(n, np.inf), high[loose]]),
        truth=np.concatenate([known, (matrix @ known)[loose]]),
        owner=np.concatenate([np.full(len(b.cells), b.table) for b in blocks] or [np.zeros(0)]).astype(np.int64),
        origin=tuple((b.table, b.number, int(c)) for b in blocks for c in b.cells),
        blocks=tuple(blocks),
        emptied_by=emptied_by,
        sources=sources,
    )


def _disagrees(what: str) -> AuditInconsistent:
    return AuditInconsistent(
        what,
        why="The joint audit compares with what the data give; a release that disagrees was made from other data.",
        do="Check which dataset version the release names; until then nothing further leaves from it.",
    )
