"""Provisioning's verbs as the review desk calls them: the one place where the two rooms meet is above both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from egress_gate.service.hands import Move, NewGrant, NewProject
from egress_gate.service.ports import PolicyEngine
from provisioning.service import assessment, describe, projects, sessions
from store.database import Database

_MOVES = {
    Move.FREEZE: projects.freeze_project,
    Move.THAW: projects.thaw_project,
    Move.CLOSE: projects.close_project,
}


class ProvisioningHands:
    """`egress_gate.service.hands.Provisioning` over the real store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create_project(self, wanted: NewProject, actor: str, at: datetime, /) -> None:
        projects.create_project(
            self._db,
            name=wanted.name,
            title=wanted.title,
            purpose=wanted.purpose,
            sponsor=wanted.sponsor,
            expires_at=wanted.until,
            actor=actor,
            at=at,
            legal_basis=wanted.legal_basis,
            output_plan=wanted.output_plan,
            members=wanted.members,
            datasets=wanted.datasets,
        )

    def checklist(self, project: str, engine: PolicyEngine, /) -> Mapping[str, Any]:
        with self._db.read() as c:
            known, levels = projects.project(c, project), assessment.levels_of(c, project)
        return assessment.checklist(engine, levels=levels, assessed=known.assessed if known else ())

    def assess_project(self, project: str, confirmed: tuple[str, ...], actor: str, at: datetime, /) -> None:
        projects.assess_project(self._db, name=project, confirmed=confirmed, actor=actor, at=at)

    def move_project(self, project: str, move: Move, reason: str, actor: str, at: datetime, /) -> None:
        _MOVES[move](self._db, name=project, reason=reason, actor=actor, at=at)

    def extend_project(self, project: str, until: datetime, actor: str, at: datetime, /) -> None:
        projects.extend_project(self._db, name=project, expires_at=until, actor=actor, at=at)

    def describe_project(self, project: str, terms: Mapping[str, str], actor: str, at: datetime, /) -> None:
        projects.describe_project(self._db, name=project, actor=actor, at=at, **terms)

    def add_member(self, project: str, person: str, actor: str, at: datetime, /) -> None:
        projects.add_member(self._db, project=project, person=person, actor=actor, at=at)

    def remove_member(self, project: str, person: str, actor: str, at: datetime, /) -> None:
        projects.remove_member(self._db, project=project, person=person, actor=actor, at=at)

    def stop_sandbox(self, sandbox: str, reason: str, actor: str, at: datetime, /) -> None:
        sessions.ask_to_stop(self._db, sandbox, reason, at, actor=actor)

    def give_grant(self, wanted: NewGrant, actor: str, at: datetime, /) -> None:
        projects.give_grant(
            self._db,
            project=wanted.project,
            version=wanted.version,
            expires_at=wanted.until,
            actor=actor,
            at=at,
            quotas=wanted.quotas,
        )

    def change_quotas(self, grant: int, quotas: Mapping[str, int], reason: str, actor: str, at: datetime, /) -> None:
        projects.change_quotas(self._db, grant=grant, quotas=quotas, reason=reason, actor=actor, at=at)

    def revoke_grant(self, grant: int, reason: str, actor: str, at: datetime, /) -> None:
        projects.revoke_grant(self._db, grant=grant, reason=reason, actor=actor, at=at)

    def describe_dataset(self, dataset: str, parts: Mapping[str, Any], actor: str, at: datetime, /) -> None:
        describe.describe(self._db, dataset=dataset, text=json.dumps(parts), actor=actor, at=at)
