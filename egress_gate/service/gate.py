"""What every verb works with, put together once at start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from egress_gate.service.ports import Blobs, DataVault, Notary, PolicyEngine, Recomputer, Store
from egress_gate.verifier.port import Rerunner
from ledger.note import Verifier


@dataclass(frozen=True)
class Gate:
    store: Store
    blobs: Blobs
    engine: PolicyEngine
    recomputer: Recomputer
    notary: Notary
    datasets: Path
    vault: DataVault
    ledger_key: Verifier
    rerunner: Rerunner | None = None  # what runs notebooks anew; without it none is
    lease: timedelta = timedelta(minutes=10)
