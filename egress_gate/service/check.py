"""The worker's verb: take up a submitted request, establish facts, ask policy, write both down in one transaction.

Nothing here releases on error. A verifier or an engine that is away sends the request back to `submitted` with a plain
reason; a worker that died is found by its lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from egress_gate.domain.decision import VERB_FOR, Verdict, verdict_from
from egress_gate.domain.finding import Severity, for_author
from egress_gate.domain.item import TABULAR, Item, Kind
from egress_gate.domain.protection import Method, chosen_protection
from egress_gate.domain.request import Party, State, Verb, move
from egress_gate.policy.facts import decision_input, parameters_input
from egress_gate.service.errors import RecomputerAway
from egress_gate.service.gate import Gate
from egress_gate.service.lanes import Checked, LaneContext, lane_of
from egress_gate.service.ports import Assessment, EarlierTable, Question, SourceTable, sealed
from egress_gate.service.risk import risk_of
from egress_gate.store import catalogue, releases, requests
from egress_gate.store.requests import DecisionRow, RequestRow, canonical
from installation.fault import Fault
from ledger.entry import Entry
from policy_engine import PolicyUnavailable
from store.clock import stamp
from store.database import Transaction

_GATE = [Party.GATE]


class LostLease(Exception):
    """The request moved while it was being checked; what was established here is dropped."""


def claim(gate: Gate, number: int, at: datetime) -> RequestRow | None:
    """Take the request up, or None when it is not there to be taken. A dead worker's claim is taken over."""
    now, until = stamp(at), stamp(at + gate.lease)
    with gate.store.read() as c:
        row = requests.fetch(c, number)
    if row is None or not _claimable(row, now):
        return None
    with gate.store.transaction(at) as t:
        row = requests.fetch(t, number)
        if row is None or not _claimable(row, now):
            raise LostLease
        if row.state is State.CHECKING:
            row = replace(row, state=move(row.state, Verb.REQUEUE, _GATE))
        state = move(row.state, Verb.CHECK, _GATE)
        row = requests.set_state(t, row, state, row.updated_at, lease_until=until)
        t.record(_entry("request.claimed", row))
        return row


def _claimable(row: RequestRow, now: str) -> bool:
    free = row.lease_until is None or row.lease_until <= now
    return row.state in (State.SUBMITTED, State.CHECKING) and free


def check(gate: Gate, row: RequestRow, at: datetime) -> RequestRow:
    """Judge a claimed request. Raises LostLease when its author or another worker moved it meanwhile."""
    try:
        checked, verdict, answer = _judge(gate, row, at)
    except (PolicyUnavailable, RecomputerAway) as away:
        return requeue(gate, row, away, at)
    except Fault as fault:
        return requeue(gate, row, fault, at)
    return _conclude(gate, row, checked, verdict, answer, at)


@dataclass(frozen=True)
class Answered:
    facts: Mapping[str, Any]
    engine: str
    policy_digest: str


def rehearse(gate: Gate, row: RequestRow, wanted: Sequence[Item], at: datetime) -> tuple[list[Checked], Verdict]:
    """What `check` would find and policy would say of a request that is not stored. Raises as the check does; stores nothing but what
    the lanes put into `gate.blobs`."""
    checked, verdict, _ = _judge(gate, row, at, wanted)
    return checked, verdict


def judge_again(
    gate: Gate,
    row: RequestRow,
    wanted: Sequence[Item],
    sources: Sequence[SourceTable],
    versions: Sequence[str],
    left: frozenset[int],
    parameters: Mapping[str, Any],
    at: datetime,
) -> tuple[list[Checked], Verdict, str]:
    """What `check` would have found at `at` with other numbers, beside the releases `left` alone, and the digest of the policy that judged
    it. Stores nothing but what the lanes put into `gate.blobs`."""
    with gate.store.read() as c:
        earlier = [e for e in releases.earlier(c, versions) if e.release in left]
    with gate.vault.opened(sealed(sources)):
        checked, verdict, answer = _judge_opened(
            gate, row, wanted, sources, earlier, left, parameters, at, until=stamp(at)
        )
    return checked, verdict, answer.policy_digest


def _judge(
    gate: Gate, row: RequestRow, at: datetime, wanted: Sequence[Item] | None = None
) -> tuple[list[Checked], Verdict, Answered]:
    with gate.store.read() as c:
        wanted = requests.items(c, row.id, row.revision) if wanted is None else wanted
        versions = catalogue.versions_of_sandbox(c, row.sandbox)
        sources = catalogue.sources(c, versions, gate.datasets)
        earlier = releases.earlier(c, versions)
        audited = releases.release_ids(c, versions)
    parameters = _parameters(gate, sources, wanted)
    with gate.vault.opened(sealed(sources)):
        return _judge_opened(gate, row, wanted, sources, earlier, audited, parameters, at)


def _judge_opened(
    gate: Gate,
    row: RequestRow,
    wanted: Sequence[Item],
    sources: Sequence[SourceTable],
    earlier: Sequence[EarlierTable],
    audited: Iterable[int],
    parameters: Mapping[str, Any],
    at: datetime,
    until: str | None = None,
) -> tuple[list[Checked], Verdict, Answered]:
    checked = _check_items(gate, row, wanted, sources, earlier, parameters, at, until)
    answer = _decide(gate, row, parameters, checked, at)
    verdict = verdict_from(answer.facts["answer"])
    if verdict.obligations.protect and not parameters.get("protect"):
        parameters = {**parameters, "protect": True}
        checked = _check_items(gate, row, wanted, sources, earlier, parameters, at, until)
        answer = _decide(gate, row, parameters, checked, at)
        verdict = verdict_from(answer.facts["answer"])
    against = tuple(sorted(audited))
    checked = [replace(k, row=replace(k.row, audited_against=against)) for k in checked]
    return checked, verdict, answer


def _parameters(gate: Gate, sources: Sequence[SourceTable], wanted: Sequence[Item]) -> dict[str, Any]:
    """The strictest numbers over every dataset the sandbox held. Raises PolicyUnavailable."""
    answer = gate.engine.query("release/parameters", parameters_input(sources, wanted))
    if not isinstance(answer.result, dict):
        raise PolicyUnavailable(
            "The policy gave no parameters, so the request waits.",
            why="Without thresholds nothing can be judged.",
            do="Nothing is lost: the request is tried again.",
        )
    return dict(answer.result)


def _decide(
    gate: Gate, row: RequestRow, parameters: Mapping[str, Any], checked: Sequence[Checked], at: datetime
) -> Answered:
    facts = decision_input(row, parameters, [k.judged for k in checked], at)
    answer = gate.engine.query("release/decision", facts)
    return Answered({"input": facts, "answer": answer.result}, answer.engine, answer.policy_digest)


def _check_items(
    gate: Gate,
    row: RequestRow,
    wanted: Sequence[Item],
    sources: Sequence[SourceTable],
    earlier: Sequence[EarlierTable],
    parameters: Mapping[str, Any],
    at: datetime,
    until: str | None = None,
) -> list[Checked]:
    """Each item judged together with all that left before and with the items before it, which would leave with it."""
    made: list[Checked] = []
    before = list(earlier)
    withheld = _withheld(gate, wanted, sources, parameters)
    spending: dict[str, float] = {}
    for item in wanted:
        context = LaneContext(
            tuple(sources), parameters, tuple(before), at, row.project, withheld, dict(spending), until
        )
        one = lane_of(item.kind).check(gate, item, context)
        made.append(one)
        for version, epsilon in one.judged.costs().items():
            spending[version] = spending.get(version, 0.0) + epsilon
        if one.assessment is not None:
            table = one.assessment
            hidden = tuple(dict(c.key) for c in table.cells if c.suppressed is not None)
            before.append(_leaving_before(row, item, table, hidden))
    return made


def _leaving_before(
    row: RequestRow, item: Item, table: Assessment, hidden: tuple[Mapping[str, Any], ...]
) -> EarlierTable:
    """A table of the same request as the tables after it must see it: as released."""
    method, base = table.protection.method.value, table.rounding_base
    return EarlierTable(0, row.id, item.name, table.canonical_sql, hidden, base, table.versions, method)


def _withheld(
    gate: Gate, wanted: Sequence[Item], sources: Sequence[SourceTable], parameters: Mapping[str, Any]
) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    """The tables of the request leave together, so they are protected together. Raises RecomputerAway."""
    if parameters.get("protect") is not True:
        return {}
    tables = [
        i for i in wanted if i.kind in TABULAR and chosen_protection(i.declared, parameters).method is Method.SUPPRESS
    ]
    return gate.recomputer.together([Question(i.name, i.sql or "", tuple(sources), parameters) for i in tables])


def _conclude(
    gate: Gate, row: RequestRow, checked: Sequence[Checked], verdict: Verdict, answer: Answered, at: datetime
) -> RequestRow:
    now = stamp(at)
    recorded = gate.blobs.put(canonical(answer.facts["input"]).encode())
    made = DecisionRow(
        0,
        row.revision,
        verdict.outcome,
        verdict.reasons,
        verdict.obligations,
        answer.engine,
        answer.policy_digest,
        recorded,
        now,
    )
    with gate.store.transaction(at) as t:
        held = _still_held(t, row)
        for one in checked:
            requests.insert_check(t, row.id, row.revision, one.row)
        requests.insert_decision(t, row.id, made)
        t.record(_entry("request.checked", held, items=[_item_facts(k) for k in checked]))
        state = move(held.state, VERB_FOR[verdict.outcome], _GATE)
        held = requests.set_state(t, held, state, now, risk=_risk(checked))
        t.record(_entry("request.decided", held, **_decision_facts(made)))
        return held


def _risk(checked: Sequence[Checked]) -> int:
    findings = [f for k in checked for f in k.row.findings]
    level = max((t.classification for k in checked for t in k.judged.sources), default=4)
    files = sum(k.judged.item.kind is not Kind.TABLE for k in checked)
    return risk_of(findings, level, files, sum(not k.judged.completed for k in checked))


def requeue(gate: Gate, row: RequestRow, fault: Fault, at: datetime) -> RequestRow:
    """Back to `submitted` with the reason, to be tried again later; the request stays acknowledged."""
    trouble = canonical(fault.public())
    with gate.store.transaction(at) as t:
        held = _still_held(t, row)
        state = move(held.state, Verb.REQUEUE, _GATE)
        held = requests.set_state(t, held, state, held.updated_at, trouble=trouble)
        t.record(_entry("request.delayed", held, reason=fault.code))
        return replace(held, trouble=fault.public())


def _still_held(t: Transaction, row: RequestRow) -> RequestRow:
    held = requests.fetch(t, row.id)
    same = held is not None and (held.state, held.revision, held.lease_until) == (
        row.state,
        row.revision,
        row.lease_until,
    )
    if held is None or not same:
        raise LostLease
    return held


def _item_facts(one: Checked) -> dict[str, Any]:
    """For the ledger: which rules fired that authors may know of, and the digest of the evidence; no figures, no names of cells."""
    rules = sorted({f.rule for f in for_author(one.row.findings) if f.severity is not Severity.INFO})
    return {
        "evidence": one.row.assessment,
        "lineage": list(one.row.lineage),
        "rules": rules,
        "completed": one.judged.completed,
        "protected": one.judged.protected,
        "audited_against": list(one.row.audited_against),
    }


def _decision_facts(made: DecisionRow) -> dict[str, Any]:
    return {
        "outcome": made.outcome.value,
        "reasons": sorted({r.code for r in made.reasons}),
        "obligations": made.obligations.facts(),
        "engine": made.engine,
        "policy": made.policy_digest,
        "input": made.input,
    }


def _entry(kind: str, row: RequestRow, **facts: Any) -> Entry:
    subject = {"request": row.name, "project": row.project}
    return Entry(kind, "gate", subject, {"revision": row.revision, "state": row.state.value, **facts})
