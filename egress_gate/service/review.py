"""Approve, return, reject. Policy decides who may and when it is enough; Python also never lets an author review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from egress_gate.domain.request import Party, State, Verb, edge_for, move
from egress_gate.domain.review import (
    VERB_OF,
    Review,
    ReviewRefused,
    ReviewVerdict,
    checked_note,
    checked_reason,
    checked_reviewer,
)
from egress_gate.policy.ask import Permission, permission_from
from egress_gate.policy.facts import Person, review_input
from egress_gate.service.cell_outputs import require_approvable
from egress_gate.service.dividing import hold_back, objections, said_of_items
from egress_gate.service.errors import Conflict
from egress_gate.service.gate import Gate
from egress_gate.service.reading import Dossier, visible
from egress_gate.service.reexecution import require_before_approval
from egress_gate.store import catalogue, requests
from egress_gate.store.requests import RequestRow, ReviewRow
from ledger.entry import Entry
from store.clock import stamp
from store.database import Transaction

_ATTEMPTS = 4


class Overtaken(Exception):
    """The request or its reviews changed between asking policy and writing."""


@dataclass(frozen=True)
class Opinion:
    """What a reviewer says: a verdict on the whole, a reason in words, and, if they wish, a verdict for each item.

    Approved with a return or reject of some items: the others may leave without these.
    """

    verdict: ReviewVerdict
    reason: str
    items: Mapping[str, ReviewVerdict] = field(default_factory=dict)
    # by output: its question or reason; None where the whole's reason stands for all
    notes: Mapping[str, str] | None = None
    # by notebook: its outputs that may leave
    cells: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def checked(self, names: set[str]) -> Opinion:
        """Raises ReviewRefused when the parts contradict the whole or name an output that is not there."""
        unknown = sorted(set(self.items) - names)
        if unknown:
            raise ReviewRefused(
                f"There is no output called {unknown[0]} in this revision.",
                why="A verdict names an output of the revision that was reviewed.",
                do="Reload the page and review again.",
            )
        against = sorted(n for n, v in self.items.items() if v is not ReviewVerdict.APPROVE)
        if self.verdict is ReviewVerdict.APPROVE and set(against) == names:
            raise ReviewRefused(
                "The request cannot be approved while none of its outputs is.",
                why="Approved means that something of it may leave, and each output was held back.",
                do="Return or reject the request, or approve one of its outputs.",
            )
        cells = dict(self.cells) if self.verdict is ReviewVerdict.APPROVE else {}
        return Opinion(self.verdict, checked_reason(self.reason), dict(self.items), self._checked_notes(), cells)

    def held(self) -> list[str]:
        """What stays behind when the rest is approved."""
        if self.verdict is not ReviewVerdict.APPROVE:
            return []
        return [name for name, verdict in self.items.items() if verdict is not ReviewVerdict.APPROVE]

    def _checked_notes(self) -> dict[str, str]:
        if self.notes is None:
            return {}
        return {name: checked_note(name, verdict, self.notes.get(name, "")) for name, verdict in self.items.items()}


def review(
    gate: Gate,
    person: Person,
    number: int,
    opinion: Opinion,
    at: datetime,
    revision: int,
    seen: State = State.IN_REVIEW,
) -> RequestRow:
    """Record one reviewer's verdict on `revision`, the one they saw; the request moves when policy says it is enough.

    `seen` is the state they saw: only who saw it approved objects to an approval, so that two people at once have one outcome.

    The same verdict sent twice (a double click, a lost answer) is one review. Two people at once: the second is judged
    again on what the first one left.
    """
    for _ in range(_ATTEMPTS):
        found = visible(gate, person, number, at)
        with gate.store.read() as c:
            earlier = requests.reviews(c, number, found.request.revision)
            names = {i.name for i in requests.items(c, number, found.request.revision)}
        if _repeated(found.request, earlier, person, opinion, revision):
            return found.request
        _require_current(found.request, revision, seen)
        said = opinion.checked(names)
        require_approvable(gate, found.request, said.cells, said.items)
        permission = permission_to_review(gate, person, found, earlier, said.verdict, at, said.held())
        checked_reviewer(person.name, found.request.author, [r.review for r in earlier])
        permission.require(f"{said.verdict.value} this request")
        if said.verdict is ReviewVerdict.APPROVE:
            require_before_approval(gate, person, found, names - set(said.held()), at)
        try:
            return _record(gate, person, found.request, earlier, said, permission, at)
        except Overtaken:
            continue
    raise Conflict(
        "Others are deciding on this request at the same moment.",
        why="Each verdict is judged on what the earlier ones left.",
        do="Reload the page and send yours again.",
    )


def permission_to_review(
    gate: Gate,
    person: Person,
    found: Dossier,
    earlier: tuple[ReviewRow, ...],
    verdict: ReviewVerdict,
    at: datetime,
    held: Iterable[str] = (),
) -> Permission:
    """``release/review``: may they, and would it be enough. `held`: outputs they hold back. Raises PolicyUnavailable."""
    with gate.store.read() as c:
        decided = requests.decision(c, found.request.id, found.request.revision)
        levels = catalogue.classifications(c, found.stewards).values()
    obligations = decided.obligations.facts() if decided else {}
    given = [r.review for r in earlier]
    facts = review_input(
        verdict.value, person, found.facts(), given, obligations, at, classifications=levels, held=held
    )
    return permission_from(gate.engine.query("release/review", facts).result)


def _repeated(row: RequestRow, earlier: tuple[ReviewRow, ...], person: Person, opinion: Opinion, revision: int) -> bool:
    return revision == row.revision and any(
        r.review.reviewer == person.name
        and r.review.verdict is opinion.verdict
        and r.review.reason == opinion.reason.strip()
        for r in earlier
    )


def _require_current(row: RequestRow, revision: int, seen: State) -> None:
    if row.state is State.APPROVED and seen is not State.APPROVED:
        raise Conflict(
            "The request was approved while you were reading.",
            why="Somebody else's verdict came first and was enough.",
            do="Reload the page. Until it leaves, it can still be returned or rejected from there.",
        )
    if revision != row.revision:
        raise Conflict(
            f"Revision {revision} is no longer the current one.",
            why="The author sent a new revision while you were reading, and only what was reviewed may leave.",
            do=f"Review revision {row.revision}.",
        )


def _record(
    gate: Gate,
    person: Person,
    seen: RequestRow,
    earlier: tuple[ReviewRow, ...],
    said: Opinion,
    permission: Permission,
    at: datetime,
) -> RequestRow:
    """Raises Overtaken when something moved since policy was asked; then it must be asked again."""
    now = stamp(at)
    moves = said.verdict is not ReviewVerdict.APPROVE or permission.complete
    with gate.store.transaction(at) as t:
        if not _unchanged(t, seen, earlier):
            raise Overtaken
        move(seen.state, VERB_OF[said.verdict], [Party.REVIEWER])  # refused before anything is written
        made = Review(person.name, said.verdict, said.reason)
        review_id = requests.insert_review(t, seen.id, seen.revision, made, now)
        requests.insert_item_verdicts(t, review_id, {n: v.value for n, v in said.items.items()}, said.notes or {})
        subject = {"request": seen.name, "project": seen.project}
        requests.insert_cell_approvals(t, review_id, said.cells)
        facts: dict[str, Any] = {"revision": seen.revision, "verdict": said.verdict.value, "complete": moves}
        if any(said.cells.values()):
            facts["outputs"] = {name: sorted(found) for name, found in said.cells.items() if found}
        t.record(Entry("review.given", person.name, subject, facts))
        if not moves:
            return seen
        given = requests.reviews(t, seen.id, seen.revision)
        held = objections(said_of_items(t, given)) if said.verdict is ReviewVerdict.APPROVE else {}
        verb = _verb(said.verdict, held, {i.name for i in requests.items(t, seen.id, seen.revision)})
        state = move(seen.state, verb, [Party.REVIEWER])
        row = requests.set_state(t, seen, state, now)
        if state is State.APPROVED and held:
            hold_back(t, row, held, given, at)
        t.record(Entry(f"request.{state.value}", person.name, subject, {"revision": seen.revision}))
        return row


def _verb(verdict: ReviewVerdict, held: Mapping[str, ReviewVerdict], names: set[str]) -> Verb:
    """Approvals that between them leave no output out of dispute approve nothing: the request goes back whole."""
    if verdict is not ReviewVerdict.APPROVE or set(held) != names:
        return VERB_OF[verdict]
    return VERB_OF[ReviewVerdict.RETURN if ReviewVerdict.RETURN in held.values() else ReviewVerdict.REJECT]


def _unchanged(c: Connection | Transaction, seen: RequestRow, earlier: tuple[ReviewRow, ...]) -> bool:
    held = requests.fetch(c, seen.id)
    count = len(requests.reviews(c, seen.id, seen.revision))
    return held is not None and (held.state, held.revision) == (seen.state, seen.revision) and count == len(earlier)


def off_because(row: RequestRow, verdict: ReviewVerdict) -> str | None:
    """Why the button for `verdict` is off as far as the state alone can tell; None when it is on."""
    if edge_for(row.state, VERB_OF[verdict]) is not None:
        return None
    if row.state in (State.SUBMITTED, State.CHECKING):
        return "The gate has not finished its check yet."
    return f"The request is {row.state.words}; only one in review can be decided."
