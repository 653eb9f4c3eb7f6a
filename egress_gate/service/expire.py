"""A request that nobody moves for too long ends, so that the queue says what really waits."""

from __future__ import annotations

from datetime import datetime

from egress_gate.domain.request import Party, Verb, move
from egress_gate.service.errors import no_such
from egress_gate.service.gate import Gate
from egress_gate.store import requests
from egress_gate.store.requests import RequestRow
from ledger.entry import Entry
from store.clock import stamp


def expire(gate: Gate, number: int, at: datetime) -> RequestRow:
    """End it. Raises TransitionRefused for one that moved on meanwhile."""
    with gate.store.transaction(at) as t:
        row = requests.fetch(t, number)
        if row is None:
            raise no_such("request")
        held = requests.set_state(t, row, move(row.state, Verb.EXPIRE, [Party.GATE]), stamp(at))
        subject = {"request": row.name, "project": row.project}
        t.record(Entry("request.expired", "gate", subject, {"revision": row.revision}))
        return held
