"""Asking policy whether a person may do something, and turning a no into a fault that carries its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from egress_gate.domain.decision import AnswerUnreadable, Reason, reasons_from
from egress_gate.policy.facts import Person, desk_input
from egress_gate.service.errors import NotAllowed
from egress_gate.service.ports import PolicyEngine


@dataclass(frozen=True)
class Permission:
    allow: bool
    reasons: tuple[Reason, ...]
    complete: bool = False
    wait_seconds: int = 0  # until it is allowed, as far as only time is missing

    def require(self, doing: str) -> None:
        """Raise NotAllowed with policy's own words unless allowed."""
        if self.allow:
            return
        first = self.reasons[0] if self.reasons else None
        raise NotAllowed(
            f"You may not {doing}.",
            why=" ".join(r.message for r in self.reasons) or "No rule of this installation allows it.",
            do=(first.remedy if first and first.remedy else "Ask an administrator which role or grant you need."),
        )


def permission_from(answer: object) -> Permission:
    """Only a literal true allows. Raises AnswerUnreadable when the answer has another shape."""
    try:
        if not isinstance(answer, Mapping):
            raise TypeError("the answer must be an object")
        reasons = reasons_from(answer["reasons"])
        wait = int(answer.get("wait_seconds") or 0)
        return Permission(answer["allow"] is True, reasons, answer.get("complete") is True, wait)
    except (KeyError, TypeError, AttributeError) as broken:
        raise AnswerUnreadable(
            "The policy's answer could not be read, so nothing was done.",
            why="An answer that is not understood is never taken for a permission.",
            do="Try again; if it stays so, tell an administrator.",
            private=f"{broken!r} in {answer!r}",
        ) from broken


def stops_from(answer: object) -> tuple[tuple[str, Reason], ...]:
    """``release/form``'s stops, each with where it belongs. Only a literal true without any stop sends the form."""
    try:
        if not isinstance(answer, Mapping):
            raise TypeError("the answer must be an object")
        said = {r.code: r for r in reasons_from(answer["reasons"])}
        found = tuple((str(raw["where"]), said[raw["code"]]) for raw in answer["places"])
        if answer["allow"] is not True and not found:
            raise ValueError("a form that is not sent must say why")
    except (KeyError, TypeError, ValueError, AttributeError) as broken:
        raise AnswerUnreadable(
            "The policy's answer could not be read, so nothing was sent.",
            why="An answer that is not understood is never taken for a permission.",
            do="Try again; if it stays so, tell an administrator.",
            private=f"{broken!r} in {answer!r}",
        ) from broken
    return found


def may(engine: PolicyEngine, person: Person, action: str, at: datetime, **about: Mapping[str, Any]) -> Permission:
    """``access/desk`` for one action. Raises PolicyUnavailable when there is no engine."""
    return permission_from(engine.query("access/desk", desk_input(person, action, at, **about)).result)
