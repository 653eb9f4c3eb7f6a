"""How a running sandbox stands, and what it has used: written down now and then, asked about every few seconds."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from ledger.entry import Entry
from policy_engine import PolicyEngine, PolicyUnavailable
from provisioning.domain.grant import Grant
from provisioning.domain.standing import Standing
from provisioning.service.sessions import used_under, why_asked, why_over
from provisioning.store.projects import grants_of, project
from store import schema as s
from store.database import Database
from store.usage import larger

ENTRY_POINT = "usage/quota"
Live = Mapping[str, Mapping[str, int]]
log = logging.getLogger("glovebox.sandbox")


def sandbox_measured(db: Database, sandbox_id: str, used: Mapping[str, int], at: datetime) -> None:
    """Write down what a running sandbox has used. Nothing is written for one that has ended, or when nothing was added."""
    with db.read() as c:
        row = _running(c, sandbox_id)
    if row is None or larger(json.loads(row.used), used) == json.loads(row.used):
        return
    with db.transaction(at) as t:
        row = t.execute(select(s.sandbox).where(s.sandbox.c.id == sandbox_id)).one()
        taken = larger(json.loads(row.used), used)
        t.execute(update(s.sandbox).where(s.sandbox.c.id == sandbox_id).values(used=json.dumps(taken, sort_keys=True)))
        subject = {"sandbox": sandbox_id, "person": row.person, "project": row.project}
        t.record(Entry("sandbox.measured", "workbench", subject, dict(taken)))


def standing(db: Database, engine: PolicyEngine, sandbox_id: str, live: Live, at: datetime) -> Standing:
    """Whether a sandbox may go on running, and what to warn its analyst of.

    Grants, project and membership are looked up and never depend on the engine. When it cannot be asked about quotas, what runs goes
    on running: the doors hold their last answer, and nothing new starts.
    """
    with db.read() as c:
        row = _running(c, sandbox_id)
        if row is None:
            return Standing()
        versions = json.loads(row.versions)
        over = why_asked(c, sandbox_id) or why_over(c, row.person, row.project, versions, at)
        if over is not None:
            return Standing(over)
        facts = _facts(c, row.project, versions, live, at)
    try:
        return _judged(engine.query(ENTRY_POINT, facts).result)
    except PolicyUnavailable as away:
        log.warning("quotas of sandbox %s were not judged: %s", sandbox_id, away.private or away.what)
        return Standing()


def _running(c: Connection, sandbox_id: str) -> Any:
    table = s.sandbox
    return c.execute(select(table).where(table.c.id == sandbox_id, table.c.stopped_at.is_(None))).first()


def _facts(c: Connection, name: str, versions: Sequence[str], live: Live, at: datetime) -> dict[str, Any]:
    given = [g for g in grants_of(c, name) if g.version in versions and g.in_force(at)]
    known = project(c, name)
    ends = [{"name": f"the grant of {g.version}", "seconds": int((g.expires_at - at).total_seconds())} for g in given]
    if known is not None:
        ends.append({"name": f"project {name}", "seconds": int((known.expires_at - at).total_seconds())})
    return {"stage": "session", "grants": [_grant(c, g, live) for g in given], "adds": {}, "ends": ends}


def _grant(c: Connection, given: Grant, live: Live) -> dict[str, Any]:
    used = used_under(c, given, live).facts() if given.quotas else {}
    return {"id": given.id, "version": given.version, "quotas": dict(given.quotas), "used": used}


STOPPING = "processor_seconds"  # the door holds the others exactly, and leaves the sandbox to its analyst


def _judged(result: Any) -> Standing:
    """An answer of another shape stops the sandbox: it is not known to be within its quotas."""
    try:
        spent = sorted({str(each["version"]) for each in result["spent"] if each["name"] == STOPPING})
        if spent:
            return Standing(f"The processor time granted for {', '.join(spent)} is used up.")
        if result["allow"] is not True and not result["spent"]:
            raise ValueError("refused without a quota")
        near = [
            f"The quota of {NAMES[each['name']]} for {each['version']} is nearly used up." for each in result["near"]
        ]
        ending = [f"{str(each)[0].upper()}{str(each)[1:]} ends soon." for each in result["ending"]]
    except (KeyError, TypeError, ValueError) as broken:
        log.warning("policy's answer about quotas could not be understood: %r", broken)
        return Standing("The quotas of this project could not be judged.")
    return Standing(None, tuple(sorted({*near, *ending})))


NAMES = {
    "sessions": "sessions",
    "processor_seconds": "processor time",
    "cells": "cells",
    "shown_bytes": "bytes shown",
    "requests": "requests",
    "releases": "releases",
    "released_cells": "released figures",
    "released_bytes": "released bytes",
}
