"""One number that orders the review queue: what needs the most careful look comes first. It decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

from egress_gate.domain.finding import Finding, Severity

_WEIGHT = {Severity.INFO: 0, Severity.WARN: 10, Severity.FAIL: 30}


def risk_of(findings: Iterable[Finding], classification: int, files: int, incomplete: int) -> int:
    """0 to 100: the worst findings, the data's level, files that nobody can recompute, checks that did not finish."""
    weights = sorted((_WEIGHT[f.severity] for f in findings), reverse=True)
    total = sum(weights[:2]) + 5 * classification + 15 * min(files, 1) + 20 * min(incomplete, 1)
    return min(total, 100)
