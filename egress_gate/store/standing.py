"""What a request in review still waits for, for many requests at once: approvals, stewards, and whether anybody is left to give them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from egress_gate.domain.decision import Obligations, obligations_from
from egress_gate.domain.request import State
from egress_gate.policy.facts import Person
from egress_gate.store import catalogue, views
from egress_gate.store.requests import RequestRow, request_from
from store import schema as s


@dataclass(frozen=True)
class Standing:
    """`spoken`: this person has reviewed the revision; only then `given` and `missing` say how the others' reviews stand.

    `nobody`: datasets whose stewards are all author or member, so that nobody may approve for them. `short`: fewer people may
    approve than must.
    """

    needed: int
    spoken: bool
    given: int
    missing: tuple[str, ...]
    nobody: tuple[str, ...]
    short: bool

    @property
    def stuck(self) -> bool:
        return bool(self.nobody) or self.short


def standings(c: Connection, person: Person, rows: Sequence[RequestRow], at: str) -> dict[int, Standing]:
    """By request number; those that are not in review, or without a decision, have none."""
    waiting = [r for r in rows if r.state is State.IN_REVIEW]
    obligations = _obligations(c, waiting)
    approved = _reviews(c, waiting)
    stewards = catalogue.effective_stewards(c, {d for o in obligations.values() for d in o.stewards_of}, at)
    members = catalogue.members_by_project(c)
    found = {}
    for row in waiting:
        asked = obligations.get(row.id)
        if asked is None:
            continue
        given = approved.get(row.id, {})
        barred = {row.author, *members.get(row.project, ())}
        able = {d: set(stewards.get(d, ())) - barred for d in asked.stewards_of}
        spoken = person.name in given
        approvers = {name for name, verdict in given.items() if verdict == "approve"} if spoken else set()
        found[row.id] = Standing(
            needed=asked.approvals,
            spoken=spoken,
            given=len(approvers),
            missing=tuple(d for d in asked.stewards_of if not able[d] & approvers),
            nobody=tuple(d for d in asked.stewards_of if not able[d]),
            short=len(set().union(*able.values())) < asked.approvals,
        )
    return found


def _obligations(c: Connection, rows: Iterable[RequestRow]) -> dict[int, Obligations]:
    table = s.decision
    current = {r.id: r.revision for r in rows}
    latest = select(func.max(table.c.id)).where(table.c.request.in_(current)).group_by(table.c.request)
    query = select(table.c.request, table.c.revision, table.c.obligations).where(table.c.id.in_(latest))
    return {
        r.request: obligations_from(json.loads(r.obligations))
        for r in c.execute(query)
        if current[r.request] == r.revision
    }


def _reviews(c: Connection, rows: Iterable[RequestRow]) -> dict[int, dict[str, str]]:
    table = s.review
    current = {r.id: r.revision for r in rows}
    found: dict[int, dict[str, str]] = {}
    for r in c.execute(select(table).where(table.c.request.in_(current))):
        if current[r.request] == r.revision:
            found.setdefault(r.request, {})[r.reviewer] = r.verdict
    return found


def delayed(c: Connection, person: Person, limit: int = 10) -> tuple[RequestRow, ...]:
    """Requests that wait at the gate with a reason, oldest first."""
    table = s.release_request
    wanted = views.scope(person) & table.c.state.in_(views.WORKING) & table.c.trouble.is_not(None)
    return tuple(
        request_from(r) for r in c.execute(select(table).where(wanted).order_by(table.c.updated_at).limit(limit))
    )
