"""What a sandbox's browser may see and has already seen, looked up when its door opens.

View and budgets come from policy ``session/view`` for the classifications that are mounted; what was spent and what came in
through the door comes from the trail. When policy cannot be asked, nothing but notices is shown.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, select

from egress_gate.doors.sandboxes import VIEWS, Sandbox
from egress_gate.doors.view import NOTHING, OPEN, Allowance
from policy_engine import PolicyEngine, PolicyUnavailable
from store import schema
from store.clock import moment, now, stamp
from store.database import Database
from store.usage import grants_in_force

log = logging.getLogger("glovebox.doors")


@dataclass(frozen=True)
class Standing:
    """``spent`` holds (unix time, bytes, outputs, images) of the last day; ``uploads``: (path, kind, version) that came in through it."""

    view: str
    allowance: Allowance
    spent: tuple[tuple[float, int, int, int], ...] = ()
    uploads: tuple[tuple[str, str, str | None], ...] = ()
    left: Mapping[str, int] | None = field(default_factory=dict)  # of quotas, by name; None when it could not be asked


class Standings(Protocol):
    def of(self, sandbox: Sandbox) -> Standing:
        """Blocking. Never raises for a policy that cannot be asked: then the standing shows nothing."""


@dataclass
class StoreStandings:
    """From the store and the policy engine."""

    database: Database
    engine: PolicyEngine
    window: timedelta = field(default=timedelta(days=1))

    def of(self, sandbox: Sandbox) -> Standing:
        with self.database.read() as c:
            levels = _classifications(c, sandbox)
            spent = tuple(_spent(c, sandbox, stamp(now() - self.window)))
            uploads = _uploads(c, sandbox) if sandbox.view == "blind" else ()
            grants = _grants(c, sandbox)
        left = self._left(grants)
        made = Standing(sandbox.view, OPEN if sandbox.view == "open" else NOTHING, spent, uploads, left)
        return self._by_policy(made, levels)

    def _left(self, grants: list[dict[str, Any]]) -> Mapping[str, int] | None:
        """Policy's answer about what is left of cells and bytes shown; an answer of another shape leaves nothing."""
        if not any(grant["quotas"] for grant in grants):
            return {}
        facts = {"stage": "session", "grants": grants, "adds": {}, "ends": []}
        try:
            result = self.engine.query("usage/quota", facts).result
        except PolicyUnavailable as fault:
            log.warning("no quotas could be had from policy: %s", fault.private or fault.what)
            return None
        left = result.get("left") if isinstance(result, dict) else None
        whole = isinstance(left, dict) and all(isinstance(n, int) and not isinstance(n, bool) for n in left.values())
        return dict(left) if whole and isinstance(left, dict) else dict.fromkeys(("cells", "shown_bytes"), 0)

    def _by_policy(self, standing: Standing, levels: list[int]) -> Standing:
        try:
            result = self.engine.query("session/view", {"classifications": levels}).result
        except PolicyUnavailable as fault:
            log.warning("no view could be had from policy: %s", fault.private or fault.what)
            return standing if standing.view != "open" else replace(standing, view="guarded", allowance=NOTHING)
        view = result.get("view") if isinstance(result, dict) else None
        allowance = Allowance.of(result.get("limits")) if isinstance(result, dict) else None
        if view not in VIEWS or allowance is None:
            return replace(standing, view="blind", allowance=NOTHING)
        return replace(standing, view=max(view, standing.view, key=VIEWS.index), allowance=allowance)


def _grants(c: Connection, sandbox: Sandbox) -> list[dict[str, Any]]:
    versions = c.execute(select(schema.sandbox.c.versions).where(schema.sandbox.c.id == sandbox.id)).scalar()
    return grants_in_force(c, sandbox.project, json.loads(versions) if versions else [], stamp(now()))


def _classifications(c: Connection, sandbox: Sandbox) -> list[int]:
    """Of the dataset versions mounted, synthetic twins by their own. Unknown sandbox or version: an empty list, for which policy
    has no answer."""
    row = c.execute(
        select(schema.sandbox.c.versions, schema.sandbox.c.works_on).where(schema.sandbox.c.id == sandbox.id)
    ).first()
    wanted = json.loads(row.versions) if row else []
    if row and row.works_on == "twin":
        wanted = [_twin(c, version) for version in wanted]
    query = (
        select(schema.dataset_version.c.id, schema.dataset.c.classification)
        .join(schema.dataset, schema.dataset.c.name == schema.dataset_version.c.dataset)
        .where(schema.dataset_version.c.id.in_(wanted))
    )
    found = {row.id: row.classification for row in c.execute(query)}
    return sorted(found.values()) if set(found) == set(wanted) else []


def _twin(c: Connection, version: str) -> str:
    query = select(schema.dataset_twin.c.twin).where(schema.dataset_twin.c.version == version)
    return str(c.execute(query).scalar() or "no twin")


def _rows(c: Connection, sandbox: Sandbox, kind: str, since: str) -> Iterator[Any]:
    """Events of this person in this project, whichever sandbox they were in."""
    mine = select(schema.sandbox.c.id).where(
        schema.sandbox.c.person == sandbox.person, schema.sandbox.c.project == sandbox.project
    )
    event = schema.session_event.c
    yield from c.execute(
        select(event.time, event.facts, event.digest)
        .where(event.sandbox.in_(mine), event.kind == kind, event.time >= since)
        .order_by(event.id)
    )


def _spent(c: Connection, sandbox: Sandbox, since: str) -> Iterator[tuple[float, int, int, int]]:
    for row in _rows(c, sandbox, "shown", since):
        spent = json.loads(row.facts).get("spent") or {}
        yield moment(row.time).timestamp(), spent.get("bytes", 0), spent.get("outputs", 0), spent.get("images", 0)


def _uploads(c: Connection, sandbox: Sandbox) -> tuple[tuple[str, str, str | None], ...]:
    facts = [json.loads(row.facts) for row in _rows(c, sandbox, "upload", "")]
    return tuple((str(f.get("path", "")), str(f.get("kind", "file")), f.get("version")) for f in facts)
