"""Reading what provisioning registered: tables, stewards, members, sandboxes. The gate never writes these."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from egress_gate.service.ports import SourceTable
from store import schema as s
from store.database import Transaction


@dataclass(frozen=True)
class RunningSandbox:
    id: str
    person: str
    project: str
    versions: tuple[str, ...]
    view: str


def running_sandbox(c: Connection, sandbox: str) -> RunningSandbox | None:
    """The sandbox if it is running; a stopped one no longer speaks for anybody."""
    row = c.execute(select(s.sandbox).where(s.sandbox.c.id == sandbox, s.sandbox.c.stopped_at.is_(None))).first()
    if row is None:
        return None
    return RunningSandbox(row.id, row.person, row.project, tuple(json.loads(row.versions)), row.view)


def running_of(c: Connection, person: str) -> tuple[RunningSandbox, ...]:
    """This person's running sandboxes, newest first."""
    query = (
        select(s.sandbox)
        .where(s.sandbox.c.person == person, s.sandbox.c.stopped_at.is_(None))
        .order_by(s.sandbox.c.started_at.desc())
    )
    return tuple(
        RunningSandbox(r.id, r.person, r.project, tuple(json.loads(r.versions)), r.view) for r in c.execute(query)
    )


def works_on(c: Connection, sandbox: str) -> str:
    """``data``, or ``twin`` for a sandbox that holds synthetic rows in the data's place."""
    return str(c.execute(select(s.sandbox.c.works_on).where(s.sandbox.c.id == sandbox)).scalar() or "data")


def view_of_sandbox(c: Connection, sandbox: str | None) -> str:
    """``open``, ``guarded`` or ``blind``; the last for one that is not on record."""
    row = c.execute(select(s.sandbox.c.view).where(s.sandbox.c.id == sandbox)).first()
    return str(row.view) if row is not None else "blind"


def versions_of_sandbox(c: Connection, sandbox: str | None) -> tuple[str, ...]:
    """What was mounted in it, running or not."""
    row = c.execute(select(s.sandbox.c.versions).where(s.sandbox.c.id == sandbox)).first()
    return tuple(json.loads(row.versions)) if row else ()


def image_of_sandbox(c: Connection, sandbox: str | None) -> str | None:
    row = c.execute(select(s.sandbox.c.image_digest).where(s.sandbox.c.id == sandbox)).first()
    return row.image_digest if row else None


def shelf_of_sandbox(c: Connection, sandbox: str | None) -> dict[str, Any] | None:
    """What lay on the package shelf that it saw: the edition's digest and its packages; None for none."""
    digest = c.execute(select(s.sandbox.c.shelf).where(s.sandbox.c.id == sandbox)).scalar()
    if digest is None:
        return None
    listed = c.execute(select(s.shelf_edition.c.packages).where(s.shelf_edition.c.digest == digest).limit(1)).scalar()
    packages = [{name: one[name] for name in ("name", "version", "sha256")} for one in json.loads(listed or "[]")]
    return {"sha256": digest, "packages": packages}


def stewards(c: Connection, datasets: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The stewards of each dataset, in order of name; a dataset without one has an empty tuple."""
    wanted = sorted(set(datasets))
    held: dict[str, list[str]] = {d: [] for d in wanted}
    query = (
        select(s.dataset_steward).where(s.dataset_steward.c.dataset.in_(wanted)).order_by(s.dataset_steward.c.person)
    )
    for row in c.execute(query):
        held[row.dataset].append(row.person)
    return {d: tuple(people) for d, people in held.items()}


def sources(c: Connection, versions: Iterable[str], root: Path) -> tuple[SourceTable, ...]:
    """The tables of available `versions`. A destroyed version has none: its data cannot be recomputed."""
    query = (
        select(s.dataset_table, s.dataset_version.c.folder, s.dataset_version.c.dataset, s.dataset.c.classification)
        .join(s.dataset_version, s.dataset_version.c.id == s.dataset_table.c.version)
        .join(s.dataset, s.dataset.c.name == s.dataset_version.c.dataset)
        .where(s.dataset_table.c.version.in_(sorted(set(versions))), s.dataset_version.c.state == "available")
        .order_by(s.dataset_version.c.dataset, s.dataset_table.c.name)
    )
    rows = c.execute(query).all()
    people = stewards(c, [r.dataset for r in rows])
    return tuple(
        SourceTable(
            dataset=r.dataset,
            version=r.version,
            classification=r.classification,
            stewards=people[r.dataset],
            name=r.name,
            path=root / r.folder / r.file,
            digest=r.digest,
            unit=r.unit,
            columns=tuple(json.loads(r.columns)),
            rows=r.rows,
        )
        for r in rows
    )


def members(c: Connection, project: str) -> tuple[str, ...]:
    query = (
        select(s.project_member.c.person)
        .where(s.project_member.c.project == project, s.project_member.c.removed_at.is_(None))
        .order_by(s.project_member.c.person)
    )
    return tuple(r.person for r in c.execute(query))


def members_by_project(c: Connection, names: Sequence[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Every project's members, or those of some, in order of name."""
    table = s.project_member
    held: dict[str, list[str]] = {}
    query = select(table).where(table.c.removed_at.is_(None)).order_by(table.c.person)
    if names is not None:
        query = query.where(table.c.project.in_(names))
    for row in c.execute(query):
        held.setdefault(row.project, []).append(row.person)
    return {project: tuple(people) for project, people in held.items()}


def named_versions(stored: str) -> tuple[str, ...]:
    """The versions that a sandbox's row names."""
    return tuple(json.loads(stored))


def datasets_of_steward(c: Connection, person: str) -> tuple[str, ...]:
    held = s.dataset_steward
    return tuple(r.dataset for r in c.execute(select(held).where(held.c.person == person).order_by(held.c.dataset)))


def looked_after(c: Connection, person: str, at: str) -> frozenset[str]:
    """The datasets that this person stewards, and those whose vote was lent to them until a time that has not come."""
    own = datasets_of_steward(c, person)
    lent = {d.dataset for d in delegations(c, person) if d.delegate == person and d.in_force(at)}
    return frozenset(own) | {d for d, people in effective_stewards(c, lent, at).items() if person in people}


@dataclass(frozen=True)
class DelegationRow:
    id: int
    dataset: str
    steward: str
    delegate: str
    given_at: str
    until_at: str
    ended_at: str | None

    def in_force(self, now: str) -> bool:
        return self.ended_at is None and self.given_at <= now < self.until_at


def delegations(c: Connection, person: str) -> tuple[DelegationRow, ...]:
    """Those this person gave or received, newest first."""
    table = s.delegation
    query = select(table).where((table.c.steward == person) | (table.c.delegate == person)).order_by(table.c.id.desc())
    return tuple(
        DelegationRow(r.id, r.dataset, r.steward, r.delegate, r.given_at, r.until_at, r.ended_at)
        for r in c.execute(query.limit(200))
    )


@dataclass(frozen=True)
class ProjectRow:
    name: str
    title: str
    purpose: str
    state: str
    expires_at: str
    members: tuple[str, ...]


def project(c: Connection, name: str) -> ProjectRow | None:
    row = c.execute(select(s.project).where(s.project.c.name == name)).first()
    if row is None:
        return None
    return ProjectRow(row.name, row.title, row.purpose, row.state, row.expires_at, members(c, name))


def state_of_project(c: Connection | Transaction, name: str) -> str | None:
    found = c.execute(select(s.project.c.state).where(s.project.c.name == name)).scalar()
    return None if found is None else str(found)


def datasets_of_versions(c: Connection, versions: Iterable[str]) -> dict[str, str]:
    """Version id → dataset name."""
    query = select(s.dataset_version.c.id, s.dataset_version.c.dataset).where(
        s.dataset_version.c.id.in_(sorted(set(versions)))
    )
    return {r.id: r.dataset for r in c.execute(query)}


def digests(c: Connection, versions: Iterable[str]) -> dict[str, str]:
    """Version id → the digest it was registered under."""
    query = select(s.dataset_version.c.id, s.dataset_version.c.digest).where(
        s.dataset_version.c.id.in_(sorted(set(versions)))
    )
    return {r.id: r.digest for r in c.execute(query)}


def classifications(c: Connection, datasets: Iterable[str]) -> dict[str, int]:
    query = select(s.dataset.c.name, s.dataset.c.classification).where(s.dataset.c.name.in_(sorted(set(datasets))))
    return {r.name: r.classification for r in c.execute(query)}


def effective_stewards(c: Connection, datasets: Iterable[str], at: str) -> dict[str, tuple[str, ...]]:
    """Stewards, and those they lent their vote to until a time that has not come."""
    people = {d: list(names) for d, names in stewards(c, datasets).items()}
    query = select(s.delegation).where(
        s.delegation.c.dataset.in_(sorted(people)),
        s.delegation.c.given_at <= at,
        s.delegation.c.until_at > at,
        s.delegation.c.ended_at.is_(None),
    )
    for row in c.execute(query):
        if row.steward in people[row.dataset] and row.delegate not in people[row.dataset]:
            people[row.dataset].append(row.delegate)
    return {d: tuple(names) for d, names in people.items()}
