"""The joint audit: is anything that must stay uncertain pinned down once the new table stands beside the earlier ones?

Order of work, cheapest first: does the new table say anything new; exact differences; witnesses from the centre; the exact
programme for what is left, with its proof; integers for close calls; and for each finding, which releases it needs. Safe is only
what was proven; whatever is open when the time ends makes the verdict `not_proven`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsmr

from egress_gate.disclosure.audit.centre import Centre, TooLarge, find_centre
from egress_gate.disclosure.audit.collisions import Needed, needed_releases, proof_owners
from egress_gate.disclosure.audit.differencing import Difference, differences
from egress_gate.disclosure.audit.exact import Bound, Programme
from egress_gate.disclosure.audit.filling import fill
from egress_gate.disclosure.audit.integers import reaches_in_integers
from egress_gate.disclosure.audit.published import (
    COUNT,
    Atoms,
    AuditAnswer,
    AuditFinding,
    AuditRules,
    ImpliedSet,
    Kind,
    PublishedTable,
    Verdict,
)
from egress_gate.disclosure.audit.rays import push
from egress_gate.disclosure.audit.system import Source, System, assemble
from egress_gate.disclosure.audit.targets import Reached, Targets, count_targets, need, sum_targets
from egress_gate.disclosure.linear import Floats, Ints, SecondsLeft, forever
from egress_gate.disclosure.suppression.solver import KeptModel, OutOfTime, SolverFailed, Unbounded

_MOST_IMPLIED = 2_000


@dataclass
class _Case:
    """One quantity being audited, and what is known of it so far."""

    name: str
    atoms: Atoms
    rules: AuditRules
    new: list[Source]
    earlier: list[Source]
    left: SecondsLeft
    findings: list[AuditFinding] = field(default_factory=list)
    implied: list[ImpliedSet] = field(default_factory=list)
    proof: dict[str, float] = field(default_factory=dict)
    open_targets: int = 0
    cut_short: bool = False  # there may be more differences
    _before: System | None = None
    _model: KeptModel | None = None

    @property
    def truth(self) -> Floats:
        return self.atoms.count if self.name == COUNT else self.atoms.measures[self.name].total

    @property
    def floor(self) -> float:
        return 0.0 if self.name == COUNT else min(0.0, self.atoms.measures[self.name].low)

    @property
    def before(self) -> System:
        """The equations of the earlier releases alone."""
        if self._before is None:
            self._before = assemble(self.truth, self.floor, self.earlier)
        return self._before

    @property
    def all_earlier(self) -> tuple[int, ...]:
        return tuple(sorted({s.table for s in self.earlier}))

    @property
    def model_before(self) -> KeptModel:
        if self._model is None:
            s = self.before
            self._model = KeptModel(sparse.csc_matrix(s.matrix), (s.rhs, s.rhs), s.low, s.high)
        return self._model

    def note(self, key: str, value: float) -> None:
        self.proof[f"{self.name}.{key}"] = value


def audit(
    new: PublishedTable,
    earlier: Sequence[PublishedTable],
    atoms: Atoms,
    rules: AuditRules,
    *,
    left: SecondsLeft = forever,
) -> AuditAnswer:
    """Judge `new` together with `earlier`. Raises AuditInconsistent when a figure is not what the data give."""
    cases = [_case(name, new, earlier, atoms, rules, left) for name in sorted(new.layers)]
    for case in cases:
        _judge(case)
    findings = tuple(f for c in cases for f in c.findings)
    waiting = sum(c.open_targets + c.cut_short for c in cases)
    # Where a small group is known already, what the new table adds to it is for a person to weigh.
    verdict = Verdict.NOT_PROVEN if waiting or findings else Verdict.PROVEN_SAFE
    if any(not f.already for f in findings):
        verdict = Verdict.UNSAFE
    proof = {k: v for c in cases for k, v in c.proof.items()}
    return AuditAnswer(verdict, findings, tuple(s for c in cases for s in c.implied), waiting, proof)


def _case(
    name: str,
    new: PublishedTable,
    earlier: Sequence[PublishedTable],
    atoms: Atoms,
    rules: AuditRules,
    left: SecondsLeft,
) -> _Case:
    mine = [Source(-1, n, layer) for n, layer in enumerate(new.layers[name])]
    theirs = [Source(t, n, layer) for t, e in enumerate(earlier) for n, layer in enumerate(e.layers.get(name, ()))]
    return _Case(name, atoms, rules, mine, theirs, left)


def _judge(case: _Case) -> None:
    try:
        system = assemble(case.truth, case.floor, case.earlier + case.new, case.left)
    except OutOfTime:
        case.open_targets = max(1, int((case.atoms.contributors > 0).sum()))
        return
    case.note("atoms", system.atoms)
    case.note("equations", system.matrix.shape[0])
    if not system.says_something:
        case.note("adds", 0)
        return
    case.note("adds", float((system.owner < 0).sum()))
    covered = _difference_findings(case)
    if case.name == COUNT:
        targets = count_targets(system, case.atoms, case.rules)
    else:
        targets = sum_targets(system, case.name, case.atoms, case.rules, case.new + case.earlier)
    case.note("targets", targets.size)
    waiting = _without(targets, system, covered)
    if case.findings and (len(case.findings) >= case.rules.max_findings or case.left() <= 0):
        case.open_targets = len(waiting)
        return
    _prove(case, system, targets, waiting)


def _without(targets: Targets, system: System, covered: Ints) -> Ints:
    """Targets that no finding accounts for yet: a set that lies inside an implied small set is that finding's."""
    inside = np.zeros(len(system.truth), dtype=bool)
    inside[np.flatnonzero(np.isin(system.columns, covered))] = True
    touching = targets.sets @ inside.astype(float)
    size = np.asarray(targets.sets.sum(axis=1)).ravel()
    return np.flatnonzero(touching < size)


def _difference_findings(case: _Case) -> Ints:
    """Findings by subtraction; the atoms they account for."""
    covered: list[Ints] = []
    seen: set[bytes] = set()
    everything = case.new + case.earlier
    largest = float("inf") if case.name != COUNT or case.atoms.measures else float(case.rules.threshold)
    units = case.atoms.contributors.astype(float)
    found = differences(case.truth, units, case.new, everything, largest, case.left)
    for difference in islice(found, _MOST_IMPLIED):
        if difference.atoms.tobytes() in seen:
            continue
        seen.add(difference.atoms.tobytes())
        case.implied.append(_implied(case, difference))
        if _sensitive(case, difference) and len(case.findings) < case.rules.max_findings:
            case.findings.append(_subtracted(case, difference))
            covered.append(difference.atoms)
    if len(case.implied) >= _MOST_IMPLIED:
        case.cut_short = True
    case.note("differences", len(case.implied))
    return np.unique(np.concatenate(covered)) if covered else np.zeros(0, dtype=np.int64)


def _sensitive(case: _Case, difference: Difference) -> bool:
    units = case.atoms.contributors[difference.atoms].sum()
    if case.name == COUNT:
        return bool(0 < units < case.rules.threshold)
    measure = case.atoms.measures[case.name]
    top = np.sort(np.concatenate([measure.top1[difference.atoms], measure.top2[difference.atoms]]))[::-1]
    merged = type(measure)(
        total=np.array([measure.total[difference.atoms].sum()]),
        total_abs=np.array([measure.total_abs[difference.atoms].sum()]),
        top1=top[:1],
        top2=top[1:2],
        contributors=np.array([measure.contributors[difference.atoms].sum()]),
    )
    return bool(need(merged, case.rules)[0] > 0)


def _implied(case: _Case, difference: Difference) -> ImpliedSet:
    target = case.atoms.describe(difference.atoms)
    return ImpliedSet(case.name, difference.atoms, difference.plus, difference.minus, target)


def _subtracted(case: _Case, difference: Difference) -> AuditFinding:
    collides: tuple[int, ...] = (difference.other,) if difference.other >= 0 else ()
    target = case.atoms.describe(difference.atoms)
    interval = (difference.total, difference.total)
    already = _known_before(case, difference.atoms)
    collides = case.all_earlier if already else collides
    return AuditFinding(case.name, target, difference.atoms, interval, Kind.EXACT, collides, already)


def _known_before(case: _Case, atoms: Ints) -> bool:
    """Whether the earlier releases' exact figures add up to this set's without the new table. In doubt, no."""
    system = case.before
    exact = np.diff(system.matrix[:, system.atoms :].indptr) == 0
    wanted = np.isin(system.columns, atoms).astype(float)
    if not exact.any() or not wanted.any():
        return not wanted.any()
    rows = sparse.csr_matrix(system.matrix[exact][:, : system.atoms])
    weights = lsmr(rows.T, wanted, atol=1e-12, btol=1e-12, maxiter=2_000)[0]
    return bool(np.max(np.abs(rows.T @ weights - wanted)) < 1e-7)


def _prove(case: _Case, system: System, targets: Targets, waiting: Ints) -> None:
    """Witnesses first, then the exact programme for the rest."""
    reached = Reached(targets, system.truth)
    mine = np.zeros(targets.size, dtype=bool)
    mine[waiting] = True
    targets.high[~mine] = -np.inf
    targets.low[~mine] = np.inf
    if not len(reached.open()):
        return
    try:
        centre = find_centre(system, case.left)
    except (OutOfTime, TooLarge, MemoryError):
        case.open_targets = len(reached.open())
        return
    case.note("rank", len(centre.factor.rows))
    if not np.isfinite(case.floor):
        _unbounded(case, system, targets, reached, centre)
        return
    case.note("filled", fill(centre, reached, case.left))
    case.note("open_after_filling", len(reached.open()))
    case.note("moves", push(centre, reached, case.left))
    case.note("open_after_moves", len(reached.open()))
    with suppress(OutOfTime, SolverFailed):  # what is still open then is counted as open
        _exactly(case, system, targets, reached, centre)
    case.open_targets = len(reached.open())


def _unbounded(case: _Case, system: System, targets: Targets, reached: Reached, centre: Centre) -> None:
    """With no public bound a total is either implied exactly or not limited at all; a random move tells which."""
    chance = np.random.default_rng(5)
    free = centre.move(chance.standard_normal(len(centre.point)))
    change = np.abs(targets.sets @ free)
    size = np.maximum(targets.sets @ centre.weight, 1e-12)
    fixed = change <= 1e-9 * size
    for k in reached.open():
        if fixed[k]:
            duals = centre.factor.solve(np.asarray(system.matrix @ (centre.weight * _row(targets, k).toarray()[0])))
            value = float(reached.most[k])
            bound = Bound(value, duals, np.asarray(system.matrix.T @ duals), centre.point)
            _conclude(case, system, targets, int(k), bound, 1.0)
    targets.high[:] = -np.inf
    targets.low[:] = np.inf


def _row(targets: Targets, k: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(targets.sets[[k]])


def _exactly(case: _Case, system: System, targets: Targets, reached: Reached, centre: Centre) -> None:
    waiting = reached.open()
    if not len(waiting):
        return
    programme = Programme(system, centre.factor.rows, centre.point)
    for k in waiting[:200]:
        programme.release(programme.neighbours(_row(targets, int(k))))
    for _ in range(4):
        before = len(waiting)
        programme.together(targets, waiting, reached, case.left)
        waiting = reached.open()
        if len(waiting) > 0.8 * before:
            break
    for k in waiting:
        if len(case.findings) >= case.rules.max_findings:
            return
        for sign in (1.0, -1.0):
            is_open = reached.open_high() if sign > 0 else reached.open_low()
            if is_open[k]:
                _settle(case, system, targets, reached, programme, int(k), sign)
    case.note("programmes", len(waiting))


def _settle(
    case: _Case, system: System, targets: Targets, reached: Reached, programme: Programme, k: int, sign: float
) -> None:
    """One end of one target exactly: safe, a finding, or a close call for integers."""
    row = _row(targets, k)
    level = targets.high if sign > 0 else targets.low
    try:
        bound = programme.end(row, sign, float(level[k]), case.left)
    except Unbounded:
        level[k] = -sign * np.inf
        return
    reached.note(bound.point)
    slack = 1e-6 * max(1.0, abs(level[k]))
    if sign * bound.value >= sign * level[k] - slack:
        level[k] = -sign * np.inf
        return
    enough = float(targets.enough[k]) if sign > 0 else float(level[k])
    if sign * bound.value < sign * enough - slack:
        if _conclude(case, system, targets, k, bound, sign):
            _covered_by(system, targets, bound, enough, sign)
        level[k] = -sign * np.inf
    elif reaches_in_integers(system, row, enough, bound, case.left):
        level[k] = -sign * np.inf


def _covered_by(system: System, targets: Targets, bound: Bound, enough: float, sign: float) -> None:
    """The same proof bounds every single atom on which its shadow is at least one."""
    if sign < 0 or not np.all(bound.shadow >= -1e-7):
        return
    single = np.diff(targets.sets.indptr) == 1
    column = targets.sets.indices[targets.sets.indptr[:-1][single]]
    caught = np.flatnonzero(single)[(bound.shadow[column] >= 1 - 1e-7) & (targets.enough[single] >= enough)]
    targets.high[caught] = -np.inf


def _conclude(case: _Case, system: System, targets: Targets, k: int, bound: Bound, sign: float) -> bool:
    """A finding: what is bounded, how closely, and by which releases. Whether it needs the new table."""
    row = _row(targets, k)
    limit = float(targets.enough[k]) if sign > 0 else float(targets.low[k])
    own = row.indices[row.indices < system.atoms]
    columns = own
    if sign > 0 and case.floor == 0.0 and np.all(bound.shadow >= -1e-7):
        columns = np.flatnonzero(bound.shadow[: system.atoms] >= 1 - 1e-7)
    exact = _is_exact(case, system, bound, columns, sign)
    already = _already(case, system.columns[columns], sign, bound.value, exact=exact)
    if already:
        needed = Needed(case.all_earlier, new=False)
    elif exact and np.isfinite(case.floor):
        needed = proof_owners(system, bound)
    else:
        needed = _needed(case, system, bound, row, sign, limit)
    atoms = system.columns[columns]
    truth = float((row @ system.truth)[0])
    interval = (0.0 if case.floor == 0.0 else truth, bound.value) if sign > 0 else (bound.value, float("inf"))
    case.findings.append(
        AuditFinding(
            case.name,
            case.atoms.describe(atoms),
            atoms,
            (bound.value, bound.value) if exact else interval,
            Kind.EXACT if exact else Kind.NARROW,
            needed.earlier,
            already=already,
        )
    )
    return not already


def _is_exact(case: _Case, system: System, bound: Bound, columns: Ints, sign: float) -> bool:
    if abs(float(system.truth[columns].sum()) - bound.value) >= 1e-6 * max(1.0, abs(bound.value)):
        return False
    return bool(sign < 0 or bound.value <= 1e-6 or not np.isfinite(case.floor) or _is_implied(system, bound, columns))


def _is_implied(system: System, bound: Bound, columns: Ints) -> bool:
    """Whether the equations add up to the target itself, atoms known to be empty aside: then it is known, not only bounded."""
    wanted = np.zeros(system.atoms)
    wanted[columns] = 1.0
    apart = np.abs(bound.shadow[: system.atoms] - wanted) > 1e-6
    empty = system.emptied_by[system.columns[: system.atoms]] >= -1
    return not np.any(apart & ~empty)


def _already(case: _Case, atoms: Ints, sign: float, value: float, *, exact: bool) -> bool:
    """Whether the earlier releases alone tell as much."""
    if exact and _known_before(case, atoms):
        return True
    if not np.isfinite(case.floor) or not _as_close_before(case, atoms, sign, value):
        return False
    return not exact or _as_close_before(case, atoms, -sign, value)


def _needed(case: _Case, system: System, bound: Bound, row: sparse.csr_matrix, sign: float, limit: float) -> Needed:
    """Which releases an inference of the new table needs."""
    if not np.isfinite(case.floor):
        return Needed(tuple(int(o) for o in np.unique(system.owner[np.abs(bound.duals) > 1e-7]) if o >= 0), new=True)
    found = needed_releases(system, bound, row, sign, limit, case.left)
    if not found.new:  # short of the limit before, but not by as much
        closer = bound.value + sign * 1e-4 * max(1.0, abs(bound.value))
        found = needed_releases(system, bound, row, sign, closer, case.left)
    return found


def _as_close_before(case: _Case, atoms: Ints, sign: float, value: float) -> bool:
    """Whether no table with the earlier figures takes the target beyond ``value``. In doubt, no."""
    system = case.before
    cells = np.flatnonzero(np.isin(system.columns, atoms))
    if not case.earlier or not len(cells):
        return bool(case.earlier)
    try:
        found = case.model_before.minimise(cells, np.full(len(cells), -sign), case.left)
    except (Unbounded, OutOfTime, SolverFailed):
        return False
    return bool(-found.value <= sign * value + 1e-5 * max(1.0, abs(value)))
