"""Separation: which targets a (fractional) choice of hidden cells leaves open, and the inequality each one proves.

Fischetti and Salazar-Gonzalez, "Solving the cell suppression problem on tabular data with linear constraints", Management
Science 47 (2001). With `y` between 0 and 1, cell i may move within `-y_i L_i .. y_i U_i`. By duality any row combination
`r = e_p + A'pi` gives `d_p <= sum_i (max(r_i, 0) U_i + max(-r_i, 0) L_i) y_i`, so a pattern that protects p satisfies that sum
>= need, also with each coefficient capped at the need. Sliding protection adds the two directions' inequalities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from egress_gate.disclosure.linear import Bools, Floats, Ints, LinearTable, SecondsLeft
from egress_gate.disclosure.suppression.attacker import TOLERANCE, scale_of
from egress_gate.disclosure.suppression.solver import KeptModel, Optimum, Unbounded
from egress_gate.disclosure.suppression.targets import Target

_NOTHING = 1e-9


@dataclass(frozen=True)
class Cut:
    """`coefficients @ y[cells] >= 1`."""

    cells: Ints
    coefficients: Floats


@dataclass(frozen=True)
class _Flow:
    """A movement that satisfies a target, to be tried again before another programme is solved."""

    cells: Ints
    moves: Floats


class Separator:
    """Finds violated targets and their cuts; remembers movements so that targets once satisfied cost one comparison."""

    def __init__(self, table: LinearTable, targets: list[Target]) -> None:
        self.table = table
        self.scale = scale_of(table)
        self.low = np.maximum(table.values - table.lower_bound, 0.0) / self.scale
        self.high = np.maximum(table.upper_bound - table.values, 0.0) / self.scale
        self.relations = sparse.csc_matrix(table.relations)
        self.targets = targets
        self._flows: dict[Target, tuple[_Flow, ...]] = {}

    def patterns_cuts(self, hidden: Bools, left: SecondsLeft) -> list[Cut]:
        """Cuts for every target that the pattern leaves open; none when it protects all. Raises OutOfTime."""
        return self._round(hidden.astype(float), left, capped=False)

    def relaxed_cuts(self, y: Floats, left: SecondsLeft) -> list[Cut]:
        """Cuts violated by a fractional choice. Capacities are capped at the need, as the coefficients are."""
        return self._round(y, left, capped=True)

    def _round(self, y: Floats, left: SecondsLeft, *, capped: bool) -> list[Cut]:
        cuts: list[Cut] = []
        for group in _groups(self.targets, capped=capped):
            cuts += self._group(group, y, left, capped=capped)
        return _distinct(cuts)

    def _group(self, group: list[Target], y: Floats, left: SecondsLeft, *, capped: bool) -> list[Cut]:
        """Targets that see the same capacities share one kept model and each other's witnesses."""
        cap = max(t.need for t in group) / self.scale if capped else np.inf
        low, high = _capacity(self.low, y, cap), _capacity(self.high, y, cap)
        if group[0].insider >= 0:
            low[group[0].insider] = high[group[0].insider] = 0.0
        still_open = [t for t in group if not self._flows_again(t, low, high)]
        if not still_open:
            return []
        support = np.flatnonzero((low > _NOTHING) | (high > _NOTHING))
        part = self.relations[:, support]
        zero = np.zeros(part.shape[0])
        model = KeptModel(part, (zero, zero), -low[support], high[support])
        place = np.full(self.table.size, -1, dtype=np.int64)
        place[support] = np.arange(len(support))
        cuts = []
        best = {+1: np.zeros(len(support)), -1: np.zeros(len(support))}
        for target in still_open:
            here = place[target.cell]
            reached = best[target.sign][here] if target.sign else best[+1][here] + best[-1][here]
            if reached >= target.need / self.scale * (1 - TOLERANCE):
                continue
            cut = self._solve(model, target, support, place, best, left)
            if cut is not None and float(cut.coefficients @ y[cut.cells]) < 1 - 1e-5:
                cuts.append(cut)
        return cuts

    def _flows_again(self, target: Target, low: Floats, high: Floats) -> bool:
        flows = self._flows.get(target)
        return flows is not None and all(
            bool(((f.moves <= high[f.cells] + TOLERANCE) & (-f.moves <= low[f.cells] + TOLERANCE)).all()) for f in flows
        )

    def _solve(
        self,
        model: KeptModel,
        target: Target,
        support: Ints,
        place: Ints,
        best: dict[int, Floats],
        left: SecondsLeft,
    ) -> Cut | None:
        """None when the target has its need: the movements that show it are kept. Else the cut that asks for more."""
        need = target.need / self.scale
        found: dict[int, Optimum] = {}
        for sign in (target.sign,) if target.sign else (+1, -1):
            try:
                found[sign] = model.minimise(np.array([place[target.cell]]), np.array([-float(sign)]), left)
            except Unbounded:
                return None
            np.maximum(best[+1], found[sign].point, out=best[+1])
            np.maximum(best[-1], -found[sign].point, out=best[-1])
        reached = sum(-one.value for one in found.values())
        if reached >= need - TOLERANCE * max(1.0, need):
            share = need / max(reached, need)
            self._flows[target] = tuple(_flow(support, one.point, share) for one in found.values())
            return None
        return self._cut(target, {sign: one.duals for sign, one in found.items()}, need)

    def _cut(self, target: Target, duals: dict[int, Floats], need: float) -> Cut:
        total = np.zeros(self.table.size)
        for sign, dual in duals.items():
            reduced = self.relations.T @ dual
            reduced[target.cell] += float(sign)
            with np.errstate(invalid="ignore"):
                total += np.where(reduced > _NOTHING, reduced * self.high, 0.0)
                total += np.where(reduced < -_NOTHING, -reduced * self.low, 0.0)
        coefficients = np.minimum(total, need) / need
        if target.insider >= 0:
            coefficients[target.insider] = 0.0
        cells = np.flatnonzero(coefficients > 1e-7)
        return Cut(cells, coefficients[cells])


def _flow(support: Ints, point: Floats, share: float) -> _Flow:
    used = np.flatnonzero(np.abs(point) > _NOTHING)
    return _Flow(support[used], point[used] * share)


def _capacity(bound: Floats, y: Floats, cap: float) -> Floats:
    return np.where(y > 1e-7, np.minimum(bound, cap) * np.where(np.isfinite(np.minimum(bound, cap)), y, 1.0), 0.0)


def _groups(targets: list[Target], *, capped: bool) -> list[list[Target]]:
    """Targets that may share capacities: same insider and, where capacities are capped, needs within a factor of 1.3."""
    groups: list[list[Target]] = []
    for target in targets:
        last = groups[-1][0] if groups else None
        fits = last is not None and last.insider == target.insider
        if fits and last is not None and (not capped or target.need <= 1.3 * last.need):
            groups[-1].append(target)
        else:
            groups.append([target])
    return groups


def _distinct(cuts: list[Cut]) -> list[Cut]:
    seen = {(c.cells.tobytes(), np.round(c.coefficients, 9).tobytes()): c for c in cuts}
    return list(seen.values())


def line_cuts(table: LinearTable, threshold: int | None) -> list[Cut]:
    """In a line with a hidden primary another cell must be hidden; with `threshold`, hidden parts of a line whose
    total is published must have that many contributors together (the residual of the line is known exactly)."""
    cuts = []
    rows = sparse.csr_matrix(table.relations)
    for r in range(rows.shape[0]):
        line = rows[[r]]
        cells, signs = line.indices.astype(np.int64), line.data
        for cell in cells[table.primary[cells]]:
            others = cells[cells != cell]
            cuts.append(Cut(others, np.ones(len(others))))
        if threshold is not None and table.contributors is not None and table.primary[cells].any():
            cuts += _residual_cut(table.contributors, cells, signs, threshold)
    return cuts


def _residual_cut(contributors: Ints, cells: Ints, signs: Floats, threshold: int) -> list[Cut]:
    """Parts have one sign and the total the other; either the total is hidden or enough contributors are."""
    margin = signs < 0 if np.sum(signs < 0) == 1 else signs > 0
    if np.sum(margin) != 1:
        return []
    weight = np.where(margin, 1.0, np.minimum(contributors[cells], threshold) / threshold)
    return [Cut(cells[weight > 0], weight[weight > 0])]
