"""Every look ahead is on the ledger: what would be hidden tells something, and asking many times tells more. Never what was told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert

from egress_gate.service.gate import Gate
from egress_gate.store.catalogue import RunningSandbox
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp


def record_preview(gate: Gate, sandbox: RunningSandbox, content: str, outputs: int, outcome: str, at: datetime) -> None:
    """Before the answer goes out. `content`: SHA-256 of what was asked, as a request's; `outcome`: policy's, or why there is none.

    The entry names the versions of the data too: what was looked at is known without the sandbox's row.
    """
    subject = {"project": sandbox.project, **({"sandbox": sandbox.id} if sandbox.id else {})}
    facts = {"content": content, "outputs": outputs, "outcome": outcome}
    row = {"sandbox": sandbox.id or None, "project": sandbox.project, "person": sandbox.person, "shown_at": stamp(at)}
    with gate.store.transaction(at) as t:
        t.execute(insert(s.preview).values(**row, **facts))
        t.record(Entry("preview.shown", sandbox.person, subject, {**facts, "versions": list(sandbox.versions)}))
