"""Policy replay: ask a policy engine again about every recorded decision, and list each one that would differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from egress_gate.domain.decision import AnswerUnreadable, Outcome, Reason, verdict_from
from egress_gate.domain.request import request_name
from egress_gate.service.ports import Blobs, PolicyEngine, Store
from egress_gate.store.requests import DecisionRow, decision_from
from policy_engine import PolicyUnavailable
from store import schema as s

BATCH = 200


@dataclass(frozen=True)
class Replayed:
    """One recorded decision and what the asked policy would have said. `problem`: why it could not be asked."""

    request: str
    revision: int
    decided_at: str
    before: Outcome
    after: Outcome | None
    reasons_before: tuple[str, ...]
    reasons_after: tuple[str, ...]
    obligations_differ: bool
    problem: str | None = None

    @property
    def differs(self) -> bool:
        return (
            self.problem is not None
            or self.after is not self.before
            or self.reasons_after != self.reasons_before
            or self.obligations_differ
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
    """Ask `engine` about every decision that has a recorded input. Changes nothing."""
    asked, policy, found = 0, None, []
    for number, decision in _decisions(store):
        asked += 1
        one, digest = _one(blobs, engine, number, decision)
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


def _one(blobs: Blobs, engine: PolicyEngine, number: int, decision: DecisionRow) -> tuple[Replayed, str | None]:
    before = _codes(decision.reasons)
    try:
        answer = engine.query("release/decision", json.loads(blobs.read(decision.input)))
        verdict = verdict_from(answer.result)
    except (PolicyUnavailable, AnswerUnreadable) as away:
        return _replayed(number, decision, None, before, (), differ=True, problem=away.what), None
    differ = verdict.obligations != decision.obligations
    return (
        _replayed(number, decision, verdict.outcome, before, _codes(verdict.reasons), differ=differ, problem=None),
        answer.policy_digest,
    )


def _replayed(
    number: int,
    decision: DecisionRow,
    after: Outcome | None,
    before_codes: tuple[str, ...],
    after_codes: tuple[str, ...],
    *,
    differ: bool,
    problem: str | None,
) -> Replayed:
    return Replayed(
        request_name(number),
        decision.revision,
        decision.decided_at,
        decision.outcome,
        after,
        before_codes,
        after_codes,
        differ,
        problem,
    )


def _codes(reasons: Sequence[Reason]) -> tuple[str, ...]:
    return tuple(sorted({r.code for r in reasons}))
