"""The joint audit's place in the check: this table together with everything already released from the same data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from egress_gate.disclosure.derivation import Derivation
from egress_gate.disclosure.judge import Judgement
from egress_gate.domain.finding import Finding, Severity
from egress_gate.service.ports import AuditFinding, EarlierTable, SourceTable
from egress_gate.verifier.port import Limits, Runner


@dataclass(frozen=True)
class JointAudit:
    """``verdict`` proven_safe, unsafe or not_proven; the last goes to a person, never out by itself."""

    verdict: str
    findings: tuple[Finding, ...] = ()
    details: tuple[AuditFinding, ...] = ()
    completed: bool = True


def joint_audit(
    derivation: Derivation,
    judged: Judgement,
    earlier: Sequence[EarlierTable],
    sources: Sequence[SourceTable],
    runner: Runner,
    limits: Limits,
    clock: Callable[[], float],
) -> JointAudit:
    """Nothing earlier, or the very same table: nothing new to infer. Anything else that cannot be proved goes to a person."""
    hidden = {str(sorted(_key(c).items(), key=str)) for c in judged.cells if c.suppressed}
    others = [e for e in earlier if not _same(derivation, hidden, e)]
    if not others:
        return JointAudit("proven_safe")
    releases = sorted({e.release for e in others})
    return JointAudit("not_proven", (Finding("joint_not_proven", Severity.WARN, 0, {"releases": releases}),))


def _key(judged: object) -> dict[str, object]:
    cell = judged.cell  # type: ignore[attr-defined]
    return {name: None if name in cell.totals else value for name, value in cell.key.items()}


def _same(derivation: Derivation, hidden: set[str], earlier: EarlierTable) -> bool:
    before = {str(sorted(dict(k).items(), key=str)) for k in earlier.suppressed}
    return earlier.sql == derivation.canonical_sql() and before == hidden and earlier.rounding_base is None
