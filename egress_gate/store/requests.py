"""Requests, their items, checks, decisions and reviews as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, CursorResult, func, insert, select, update

from egress_gate.domain.decision import Obligations, Outcome, Reason, obligations_from, reasons_from
from egress_gate.domain.finding import Finding, finding_from
from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State, request_name, request_number
from egress_gate.domain.review import Review, ReviewVerdict
from store import schema as s
from store.database import Transaction


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def new_id(result: CursorResult[Any]) -> int:
    """The number that the store gave to the row just inserted."""
    key = result.inserted_primary_key
    if key is None:
        raise LookupError("nothing was inserted")
    return int(key[0])


@dataclass(frozen=True)
class RequestRow:
    id: int
    project: str
    author: str
    sandbox: str | None
    title: str
    purpose: str
    context: str
    state: State
    revision: int
    created_at: str
    updated_at: str
    lease_until: str | None
    trouble: Mapping[str, str] | None
    risk: int

    @property
    def name(self) -> str:
        return request_name(self.id)


@dataclass(frozen=True)
class CheckRow:
    item: str
    findings: tuple[Finding, ...]
    assessment: str | None
    protected: str | None
    lineage: tuple[str, ...]
    canonical_sql: str | None
    audited_against: tuple[int, ...]
    checked_at: str
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class DecisionRow:
    id: int
    revision: int
    outcome: Outcome
    reasons: tuple[Reason, ...]
    obligations: Obligations
    engine: str
    policy_digest: str
    input: str
    decided_at: str


@dataclass(frozen=True)
class ReviewRow:
    id: int
    revision: int
    review: Review
    reviewed_at: str


def request_from(row: Any) -> RequestRow:
    return RequestRow(
        id=row.id,
        project=row.project,
        author=row.author,
        sandbox=row.sandbox,
        title=row.title,
        purpose=row.purpose,
        context=row.context,
        state=State(row.state),
        revision=row.revision,
        created_at=row.created_at,
        updated_at=row.updated_at,
        lease_until=row.lease_until,
        trouble=json.loads(row.trouble) if row.trouble else None,
        risk=row.risk,
    )


def fetch(c: Connection | Transaction, number: int) -> RequestRow | None:
    row = c.execute(select(s.release_request).where(s.release_request.c.id == number)).first()
    return request_from(row) if row else None


def by_client_key(c: Connection | Transaction, author: str, key: str) -> RequestRow | None:
    table = s.release_request
    row = c.execute(select(table).where(table.c.author == author, table.c.client_key == key)).first()
    return request_from(row) if row else None


def items(c: Connection | Transaction, number: int, revision: int) -> tuple[Item, ...]:
    table = s.request_item
    query = select(table).where(table.c.request == number, table.c.revision == revision).order_by(table.c.name)
    return tuple(Item(r.name, Kind(r.kind), r.sql, r.blob, json.loads(r.declared)) for r in c.execute(query))


def insert_request(t: Transaction, row: RequestRow, client_key: str | None) -> int:
    """The new request's number."""
    result = t.execute(
        insert(s.release_request).values(
            project=row.project,
            author=row.author,
            sandbox=row.sandbox,
            title=row.title,
            purpose=row.purpose,
            context=row.context,
            state=row.state.value,
            revision=row.revision,
            created_at=row.created_at,
            updated_at=row.updated_at,
            client_key=client_key,
        )
    )
    return new_id(result)


def insert_words(t: Transaction, row: RequestRow) -> None:
    """What its author said of this revision. A revision without words of its own (judged again) keeps the last ones."""
    words = {"title": row.title, "purpose": row.purpose, "context": row.context}
    t.execute(insert(s.request_words).values(request=row.id, revision=row.revision, **words))


def words(c: Connection, number: int, revision: int) -> dict[str, str]:
    """Title, purpose and context as they were in a revision; nothing for one before they were kept."""
    table = s.request_words
    query = (
        select(table)
        .where(table.c.request == number, table.c.revision <= revision)
        .order_by(table.c.revision.desc())
        .limit(1)
    )
    row = c.execute(query).first()
    return {"title": row.title, "purpose": row.purpose, "context": row.context} if row else {}


def insert_items(t: Transaction, number: int, revision: int, wanted: Iterable[Item]) -> None:
    rows = [
        {
            "request": number,
            "revision": revision,
            "name": i.name,
            "kind": i.kind.value,
            "sql": i.sql,
            "blob": i.blob,
            "declared": canonical(i.declared),
        }
        for i in wanted
    ]
    t.execute(insert(s.request_item), rows)


def set_state(t: Transaction, row: RequestRow, state: State, at: str, **more: Any) -> RequestRow:
    """Write the new state and forget what it waited for; `more` are further columns."""
    values: dict[str, Any] = {"state": state.value, "updated_at": at, "trouble": None, "lease_until": None, **more}
    t.execute(update(s.release_request).where(s.release_request.c.id == row.id).values(**values))
    kept = {k: v for k, v in values.items() if k in ("revision", "lease_until", "risk", "title", "purpose", "context")}
    return replace(row, state=state, updated_at=at, trouble=None, **kept)


def checks(c: Connection | Transaction, number: int, revision: int) -> tuple[CheckRow, ...]:
    table = s.item_check
    query = select(table).where(table.c.request == number, table.c.revision == revision).order_by(table.c.item)
    return tuple(
        CheckRow(
            item=r.item,
            findings=tuple(finding_from(f) for f in json.loads(r.findings)),
            assessment=r.assessment,
            protected=r.protected,
            lineage=tuple(json.loads(r.lineage)),
            canonical_sql=r.canonical_sql,
            audited_against=tuple(json.loads(r.audited_against)),
            checked_at=r.checked_at,
            seconds=json.loads(r.seconds),
        )
        for r in c.execute(query)
    )


def insert_check(t: Transaction, number: int, revision: int, check: CheckRow) -> None:
    t.execute(
        insert(s.item_check).values(
            request=number,
            revision=revision,
            item=check.item,
            findings=canonical([f.facts() for f in check.findings]),
            assessment=check.assessment,
            protected=check.protected,
            lineage=canonical(list(check.lineage)),
            canonical_sql=check.canonical_sql,
            audited_against=canonical(list(check.audited_against)),
            checked_at=check.checked_at,
            seconds=canonical(dict(check.seconds)),
        )
    )


def decision_from(row: Any) -> DecisionRow:
    return DecisionRow(
        id=row.id,
        revision=row.revision,
        outcome=Outcome(row.outcome),
        reasons=reasons_from(json.loads(row.reasons)),
        obligations=obligations_from(json.loads(row.obligations)),
        engine=row.engine,
        policy_digest=row.policy_digest,
        input=row.input,
        decided_at=row.decided_at,
    )


def decision(c: Connection | Transaction, number: int, revision: int) -> DecisionRow | None:
    """The latest decision on this revision."""
    table = s.decision
    query = (
        select(table)
        .where(table.c.request == number, table.c.revision == revision)
        .order_by(table.c.id.desc())
        .limit(1)
    )
    row = c.execute(query).first()
    return decision_from(row) if row else None


def insert_decision(t: Transaction, number: int, made: DecisionRow) -> None:
    t.execute(
        insert(s.decision).values(
            request=number,
            revision=made.revision,
            outcome=made.outcome.value,
            reasons=canonical([r.facts() for r in made.reasons]),
            obligations=canonical(made.obligations.facts()),
            engine=made.engine,
            policy_digest=made.policy_digest,
            input=made.input,
            decided_at=made.decided_at,
        )
    )


def reviews(c: Connection | Transaction, number: int, revision: int | None = None) -> tuple[ReviewRow, ...]:
    """Reviews of one revision, or of all, oldest first."""
    table = s.review
    query = select(table).where(table.c.request == number).order_by(table.c.id)
    if revision is not None:
        query = query.where(table.c.revision == revision)
    return tuple(
        ReviewRow(r.id, r.revision, Review(r.reviewer, ReviewVerdict(r.verdict), r.reason), r.reviewed_at)
        for r in c.execute(query)
    )


def insert_review(t: Transaction, number: int, revision: int, made: Review, at: str) -> int:
    result = t.execute(
        insert(s.review).values(
            request=number,
            revision=revision,
            reviewer=made.reviewer,
            verdict=made.verdict.value,
            reason=made.reason,
            reviewed_at=at,
        )
    )
    return new_id(result)


def insert_item_verdicts(t: Transaction, review: int, verdicts: Mapping[str, str], notes: Mapping[str, str]) -> None:
    rows = [
        {"review": review, "item": item, "verdict": verdict, "reason": notes.get(item, "")}
        for item, verdict in sorted(verdicts.items())
    ]
    if rows:
        t.execute(insert(s.item_review), rows)


def insert_cell_approvals(t: Transaction, review: int, approved: Mapping[str, Iterable[str]]) -> None:
    rows = [
        {"review": review, "item": item, "output": o} for item, found in sorted(approved.items()) for o in sorted(found)
    ]
    if rows:
        t.execute(insert(s.cell_review), rows)


def cell_approvals(c: Connection | Transaction, review_ids: Iterable[int]) -> dict[int, dict[str, frozenset[str]]]:
    """By review and notebook: the outputs that it approves."""
    table = s.cell_review
    found: dict[int, dict[str, set[str]]] = {}
    for row in c.execute(select(table).where(table.c.review.in_(sorted(set(review_ids))))):
        found.setdefault(row.review, {}).setdefault(row.item, set()).add(row.output)
    return {r: {item: frozenset(o) for item, o in items.items()} for r, items in found.items()}


@dataclass(frozen=True)
class ItemSaid:
    """What a review says of one output."""

    verdict: str
    reason: str


@dataclass(frozen=True)
class HeldOutput:
    """An output that did not leave with its request, and the request in which it goes on."""

    item: str
    verdict: ReviewVerdict
    goes_on_as: str

    def facts(self) -> dict[str, str]:
        return {"item": self.item, "verdict": self.verdict.value, "goes_on_as": self.goes_on_as}


def insert_held(t: Transaction, row: RequestRow, held: Iterable[HeldOutput]) -> None:
    rows = [
        {
            "request": row.id,
            "revision": row.revision,
            "item": h.item,
            "verdict": h.verdict.value,
            "goes_on_as": request_number(h.goes_on_as),
        }
        for h in held
    ]
    t.execute(insert(s.held_output), rows)


def held(c: Connection | Transaction, number: int, revision: int | None = None) -> tuple[HeldOutput, ...]:
    """Outputs of a request, or of one revision of it, that others than the author held back."""
    table = s.held_output
    query = select(table).where(table.c.request == number).order_by(table.c.revision, table.c.item)
    if revision is not None:
        query = query.where(table.c.revision == revision)
    return tuple(HeldOutput(r.item, ReviewVerdict(r.verdict), request_name(r.goes_on_as)) for r in c.execute(query))


def divided_from(c: Connection | Transaction, number: int) -> str | None:
    """The name of the request that this one's outputs were held back from, if there is one."""
    table = s.held_output
    row = c.execute(select(table.c.request).where(table.c.goes_on_as == number).limit(1)).first()
    return request_name(row.request) if row else None


def item_verdicts(c: Connection | Transaction, review_ids: Iterable[int]) -> dict[int, dict[str, ItemSaid]]:
    found: dict[int, dict[str, ItemSaid]] = {}
    query = select(s.item_review).where(s.item_review.c.review.in_(sorted(set(review_ids))))
    for row in c.execute(query):
        found.setdefault(row.review, {})[row.item] = ItemSaid(row.verdict, row.reason)
    return found


def waiting(c: Connection, now: str, limit: int) -> tuple[RequestRow, ...]:
    """What the worker should take up, oldest first: submitted, approved, or left by a worker that died.

    What a project's freeze stops is not offered, so that it cannot crowd out the rest; policy says no to it besides.
    """
    table = s.release_request
    free = (table.c.lease_until.is_(None)) | (table.c.lease_until <= now)
    free &= table.c.project.in_(select(s.project.c.name).where(s.project.c.state == "active"))
    query = (
        select(table)
        .where(table.c.state.in_([State.SUBMITTED, State.CHECKING, State.APPROVED, State.RELEASING]), free)
        .order_by(table.c.updated_at, table.c.id)
        .limit(limit)
    )
    return tuple(request_from(r) for r in c.execute(query))


def count_by_state(c: Connection) -> dict[State, int]:
    table = s.release_request
    query = select(table.c.state, func.count()).group_by(table.c.state)
    return {State(state): n for state, n in c.execute(query)}
