"""Projects, their members, and the grants that stewards give them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from ledger.entry import Entry
from provisioning.domain import grant as rules
from provisioning.domain import names
from provisioning.domain import project as lives
from provisioning.domain.dataset import parse_version
from provisioning.domain.errors import ProjectRefused, not_found
from provisioning.domain.grant import Grant
from provisioning.domain.project import Project, ProjectState
from provisioning.store import catalogue
from provisioning.store.projects import grant, grants_of, project, projects, projects_of
from store import schema as s
from store.clock import stamp
from store.database import Database
from store.transaction import Transaction
from store.usage import CAPPED, LIMITED

__all__ = [
    "add_member",
    "assess_project",
    "change_quotas",
    "close_project",
    "create_project",
    "describe_project",
    "extend_project",
    "freeze_project",
    "give_grant",
    "grant",
    "grants_of",
    "project",
    "projects",
    "projects_of",
    "remove_member",
    "revoke_grant",
    "thaw_project",
]


_ITEM = re.compile(r"[a-z][a-z_]{0,40}")
QUOTAS = (*LIMITED, *CAPPED)


def create_project(
    db: Database,
    *,
    name: str,
    title: str,
    purpose: str,
    sponsor: str,
    expires_at: datetime,
    actor: str,
    at: datetime,
    legal_basis: str = "",
    output_plan: str = "",
    members: Sequence[str] = (),
    datasets: Sequence[str] = (),
) -> Project:
    """``datasets``: which data it means to use; their stewards see that it asks for a grant.

    Raises RegistrationRefused for a bad name or empty text, ProjectRefused for a taken name or an end in the past, NotFound for
    an unknown dataset.
    """
    names.slug("project", name)
    people = sorted({names.person(each) for each in members})
    planned = sorted({names.slug("dataset", each) for each in datasets})
    names.person(sponsor)
    names.person(actor)
    lives.check_dates(name, expires_at=expires_at, at=at)
    given = {"legal_basis": legal_basis, "output_plan": output_plan}
    terms: dict[str, Any] = {noun: names.text(noun.replace("_", " "), text) for noun, text in given.items() if text}
    terms |= {"datasets": planned} if planned else {}
    row = {
        "name": name,
        "title": names.text("title", title),
        "purpose": names.text("purpose", purpose),
        "sponsor": sponsor,
        "state": ProjectState.ACTIVE.value,
        "created_at": stamp(at),
        "created_by": actor,
        "expires_at": stamp(expires_at),
        "terms": json.dumps(terms, sort_keys=True),
    }
    with db.transaction(at) as t:
        if project(t, name) is not None:
            raise ProjectRefused(
                f"Project {name} was not created.", why="There is one of this name.", do="Choose another name."
            )
        for each in planned:
            if catalogue.known_dataset(t, each) is None:
                raise not_found("dataset", each, "./glovebox dataset list")
        t.execute(insert(s.project).values(row))
        facts = {noun: row[noun] for noun in ("title", "purpose", "sponsor", "expires_at")} | terms
        t.record(Entry("project.created", actor, {"project": name}, facts))
        for person in people:
            t.execute(insert(s.project_member).values(project=name, person=person, added_at=t.at))
            t.record(Entry("member.added", actor, {"project": name, "person": person}))
        return _required(t, name)


def assess_project(db: Database, *, name: str, confirmed: Sequence[str], actor: str, at: datetime) -> Project:
    """Record which items of the checklist a person confirms; policy says which are needed. Members do not assess their own project.

    Raises NotFound, or ProjectRefused for an item that is none, a member, or a closed project."""
    wanted = tuple(dict.fromkeys(confirmed))
    with db.transaction(at) as t:
        known = _required(t, name)
        if known.state is ProjectState.CLOSED or actor in known.members or not all(map(_ITEM.fullmatch, wanted)):
            raise ProjectRefused(
                f"Project {name} was not assessed.",
                why="It is closed, you are one of its members, or an item is not of the checklist's form.",
                do="Let an administrator who is no member confirm items as policies/data/assessment.json names them.",
            )
        row = t.execute(select(s.project.c.terms).where(s.project.c.name == name)).scalar_one()
        terms = json.loads(row) | {"assessed": list(wanted)}
        t.execute(update(s.project).where(s.project.c.name == name).values(terms=json.dumps(terms, sort_keys=True)))
        t.record(Entry("project.assessed", actor, {"project": name}, {"confirmed": list(wanted)}))
        return _required(t, name)


def freeze_project(db: Database, *, name: str, reason: str, actor: str, at: datetime) -> Project:
    """Nobody starts a sandbox for a frozen project, and running ones are stopped. Raises ProjectRefused, NotFound."""
    return _move(db, name, ProjectState.FROZEN, "project.frozen", reason, actor, at)


def thaw_project(db: Database, *, name: str, reason: str, actor: str, at: datetime) -> Project:
    return _move(db, name, ProjectState.ACTIVE, "project.thawed", reason, actor, at)


def close_project(db: Database, *, name: str, reason: str, actor: str, at: datetime) -> Project:
    """For good: a closed project never opens again."""
    return _move(db, name, ProjectState.CLOSED, "project.closed", reason, actor, at)


def extend_project(db: Database, *, name: str, expires_at: datetime, actor: str, at: datetime) -> Project:
    """Give a project another end. Its grants keep theirs."""
    lives.check_dates(name, expires_at=expires_at, at=at)
    with db.transaction(at) as t:
        known = _required(t, name)
        if known.state is ProjectState.CLOSED:
            raise ProjectRefused(f"Project {name} was not extended.", why="It is closed.", do="Make a new project.")
        t.execute(update(s.project).where(s.project.c.name == name).values(expires_at=stamp(expires_at)))
        facts = {"from": stamp(known.expires_at), "until": stamp(expires_at)}
        t.record(Entry("project.extended", actor, {"project": name}, facts))
        return _required(t, name)


def describe_project(
    db: Database,
    *,
    name: str,
    actor: str,
    at: datetime,
    title: str = "",
    sponsor: str = "",
    legal_basis: str = "",
    output_plan: str = "",
) -> Project:
    """State what a project is; what is left empty stays as it was. Its purpose cannot change: grants were given for it.

    Raises NotFound, RegistrationRefused for a text or name that cannot be, ProjectRefused for a closed project or no change."""
    names.person(actor)
    given = {"title": title, "legal_basis": legal_basis, "output_plan": output_plan}
    said = {noun: names.text(noun.replace("_", " "), text) for noun, text in given.items() if text}
    if sponsor:
        names.person(sponsor)
        said["sponsor"] = sponsor
    with db.transaction(at) as t:
        known = _required(t, name)
        changed = {noun: text for noun, text in said.items() if getattr(known, noun) != text}
        if known.state is ProjectState.CLOSED or not changed:
            raise ProjectRefused(
                f"Project {name} was not described.",
                why="It is closed." if known.state is ProjectState.CLOSED else "Nothing would be different.",
                do="Make a new project." if known.state is ProjectState.CLOSED else "Say what is to change.",
            )
        row = t.execute(select(s.project.c.terms).where(s.project.c.name == name)).scalar_one()
        values = {noun: text for noun, text in changed.items() if noun not in lives.STATED}
        terms: dict[str, Any] = {**json.loads(row), **{n: changed[n] for n in lives.STATED if n in changed}}
        values["terms"] = json.dumps(terms, sort_keys=True)
        t.execute(update(s.project).where(s.project.c.name == name).values(**values))
        before = {noun: getattr(known, noun) for noun in changed}
        t.record(Entry("project.described", actor, {"project": name}, {**changed, "before": before}))
        return _required(t, name)


def add_member(db: Database, *, project: str, person: str, actor: str, at: datetime) -> None:
    """Raises NotFound for an unknown project, ProjectRefused when it is closed or the person is a member already."""
    names.person(person)
    table = s.project_member
    with db.transaction(at) as t:
        known = _required(t, project)
        if known.state is ProjectState.CLOSED:
            raise ProjectRefused(
                f"{person} was not added.", why=f"Project {project} is closed.", do="Make a new project."
            )
        if person in known.members:
            raise ProjectRefused(
                f"{person} was not added.",
                why=f"{person} is a member of {project} already.",
                do="Nothing is left to do.",
            )
        before = t.execute(select(table).where(table.c.project == project, table.c.person == person)).first()
        if before is None:
            t.execute(insert(table).values(project=project, person=person, added_at=t.at))
        else:
            where = (table.c.project == project, table.c.person == person)
            t.execute(update(table).where(*where).values(added_at=t.at, removed_at=None))
        t.record(Entry("member.added", actor, {"project": project, "person": person}))


def remove_member(db: Database, *, project: str, person: str, actor: str, at: datetime) -> None:
    """Raises NotFound, or ProjectRefused when the person is no member. A running sandbox is stopped by the next poll."""
    table = s.project_member
    with db.transaction(at) as t:
        if person not in _required(t, project).members:
            raise ProjectRefused(
                f"{person} was not removed.", why=f"{person} is no member of {project}.", do="Look at its members."
            )
        where = (table.c.project == project, table.c.person == person)
        t.execute(update(table).where(*where).values(removed_at=t.at))
        t.record(Entry("member.removed", actor, {"project": project, "person": person}))


def give_grant(
    db: Database,
    *,
    project: str,
    version: str,
    expires_at: datetime,
    actor: str,
    at: datetime,
    purpose: str | None = None,
    quotas: Mapping[str, int] | None = None,
) -> Grant:
    """A steward's consent. Raises GrantRefused when ``actor`` is no steward of the dataset, or the terms do not fit.

    ``purpose``: must be the project's, which it is when left out.
    ``quotas``: the most the project may use of this version under this grant, by a name of `store.usage.LIMITED`; or what each sandbox
    may have at the most, by one of `CAPPED`.
    """
    dataset, _ = parse_version(version)
    limits = dict(quotas or {})
    rules.check_quotas(version, limits, QUOTAS)
    stated = None if purpose is None else names.text("purpose", purpose)
    with db.transaction(at) as t:
        known = _required(t, project)
        state = _state_of(t, version)
        rules.check_masking(version, catalogue.recipe_of(t, version).get("project"), project)
        rules.check_new(
            actor=actor,
            stewards=_stewards(t, dataset),
            version=version,
            version_state=state,
            purpose=known.purpose if stated is None else stated,
            project_purpose=known.purpose,
            project_state=known.state.value,
            expires_at=expires_at,
            at=at,
            kept_until=catalogue.kept_until(t, dataset),
        )
        row = {
            "project": project,
            "version": version,
            "purpose": known.purpose,
            "granted_by": actor,
            "granted_at": t.at,
            "expires_at": stamp(expires_at),
            "quotas": json.dumps(limits, sort_keys=True),
        }
        number = _inserted(t, row)
        subject = {"grant": str(number), "project": project, "version": version, "dataset": dataset}
        terms = {"purpose": known.purpose, "expires_at": stamp(expires_at), **({"quotas": limits} if limits else {})}
        t.record(Entry("grant.given", actor, subject, terms))
        return _granted(t, number)


def change_quotas(
    db: Database, *, grant: int, quotas: Mapping[str, int], reason: str, actor: str, at: datetime
) -> Grant:
    """Replace a grant's quotas. What was used stays counted. Raises NotFound, or GrantRefused for one who is no steward of the dataset."""
    said, limits = names.text("reason", reason), dict(quotas)
    with db.transaction(at) as t:
        known = _granted(t, grant)
        rules.check_quotas(known.version, limits, QUOTAS)
        dataset, _ = parse_version(known.version)
        rules.check_steward(known, "changed", actor=actor, stewards=_stewards(t, dataset))
        t.execute(update(s.grant).where(s.grant.c.id == grant).values(quotas=json.dumps(limits, sort_keys=True)))
        subject = {"grant": str(grant), "project": known.project, "version": known.version, "dataset": dataset}
        facts = {"reason": said, "from": dict(known.quotas), "to": limits}
        t.record(Entry("grant.quotas_changed", actor, subject, facts))
        return _granted(t, grant)


def revoke_grant(db: Database, *, grant: int, reason: str, actor: str, at: datetime) -> Grant:
    """Raises NotFound, or GrantRefused for somebody who is no steward of the dataset. Effective at once."""
    said = names.text("reason", reason)
    with db.transaction(at) as t:
        known = _granted(t, grant)
        dataset, _ = parse_version(known.version)
        rules.check_revocation(known, actor=actor, stewards=_stewards(t, dataset))
        t.execute(update(s.grant).where(s.grant.c.id == grant).values(revoked_at=t.at, revoked_by=actor))
        subject = {"grant": str(grant), "project": known.project, "version": known.version, "dataset": dataset}
        t.record(Entry("grant.revoked", actor, subject, {"reason": said}))
        return _granted(t, grant)


def _move(db: Database, name: str, to: ProjectState, kind: str, reason: str, actor: str, at: datetime) -> Project:
    said = names.text("reason", reason)
    with db.transaction(at) as t:
        known = _required(t, name)
        lives.move(name, known.state, to)
        t.execute(update(s.project).where(s.project.c.name == name).values(state=to.value))
        t.record(Entry(kind, actor, {"project": name}, {"reason": said, "from": known.state.value}))
        return _required(t, name)


def _required(t: Transaction, name: str) -> Project:
    found = project(t, name)
    if found is None:
        raise not_found("project", ascii(name[:60]), "./glovebox project list")
    return found


def _granted(t: Transaction, number: int) -> Grant:
    found = grant(t, number)
    if found is None:
        raise not_found("grant", str(number), "./glovebox project list")
    return found


def _state_of(t: Transaction, version: str) -> str:
    state = t.execute(select(s.dataset_version.c.state).where(s.dataset_version.c.id == version)).scalar()
    if state is None:
        raise not_found("dataset version", version, "./glovebox dataset list")
    return str(state)


def _stewards(t: Transaction, dataset: str) -> tuple[str, ...]:
    query = select(s.dataset_steward.c.person).where(s.dataset_steward.c.dataset == dataset)
    return tuple(sorted(t.execute(query).scalars()))


def _inserted(t: Transaction, row: dict[str, Any]) -> int:
    result = t.execute(insert(s.grant).values(row))
    key = result.inserted_primary_key
    if key is None:
        raise RuntimeError("the database gave no number to the grant")
    return int(key[0])
