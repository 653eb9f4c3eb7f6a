"""Proof by full tables: as many targets as the published figures have room for are filled at once, and the rest is fitted to them.

A table of 100,000 records has room for thousands of targets that hold ten each, where a straight move from the centre is stopped by
the first of 100,000 cells that it empties. So: pick targets one after another, scarcest first, while every equation that they
stand in keeps room; put what they need into them; and find the table nearest to that in relative entropy that has all published figures,
with picked cells held stiffly (iterative proportional fitting, finished by Newton steps of the dual, each solved by
conjugate gradients behind the centre's factor). No cell becomes impossible on the way. What comes out is checked like any other
witness: nothing rests on how it was found.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from egress_gate.disclosure.audit.centre import Centre
from egress_gate.disclosure.audit.targets import Reached
from egress_gate.disclosure.linear import Bools, Floats, Ints, SecondsLeft

_MOST, _LEAST = 0.6, 0.1  # of an equation that is promised to targets, at first and when few are reached
_OVER = 2.5  # how far beyond its level a picked cell starts: the fit takes some of it back
_STIFF = 0.12  # how readily a picked cell gives way, next to the others
_SWEEPS = 4
_NEWTON = 10
_GRADIENTS = 25
_NEAR = 0.02  # how far off a figure the fit may stay: the last step takes that off in the centre's metric
_CLOSE = 0.03  # of the largest error that one step of Newton leaves
_POOR = 0.5  # of the picked targets: fewer reached, and the next table promises less


def fill(centre: Centre, reached: Reached, left: SecondsLeft) -> int:
    """Full tables until no target waits or even tables that promise little reach few; how many were made."""
    filler = _Filler(centre, reached)
    made, share = 0, _MOST
    while share >= _LEAST and left() > 0:
        before = filler.waiting()
        picked = filler.once(before, share, left) if len(before) else 0
        if not picked:
            break
        made += 1
        if len(before) - len(filler.waiting()) < _POOR * picked:
            share *= _POOR
    return made


class _Filler:
    """What is the same for every table: the equations as products, and the column of each target that is a single one."""

    def __init__(self, centre: Centre, reached: Reached) -> None:
        system = centre.system
        self.centre, self.reached, self.atoms = centre, reached, system.atoms
        self.turned = sparse.csr_matrix(system.matrix.T)
        bottom = np.where(np.isfinite(system.low), system.low, 0.0)
        bottom[self.atoms :] = 0.0
        self.bottom = bottom
        loose = np.diff(system.matrix[:, self.atoms :].indptr) > 0
        self.total: Floats = np.where(loose, np.inf, system.rhs - system.matrix @ bottom)
        self.near = _NEAR * np.maximum(1.0, np.sqrt(np.abs(system.rhs)))
        sets = reached.targets.sets
        self.single = np.diff(sets.indptr) == 1
        self.place = np.zeros(reached.targets.size, dtype=np.int64)
        self.place[self.single] = sets.indices[sets.indptr[:-1][self.single]]
        self.chance = np.random.default_rng(17)

    def waiting(self) -> Ints:
        """Targets that a full table could prove."""
        return np.flatnonzero(self.reached.open_high() & self.single)

    def once(self, waiting: Ints, share: float, left: SecondsLeft) -> int:
        """One table for some of the waiting targets; how many were picked, 0 when there was no room or no time."""
        picked, want = self._pick(waiting, share)
        if not len(picked):
            return 0
        point = self.centre.point.copy()
        point[picked] = np.maximum(point[picked], self.bottom[picked] + want * _OVER)
        give = np.ones(len(point))
        give[picked] = _STIFF
        self._sweep(point, give)
        for _ in range(_NEWTON):
            if left() <= 0:
                return 0
            off = self._off(point)
            if np.all(np.abs(off) <= self.near):
                break
            self._newton(point, give, off)
        witness = self._exact(point)
        if self.centre.holds(witness):
            self.reached.note(witness)
        return len(picked)

    def _pick(self, waiting: Ints, share: float) -> tuple[Ints, Floats]:
        """Columns to fill and by how much above their least value, so that no equation is promised beyond its room.

        An equation with too little for two is given whole to one.
        """
        place = self.place[waiting]
        want = self.reached.targets.high[waiting] - self.bottom[place]
        ends = self.turned.indptr
        room = np.where(self.total * share >= 2 * want.max(), self.total * share, self.total)
        picked: list[int] = []
        for k in self._scarcest_first(place, want):
            touched = self.turned.indices[ends[place[k]] : ends[place[k] + 1]]
            if not len(touched) or room[touched].min() >= want[k]:
                room[touched] -= want[k]
                picked.append(int(k))
        return place[picked], want[picked]

    def _scarcest_first(self, place: Ints, want: Floats) -> Ints:
        """By how many tables the tightest equation of each target will need for all that wait, with some chance."""
        load = np.zeros(len(self.total))
        part = self.turned[place]
        np.add.at(load, part.indices, np.repeat(want, np.diff(part.indptr)))
        press = np.append(load / np.maximum(self.total, 1e-9), 0.0)
        starts = np.where(np.diff(part.indptr) > 0, part.indptr[:-1], part.nnz)
        tightest = np.maximum.reduceat(press[np.append(part.indices, len(load))], starts)
        return np.argsort(-tightest * self.chance.uniform(0.7, 1.3, len(place)), kind="stable")

    def _sweep(self, point: Floats, give: Floats) -> None:
        """Iterative proportional fitting of the exactly known rows, in place."""
        for _ in range(_SWEEPS):
            for block in self.centre.system.blocks:
                size = len(block.cells)
                shift = np.bincount(block.rows, weights=self.bottom[block.columns], minlength=size)
                total = np.bincount(block.rows, weights=point[block.columns], minlength=size) - shift
                exact: Bools = (block.low == block.high) & (total > 0) & (block.low > shift)
                factor = np.divide(block.low - shift, total, out=np.ones(size), where=exact)
                room = point[block.columns] - self.bottom[block.columns]
                point[block.columns] = self.bottom[block.columns] + room * factor[block.rows] ** give[block.columns]

    def _off(self, point: Floats) -> Floats:
        return np.asarray(self.centre.system.rhs - self.centre.system.matrix @ point)

    def _newton(self, point: Floats, give: Floats, off: Floats) -> None:
        """One step of the dual, as long as its descent lasts, in place; room stays positive."""
        weight = self.centre.weight.copy()
        room = point[: self.atoms] - self.bottom[: self.atoms]
        pull = give[: self.atoms]
        weight[: self.atoms] = room * pull
        duals = self._gradients(weight, off)
        step = np.asarray(self.turned @ duals)
        gain = float(off @ duals)
        length = 1.0
        for _ in range(6):
            grown = room * np.expm1(np.clip(length * pull * step[: self.atoms], -30, 30)) / pull
            if float(grown.sum()) - length * float(room @ step[: self.atoms]) <= length * gain:
                break
            length /= 2
        point[: self.atoms] += grown * pull
        point[self.atoms :] += length * weight[self.atoms :] * step[self.atoms :]

    def _gradients(self, weight: Floats, off: Floats) -> Floats:
        """Duals `l` with `A W A' l = off`, nearly: conjugate gradients, with the centre's factor before them."""
        matrix, solve = self.centre.system.matrix, self.centre.factor.solve
        duals = np.zeros(len(off))
        rest = off.copy()
        close = _CLOSE * float(np.abs(off).max())
        way = ahead = solve(rest)
        size = float(rest @ ahead)
        for _ in range(_GRADIENTS):
            image = np.asarray(matrix @ (weight * (self.turned @ way)))
            curve = float(way @ image)
            if curve <= 0 or size <= 0:
                break
            duals += size / curve * way
            rest -= size / curve * image
            if np.abs(rest).max() < close:
                break
            ahead = solve(rest)
            grown = float(rest @ ahead)
            way = ahead + grown / size * way
            size = grown
        return duals

    def _exact(self, point: Floats) -> Floats:
        """The last rounding error taken off in the centre's metric; back towards the centre if that made a figure impossible."""
        for _ in range(3):
            point = point + self.centre.weight * (self.turned @ self.centre.factor.solve(self._off(point)))
        return self.centre.follow(point - self.centre.point, 1.0)
