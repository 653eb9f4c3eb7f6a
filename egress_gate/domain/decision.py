"""What policy said about one revision: an outcome with reasons and obligations. Reading it fails closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from egress_gate.domain.request import Verb
from installation.fault import Fault


class Outcome(StrEnum):
    RELEASE = "release"
    REVIEW = "review"
    REFUSE = "refuse"


class AnswerUnreadable(Fault):
    """Policy answered something that this gate does not understand; the request waits."""

    code = "policy-unreadable"


@dataclass(frozen=True)
class Reason:
    code: str
    message: str
    remedy: str

    def facts(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


@dataclass(frozen=True)
class Obligations:
    """`approvals` distinct reviewers, one a steward of each dataset in `stewards_of`; `protect`: suppress first."""

    approvals: int
    stewards_of: tuple[str, ...]
    protect: bool

    def facts(self) -> dict[str, Any]:
        return {"approvals": self.approvals, "stewards_of": list(self.stewards_of), "protect": self.protect}


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    reasons: tuple[Reason, ...]
    obligations: Obligations


VERB_FOR: Mapping[Outcome, Verb] = {
    Outcome.RELEASE: Verb.CLEAR,
    Outcome.REVIEW: Verb.REFER,
    Outcome.REFUSE: Verb.REFUSE,
}


def verdict_from(answer: object) -> Verdict:
    """Read ``release/decision``'s answer. Raises AnswerUnreadable rather than guess a missing part."""
    try:
        return _read(answer)
    except (KeyError, TypeError, ValueError) as broken:
        raise AnswerUnreadable(
            "The policy's answer could not be read, so the request waits.",
            why="An answer that is not understood is never taken for a permission.",
            do="Nothing is lost: the request is tried again. An administrator can see the cause in the gate's log.",
            private=f"{broken!r} in {answer!r}",
        ) from broken


def reasons_from(raw: object) -> tuple[Reason, ...]:
    """Reasons in a stable order; a malformed one raises KeyError or TypeError."""
    if not isinstance(raw, list):
        raise TypeError("reasons must be a list")
    made = (Reason(str(r["code"]), str(r["message"]), str(r.get("remedy") or "")) for r in raw)
    return tuple(sorted(set(made), key=lambda r: (r.code, r.message)))


def obligations_from(raw: object) -> Obligations:
    if not isinstance(raw, Mapping):
        raise TypeError("obligations must be an object")
    approvals = raw["approvals"]
    if isinstance(approvals, bool) or not isinstance(approvals, int) or approvals < 0:
        raise ValueError("approvals must be a count")
    return Obligations(approvals, tuple(str(d) for d in raw["stewards_of"]), bool(raw["protect"]))


def _read(answer: object) -> Verdict:
    if not isinstance(answer, Mapping):
        raise TypeError("the answer must be an object")
    outcome = Outcome(answer["outcome"])
    reasons = reasons_from(answer["reasons"])
    if outcome is Outcome.REFUSE and not reasons:
        raise ValueError("a refusal must give a reason")
    return Verdict(outcome, reasons, obligations_from(answer["obligations"]))
