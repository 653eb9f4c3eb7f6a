"""Words that a sandbox sent and no steward has looked at: they are not shown outside to whoever could have put data into them.

A request carries a purpose, a context, SQL and names, thousands of characters that its author writes beside the data. On the desk, in a
browser outside, they would be a way out that nobody decides on. What was typed on the desk was never inside.
"""

from __future__ import annotations

from collections.abc import Sequence

from egress_gate.domain.request import State
from egress_gate.store.requests import RequestRow, ReviewRow
from egress_gate.store.views import Event

_LOOKED_AT = frozenset({State.RETURNED, State.REJECTED, State.APPROVED, State.RELEASING, State.RELEASED, State.REVOKED})
_SENT = frozenset({"request.submitted", "request.resubmitted"})


def unseen(row: RequestRow, reviews: Sequence[ReviewRow], events: Sequence[Event]) -> bool:
    """Whether this revision's words came from inside, or it is not known, and nobody who may decide has spoken on them."""
    if row.state in _LOOKED_AT or any(r.revision == row.revision for r in reviews):
        return False
    sent = [e for e in events if e.kind in _SENT and e.facts.get("revision") == row.revision]
    return not any(e.facts.get("outside") is True for e in sent)
