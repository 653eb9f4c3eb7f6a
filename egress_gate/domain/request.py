"""A release request's life as one table of data: states, edges, and who may make each.

Pages, verbs, the documentation's diagram and the tests read the same table; no other place knows an edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from installation.fault import Fault


class State(StrEnum):
    SUBMITTED = "submitted"
    CHECKING = "checking"
    REFUSED = "refused"
    IN_REVIEW = "in_review"
    RETURNED = "returned"
    APPROVED = "approved"
    REJECTED = "rejected"
    RELEASING = "releasing"
    RELEASED = "released"
    REVOKED = "revoked"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"

    @property
    def words(self) -> str:
        return self.value.replace("_", " ")


class Party(StrEnum):
    """Who moves a request. A person may be several; `reviewer` never includes the request's author."""

    AUTHOR = "author"
    REVIEWER = "reviewer"
    ADMIN = "admin"
    AUDITOR = "auditor"
    GATE = "gate"


class Verb(StrEnum):
    CHECK = "check"
    REQUEUE = "requeue"
    REFUSE = "refuse"
    REFER = "refer"
    CLEAR = "clear"
    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"
    RESUBMIT = "resubmit"
    WITHDRAW = "withdraw"
    PREPARE = "prepare"
    RELEASE = "release"
    RECHECK = "recheck"
    REVOKE = "revoke"
    EXPIRE = "expire"


@dataclass(frozen=True)
class Edge:
    """One allowed move: from any of `sources` by `verb` to `target`, made by one of `parties`."""

    verb: Verb
    sources: frozenset[State]
    target: State
    parties: frozenset[Party]


def _edge(verb: Verb, sources: Iterable[State], target: State, *parties: Party) -> Edge:
    return Edge(verb, frozenset(sources), target, frozenset(parties))


TRANSITIONS: tuple[Edge, ...] = (
    _edge(Verb.CHECK, [State.SUBMITTED], State.CHECKING, Party.GATE),
    _edge(Verb.REQUEUE, [State.CHECKING], State.SUBMITTED, Party.GATE),
    _edge(Verb.REFUSE, [State.CHECKING], State.REFUSED, Party.GATE),
    _edge(Verb.REFER, [State.CHECKING], State.IN_REVIEW, Party.GATE),
    _edge(Verb.CLEAR, [State.CHECKING], State.APPROVED, Party.GATE),
    _edge(Verb.APPROVE, [State.IN_REVIEW], State.APPROVED, Party.REVIEWER),
    # approved and not yet gone: another reviewer can still object
    _edge(Verb.RETURN, [State.IN_REVIEW, State.APPROVED], State.RETURNED, Party.REVIEWER),
    _edge(Verb.REJECT, [State.IN_REVIEW, State.APPROVED], State.REJECTED, Party.REVIEWER),
    _edge(Verb.RESUBMIT, [State.RETURNED], State.SUBMITTED, Party.AUTHOR),
    _edge(
        Verb.WITHDRAW,
        [State.SUBMITTED, State.CHECKING, State.IN_REVIEW, State.RETURNED, State.APPROVED],
        State.WITHDRAWN,
        Party.AUTHOR,
    ),
    _edge(Verb.PREPARE, [State.APPROVED], State.RELEASING, Party.GATE),
    _edge(Verb.RELEASE, [State.RELEASING], State.RELEASED, Party.GATE),
    # something else left from the same data meanwhile: judge again as a new revision before anything leaves
    _edge(Verb.RECHECK, [State.APPROVED, State.RELEASING], State.SUBMITTED, Party.GATE),
    _edge(Verb.REVOKE, [State.RELEASED], State.REVOKED, Party.REVIEWER, Party.ADMIN),
    _edge(
        Verb.EXPIRE,
        [State.SUBMITTED, State.IN_REVIEW, State.RETURNED, State.APPROVED],
        State.EXPIRED,
        Party.GATE,
    ),
)

FINAL: frozenset[State] = frozenset(State) - {s for edge in TRANSITIONS for s in edge.sources}
OPEN: frozenset[State] = frozenset(State) - FINAL - {State.RELEASED}


class TransitionRefused(Fault):
    """The table has no such edge, or not for this party."""

    code = "transition-refused"


def edge_for(state: State, verb: Verb) -> Edge | None:
    """The edge that `verb` takes out of `state`, or None."""
    return next((e for e in TRANSITIONS if e.verb is verb and state in e.sources), None)


def move(state: State, verb: Verb, parties: Iterable[Party]) -> State:
    """The state after `verb`. Raises TransitionRefused; never returns the same state silently."""
    edge = edge_for(state, verb)
    if edge is None:
        raise TransitionRefused(
            f"The request cannot {_words(verb)} now.",
            why=f"It is {state.words}, and {_from(verb)}.",
            do="Reload the page to see the request as it is now.",
        )
    if not edge.parties & frozenset(parties):
        allowed = " or ".join(sorted(p.value for p in edge.parties))
        raise TransitionRefused(
            f"You cannot {verb.value} this request.",
            why=f"Only the {allowed} may {verb.value} a request; nobody reviews their own.",
            do="Ask somebody who may.",
        )
    return edge.target


def allowed(state: State, parties: Iterable[Party]) -> frozenset[Verb]:
    """The verbs open to somebody who is all of `parties`, as far as the table alone can tell."""
    who = frozenset(parties)
    return frozenset(e.verb for e in TRANSITIONS if state in e.sources and e.parties & who)


def request_name(number: int) -> str:
    """``R-17``, as people and the ledger call request 17."""
    return f"R-{number}"


def request_number(name: str) -> int:
    """The inverse of `request_name`. Raises ValueError for anything else."""
    prefix, dash, digits = name.partition("-")
    if prefix != "R" or not dash or not digits.isascii() or not digits.isdigit() or len(digits) > 12:
        raise ValueError(f"not a request name: {name!r}")
    return int(digits)


def _words(verb: Verb) -> str:
    return {
        Verb.CHECK: "be checked",
        Verb.REQUEUE: "go back to the queue",
        Verb.REFUSE: "be refused",
        Verb.REFER: "be referred to review",
        Verb.CLEAR: "be cleared",
        Verb.APPROVE: "be approved",
        Verb.RETURN: "be returned",
        Verb.REJECT: "be rejected",
        Verb.RESUBMIT: "be resubmitted",
        Verb.WITHDRAW: "be withdrawn",
        Verb.PREPARE: "be prepared for release",
        Verb.RELEASE: "be released",
        Verb.RECHECK: "be checked again",
        Verb.REVOKE: "be revoked",
        Verb.EXPIRE: "expire",
    }[verb]


def _from(verb: Verb) -> str:
    sources = sorted(s.value.replace("_", " ") for e in TRANSITIONS if e.verb is verb for s in e.sources)
    return f"only one that is {' or '.join(sources)} can"


def diagram() -> str:
    """The table as a Mermaid state diagram; the reference page is compared with it."""
    lines = ["stateDiagram-v2", "    [*] --> submitted: submit (author)"]
    for edge in TRANSITIONS:
        parties = ", ".join(sorted(p.value for p in edge.parties))
        lines += [f"    {s.value} --> {edge.target.value}: {edge.verb.value} ({parties})" for s in sorted(edge.sources)]
    lines += [f"    {s.value} --> [*]" for s in sorted(FINAL)]
    return "\n".join(lines) + "\n"
