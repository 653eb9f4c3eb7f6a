"""Policy replay: ask a policy engine again about every recorded decision, and list each one that would differ. Nothing is changed.

What a check found depends on policy's numbers alone, as its data are pinned. So a decision is asked with what was found then where the
numbers are the same, and its request is measured anew where they are not (`remeasure`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, select

from egress_gate.domain.decision import AnswerUnreadable, Outcome, Reason, Verdict, verdict_from
from egress_gate.domain.request import State, request_name
from egress_gate.service.gate import Gate
from egress_gate.service.ports import PolicyEngine, Store
from egress_gate.service.remeasure import Measured, NotMeasured, OutputChange, Recorded, measured, recorded
from egress_gate.store.requests import DecisionRow, decision_from
from installation.fault import Fault
from policy_engine import PolicyUnavailable
from store import schema as s

BATCH = 200
Told = Callable[[int, int], None]  # decisions asked so far, of how many


@dataclass(frozen=True)
class Replayed:
    """One recorded decision and what the asked policy would have said.

    `state`: where its request is now. `numbers`: those with which its check would run otherwise, then and now; `measured`: it was run with
    them, and `outputs` would differ. `problem`: why policy could not be asked, or why the request could not be measured anew (`destroyed`:
    versions of its data); then nobody knows what would have been decided.
    """

    request: str
    revision: int
    state: State
    decided_at: str
    before: Outcome
    after: Outcome | None
    reasons_before: tuple[str, ...]
    reasons_after: tuple[str, ...]
    obligations_differ: bool
    problem: str | None = None
    destroyed: tuple[str, ...] = ()
    numbers: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    measured: bool = False
    outputs: tuple[OutputChange, ...] = ()

    @property
    def differs(self) -> bool:
        return (
            self.problem is not None
            or self.after is not self.before
            or self.reasons_after != self.reasons_before
            or self.obligations_differ
            or bool(self.outputs)
        )

    @property
    def cells(self) -> int:
        return sum(len(o.cells) for o in self.outputs)

    def facts(self) -> dict[str, Any]:
        return {
            "request": self.request,
            "revision": self.revision,
            "state": self.state.value,
            "decided_at": self.decided_at,
            "before": self.before.value,
            "after": self.after.value if self.after else None,
            "reasons_before": list(self.reasons_before),
            "reasons_after": list(self.reasons_after),
            "obligations_differ": self.obligations_differ,
            "problem": self.problem,
            "destroyed": list(self.destroyed),
            "numbers": {name: {"then": then, "now": now} for name, (then, now) in sorted(self.numbers.items())},
            "measured": self.measured,
            "outputs": [o.facts() for o in self.outputs],
        }


@dataclass(frozen=True)
class Report:
    """`differences` of `asked` recorded decisions, of which `measured` were measured anew; `policy`: the digest of what was asked."""

    asked: int
    measured: int
    policy: str | None
    differences: tuple[Replayed, ...]

    @property
    def unknown(self) -> int:
        """Decisions of which nobody can tell."""
        return sum(d.problem is not None for d in self.differences)

    def facts(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "measured": self.measured,
            "unknown": self.unknown,
            "policy": self.policy,
            "differences": [d.facts() for d in self.differences],
        }


def replay(gate: Gate, engine: PolicyEngine, told: Told = lambda done, of: None) -> Report:
    """Ask `engine` about every decision that has a recorded input."""
    asking = replace(gate, engine=engine)
    asked, anew, policy, found = 0, 0, None, []
    total = _count(gate.store)
    for number, decision in _decisions(gate.store):
        told(asked, total)
        asked += 1
        one, digest = _one(asking, number, decision)
        policy, anew = digest or policy, anew + one.measured
        if one.differs:
            found.append(one)
    told(asked, max(asked, total))
    return Report(asked, anew, policy, tuple(found))


def _count(store: Store) -> int:
    with store.read() as c:
        return int(c.execute(select(func.count()).select_from(s.decision).where(s.decision.c.input != "")).scalar_one())


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


def _one(gate: Gate, number: int, decision: DecisionRow) -> tuple[Replayed, str | None]:
    facts = json.loads(gate.blobs.read(decision.input))
    with gate.store.read() as c:
        was = recorded(gate, c, number, decision, facts)
        state = State(c.execute(select(s.release_request.c.state).where(s.release_request.c.id == number)).scalar_one())
    codes = _codes(decision.reasons)
    one = Replayed(
        request_name(number), decision.revision, state, decision.decided_at, decision.outcome, None, codes, (), True
    )
    try:
        numbers = _numbers(gate.engine, was, facts)
        one = replace(one, numbers=_that_differ(facts.get("parameters", {}), numbers))
        made = _asked(gate, was, facts, numbers, decision, anew=bool(one.numbers))
    except (PolicyUnavailable, AnswerUnreadable) as away:
        return replace(one, problem=away.what), None
    except NotMeasured as broken:
        return replace(one, problem=str(broken), destroyed=broken.destroyed), None
    except Fault as fault:
        return replace(one, problem=f"{fault.what} {fault.why}"), None
    return replace(_judged(one, decision, made.verdict), measured=made.anew, outputs=made.outputs), made.policy


def _judged(one: Replayed, decision: DecisionRow, verdict: Verdict) -> Replayed:
    return replace(
        one,
        after=verdict.outcome,
        reasons_after=_codes(verdict.reasons),
        obligations_differ=verdict.obligations != decision.obligations,
    )


@dataclass(frozen=True)
class _Answer:
    verdict: Verdict
    policy: str
    anew: bool
    outputs: tuple[OutputChange, ...] = ()


def _asked(
    gate: Gate, was: Recorded, facts: dict[str, Any], numbers: Mapping[str, Any], decision: DecisionRow, *, anew: bool
) -> _Answer:
    """With what was found then, or with what would be found with other numbers or with protection that was not tried."""
    tried = facts.get("parameters", {}).get("protect") is True
    if not anew and tried == (numbers.get("protect") is True):
        answer = gate.engine.query("release/decision", facts)
        verdict = verdict_from(answer.result)
        if tried or not verdict.obligations.protect:
            return _Answer(verdict, answer.policy_digest, anew=False)
    made: Measured = measured(gate, was, numbers, decision.decided_at)
    return _Answer(made.verdict, made.policy, anew=True, outputs=made.outputs)


def _numbers(engine: PolicyEngine, was: Recorded, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that the asked policy gives the checks. Raises PolicyUnavailable where it gives none."""
    kinds = sorted({item["kind"] for item in facts.get("items", [])})
    answer = engine.query("release/parameters", {"classifications": list(was.levels), "kinds": kinds}).result
    if not isinstance(answer, dict):
        raise PolicyUnavailable(
            "The policy gives no numbers for the checks.",
            why="Without thresholds nothing can be judged.",
            do="Correct the policy.",
        )
    return dict(answer)


def _that_differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """``protect`` says what is tried, not what is asked: `_asked` looks at it."""
    return {
        name: (before.get(name), after.get(name))
        for name in sorted({*before, *after} - {"protect"})
        if before.get(name) != after.get(name)
    }


def _codes(reasons: Sequence[Reason]) -> tuple[str, ...]:
    return tuple(sorted({r.code for r in reasons}))
