"""What an author may know of their own requests: states, rules, reasons and what to do; no figure of any cell."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from egress_gate.domain.finding import for_author
from egress_gate.domain.request import Party, State, allowed
from egress_gate.service.gate import Gate
from egress_gate.service.submit import Caller
from egress_gate.store import catalogue, messages, releases, requests
from egress_gate.store.requests import RequestRow, request_from
from store import schema as s

NEXT = {
    State.SUBMITTED: "Nothing to do: the gate takes it up in a moment.",
    State.CHECKING: "Nothing to do: the gate is recomputing it.",
    State.REFUSED: "Read the reasons, change the output and submit a new request.",
    State.IN_REVIEW: "Nothing to do: a steward decides. You will see the answer here.",
    State.RETURNED: "Answer the question or change the output, then resubmit.",
    State.APPROVED: "Nothing to do: the gate is writing the files.",
    State.REJECTED: "Read the reason. Ask the steward what could leave instead.",
    State.RELEASING: "Nothing to do: the gate is writing the files.",
    State.RELEASED: "Download it from the desk.",
    State.REVOKED: "Destroy the copies you hold and talk to the steward.",
    State.WITHDRAWN: "You took it back. Submit a new request when you are ready.",
    State.EXPIRED: "It waited too long. Submit it again.",
}


def session_view(gate: Gate, who: Caller) -> dict[str, Any]:
    with gate.store.read() as c:
        project = catalogue.project(c, who.sandbox.project)
    return {
        "person": who.sandbox.person,
        "project": who.sandbox.project,
        "title": project.title if project else who.sandbox.project,
        "purpose": project.purpose if project else "",
        "view": who.sandbox.view,
        "versions": list(who.sandbox.versions),
    }


def tables_view(gate: Gate, who: Caller) -> dict[str, Any]:
    """The tables of this sandbox, with the paths under which it sees them."""
    with gate.store.read() as c:
        found = catalogue.sources(c, who.sandbox.versions, gate.datasets)
        works_on = catalogue.works_on(c, who.sandbox.id)
    return {
        "works_on": works_on,
        "tables": [
            {
                "dataset": t.dataset,
                "version": t.version,
                "table": t.name,
                "path": f"/data/{t.dataset}/{t.path.name}",
                "rows": t.rows,
                "columns": [dict(c) for c in t.columns],
                "unit": t.unit,
            }
            for t in found
        ],
    }


def request_summary(gate: Gate, who: Caller) -> list[dict[str, Any]]:
    table = s.release_request
    query = (
        select(table)
        .where(table.c.author == who.sandbox.person, table.c.project == who.sandbox.project)
        .order_by(table.c.id.desc())
        .limit(200)
    )
    with gate.store.read() as c:
        return [_summary(request_from(row)) for row in c.execute(query)]


def _summary(row: RequestRow) -> dict[str, Any]:
    return {
        "id": row.name,
        "title": row.title,
        "state": row.state.value,
        "revision": row.revision,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "waiting_because": dict(row.trouble) if row.trouble else None,
        "do": NEXT[row.state],
    }


def request_view(gate: Gate, who: Caller, number: int, at: datetime) -> dict[str, Any]:
    """One request in its author's voice. The caller has checked that it is theirs."""
    with gate.store.read() as c:
        row = requests.fetch(c, number)
        if row is None:
            raise LookupError(number)
        items = requests.items(c, number, row.revision)
        checks = {k.item: k for k in requests.checks(c, number, row.revision)}
        decision = requests.decision(c, number, row.revision)
        reviews = requests.reviews(c, number)
        of_items = requests.item_verdicts(c, [r.id for r in reviews])
        held = requests.held(c, number, row.revision)
        divided_from = requests.divided_from(c, number)
        release = releases.of_request(c, number)
        said = messages.to_author(c, number)
    shown = row.state not in (State.IN_REVIEW, State.SUBMITTED, State.CHECKING)
    return {
        **_summary(row),
        "project": row.project,
        "author": row.author,
        "purpose": row.purpose,
        "context": row.context,
        "items": [
            {
                "name": i.name,
                "kind": i.kind.value,
                "sql": i.sql,
                "canonical_sql": checks[i.name].canonical_sql if i.name in checks else None,
                "findings": [f.public() for f in for_author(checks[i.name].findings)] if i.name in checks else [],
            }
            for i in items
        ],
        "outcome": decision.outcome.value if decision else None,
        "reasons": [r.facts() for r in decision.reasons] if decision else [],
        "reviews": [
            {
                "revision": r.revision,
                "verdict": r.review.verdict.value,
                "reason": r.review.reason,
                "at": r.reviewed_at,
                "items": {
                    name: {"verdict": said.verdict, "reason": said.reason}
                    for name, said in of_items.get(r.id, {}).items()
                },
            }
            for r in reviews
            if shown or r.revision < row.revision
        ],
        "held_back": [h.facts() for h in held],
        "divided_from": divided_from,
        "messages": [{"from": m.author, "text": m.body, "at": m.sent_at} for m in said],
        "release": None
        if release is None
        else {"id": release.id, "released_at": release.released_at, "revoked": release.revoked_at is not None},
        "may": sorted(v.value for v in allowed(row.state, [Party.AUTHOR])),
    }
