"""What a machine can already tell of a request before it is sent: policy's stops, the faults of its SQL, and the whole check rehearsed.

Nothing is stored but that it was asked (`previewed`), and no figure comes back: marks of what would be protected, names of
rules, policy's reasons.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from egress_gate.domain.decision import Outcome, Reason
from egress_gate.domain.item import Item, ItemRefused, checked_item, checked_items
from egress_gate.domain.request import State
from egress_gate.policy.ask import stops_from
from egress_gate.policy.facts import form_input
from egress_gate.render.preview import author_preview
from egress_gate.service.aside import Aside
from egress_gate.service.check import rehearse
from egress_gate.service.errors import RecomputerAway, TooMany
from egress_gate.service.gate import Gate
from egress_gate.service.lanes import Checked, lane_of
from egress_gate.service.previewed import record_preview
from egress_gate.service.submit import Draft, sources_of
from egress_gate.store.catalogue import RunningSandbox
from egress_gate.store.requests import RequestRow
from installation.fault import Fault
from policy_engine import PolicyUnavailable
from store.clock import stamp

PATIENCE = 60.0
_turns = threading.BoundedSemaphore(2)  # each rehearsal starts a sealed verifier


@dataclass(frozen=True)
class Stop:
    """Why the form is not sent. `where` is a field (title, purpose, context), an output's name, or nothing for the whole."""

    where: str
    what: str
    do: str


@dataclass(frozen=True)
class Sight:
    """What would be protected in one output, without any figure."""

    name: str
    findings: tuple[Mapping[str, Any], ...]
    preview: Mapping[str, Any] | None


@dataclass(frozen=True)
class Preflight:
    """`away`: the rehearsal could not be done now; the check after sending will."""

    stops: tuple[Stop, ...]
    outputs: tuple[Sight, ...] = ()
    reasons: tuple[Reason, ...] = ()
    outcome: Outcome | None = None
    away: str = ""

    @property
    def ready(self) -> bool:
        return not self.stops

    def at(self, where: str) -> tuple[Stop, ...]:
        return tuple(s for s in self.stops if s.where == where)

    def of(self, name: str) -> Sight | None:
        return next((s for s in self.outputs if s.name == name), None)


def preflight(
    gate: Gate,
    sandbox: RunningSandbox,
    draft: Draft,
    at: datetime,
    revision: int = 1,
    judged: Sequence[Item] | None = None,
) -> Preflight:
    """Recorded. `judged`: the outputs that are compared with the data, where not all are.

    Raises PolicyUnavailable: without policy nobody can tell, and nothing is sent. Raises TooMany when many ask at once."""
    seen = _seen(gate, sandbox, draft, at, revision, draft.items if judged is None else tuple(judged))
    outcome = "stopped" if seen.stops else "away" if seen.outcome is None else seen.outcome.value
    record_preview(gate, sandbox, draft.digest(), len(draft.items), outcome, at)
    return seen


def _seen(
    gate: Gate, sandbox: RunningSandbox, draft: Draft, at: datetime, revision: int, judged: tuple[Item, ...]
) -> Preflight:
    stops = (*_stopped_by_policy(gate, draft), *_mistakes(gate, sandbox, draft.items))
    if stops:
        return Preflight(stops)
    if not judged:
        return Preflight((), away="Files are compared with the data after they were sent.")
    with _turn():
        return _rehearsed(gate, sandbox, replace(draft, items=judged), at, revision)


class _turn:
    """One of the few rehearsals at a time."""

    def __enter__(self) -> None:
        if not _turns.acquire(timeout=PATIENCE):
            raise TooMany("The check was not rehearsed.", why="Many are asking.", do="Try again in a minute.")

    def __exit__(self, *_: object) -> None:
        _turns.release()


def _stopped_by_policy(gate: Gate, draft: Draft) -> tuple[Stop, ...]:
    if not draft.items:
        return (Stop("", "The request has no outputs.", "Add an output."),)
    texts = {"title": draft.title, "purpose": draft.purpose, "context": draft.context}
    items = [{"name": i.name, "kind": i.kind.value, "counted": counted(i.sql)} for i in draft.items]
    answer = gate.engine.query("release/form", form_input(texts, items))
    return tuple(Stop(where, reason.message, reason.remedy) for where, reason in stops_from(answer.result))


def _mistakes(gate: Gate, sandbox: RunningSandbox, items: Sequence[Item]) -> tuple[Stop, ...]:
    """What each lane refuses at once, each output by itself, so that all of them are told together."""
    sources = sources_of(gate, sandbox.versions)
    found: list[Stop] = []
    for item in items:
        try:
            reason = lane_of(item.kind).refusal(gate, checked_item(item), sources)
        except Fault as fault:
            found.append(Stop(item.name, f"{fault.what} {fault.why}", fault.do))
        else:
            found += [Stop(item.name, reason.message, reason.remedy)] if reason else []
    try:
        checked_items(list(items))
    except ItemRefused as fault:
        found += [] if found else [Stop("", f"{fault.what} {fault.why}", fault.do)]
    return tuple(found)


def _rehearsed(gate: Gate, sandbox: RunningSandbox, draft: Draft, at: datetime, revision: int) -> Preflight:
    aside = replace(gate, blobs=Aside(gate.blobs))
    try:
        checked, verdict = rehearse(aside, _row(sandbox, draft, at, revision), draft.items, at)
    except RecomputerAway as away:
        return Preflight((), away=away.what)
    except PolicyUnavailable:
        raise
    except Fault as fault:
        return Preflight((Stop("", f"{fault.what} {fault.why}", fault.do),))
    refused = verdict.outcome is Outcome.REFUSE
    stops = tuple(Stop("", r.message, r.remedy) for r in verdict.reasons) if refused else ()
    return Preflight(stops, tuple(_sight(k) for k in checked), verdict.reasons, verdict.outcome)


def _sight(one: Checked) -> Sight:
    seen = None if one.assessment is None else author_preview(one.assessment)
    return Sight(one.row.item, tuple(f.public() for f in one.row.findings), seen)


def _row(sandbox: RunningSandbox, draft: Draft, at: datetime, revision: int) -> RequestRow:
    """The request as it would be stored, without a number."""
    now = stamp(at)
    return RequestRow(
        id=0,
        project=sandbox.project,
        author=sandbox.person,
        sandbox=sandbox.id,
        title=draft.title,
        purpose=draft.purpose,
        context=draft.context,
        state=State.SUBMITTED,
        revision=revision,
        created_at=now,
        updated_at=now,
        lease_until=None,
        trouble=None,
        risk=0,
    )


def counted(sql: str | None) -> bool:
    """Whether the columns that leave include a count. False for what cannot be read."""
    try:
        tree = sqlglot.parse_one(sql or "", dialect="duckdb")
    except SqlglotError:
        return False
    return isinstance(tree, exp.Select) and any(e.find(exp.Count) for e in tree.expressions)
