"""Tables whose figures are rounded or carry noise: judged like every table, then altered before they leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from egress_gate.disclosure.derivation import Derivation
from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.judge import FAIL, INFO, Judgement, TableFinding
from egress_gate.disclosure.privacy import Mechanism, add_noise
from egress_gate.disclosure.tabulation import Tabulation
from egress_gate.domain.protection import Protection

# what rounding and noise answer: few people, and groups of which everybody is in one category
_ANSWERED = frozenset({"min_contributors", "full", "group_share"})
# what noise says nothing of: a table that is too large to be judged at all
_STILL = frozenset({"too_many_cells", "disagreement"})


@dataclass(frozen=True)
class Altered:
    """`released` by cell: the figures that leave, None for a row that is left out whole."""

    judged: Judgement
    released: tuple[Mapping[str, Any] | None, ...]


def require_counts(derivation: Derivation) -> None:
    """Raises JudgementFault for a table that rounding to a base of people cannot protect."""
    other = next((a.name for a in derivation.aggregates if a.func != "count"), None)
    if other is not None:
        raise JudgementFault(
            "Rounding cannot protect this table.",
            why=f"{other} is no count, and a base of people says nothing of other figures.",
            do="Ask for counts, or for suppression.",
        )


def rounded(
    derivation: Derivation, table: Tabulation, judged: Judgement, base: int, left: Callable[[], float]
) -> Altered:
    """Every count to a multiple of the base, every margin still the sum of its parts; rows of nothing but zeros are left out, because
    their keys would say that somebody is there."""
    from egress_gate.disclosure.protection import holding, table_equations
    from egress_gate.disclosure.rounding import round_counts

    require_counts(derivation)
    if not judged.cells:
        return Altered(judged, ())
    equations = table_equations(table)
    columns: dict[str, list[int]] = {}
    additive = True
    for one in derivation.aggregates:
        counts = [int(c.values.get(one.name) or 0) for c in table.cells]
        made = round_counts(counts, holding(equations, counts), base, left)
        additive = additive and made.additive
        columns[one.name] = [int(v) for v in made.values]
    released = tuple(_row({name: figures[i] for name, figures in columns.items()}) for i in range(len(table.cells)))
    findings = _answered(judged.findings, _ANSWERED)
    if not additive:
        findings = (*findings, TableFinding("residual", FAIL, len(table.cells)))
    return Altered(replace(judged, findings=findings, protected=additive), released)


def noisy(
    derivation: Derivation, table: Tabulation, judged: Judgement, asked: Protection, mechanism: Mechanism
) -> Altered:
    """Noise for every figure; a row whose noisy number of people stays under the threshold is left out whole."""
    if asked.epsilon is None or asked.delta is None:
        raise ValueError("noise needs epsilon and delta")
    if not judged.cells:
        return Altered(judged, ())
    made = add_noise(derivation, table.cells, asked.epsilon, asked.delta, asked.bounds, mechanism)
    every = frozenset(f.rule for f in judged.findings) - _STILL
    return Altered(replace(judged, findings=_answered(judged.findings, every), protected=True), made.cells)


def _row(figures: Mapping[str, int]) -> Mapping[str, Any] | None:
    return dict(figures) if any(figures.values()) else None


def _answered(findings: Sequence[TableFinding], rules: frozenset[str]) -> tuple[TableFinding, ...]:
    """What the method protects against becomes a note with nothing published of it."""
    return tuple(
        replace(f, severity=INFO, figures={**f.figures, "published": 0}) if f.rule in rules else f for f in findings
    )
