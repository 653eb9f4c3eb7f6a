"""The joint audit's place in the check: this table together with everything already released from the same data.

`disclosure.atoms` says what to ask of the data, the verifier answers, `disclosure.audit` judges. Whatever fails on the way, or cannot
be compared, is *not proven* and goes to a person; only what was proven is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.having import without_having
from egress_gate.disclosure.judge import Judgement
from egress_gate.disclosure.plan import Plan
from egress_gate.disclosure.rules import Parameters
from egress_gate.domain.finding import Finding, Severity
from egress_gate.service.ports import AuditFinding, EarlierTable
from egress_gate.verifier.port import Limits, Runner, TableFile
from installation.fault import Fault

if TYPE_CHECKING:  # the solvers, which a table that stands alone does not need
    from egress_gate.disclosure.atoms import AtomPlan, Grid
    from egress_gate.disclosure.audit import AuditAnswer
    from egress_gate.disclosure.audit import AuditFinding as Inference
    from egress_gate.disclosure.audit.classes import Told
    from egress_gate.disclosure.people import Apart, Counted

MOST_POINTS = 200_000
SECONDS = 20.0
_BROKEN = (Fault, ArithmeticError, LookupError, ValueError, TypeError, RuntimeError, MemoryError)
_RULES = {"exact": "joint_exact", "narrow": "joint_narrow"}


@dataclass(frozen=True)
class JointAudit:
    """``verdict`` proven_safe, unsafe or not_proven; the last goes to a person, never out by itself."""

    verdict: str
    findings: tuple[Finding, ...] = ()
    details: tuple[AuditFinding, ...] = ()
    completed: bool = True


@dataclass(frozen=True)
class Universe:
    """Where the audit takes its answers from: the granted tables by name, their files, and what runs the questions."""

    catalogue: Mapping[str, Any]
    files: Sequence[TableFile]
    versions: Mapping[str, str]  # the pinned version of each dataset
    runner: Runner
    limits: Limits
    clock: Callable[[], float]


def joint_audit(
    derivation: Derivation,
    judged: Judgement,
    earlier: Sequence[EarlierTable],
    rules: Parameters,
    universe: Universe,
    rounding_base: int | None = None,
    *,
    controlled: bool = False,
) -> JointAudit:
    """``rounding_base``: what the table's own figures are rounded to when they leave, ``controlled``: to either neighbour. Earlier
    tables with noise tie nothing: no figure of theirs is exact. Of one with HAVING every row counts as
    published. Raises nothing: an audit that could not be done is not proven."""
    hidden = [c.cell.published_key for c in judged.cells if c.suppressed]
    others = [e for e in earlier if e.method != "noise" and not _same(derivation, hidden, e)]
    if not others and not hidden and not _tells_twice(derivation) and not _counts_people_twice(derivation, judged):
        return JointAudit("proven_safe")
    comparable, apart = [], []
    for one in others:
        read = _read(one, universe)
        if read is None:
            apart.append(one.release)
        elif {t.dataset for t in read.tables} & {t.dataset for t in derivation.tables}:
            comparable.append((one, read))
    try:
        found = _ask(derivation, hidden, comparable, rules, universe, (rounding_base, controlled))
    except _BROKEN as broken:
        releases = {e.release for e in others}
        return JointAudit("not_proven", (_not_proven(releases, type(broken).__name__),))
    unclear = {
        *apart,
        *(e.release for e in found.mixed),
        *_spelt_otherwise(derivation, comparable),
        *found.unmet,
        *found.people_unclear,
    }
    return _told(found, unclear)


def _spelt_otherwise(derivation: Derivation, comparable: Sequence[tuple[EarlierTable, Derivation]]) -> set[int]:
    """Releases of other figures, which may be tied to this table's (a total and its parts in columns of their own): the audit takes
    each quantity for itself, so what it finds safe of these is not proved."""
    mine = _figures(derivation)
    return (
        {one.release for one, read in comparable if (mine or _figures(read)) and mine != _figures(read)}
        if mine
        else set()
    )


def _figures(derivation: Derivation) -> set[tuple[str, str]]:
    """What is not a plain count of rows or people, in the one way of writing it that the audit compares by."""
    from egress_gate.disclosure.flatten import flatten
    from egress_gate.disclosure.quantities import quantity_of

    made = set()
    for one in flatten(derivation).aggregates:
        if one.func in ("sum", "avg") and one.argument is not None:
            made.add(("sum", quantity_of(one.argument).name))
        elif one.func != "count" or one.chooses:
            made.add((one.func, one.argument.sql() if one.argument is not None else ""))
    return made - {("sum", "count")}


def _tells_twice(derivation: Derivation) -> bool:
    """Whether the table could give something away by itself: several aggregates, of which one chooses among people."""
    return len(derivation.aggregates) > 1 and any(a.chooses for a in derivation.aggregates)


def _counts_people_twice(derivation: Derivation, judged: Judgement) -> bool:
    """Whether one table may tell how few people stand in several of its groups: it counts people beside a total, and somebody has
    several rows."""
    several = any(c.cell.rows != c.cell.contributors for c in judged.cells)
    return several and len(derivation.grouping_sets) > 1 and any(a.of_unit for a in derivation.aggregates)


@dataclass(frozen=True)
class _Found:
    """What the audit and the count of people say; `mixed`: releases over other rows of the same data, of which they say nothing;
    `used`: those compared; `unmet`: those of which nobody knows what they left out;
    `people_unclear`: those with which few people could be told, or nobody knows."""

    answer: AuditAnswer
    mixed: Sequence[EarlierTable]
    used: Sequence[EarlierTable]
    unmet: frozenset[int]
    people: Sequence[Apart]
    people_unclear: frozenset[int]
    alone_unclear: bool
    classes: Sequence[Told] = ()


def _read(earlier: EarlierTable, universe: Universe) -> Derivation | None:
    """None: it came from another version, or it can no longer be read, so that it cannot be compared."""
    current = set(universe.versions.values())
    if any(version not in current for version in earlier.versions):
        return None
    try:
        return parse(earlier.sql, universe.catalogue)
    except Fault:
        return None


def _ask(
    derivation: Derivation,
    hidden: Sequence[Mapping[str, Any]],
    comparable: Sequence[tuple[EarlierTable, Derivation]],
    rules: Parameters,
    universe: Universe,
    rounding: tuple[int | None, bool],
) -> _Found:
    from egress_gate.disclosure.atoms import plan_atoms
    from egress_gate.disclosure.audit import AuditRules, audit
    from egress_gate.disclosure.audit.classes import told
    from egress_gate.disclosure.full_cells import categories as categories_of

    plans = plan_atoms([derivation, *(d for _, d in comparable)])
    mine = next(p for p in plans if 0 in p.releases)
    grid = grid_of(mine, universe)
    together = [number - 1 for number in mine.releases if number]
    used = [comparable[i][0] for i in together]
    mixed = [e for i, (e, _) in enumerate(comparable) if i not in together]
    tables = [
        grid.published(i + 1, str(e.release), e.suppressed, e.rounding_base, controlled=e.method == "round")
        for i, e in zip(together, used, strict=True)
    ]
    deadline = universe.clock() + SECONDS
    new = grid.published(0, "new", hidden, rounding[0], controlled=rounding[1])
    answer = audit(
        new,
        tables,
        grid.atoms,
        AuditRules(rules.min_contributors, rules.dominance_n, rules.dominance_k, rules.p or None),
        left=lambda: max(0.0, deadline - universe.clock()),
    )
    counted = grid.counted(0, -1, hidden, rounding[0])
    hidden_of = [(0, hidden), *((i + 1, e.suppressed) for i, e in zip(together, used, strict=True))]
    categories = [one for n, keys in hidden_of for one in categories_of(grid, n, keys, rules.min_contributors)]
    classes, looked = told(new, tables, categories, grid.atoms.size, lambda: deadline - universe.clock())
    unmet = frozenset(e.release for i, e in zip(together, used, strict=True) if grid.unmet(i + 1, e.suppressed))
    for at, (i, e) in enumerate(zip(together, used, strict=True)):
        counted += grid.counted(i + 1, at, e.suppressed, e.rounding_base)
    return _with_people(
        grid,
        derivation,
        _Found(answer, mixed, used, unmet, (), frozenset(), alone_unclear=not looked, classes=classes),
        counted,
        rules,
    )


def _with_people(
    grid: Grid, derivation: Derivation, found: _Found, counted: Sequence[Counted], rules: Parameters
) -> _Found:
    """Counts are compared for the people behind them. What that says nothing of stays unclear: sums of people with several rows, people of
    several kinds, and three or more counts of people taken together."""
    from egress_gate.disclosure.people import PEOPLE, apart

    every = {e.release for e in found.used}
    profiles = grid.profiles
    if len(derivation.source.units()) > 1:
        return replace(found, people_unclear=frozenset(every))
    if not profiles.several:
        return found
    seen = {a for one in found.answer.findings for a in one.atoms.tolist()}
    made = [
        a for a in apart(profiles, counted, rules.min_contributors) if not len(a.atoms) or not seen.issuperset(a.atoms)
    ]
    open_ones = {found.used[a.other].release for a in made if not a.certain and a.other >= 0}
    alone = any(not a.certain and a.other < 0 for a in made) or not profiles.complete
    if not profiles.complete or grid.plan.measures or any(c.kind == PEOPLE and c.table >= 0 for c in counted):
        open_ones = every
    return replace(
        found,
        people=tuple(a for a in made if a.certain),
        people_unclear=frozenset(open_ones),
        alone_unclear=alone or found.alone_unclear,
    )


def grid_of(plan: AtomPlan, universe: Universe) -> Grid:
    from egress_gate.disclosure.atoms import read_atoms

    read = {t.key for d in plan.derivations for t in d.tables}
    files = [f for f in universe.files if f"{f.dataset}.{f.name}" in read]
    limits = replace(universe.limits, cells=MOST_POINTS)
    measured = universe.runner.measure(Plan(plan.statements[0], plan.statements[1:]), files, limits)
    return read_atoms(plan, [measured.values, *measured.statistics], {})


def _told(found: _Found, unclear: set[int]) -> JointAudit:
    from egress_gate.disclosure.audit import Verdict

    answer, releases = found.answer, [e.release for e in found.used]
    new = [f for f in answer.findings if not f.already]
    details = (
        *(_detail(f, releases) for f in new),
        *(_people_detail(a, releases) for a in found.people),
        *(_class_detail(one, releases) for one in found.classes),
    )
    findings = []
    for kind, rule in _RULES.items():
        of_kind = [d for d in details if d.kind == kind]
        if of_kind:
            named = sorted({r for d in of_kind for r in d.collides_with})
            findings.append(Finding(rule, Severity.FAIL, len(of_kind), {"collides_with": named}))
    if answer.verdict is Verdict.UNSAFE or found.people or found.classes:
        return JointAudit("unsafe", tuple(findings), details)
    if answer.verdict is not Verdict.PROVEN_SAFE or unclear or found.alone_unclear:
        return JointAudit("not_proven", (_not_proven(unclear, "open"),), details)
    return JointAudit("proven_safe")


def _detail(found: Inference, releases: Sequence[int]) -> AuditFinding:
    interval = (f"{found.interval[0]:.12g}", f"{found.interval[1]:.12g}")
    return AuditFinding(
        found.target, interval, tuple(sorted({releases[i] for i in found.collides_with})), found.kind.value
    )


def _people_detail(found: Apart, releases: Sequence[int]) -> AuditFinding:
    figure = f"{found.value:.12g}"
    collides = (releases[found.other],) if found.other >= 0 else ()
    return AuditFinding(found.target, (figure, figure), collides, "exact")


def _class_detail(one: Told, releases: Sequence[int]) -> AuditFinding:
    return AuditFinding(one.label, ("0", "0"), tuple(sorted(releases[n] for n in one.tables if n >= 0)), "exact")


def _not_proven(releases: set[int], reason: str) -> Finding:
    return Finding("joint_not_proven", Severity.WARN, 0, {"releases": sorted(releases), "reason": reason})


def _same(derivation: Derivation, hidden: Sequence[Mapping[str, Any]], earlier: EarlierTable) -> bool:
    """The whole table again: what its HAVING left out before was judged as if it had left."""
    before = sorted(str(sorted(dict(k).items(), key=str)) for k in earlier.suppressed)
    now = sorted(str(sorted(k.items(), key=str)) for k in hidden)
    same = without_having(earlier.sql) == derivation.canonical_sql(having=False)
    return same and before == now and earlier.rounding_base is None
