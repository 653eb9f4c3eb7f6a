"""What must stay uncertain: sets of atoms with the figures that somebody must still be able to believe.

For counts it is enough to look at single atoms. Let every atom with 0 < contributors < t be able to reach t in some feasible
table. Then every set of atoms with 0 < contributors < t can too: it contains such an atom, and no count is negative. So no
difference, complement or union that anybody can form from the releases is known to be small, named or not.
For sums there is no such shortcut; there the targets are the sensitive atoms and the suppressed cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from egress_gate.disclosure.audit.published import Atoms, AuditRules, Measure
from egress_gate.disclosure.audit.system import Source, System
from egress_gate.disclosure.linear import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Targets:
    """k sets of columns. A feasible table must exist with at least `high[i]`, and one with at most `low[i]`.

    `enough[i]`: an exact maximum of at least this is accepted too; between it and `high[i]` whole numbers decide.
    """

    sets: sparse.csr_matrix
    high: Floats
    low: Floats
    enough: Floats

    @property
    def size(self) -> int:
        return len(self.high)


class Reached:
    """The largest and smallest value of each target in the witnesses so far."""

    def __init__(self, targets: Targets, truth: Floats) -> None:
        self.targets = targets
        self.most = np.asarray(targets.sets @ truth)
        self.least = self.most.copy()

    def note(self, witness: Floats) -> None:
        value = np.asarray(self.targets.sets @ witness)
        np.maximum(self.most, value, out=self.most)
        np.minimum(self.least, value, out=self.least)

    def open_high(self) -> Bools:
        return np.asarray(self.most < self.targets.high - tolerance(self.targets.high))

    def open_low(self) -> Bools:
        return np.asarray(self.least > self.targets.low + tolerance(self.targets.low))

    def open(self) -> Ints:
        return np.flatnonzero(self.open_high() | self.open_low())


def tolerance(level: Floats) -> Floats:
    return np.asarray(1e-6 * np.maximum(1.0, np.where(np.isfinite(level), np.abs(level), 1.0)))


def count_targets(system: System, atoms: Atoms, rules: AuditRules) -> Targets:
    """Atoms with too few contributors; where records are counted and people have several, as many records as `t` people."""
    units = atoms.contributors[system.columns]
    small = np.flatnonzero((units > 0) & (units < rules.threshold))
    per_unit = np.maximum(1.0, atoms.count[system.columns][small] / units[small])
    enough = np.ceil(rules.threshold * per_unit - 1e-9)
    return Targets(
        sets=_single(small, system),
        high=enough + 1.0 if rules.whole_numbers else enough,
        low=np.full(len(small), np.inf),
        enough=enough,
    )


def sum_targets(system: System, name: str, atoms: Atoms, rules: AuditRules, sources: Sequence[Source]) -> Targets:
    """Sensitive atoms and suppressed cells of a measure, each to be uncertain by its protection level on both sides."""
    measure = atoms.measures[name]
    room = need(measure, rules)[system.columns]
    sets, total, needs = [_single(np.flatnonzero(room > 0), system)], [], []
    sensitive = np.flatnonzero(room > 0)
    total.append(measure.total[system.columns][sensitive])
    needs.append(room[sensitive])
    for source in sources:
        hidden = _hidden_cells(source, system, measure, rules)
        sets.append(hidden.sets)
        total.append(hidden.total)
        needs.append(hidden.need)
    value, width = np.concatenate(total), np.concatenate(needs)
    low = np.maximum(value - width, measure.low if np.isfinite(measure.low) else -np.inf)
    return Targets(sparse.csr_matrix(sparse.vstack(sets)), value + width, low, value + width)


@dataclass(frozen=True, eq=False)
class _Hidden:
    sets: sparse.csr_matrix
    total: Floats
    need: Floats


def _hidden_cells(source: Source, system: System, measure: Measure, rules: AuditRules) -> _Hidden:
    """Suppressed cells of one layer that hold a figure worth protecting."""
    layer = source.layer
    cell = layer.cell_of[system.columns]
    inside = np.flatnonzero((cell >= 0) & ~np.append(layer.known, True)[cell])
    where = cell[inside]
    picked, row = np.unique(where, return_inverse=True)
    atoms = system.columns[inside]
    k = len(picked)
    total: Floats = np.bincount(row, weights=measure.total[atoms], minlength=k).astype(np.float64)
    top1 = np.zeros(k)
    np.maximum.at(top1, row, measure.top1[atoms])
    merged = Measure(
        total=total,
        total_abs=np.bincount(row, weights=measure.total_abs[atoms], minlength=k).astype(np.float64),
        top1=top1,
        top2=np.zeros(k),
        contributors=np.bincount(row, weights=measure.contributors[atoms], minlength=k).astype(np.int64),
    )
    room = np.maximum(need(merged, rules), 1e-3 * np.abs(total))
    keep = (total != 0) & (room > 0)
    sets = sparse.csr_matrix((np.ones(len(inside)), (row, inside)), shape=(k, len(system.truth)))
    return _Hidden(sets[keep], total[keep], room[keep])


def need(measure: Measure, rules: AuditRules) -> Floats:
    """Protection level of each total, 0 where no rule makes it sensitive (Handbook, section 4.2).

    With fewer than `threshold` contributors the largest of them must stay uncertain by p % of its contribution.
    """
    p = rules.p_percent or 0.0
    rest = measure.total_abs - measure.top1 - measure.top2
    room = np.maximum(p * measure.top1 - rest, 0.0)
    if rules.dominance_k:
        largest = measure.top1 + (measure.top2 if rules.dominance_n >= 2 else 0.0)
        room = np.maximum(room, largest / rules.dominance_k - measure.total_abs)
    few = (measure.contributors > 0) & (measure.contributors < rules.threshold)
    return np.asarray(np.where(few, np.maximum(room, max(p, 1e-3) * measure.top1), np.maximum(room, 0.0)))


def _single(columns: Ints, system: System) -> sparse.csr_matrix:
    k = len(columns)
    return sparse.csr_matrix((np.ones(k), (np.arange(k), columns)), shape=(k, len(system.truth)))
