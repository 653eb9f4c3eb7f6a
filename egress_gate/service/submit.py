"""Submit, resubmit, withdraw and upload: what an author does. A mechanical mistake comes back at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import insert, select

from egress_gate.domain.decision import Obligations, Outcome, Reason
from egress_gate.domain.item import UPLOADED, Item, checked_items, checked_texts
from egress_gate.domain.request import Party, State, Verb, move, request_name
from egress_gate.domain.review import parties_of
from egress_gate.policy.facts import Person
from egress_gate.service.errors import Conflict, NotAllowed, NotFound, SandboxUnknown
from egress_gate.service.gate import Gate
from egress_gate.service.lanes import lane_of
from egress_gate.service.ports import SourceTable
from egress_gate.service.quotas import Judged, judge
from egress_gate.service.reading import permission_in_project, permission_on, visible
from egress_gate.store import catalogue, requests
from egress_gate.store.catalogue import RunningSandbox
from egress_gate.store.requests import DecisionRow, RequestRow, canonical
from installation.fault import Fault
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp
from store.database import Transaction

ANALYST = frozenset({"analysts"})


class RefusedAtOnce(Fault):
    """Raised to the caller after the attempt was stored and refused, so that they see it at once."""

    code = "refused-at-once"


@dataclass(frozen=True)
class Draft:
    """What an analyst asks to take out, before anything is stored."""

    title: str
    purpose: str
    context: str
    items: tuple[Item, ...]

    def checked(self) -> Draft:
        """Raises ItemRefused for what no reviewer needs to see."""
        checked_texts(self.title, self.purpose, self.context)
        return replace(self, items=tuple(checked_items(list(self.items))))

    def digest(self) -> str:
        """What the ledger remembers of the words, which may themselves be sensitive."""
        content = {
            "title": self.title,
            "purpose": self.purpose,
            "context": self.context,
            "items": [[i.name, i.kind.value, i.sql, i.blob, i.declared] for i in self.items],
        }
        return hashlib.sha256(canonical(content).encode()).hexdigest()


@dataclass(frozen=True)
class Caller:
    """The analyst behind a sandbox's inner door."""

    sandbox: RunningSandbox

    @property
    def person(self) -> Person:
        return Person(self.sandbox.person, ANALYST)


def caller(gate: Gate, sandbox: str) -> Caller:
    """Raises SandboxUnknown for a sandbox that is not running."""
    with gate.store.read() as c:
        found = catalogue.running_sandbox(c, sandbox)
    if found is None:
        raise SandboxUnknown(
            "The gate does not know this sandbox.",
            why="Who is calling is known from the sandbox, and this one is not recorded as running.",
            do="Stop the workbench and start it again.",
        )
    return Caller(found)


def sources_of(gate: Gate, versions: Sequence[str]) -> tuple[SourceTable, ...]:
    with gate.store.read() as c:
        return catalogue.sources(c, versions, gate.datasets)


def submit(
    gate: Gate, who: Caller, draft: Draft, at: datetime, client_key: str | None = None, *, outside: bool = False
) -> RequestRow:
    """Store a request; once this returns it is never lost. The same `client_key` finds the first one again. `outside`: its words were
    written on the desk, not in a sandbox, so that no data can be in them.

    SQL that is merely mistyped raises its Fault and stores nothing. SQL outside the allow-list is stored and refused in
    the same transaction, because an attempt at raw data must be on record.
    """
    draft = draft.checked()
    if client_key is not None and (first := _earlier_submit(gate, who, client_key)) is not None:
        return first
    require_member(gate, who, at)
    require_own_uploads(gate, who.sandbox.id, draft.items)
    refusal = _refusal(gate, draft.items, sources_of(gate, who.sandbox.versions))
    within = _require_quota(gate, who, at)
    now = stamp(at)
    row = RequestRow(
        id=0,
        project=who.sandbox.project,
        author=who.sandbox.person,
        sandbox=who.sandbox.id,
        **_words(draft, who.sandbox.project, who.sandbox.view, outside=outside),
        state=State.SUBMITTED,
        revision=1,
        created_at=now,
        updated_at=now,
        lease_until=None,
        trouble=None,
        risk=0,
    )
    with gate.store.transaction(at) as t:
        if client_key is not None and (first := requests.by_client_key(t, row.author, client_key)) is not None:
            raise Conflict(
                f"This request was already submitted as {first.name}.",
                why="The same submission arrived twice at the same moment.",
                do=f"Look at {first.name}.",
            )
        if not within.still(t, at):
            raise Conflict(
                "The request was not stored.",
                why="Another of your project's was stored at the same moment, and what is left of its quotas changed.",
                do="Submit it again.",
            )
        row = replace(row, id=requests.insert_request(t, row, client_key))
        requests.insert_words(t, row)
        requests.insert_items(t, row.id, 1, draft.items)
        t.record(_entry("request.submitted", row, content=draft.digest(), items=len(draft.items), outside=outside))
        return _refuse_at_once(t, row, refusal, now) if refusal else row


def _words(draft: Draft, project: str, view: str, *, outside: bool) -> dict[str, str]:
    """What the request says of itself. Lists show a title outside at once: under `blind` one that comes from inside is only for whoever
    reads the request."""
    title, purpose, context = (text.strip() for text in (draft.title, draft.purpose, draft.context))
    if view == "blind" and not outside:
        title, context = f"From a workbench of {project}", f"{title}\n\n{context}".strip()
    return {"title": title, "purpose": purpose, "context": context}


def require_accepted(gate: Gate, row: RequestRow) -> None:
    """Raises RefusedAtOnce for a request that its own submit refused; it stays on record under its name."""
    if row.state is not State.REFUSED:
        return
    with gate.store.read() as c:
        decided = requests.decision(c, row.id, row.revision)
    said = decided.reasons[0] if decided else Reason("refused", "It is outside what may be asked for.", "")
    raise RefusedAtOnce(f"Refused, and recorded as {row.name}.", why=said.message, do=said.remedy)


def resubmit(
    gate: Gate, person: Person, number: int, draft: Draft, at: datetime, *, outside: bool = False
) -> RequestRow:
    """A new revision of a returned request; the earlier revision and its reviews stay as they were."""
    draft = draft.checked()
    found = visible(gate, person, number, at)
    permission_on(gate, person, "submit", found, at).require("change this request")
    with gate.store.read() as c:
        versions = catalogue.versions_of_sandbox(c, found.request.sandbox)
        view = catalogue.view_of_sandbox(c, found.request.sandbox)
    if found.request.sandbox is not None:
        require_own_uploads(gate, found.request.sandbox, draft.items)
    refusal = _refusal(gate, draft.items, sources_of(gate, versions))
    now = stamp(at)
    with gate.store.transaction(at) as t:
        row = _current(t, number)
        state = move(row.state, Verb.RESUBMIT, parties_of(person.name, person.groups, row.author))
        words = _words(draft, row.project, view, outside=outside)
        row = requests.set_state(t, row, state, now, revision=row.revision + 1, **words)
        requests.insert_words(t, row)
        requests.insert_items(t, row.id, row.revision, draft.items)
        facts = {"content": draft.digest(), "items": len(draft.items), "outside": outside}
        t.record(_entry("request.resubmitted", row, person.name, **facts))
        return _refuse_at_once(t, row, refusal, now) if refusal else row


def withdraw(gate: Gate, person: Person, number: int, at: datetime) -> RequestRow:
    """Take it back. Withdrawing twice is one withdrawal."""
    found = visible(gate, person, number, at)
    if found.request.state is State.WITHDRAWN and found.request.author == person.name:
        return found.request
    permission_on(gate, person, "withdraw", found, at).require("withdraw this request")
    with gate.store.transaction(at) as t:
        row = _current(t, number)
        state = move(row.state, Verb.WITHDRAW, parties_of(person.name, person.groups, row.author))
        row = requests.set_state(t, row, state, stamp(at))
        t.record(_entry("request.withdrawn", row, person.name))
        return row


def record_upload(gate: Gate, who: Caller, digest: str, size: int, at: datetime) -> None:
    """Remember that this sandbox sent these bytes: a digest alone is no right to name them."""
    with gate.store.read() as c:
        if _uploaded(c, who.sandbox.id, digest):
            return
    with gate.store.transaction(at) as t:
        if _uploaded(t, who.sandbox.id, digest):
            raise Conflict("The file was already uploaded.", why="It arrived twice at once.", do="Use its digest.")
        t.execute(insert(s.upload).values(sandbox=who.sandbox.id, digest=digest, bytes=size, uploaded_at=stamp(at)))
        subject = {"sandbox": who.sandbox.id, "project": who.sandbox.project}
        t.record(Entry("upload.received", who.sandbox.person, subject, {"sha256": digest, "bytes": size}))


def _uploaded(c: object, sandbox: str, digest: str) -> bool:
    query = select(s.upload.c.digest).where(s.upload.c.sandbox == sandbox, s.upload.c.digest == digest)
    return c.execute(query).first() is not None  # type: ignore[attr-defined]


def _earlier_submit(gate: Gate, who: Caller, client_key: str) -> RequestRow | None:
    with gate.store.read() as c:
        return requests.by_client_key(c, who.sandbox.person, client_key)


def require_member(gate: Gate, who: Caller, at: datetime) -> None:
    with gate.store.read() as c:
        project = catalogue.project(c, who.sandbox.project)
    if project is None:
        raise NotFound(
            "The sandbox's project is gone.", why="It is not in the catalogue.", do="Start a new session in a project."
        )
    permission_in_project(gate, who.person, "submit", project, at).require("submit a request")


def _require_quota(gate: Gate, who: Caller, at: datetime) -> Judged:
    """Raises NotAllowed when the project has used up what it may ask for, from this data."""
    found = judge(gate, who.sandbox.project, who.sandbox.versions, "submit", {"requests": 1, "releases": 1}, at)
    found.permission.require("submit another request")
    return found


def require_own_uploads(gate: Gate, sandbox: str, wanted: Sequence[Item]) -> None:
    with gate.store.read() as c:
        foreign = [i.name for i in wanted if i.kind in UPLOADED and not _uploaded(c, sandbox, i.blob or "")]
    if foreign:
        raise NotAllowed(
            f"The file {foreign[0]} was not uploaded from this sandbox.",
            why="A request can only name bytes that its own sandbox sent.",
            do="Upload the file, then submit again.",
        )


def _refusal(gate: Gate, wanted: Sequence[Item], sources: Sequence[SourceTable]) -> Reason | None:
    """The first item's reason, or None. Raises the Fault of a mechanical mistake."""
    for item in wanted:
        reason = lane_of(item.kind).refusal(gate, item, sources)
        if reason is not None:
            return reason
    return None


def _refuse_at_once(t: Transaction, row: RequestRow, reason: Reason, now: str) -> RequestRow:
    """Through the same edges as any check, so that nothing reaches `refused` by another way."""
    state = move(move(row.state, Verb.CHECK, [Party.GATE]), Verb.REFUSE, [Party.GATE])
    nothing = Obligations(approvals=0, stewards_of=(), protect=False)
    made = DecisionRow(0, row.revision, Outcome.REFUSE, (reason,), nothing, "allow-list", "", "", now)
    requests.insert_decision(t, row.id, made)
    row = requests.set_state(t, row, state, now)
    t.record(_entry("request.decided", row, "gate", outcome="refuse", reasons=[reason.code]))
    return row


def _current(t: Transaction, number: int) -> RequestRow:
    row = requests.fetch(t, number)
    if row is None:
        raise NotFound("The request is gone.", why="It is not in the store.", do="Reload the page.")
    return row


def _entry(kind: str, row: RequestRow, actor: str | None = None, **facts: object) -> Entry:
    subject = {"request": request_name(row.id), "project": row.project}
    return Entry(kind, actor or row.author, subject, {"revision": row.revision, "state": row.state.value, **facts})
