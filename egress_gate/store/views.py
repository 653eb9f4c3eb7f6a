"""Lists for pages: what a person may see of the queue, of their own requests, of releases, of the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true

from egress_gate.domain.request import State
from egress_gate.policy.facts import Person
from egress_gate.store.paging import PAGE, Paged, paged
from egress_gate.store.requests import RequestRow, request_from
from store import schema as s

WORKING = (State.SUBMITTED, State.CHECKING, State.APPROVED, State.RELEASING)
HIGH, MEDIUM = 60, 30


@dataclass(frozen=True)
class Page:
    """One page of requests and how many there are in all."""

    rows: tuple[RequestRow, ...]
    total: int
    number: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // PAGE))


def scope(person: Person) -> ColumnElement[bool]:
    """Which requests a list may name to this person; the page of each is asked of policy besides.

    Auditors: all. Stewards: projects that hold a grant on data they (or who lent them their vote) look
    after. Everybody: their own.
    """
    table = s.release_request
    own = table.c.author == person.name
    if "auditors" in person.groups:
        return true()
    if "stewards" not in person.groups:
        return own
    held = select(s.dataset_steward.c.dataset).where(s.dataset_steward.c.person == person.name)
    lent = select(s.delegation.c.dataset).where(
        s.delegation.c.delegate == person.name, s.delegation.c.ended_at.is_(None)
    )
    granted = (
        select(s.grant.c.project)
        .join(s.dataset_version, s.dataset_version.c.id == s.grant.c.version)
        .where(s.dataset_version.c.dataset.in_(held.union(lent)))
    )
    return or_(own, table.c.project.in_(granted))


def _band() -> ColumnElement[int]:
    """Risk in three bands, so that within a band the oldest comes first."""
    from sqlalchemy import case

    risk = s.release_request.c.risk
    return case((risk >= HIGH, 2), (risk >= MEDIUM, 1), else_=0)


def queue(c: Connection, person: Person, state: State | None = State.IN_REVIEW, number: int = 1) -> Page:
    """Requests in `state` that are not the person's own: riskiest band first, then oldest."""
    table = s.release_request
    wanted = and_(scope(person), table.c.state == (state or State.IN_REVIEW).value, table.c.author != person.name)
    return _page(
        c, select(table).where(wanted).order_by(_band().desc(), table.c.updated_at, table.c.id), wanted, number
    )


def next_in_queue(c: Connection, person: Person, after: int) -> RequestRow | None:
    """The first request of the queue that is not `after` and that this person has not reviewed."""
    table, spoken = s.release_request, s.review
    seen = (
        select(spoken.c.id)
        .where(spoken.c.request == table.c.id, spoken.c.revision == table.c.revision, spoken.c.reviewer == person.name)
        .exists()
    )
    wanted = and_(
        scope(person),
        table.c.state == State.IN_REVIEW.value,
        table.c.author != person.name,
        table.c.id != after,
        ~seen,
    )
    row = c.execute(
        select(table).where(wanted).order_by(_band().desc(), table.c.updated_at, table.c.id).limit(1)
    ).first()
    return request_from(row) if row else None


def own(c: Connection, person: Person, state: State | None = None, number: int = 1) -> Page:
    table = s.release_request
    wanted = table.c.author == person.name
    if state is not None:
        wanted = and_(wanted, table.c.state == state.value)
    return _page(c, select(table).where(wanted).order_by(table.c.id.desc()), wanted, number)


def everything(c: Connection, person: Person, state: State | None = None, number: int = 1) -> Page:
    table = s.release_request
    wanted = scope(person)
    if state is not None:
        wanted = and_(wanted, table.c.state == state.value)
    return _page(c, select(table).where(wanted).order_by(table.c.id.desc()), wanted, number)


def _page(c: Connection, query: Select[Any], wanted: ColumnElement[bool], number: int) -> Page:
    number = max(1, min(number, 100_000))
    total = c.execute(select(func.count()).select_from(s.release_request).where(wanted)).scalar_one()
    rows = c.execute(query.limit(PAGE).offset((number - 1) * PAGE))
    return Page(tuple(request_from(r) for r in rows), int(total), number)


def counts(c: Connection, person: Person) -> dict[State, int]:
    table = s.release_request
    query = select(table.c.state, func.count()).where(scope(person)).group_by(table.c.state)
    return {State(state): n for state, n in c.execute(query)}


@dataclass(frozen=True)
class Event:
    """One ledger entry, as a history line shows it."""

    seq: int
    kind: str
    actor: str
    time: str
    subject: Mapping[str, str]
    facts: Mapping[str, Any]


def event_from(row: Any) -> Event:
    body = json.loads(bytes(row.body))
    return Event(row.seq, row.kind, row.actor, row.time, dict(body["subject"]), dict(body["facts"]))


def history(c: Connection, noun: str, name: str, limit: int = 500) -> tuple[Event, ...]:
    """Everything the ledger holds about one noun, oldest first."""
    entry, subject = s.ledger_entry, s.ledger_subject
    query = (
        select(entry)
        .join(subject, subject.c.seq == entry.c.seq)
        .where(subject.c.noun == noun, subject.c.name == name)
        .order_by(entry.c.seq.desc())
        .limit(limit)
    )
    return tuple(reversed([event_from(r) for r in c.execute(query)]))


def ledger_page(c: Connection, before: int | None, limit: int) -> tuple[Event, ...]:
    """Entries, newest first, from just before `before`."""
    entry = s.ledger_entry
    query = select(entry).order_by(entry.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(entry.c.seq < before)
    return tuple(event_from(r) for r in c.execute(query))


@dataclass(frozen=True)
class ReleaseLine:
    """A release with its request, for lists."""

    id: int
    request: RequestRow
    bundle: str
    released_at: str
    revoked_at: str | None
    revoked_by: str | None
    revoke_reason: str | None
    downloads: int


def release_lines(c: Connection, person: Person, number: int = 1, size: int = PAGE) -> Paged:
    """A page of the releases that this person sees, newest first."""
    table, request = s.release, s.release_request
    query = (
        select(
            request,
            table.c.id.label("release_id"),
            table.c.bundle,
            table.c.released_at,
            table.c.revoked_at,
            table.c.revoked_by,
            table.c.revoke_reason,
        )
        .join(request, request.c.id == table.c.request)
        .where(scope(person))
        .order_by(table.c.id.desc())
    )
    found = paged(c, query, number, size=size)
    taken = _downloads(c, [r.release_id for r in found.rows])
    lines = (
        ReleaseLine(
            r.release_id,
            request_from(r),
            r.bundle,
            r.released_at,
            r.revoked_at,
            r.revoked_by,
            r.revoke_reason,
            taken.get(r.release_id, 0),
        )
        for r in found.rows
    )
    return replace(found, rows=tuple(lines))


def _downloads(c: Connection, releases: Sequence[int]) -> dict[int, int]:
    """How often each was downloaded."""
    table = s.download
    query = select(table.c.release, func.count()).where(table.c.release.in_(releases)).group_by(table.c.release)
    return {int(release): int(n) for release, n in c.execute(query)}
