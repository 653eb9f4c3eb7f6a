"""Read the whole ledger again with nothing but the public key."""

from __future__ import annotations

from dataclasses import dataclass

from egress_gate.service.gate import Gate
from ledger.verify import verify_log


@dataclass(frozen=True)
class Verified:
    ok: bool
    size: int
    first_bad: int | None
    message: str
    checkpoint: str

    def facts(self) -> dict[str, object]:
        return {
            "ok": self.ok,
            "size": self.size,
            "first_bad": self.first_bad,
            "message": self.message,
            "checkpoint": self.checkpoint,
        }


def verify_ledger(gate: Gate, kept: str = "") -> Verified:
    """`kept`: a checkpoint that somebody copied earlier; the log must extend it."""
    report = verify_log(gate.store, gate.ledger_key, [kept] if kept else [])
    return Verified(report.ok, report.size, report.first_bad, report.message, report.head)
