"""A project: members, purpose, end; active, frozen or closed. Which change is allowed from which state is one table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from provisioning.domain.errors import ProjectRefused

STATED = ("legal_basis", "output_plan")


class ProjectState(StrEnum):
    ACTIVE = "active"
    FROZEN = "frozen"
    CLOSED = "closed"


VALID_MOVES: dict[ProjectState, frozenset[ProjectState]] = {
    ProjectState.ACTIVE: frozenset({ProjectState.FROZEN, ProjectState.CLOSED}),
    ProjectState.FROZEN: frozenset({ProjectState.ACTIVE, ProjectState.CLOSED}),
    ProjectState.CLOSED: frozenset(),
}


@dataclass(frozen=True)
class Project:
    name: str
    title: str
    purpose: str
    sponsor: str
    state: ProjectState
    expires_at: datetime
    members: tuple[str, ...] = ()
    legal_basis: str = ""
    output_plan: str = ""
    assessed: tuple[str, ...] = ()  # items of the checklist that a person confirmed
    datasets: tuple[str, ...] = ()  # which data it means to use; what it may use, grants say

    @property
    def stated(self) -> tuple[str, ...]:
        """Which of the terms that policy may ask for the project states."""
        return tuple(term for term in STATED if getattr(self, term).strip())

    def over(self, at: datetime) -> bool:
        return at >= self.expires_at


def move(name: str, state: ProjectState, to: ProjectState) -> ProjectState:
    """Raises ProjectRefused for a move that the table does not know."""
    if to not in VALID_MOVES[state]:
        raise ProjectRefused(
            f"Project {name} was not set to {to.value}.",
            why=f"It is {state.value}, and from there this is not possible.",
            do="A closed project stays closed: make a new one."
            if state is ProjectState.CLOSED
            else "Look at its state.",
        )
    return to


def check_dates(name: str, *, expires_at: datetime, at: datetime) -> None:
    if expires_at <= at:
        raise ProjectRefused(
            f"Project {name} was not accepted.",
            why="Its end lies in the past.",
            do="Give an end date that is still to come.",
        )
