"""A finding is one fact established by a check. It says nothing about what follows from it; policy does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# what a scan of a text for the data's values found: an author who saw it could try guesses on the data
FOR_STEWARDS = frozenset({"scanned", "not_fully_scanned", "record_match", "raw_values", "encoded"})


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


def for_author(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that whoever asked may know of."""
    return tuple(f for f in findings if f.rule not in FOR_STEWARDS)


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
