"""The joint audit of a new table with all earlier ones from the same data."""

from egress_gate.disclosure.audit.judge import audit
from egress_gate.disclosure.audit.published import (
    COUNT,
    Atoms,
    AuditAnswer,
    AuditFinding,
    AuditRules,
    ImpliedSet,
    Kind,
    Layer,
    Measure,
    PublishedTable,
    Verdict,
)
from egress_gate.disclosure.audit.system import AuditInconsistent

__all__ = [
    "COUNT",
    "Atoms",
    "AuditAnswer",
    "AuditFinding",
    "AuditInconsistent",
    "AuditRules",
    "ImpliedSet",
    "Kind",
    "Layer",
    "Measure",
    "PublishedTable",
    "Verdict",
    "audit",
]
