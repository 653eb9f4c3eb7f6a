"""Who may start a sandbox on what, and the record of sandboxes begun, ended and refused.

Facts are gathered here and judged by policy (``access/start_sandbox``); this code obeys. What was allowed is checked again,
on the facts of that moment, when the start is recorded: a grant revoked in between stops it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from installation.settings import Settings
from ledger.entry import Entry
from policy_engine import PolicyEngine
from provisioning.domain import names
from provisioning.domain.dataset import AVAILABLE, parse_version
from provisioning.domain.errors import AccessRefused, ProvisioningFault, not_found
from provisioning.domain.grant import Grant, end_of
from provisioning.domain.mount_plan import DATA, TWIN, MountedDataset, MountPlan
from provisioning.domain.people import next_uid
from provisioning.domain.project import Project, ProjectState
from provisioning.service import shelf
from provisioning.store import catalogue
from provisioning.store.projects import grants_of, project, projects_of
from store import schema as s
from store.clock import moment, stamp
from store.database import Database
from store.transaction import Transaction
from store.usage import Usage, larger, usage
from vault import Vault

ENTRY_POINT = "access/start_sandbox"


@dataclass(frozen=True)
class ProjectChoice:
    """A project that a person may start a sandbox for now. ``expires_at`` is its end as UTC text; ``works_on``: data or its twin."""

    name: str
    title: str
    purpose: str
    expires_at: str
    works_on: str = DATA

    @property
    def asked(self) -> str:
        """What the form sends back: the project's name, with its twin behind a slash."""
        return self.name if self.works_on == DATA else f"{self.name}/{self.works_on}"


@dataclass(frozen=True)
class SessionToStop:
    """A running sandbox that may no longer run, and why, in words for the person in it."""

    sandbox: str
    person: str
    project: str
    server_name: str
    reason: str


@dataclass(frozen=True)
class _Verdict:
    allow: bool
    reasons: tuple[dict[str, str], ...]
    grants: tuple[int, ...]
    view: str
    limits: Mapping[str, Any]


def projects_for(
    db: Database, engine: PolicyEngine, person: str, groups: Sequence[str], at: datetime
) -> list[ProjectChoice]:
    """The projects whose sandbox this person may start now, on the data or on its twin. Raises PolicyUnavailable."""
    with db.read() as c:
        asked = [
            (each, works_on, _facts(c, person, groups, each, at, works_on))
            for each in projects_of(c, person)
            for works_on in (DATA, TWIN)
        ]
    allowed = [(each, works_on) for each, works_on, facts in asked if _ask(engine, facts).allow]
    return [ProjectChoice(p.name, p.title, p.purpose, stamp(p.expires_at), works_on) for p, works_on in allowed]


def plan_session(
    db: Database,
    engine: PolicyEngine,
    settings: Settings,
    person: str,
    groups: Sequence[str],
    project: str,
    at: datetime,
) -> MountPlan:
    """What this person's sandbox for this project will hold. ``project``: its name, or ``name/twin`` for its synthetic twin.

    Raises AccessRefused, with an entry in the ledger, when policy says no or the project does not exist;
    PolicyUnavailable when nobody can be asked.
    """
    names.person(person)
    project, _, named = project.partition("/")
    works_on = named or DATA
    with db.read() as c:
        found = _project(c, project)
        facts = _facts(c, person, groups, found, at, works_on) if found else None
    if found is None or facts is None:
        raise _refused(db, person, project, (_UNKNOWN_PROJECT,), at)
    verdict = _ask(engine, facts)
    if not verdict.allow:
        raise _refused(db, person, project, verdict.reasons, at)
    with db.read() as c:
        mounted = _mounts(c, settings, project, verdict.grants, works_on)
        packages = shelf.folder_of(c, settings)
    return MountPlan(
        person=person,
        uid=_uid(db, person, at),
        project=found.name,
        purpose=found.purpose,
        view=verdict.view,
        limits=verdict.limits,
        grants=verdict.grants,
        datasets=mounted,
        works_on=works_on,
        shelf=packages,
    )


def sandbox_started(
    db: Database,
    plan: MountPlan,
    sandbox_id: str,
    server_name: str,
    container: str,
    image_digest: str,
    proof: Mapping[str, Any],
    at: datetime,
) -> None:
    """Record a start. Raises AccessRefused when a grant, the project or the membership ended since the plan was made."""
    versions = [each.granted for each in plan.datasets]
    row = {
        "id": sandbox_id,
        "person": plan.person,
        "project": plan.project,
        "server_name": server_name,
        "container": container,
        "image_digest": image_digest,
        "view": plan.view,
        "works_on": plan.works_on,
        "versions": json.dumps(versions),
        "proof": json.dumps(proof, sort_keys=True),
        "started_at": stamp(at),
        "shelf": plan.shelf[0] if plan.shelf else None,
    }
    subject = {"sandbox": sandbox_id, "person": plan.person, "project": plan.project}
    facts = {
        "purpose": plan.purpose,
        "grants": list(plan.grants),
        "versions": versions,
        "view": plan.view,
        "works_on": plan.works_on,
        "image": image_digest,
        "server_name": server_name,
        "shelf": plan.shelf[0] if plan.shelf else None,
        "proof": _evidence(proof),
    }
    with db.transaction(at) as t:
        ended = why_over(t, plan.person, plan.project, versions, at) or _no_session_left(t, plan, at)
        if ended is None:
            t.execute(insert(s.sandbox).values(row))
            t.record(Entry("sandbox.started", plan.person, subject, facts))
    if ended is not None:
        raise _refused(
            db, plan.person, plan.project, ({"code": "ended_meanwhile", "message": ended, "remedy": _RETRY},), at
        )


def sandbox_stopped(
    db: Database,
    sandbox_id: str,
    reason: str,
    at: datetime,
    *,
    actor: str = "workbench",
    used: Mapping[str, int] | None = None,
) -> None:
    """Record an end and what was used. A sandbox that has ended already, or was never recorded, is left as it is."""
    with db.transaction(at) as t:
        where = (s.sandbox.c.id == sandbox_id, s.sandbox.c.stopped_at.is_(None))
        row = t.execute(select(s.sandbox).where(*where)).first()
        if row is None:
            return
        taken = larger(json.loads(row.used), used or {})
        values = {"stopped_at": t.at, "stop_reason": reason, "used": json.dumps(taken, sort_keys=True)}
        t.execute(update(s.sandbox).where(*where).values(values))
        subject = {"sandbox": sandbox_id, "person": row.person, "project": row.project}
        t.record(Entry("sandbox.stopped", actor, subject, {"reason": reason, "used": taken}))


def ask_to_stop(db: Database, sandbox_id: str, reason: str, at: datetime, *, actor: str) -> None:
    """From now on the sandbox may not run; what watches it removes it at its next look. Asking twice is asking once.

    Raises NotFound for a sandbox that does not run, RegistrationRefused for a reason that is none.
    """
    said = names.text("reason", reason)
    with db.transaction(at) as t:
        row = t.execute(select(s.sandbox).where(s.sandbox.c.id == sandbox_id, s.sandbox.c.stopped_at.is_(None))).first()
        if row is None:
            raise not_found("running sandbox", ascii(sandbox_id[:60]), "the desk's administration page")
        asked = t.execute(select(s.sandbox_stop).where(s.sandbox_stop.c.sandbox == sandbox_id)).first()
        if asked is None:
            values = {"sandbox": sandbox_id, "asked_by": actor, "asked_at": t.at, "reason": said}
            t.execute(insert(s.sandbox_stop).values(values))
            subject = {"sandbox": sandbox_id, "person": row.person, "project": row.project}
            t.record(Entry("sandbox.stop_asked", actor, subject, {"reason": said}))


def sessions_to_stop(db: Database, at: datetime) -> list[SessionToStop]:
    """Running sandboxes whose right to run is over at ``at``. Cheap enough to ask every few seconds."""
    found = []
    with db.read() as c:
        for row in c.execute(select(s.sandbox).where(s.sandbox.c.stopped_at.is_(None)).order_by(s.sandbox.c.id)).all():
            versions = json.loads(row.versions)
            reason = why_asked(c, row.id) or why_over(c, row.person, row.project, versions, at)
            if reason is None and row.works_on == TWIN and None in [catalogue.twin_for(c, v) for v in versions]:
                reason = "The synthetic twin was destroyed."
            if reason is not None:
                found.append(SessionToStop(row.id, row.person, row.project, row.server_name, reason))
    return found


# -- asking policy ----------------------------------------------------------------------------------------------------
def _facts(
    c: Connection, person: str, groups: Sequence[str], found: Project, at: datetime, works_on: str
) -> dict[str, Any]:
    return {
        "person": {"name": person, "groups": sorted(groups)},
        "project": {
            "name": found.name,
            "state": found.state.value,
            "expires_at": stamp(found.expires_at),
            "purpose": found.purpose,
            "members": list(found.members),
            "assessed": list(found.assessed),
            "stated": list(found.stated),
        },
        "grants": [_grant_facts(c, each) for each in grants_of(c, found.name)],
        "works_on": works_on,
        "now": stamp(at),
    }


def _grant_facts(c: Connection, given: Grant) -> dict[str, Any]:
    name, _ = parse_version(given.version)
    known, version = catalogue.dataset(c, name), catalogue.version(c, given.version)
    if known is None or version is None:
        raise ProvisioningFault(
            "The project's data cannot be looked up.",
            why="One of its grants names a dataset version that is not registered.",
            do="Ask an administrator to look at the project's grants.",
            private=f"grant {given.id}: {given.version}",
        )
    kept = catalogue.kept_until(c, name)
    return {
        "id": given.id,
        "version": given.version,
        "dataset": name,
        "classification": int(known.classification),
        "purpose": given.purpose,
        "expires_at": stamp(given.expires_at),
        "revoked_at": None if given.revoked_at is None else stamp(given.revoked_at),
        "version_state": version.state,
        "kept_until": None if kept is None else kept.isoformat(),
        "stewards": list(known.stewards),
        "quotas": dict(given.quotas),
        "used": used_under(c, given).facts() if given.quotas else {},
        "twin": _twin_facts(c, given.version),
    }


def used_under(c: Connection | Transaction, given: Grant, live: Mapping[str, Mapping[str, int]] | None = None) -> Usage:
    """What the grant's whole project used of its version since it was given."""
    return usage(c, project=given.project, version=given.version, since=stamp(given.granted_at), live=live)


def _twin_facts(c: Connection, version: str) -> dict[str, Any] | None:
    twin = catalogue.twin_for(c, version)
    known = catalogue.dataset(c, parse_version(twin)[0]) if twin else None
    return {"version": twin, "classification": int(known.classification)} if known else None


def _ask(engine: PolicyEngine, facts: Mapping[str, Any]) -> _Verdict:
    """Only a literal true allows. An answer of another shape is no answer: AccessRefused without an entry."""
    result = engine.query(ENTRY_POINT, dict(facts)).result
    known = {each["id"] for each in facts["grants"]}
    try:
        grants = tuple(int(number) for number in result["grants"])
        if result["allow"] is True and (
            not grants or not set(grants) <= known or result["view"] not in ("open", "guarded", "blind")
        ):
            raise ValueError("allowed without grants, or for others than were asked about")
        reasons = tuple({str(k): str(v) for k, v in reason.items()} for reason in result["reasons"])
        return _Verdict(result["allow"] is True, reasons, grants, str(result["view"]), dict(result["limits"]))
    except (KeyError, TypeError, ValueError, AttributeError) as broken:
        raise AccessRefused(
            "The sandbox was not started.",
            why="The policy's answer could not be understood, and that is never taken for a yes.",
            do="Ask an administrator to look at the installation: ./glovebox status.",
            private=repr(broken),
        ) from broken


_UNKNOWN_PROJECT = {
    "code": "unknown_project",
    "message": "There is no project of this name.",
    "remedy": "Choose one of the projects that the form shows.",
}
_RETRY = "Look at your project's grants, then start again."


def _refused(
    db: Database, person: str, asked: str, reasons: Sequence[Mapping[str, str]], at: datetime
) -> AccessRefused:
    """The refusal, already in the ledger."""
    codes = [str(reason.get("code")) for reason in reasons] or ["not_allowed"]
    shown = asked if asked.isprintable() and 0 < len(asked) <= 63 else "(not a name)"
    with db.transaction(at) as t:
        t.execute(
            insert(s.access_refusal).values(person=person, project=shown, reasons=json.dumps(codes), refused_at=t.at)
        )
        t.record(Entry("sandbox.refused", person, {"person": person, "project": shown}, {"reasons": codes}))
    return AccessRefused(
        f"The sandbox for project {shown} was not started.",
        why=" ".join(str(reason.get("message")) for reason in reasons) or "No rule of this installation allows it.",
        do=str(reasons[0].get("remedy")) if reasons else "Ask an administrator.",
        reasons=codes,
    )


# -- what is mounted --------------------------------------------------------------------------------------------------
def _mounts(
    c: Connection, settings: Settings, asked: str, grants: Sequence[int], works_on: str
) -> tuple[MountedDataset, ...]:
    """The newest granted version of each dataset: one folder has one state of the data. On twins, each stands in its place."""
    newest: dict[str, tuple[int, str]] = {}
    for given in grants_of(c, asked):
        if given.id in grants:
            name, number = parse_version(given.version)
            newest[name] = max(newest.get(name, (0, "")), (number, given.version))
    chosen = [(name, version) for name, (_, version) in sorted(newest.items())]
    if works_on == DATA:
        return tuple(_mounted(c, settings, name, version) for name, version in chosen)
    return tuple(
        replace(_mounted(c, settings, name, catalogue.twin_for(c, version) or ""), stands_for=version)
        for name, version in chosen
    )


def _mounted(c: Connection, settings: Settings, name: str, version_id: str) -> MountedDataset:
    version = catalogue.version(c, version_id)
    sealed = settings.datasets / version.folder if version else Path()
    if version is None or version.state != AVAILABLE or not sealed.is_dir():
        raise ProvisioningFault(
            f"{version_id} could not be mounted.",
            why="Its files are not where the catalogue says.",
            do="Ask an administrator to look at the installation: ./glovebox status.",
            private=str(sealed),
        )
    tables = catalogue.tables_of(c, version_id)
    digests = {table.file: table.digest for table in tables}
    return MountedDataset(
        name, version_id, Vault(settings).path(version_id), tuple(table.name for table in tables), digests
    )


def why_asked(c: Connection, sandbox_id: str) -> str | None:
    """In words for the person in it, when somebody asked that this sandbox ends."""
    asked = c.execute(select(s.sandbox_stop).where(s.sandbox_stop.c.sandbox == sandbox_id)).first()
    return None if asked is None else f"Stopped by {asked.asked_by}: {asked.reason}"


def _no_session_left(t: Transaction, plan: MountPlan, at: datetime) -> str | None:
    """Two starts at once were both told that one session is left: the second is told so here."""
    for given in grants_of(t, plan.project):
        most = given.quotas.get("sessions")
        mounted = any(each.version == given.version for each in plan.datasets)
        if most is not None and mounted and given.in_force(at) and used_under(t, given).sessions >= most:
            return f"The quota of sessions for {given.version} is used up."
    return None


def why_over(c: Connection | Transaction, person: str, asked: str, versions: Sequence[str], at: datetime) -> str | None:
    """Why a sandbox with these versions may not run at ``at``; None when it may."""
    found = project(c, asked)
    if found is None or found.state is not ProjectState.ACTIVE:
        return f"Project {asked} is {found.state.value if found else 'gone'}."
    if found.over(at):
        return f"Project {asked} ended."
    if person not in found.members:
        return f"{person} is no longer a member of project {asked}."
    live = {given.version for given in grants_of(c, asked) if given.in_force(at)}
    states = select(s.dataset_version.c.id).where(s.dataset_version.c.state == AVAILABLE)
    available = set(c.execute(states.where(s.dataset_version.c.id.in_(list(versions)))).scalars())
    for version in versions:
        if version not in available:
            return f"{version} was destroyed."
        if version not in live:
            return f"The grant on {version} ended or was revoked."
        kept = catalogue.kept_until(c, parse_version(version)[0])
        if kept is not None and at >= end_of(kept):
            return f"{version} was to be kept until {kept.isoformat()} only."
    return None


def _project(c: Connection, asked: str) -> Project | None:
    return project(c, asked)


def _uid(db: Database, person: str, at: datetime) -> int:
    """The person's number inside sandboxes; given once, on the record."""
    query = select(s.person.c.uid).where(s.person.c.name == person)
    with db.read() as c:
        known = c.execute(query).scalar()
    if known is not None:
        return int(known)
    with db.transaction(at) as t:
        known = t.execute(query).scalar()
        if known is None:
            known = next_uid(t.execute(select(func.max(s.person.c.uid))).scalar())
            t.execute(insert(s.person).values(name=person, uid=known))
            t.record(Entry("person.added", person, {"person": person}, {"uid": known}))
    return int(known)


def _evidence(proof: Mapping[str, Any]) -> dict[str, Any]:
    """The proof as evidence: a ledger entry is small, so that long lists become their digest."""
    text = json.dumps(proof, sort_keys=True, default=str)
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "facts": len(proof.get("facts", ()))}


def refused_starts(c: Connection, *, since: datetime) -> list[dict[str, Any]]:
    """Refusals since a time, newest first, for the admin's page."""
    table = s.access_refusal
    rows = c.execute(select(table).where(table.c.refused_at >= stamp(since)).order_by(table.c.id.desc())).all()
    return [
        {"person": r.person, "project": r.project, "reasons": json.loads(r.reasons), "at": moment(r.refused_at)}
        for r in rows
    ]
