"""Earlier releases of a case whose HAVING left rows out that nobody judged then.

In the gate a small cell is hidden before HAVING chooses, so every row that it leaves out may as well have left. A case file may tell
of releases from elsewhere. There, a row that was left out and breaks a rule was not published, and that it is absent bounds it: it
is no excuse for a table that gives it away now, and what its absence adds is for a person to weigh.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.judge import NOTES, judge
from egress_gate.disclosure.plan import plan
from egress_gate.disclosure.rules import Parameters
from egress_gate.disclosure.tabulation import tabulate
from egress_gate.domain.finding import Finding, Severity
from egress_gate.service.having import left_out
from egress_gate.service.joint import JointAudit, Universe
from egress_gate.service.ports import EarlierTable
from installation.fault import Fault


@dataclass(frozen=True)
class Before:
    """``tables`` with what HAVING left out and a rule would hide among the suppressed; ``bounded``: the releases with such rows."""

    tables: tuple[EarlierTable, ...]
    bounded: frozenset[int]

    def unclear(self, audit: JointAudit) -> JointAudit:
        """The audit's answer; what it found safe beside such a release is not proven."""
        if not self.bounded or audit.verdict != "proven_safe":
            return audit
        figures = {"releases": sorted(self.bounded), "reason": "having"}
        return replace(audit, verdict="not_proven", findings=(Finding("joint_not_proven", Severity.WARN, 0, figures),))


def as_they_left(earlier: Sequence[EarlierTable], universe: Universe, rules: Parameters) -> Before:
    """Measure each release that has a HAVING. One that cannot be read stays as it is: the audit brings a person.

    Raises JudgementFault where a suppressed key has other columns than its table."""
    tables, bounded = [], set()
    for one in earlier:
        try:
            read = parse(one.sql, universe.catalogue)
        except Fault:
            tables.append(one)
            continue
        check_keys(f"the earlier release {one.release}", read, one.suppressed)
        gone = _unjudged(read, one, universe, rules) if read.having is not None else []
        if gone:
            bounded.add(one.release)
        tables.append(replace(one, suppressed=(*one.suppressed, *gone)))
    return Before(tuple(tables), frozenset(bounded))


def check_keys(where: str, derivation: Derivation, suppressed: Sequence[Mapping[str, Any]]) -> None:
    """Raises JudgementFault for a key of other columns than the table's: nobody could tell which cell was left out."""
    names = [key.name for key in derivation.keys]
    for key in suppressed:
        if set(key) != set(names):
            given, wanted = (json.dumps(shape, ensure_ascii=False) for shape in (dict(key), dict.fromkeys(names, "…")))
            raise JudgementFault(
                f"The suppressed key {given} of {where} has other columns than the table.",
                why="Which cell was left out cannot be known, and a cell that was not published would count as published.",
                do=f"Write {wanted}, with null for a total.",
            )


def _unjudged(
    derivation: Derivation, earlier: EarlierTable, universe: Universe, rules: Parameters
) -> list[dict[str, Any]]:
    """Keys of the rows that HAVING left out, that were not suppressed anyway, and that break a rule."""
    used = {t.key for t in derivation.tables}
    files = [f for f in universe.files if f"{f.dataset}.{f.name}" in used]
    measured = universe.runner.measure(plan(derivation), files, universe.limits)
    table = tabulate(derivation, measured.values, measured.statistics)
    judged = judge(derivation, table, rules, protect=False, left=lambda: 0.0, blank=earlier.suppressed)
    gone = left_out(derivation, judged.cells)
    broken = [set(c.rules) - NOTES for c in judged.cells]
    return [c.cell.published_key for c, out, rule in zip(judged.cells, gone, broken, strict=True) if out and rule]
