"""Policy replay: ask a policy engine again about every recorded decision, and list each one that would differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from egress_gate.domain.decision import AnswerUnreadable, Outcome, Reason, verdict_from
from egress_gate.domain.request import request_name
from egress_gate.service.ports import Blobs, PolicyEngine, Store
from egress_gate.store import catalogue, requests
from egress_gate.store.requests import DecisionRow, decision_from
from policy_engine import PolicyUnavailable
from store import schema as s

BATCH = 200


@dataclass(frozen=True)
class Replayed:
    """One recorded decision and what the asked policy would have said. `problem`: why it could not be asked.

    `parameters_differ`: numbers with which the checks would run otherwise. What is shown beside them rests on what was measured then, with
    the new numbers put in; the findings themselves would be measured anew.
    """

    request: str
    revision: int
    decided_at: str
    before: Outcome
    after: Outcome | None
    reasons_before: tuple[str, ...]
    reasons_after: tuple[str, ...]
    obligations_differ: bool
    problem: str | None = None
    parameters_differ: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        return (
            self.problem is not None
            or self.after is not self.before
            or self.reasons_after != self.reasons_before
            or self.obligations_differ
            or bool(self.parameters_differ)
        )

    def facts(self) -> dict[str, Any]:
        return {
            "request": self.request,
            "revision": self.revision,
            "decided_at": self.decided_at,
            "before": self.before.value,
            "after": self.after.value if self.after else None,
            "reasons_before": list(self.reasons_before),
            "reasons_after": list(self.reasons_after),
            "obligations_differ": self.obligations_differ,
            "problem": self.problem,
            "parameters_differ": list(self.parameters_differ),
        }


@dataclass(frozen=True)
class Report:
    """`differences` of `asked` recorded decisions; `policy` is the digest of the policy that was asked."""

    asked: int
    policy: str | None
    differences: tuple[Replayed, ...]

    def facts(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "policy": self.policy,
            "differences": [d.facts() for d in self.differences],
        }


def replay(store: Store, blobs: Blobs, engine: PolicyEngine) -> Report:
    """Ask `engine` about every decision that has a recorded input, with the numbers that it would have the checks run with.

    Changes nothing.
    """
    asked, policy, found = 0, None, []
    for number, decision in _decisions(store):
        asked += 1
        one, digest = _one(blobs, engine, number, decision, _levels(store, number))
        policy = digest or policy
        if one.differs:
            found.append(one)
    return Report(asked, policy, tuple(found))


def _decisions(store: Store) -> Iterator[tuple[int, DecisionRow]]:
    table, last = s.decision, 0
    while True:
        query = select(table).where(table.c.id > last, table.c.input != "").order_by(table.c.id).limit(BATCH)
        with store.read() as c:
            rows: Sequence[Any] = c.execute(query).all()
        if not rows:
            return
        for row in rows:
            yield row.request, decision_from(row)
        last = rows[-1].id


def _levels(store: Store, number: int) -> tuple[int, ...]:
    """The classifications of everything that the request's sandbox held: the checks ran with the strictest numbers over them."""
    with store.read() as c:
        row = requests.fetch(c, number)
        versions = catalogue.versions_of_sandbox(c, row.sandbox) if row else ()
        datasets = catalogue.datasets_of_versions(c, versions).values()
        return tuple(sorted(set(catalogue.classifications(c, datasets).values())))


def _one(
    blobs: Blobs, engine: PolicyEngine, number: int, decision: DecisionRow, levels: Sequence[int]
) -> tuple[Replayed, str | None]:
    one = Replayed(
        request_name(number),
        decision.revision,
        decision.decided_at,
        decision.outcome,
        None,
        _codes(decision.reasons),
        (),
        obligations_differ=True,
    )
    try:
        facts = json.loads(blobs.read(decision.input))
        other = _other_parameters(engine, facts, levels)
        asked = {**facts, "parameters": {**facts.get("parameters", {}), **other}}
        answer = engine.query("release/decision", asked)
        verdict = verdict_from(answer.result)
    except (PolicyUnavailable, AnswerUnreadable) as away:
        return replace(one, problem=away.what), None
    judged = replace(
        one,
        after=verdict.outcome,
        reasons_after=_codes(verdict.reasons),
        obligations_differ=verdict.obligations != decision.obligations,
        parameters_differ=tuple(sorted(other)),
    )
    return judged, answer.policy_digest


def _other_parameters(engine: PolicyEngine, facts: Mapping[str, Any], levels: Sequence[int]) -> dict[str, Any]:
    """The numbers that the asked policy would give the checks, where they are not those they ran with.

    ``protect`` is left as it was: it says what was tried, not what is asked.
    """
    recorded, items = facts.get("parameters"), facts.get("items", [])
    if not isinstance(recorded, dict) or not levels:
        return {}
    kinds = sorted({item["kind"] for item in items})
    answer = engine.query("release/parameters", {"classifications": list(levels), "kinds": kinds}).result
    return {
        name: value
        for name, value in dict(answer).items()
        if name != "protect" and name in recorded and recorded[name] != value
    }


def _codes(reasons: Sequence[Reason]) -> tuple[str, ...]:
    return tuple(sorted({r.code for r in reasons}))
