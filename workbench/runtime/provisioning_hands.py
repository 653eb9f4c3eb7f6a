"""Provisioning's verbs as the review desk calls them: the one place where the two rooms meet is above both."""

from __future__ import annotations

from datetime import datetime

from egress_gate.service.administer import Move
from provisioning.service import projects, sessions
from store.database import Database

_MOVES = {
    Move.FREEZE: projects.freeze_project,
    Move.THAW: projects.thaw_project,
    Move.CLOSE: projects.close_project,
}


class ProvisioningHands:
    """`egress_gate.service.administer.Provisioning` over the real store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def move_project(self, project: str, move: Move, reason: str, actor: str, at: datetime, /) -> None:
        _MOVES[move](self._db, name=project, reason=reason, actor=actor, at=at)

    def extend_project(self, project: str, until: datetime, actor: str, at: datetime, /) -> None:
        projects.extend_project(self._db, name=project, expires_at=until, actor=actor, at=at)

    def add_member(self, project: str, person: str, actor: str, at: datetime, /) -> None:
        projects.add_member(self._db, project=project, person=person, actor=actor, at=at)

    def remove_member(self, project: str, person: str, actor: str, at: datetime, /) -> None:
        projects.remove_member(self._db, project=project, person=person, actor=actor, at=at)

    def stop_sandbox(self, sandbox: str, reason: str, actor: str, at: datetime, /) -> None:
        sessions.ask_to_stop(self._db, sandbox, reason, at, actor=actor)
