"""Secondary suppression over linear relations: `protect` finds and audits a pattern, `audit_pattern` judges a given one."""

from egress_gate.disclosure.suppression.levels import (
    Level,
    count_level,
    dominance_level,
    p_percent_level,
    pq_level,
    strictest,
)
from egress_gate.disclosure.suppression.protect import Effort, Pattern, audit_pattern, protect

__all__ = [
    "Effort",
    "Level",
    "Pattern",
    "audit_pattern",
    "count_level",
    "dominance_level",
    "p_percent_level",
    "pq_level",
    "protect",
    "strictest",
]
