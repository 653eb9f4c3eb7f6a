"""The installation's database, ledger and policy engine behind the sandboxes: every start and end is on the record."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select

from installation.settings import Settings
from ledger.entry import Entry
from policy_engine import PolicyEngine, connect
from provisioning.domain.mount_plan import MountPlan
from provisioning.domain.standing import Standing
from provisioning.sandbox.isolation import Proof
from provisioning.service import metering, sessions
from provisioning.service.sessions import ProjectChoice
from store import clock, schema
from store.database import Database


class StoreBook:
    """The installation's database, ledger and policy engine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: tuple[Database, PolicyEngine] | None = None

    def _open(self) -> tuple[Database, PolicyEngine]:
        with self._lock:
            if self._opened is None:
                self._opened = (Database.open(self._settings), connect(self._settings))
            return self._opened

    def projects(self, person: str, groups: Sequence[str]) -> list[ProjectChoice]:
        database, engine = self._open()
        return list(sessions.projects_for(database, engine, person, list(groups), clock.now()))

    def plan(self, person: str, groups: Sequence[str], project: str) -> MountPlan:
        database, engine = self._open()
        return sessions.plan_session(database, engine, self._settings, person, list(groups), project, clock.now())

    def started(
        self, plan: MountPlan, sandbox_id: str, server_name: str, container: str, image_digest: str, proof: Proof
    ) -> None:
        database, _ = self._open()
        sessions.sandbox_started(
            database, plan, sandbox_id, server_name, container, image_digest, proof.described(), clock.now()
        )

    def stopped(self, sandbox_id: str, reason: str, used: Mapping[str, int] | None = None) -> None:
        database, _ = self._open()
        sessions.sandbox_stopped(database, sandbox_id, reason, clock.now(), used=used)

    def measured(self, sandbox_id: str, used: Mapping[str, int]) -> None:
        database, _ = self._open()
        metering.sandbox_measured(database, sandbox_id, used, clock.now())

    def refused(
        self, plan: MountPlan, sandbox_id: str, server_name: str, container: str, image_digest: str, proof: Proof
    ) -> None:
        """A sandbox whose isolation could not be proved: a row that is already over, and its entry, in one transaction."""
        database, _ = self._open()
        at = clock.now()
        row = {
            "id": sandbox_id,
            "person": plan.person,
            "project": plan.project,
            "server_name": server_name,
            "container": container,
            "image_digest": image_digest,
            "view": plan.view,
            "works_on": plan.works_on,
            "versions": json.dumps([dataset.granted for dataset in plan.datasets]),
            "proof": json.dumps(proof.described(), sort_keys=True),
            "started_at": clock.stamp(at),
            "stopped_at": clock.stamp(at),
            "stop_reason": "isolation drift",
        }
        facts: dict[str, Any] = {
            "reason": "isolation drift",
            "drift": [fact.described() for fact in proof.drift],
            "profile": proof.profile_digest,
            "image": image_digest,
        }
        subject = {"sandbox": sandbox_id, "person": plan.person, "project": plan.project}
        with database.transaction(at=at) as transaction:
            transaction.execute(insert(schema.sandbox).values(**row))
            transaction.record(Entry(kind="sandbox.refused", actor=plan.person, subject=subject, facts=facts))

    def open_sandboxes(self) -> dict[str, str]:
        database, _ = self._open()
        query = select(schema.sandbox.c.id, schema.sandbox.c.container).where(schema.sandbox.c.stopped_at.is_(None))
        with database.read() as connection:
            return {str(row.id): str(row.container) for row in connection.execute(query)}

    def standing(self, sandbox_id: str, live: Mapping[str, Mapping[str, int]]) -> Standing:
        database, engine = self._open()
        return metering.standing(database, engine, sandbox_id, live, clock.now())
