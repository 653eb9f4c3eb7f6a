"""Who is told of a ledger entry, and with which word. What is not in the table is told to nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import Connection, select

from egress_gate.domain.request import request_number
from egress_gate.service.reading import lineage_versions
from egress_gate.store import catalogue, requests
from egress_gate.store.requests import RequestRow
from egress_gate.store.views import Event
from store import schema as s

Told = Mapping[str, Iterable[str]]  # a word → the people it is said to


def told(c: Connection, event: Event) -> dict[str, str]:
    """Person → word, without whoever did it."""
    rule = _RULES.get(event.kind)
    found: dict[str, str] = {}
    for word, people in (rule(c, event) if rule else {}).items():
        for person in people:
            if person != event.actor:
                found.setdefault(person, word)
    return found


def _decided(c: Connection, event: Event) -> Told:
    row = _request(c, event)
    if row is None:
        return {}
    if event.facts.get("outcome") == "review":
        return {"review_wanted": _stewards(c, row, event.time) - {row.author}}
    return {"refused": {row.author}} if event.facts.get("outcome") == "refuse" else {}


def _to_author(word: str) -> Callable[[Connection, Event], Told]:
    def rule(c: Connection, event: Event) -> Told:
        row = _request(c, event)
        return {word: {row.author}} if row else {}

    return rule


def _said(c: Connection, event: Event) -> Told:
    """The author to the data's stewards and back; a private note to the other stewards only."""
    row = _request(c, event)
    if row is None:
        return {}
    stewards = _stewards(c, row, event.time) - {row.author}
    if event.facts.get("audience") == "reviewers" or event.actor == row.author:
        return {"message": stewards}
    return {"message": {row.author}}


def _revoked(c: Connection, event: Event) -> Told:
    """Everybody who holds a copy, and the author."""
    taken = select(s.download.c.person).where(s.download.c.release == int(event.subject["release"]))
    row = _request(c, event)
    return {"revoked": {*c.execute(taken).scalars(), *({row.author} if row else ())}}


def _to_members(word: str) -> Callable[[Connection, Event], Told]:
    def rule(c: Connection, event: Event) -> Told:
        return {word: catalogue.members(c, event.subject["project"])}

    return rule


def _to_named(word: str, noun: str = "person") -> Callable[[Connection, Event], Told]:
    def rule(_: Connection, event: Event) -> Told:
        name = event.subject.get(noun) or event.facts.get(noun)
        return {word: {name}} if isinstance(name, str) else {}

    return rule


_RULES: Mapping[str, Callable[[Connection, Event], Told]] = {
    "request.decided": _decided,
    "request.returned": _to_author("returned"),
    "request.rejected": _to_author("rejected"),
    "request.approved": _to_author("approved"),
    "request.released": _to_author("released"),
    "request.expired": _to_author("expired"),
    "message.sent": _said,
    "release.revoked": _revoked,
    "project.frozen": _to_members("project_frozen"),
    "project.thawed": _to_members("project_thawed"),
    "project.closed": _to_members("project_closed"),
    "grant.given": _to_members("grant_given"),
    "grant.revoked": _to_members("grant_revoked"),
    "member.added": _to_named("member_added"),
    "sandbox.stop_asked": _to_named("sandbox_stopped"),
    "delegation.given": _to_named("vote_lent", "delegate"),
    "delegation.ended": _to_named("vote_taken_back", "delegate"),
}
KINDS = tuple(_RULES)


def _request(c: Connection, event: Event) -> RequestRow | None:
    return requests.fetch(c, request_number(event.subject["request"]))


def _stewards(c: Connection, row: RequestRow, at: str) -> set[str]:
    datasets = catalogue.datasets_of_versions(c, lineage_versions(c, row)).values()
    return {name for people in catalogue.effective_stewards(c, datasets, at).values() for name in people}
