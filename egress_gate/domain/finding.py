"""A finding is one fact established by a check. It says nothing about what follows from it; policy does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """`rule` over `cells` cells of one item; `figures` are for policy and stewards, never for the analyst."""

    rule: str
    severity: Severity
    cells: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "cells": self.cells,
            "figures": dict(self.figures),
        }

    def public(self) -> dict[str, Any]:
        """What the analyst may know: the rule and how many cells, no figures, no thresholds."""
        return {"rule": self.rule, "severity": self.severity.value, "cells": self.cells}


def finding_from(facts: Mapping[str, Any]) -> Finding:
    """Read a stored finding; an unknown severity counts as the worst."""
    try:
        severity = Severity(str(facts.get("severity")))
    except ValueError:
        severity = Severity.FAIL
    figures = facts.get("figures") or {}
    return Finding(str(facts["rule"]), severity, int(facts.get("cells") or 0), dict(figures))


def worst(findings: Iterable[Finding]) -> Severity:
    order = list(Severity)
    return max((f.severity for f in findings), key=order.index, default=Severity.INFO)
