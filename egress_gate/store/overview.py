"""The administrator's pages: what runs now, projects with what they used, people, catalogue, grants. Read-only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, func, select

from egress_gate.store import catalogue
from egress_gate.store.paging import PAGE, Paged, paged
from store import schema as s

LIMIT = 500


@dataclass(frozen=True)
class Counts:
    """The installation in four figures."""

    sandboxes: int
    projects: int
    frozen: int
    people: int
    grants: int


@dataclass(frozen=True)
class RunningLine:
    """A sandbox that runs. `stopping`: why it was asked to end, when it was."""

    id: str
    person: str
    project: str
    view: str
    versions: tuple[str, ...]
    started_at: str
    stopping: str | None


@dataclass(frozen=True)
class ProjectLine:
    """A project and how much came of it."""

    project: catalogue.ProjectRow
    running: int
    requests: int
    releases: int


@dataclass(frozen=True)
class PersonLine:
    name: str
    projects: tuple[str, ...]
    stewards: tuple[str, ...]
    running: int
    last_seen: str | None


@dataclass(frozen=True)
class DatasetLine:
    name: str
    title: str
    provider: str
    classification: int
    stewards: tuple[str, ...]
    versions: int
    rows: int


def counts(c: Connection, now: str) -> Counts:
    def number(query: Select[Any]) -> int:
        return int(c.execute(select(func.count()).select_from(query.subquery())).scalar_one())

    in_force = select(s.grant.c.id).where(s.grant.c.revoked_at.is_(None), s.grant.c.expires_at > now)
    return Counts(
        sandboxes=number(select(s.sandbox.c.id).where(s.sandbox.c.stopped_at.is_(None))),
        projects=number(select(s.project.c.name).where(s.project.c.state == "active")),
        frozen=number(select(s.project.c.name).where(s.project.c.state == "frozen")),
        people=number(_names()),
        grants=number(in_force),
    )


def runs(c: Connection, sandbox: str) -> bool:
    table = s.sandbox
    return c.execute(select(table.c.id).where(table.c.id == sandbox, table.c.stopped_at.is_(None))).first() is not None


def running(c: Connection, project: str | None = None) -> tuple[RunningLine, ...]:
    table, asked = s.sandbox, s.sandbox_stop
    query = (
        select(table, asked.c.reason.label("stopping"))
        .outerjoin(asked, asked.c.sandbox == table.c.id)
        .where(table.c.stopped_at.is_(None))
        .order_by(table.c.started_at.desc())
        .limit(LIMIT)
    )
    if project is not None:
        query = query.where(table.c.project == project)
    return tuple(
        RunningLine(r.id, r.person, r.project, r.view, catalogue.named_versions(r.versions), r.started_at, r.stopping)
        for r in c.execute(query)
    )


def projects(c: Connection) -> tuple[ProjectLine, ...]:
    """In order of their names, each with its members and figures."""
    request = s.release_request
    found = c.execute(select(s.project).order_by(s.project.c.name).limit(LIMIT)).all()
    members = catalogue.members_by_project(c)
    now = _counted(c, select(s.sandbox.c.project).where(s.sandbox.c.stopped_at.is_(None)))
    asked = _counted(c, select(request.c.project))
    left = _counted(c, select(request.c.project).join(s.release, s.release.c.request == request.c.id))
    return tuple(
        ProjectLine(
            catalogue.ProjectRow(r.name, r.title, r.purpose, r.state, r.expires_at, members.get(r.name, ())),
            now.get(r.name, 0),
            asked.get(r.name, 0),
            left.get(r.name, 0),
        )
        for r in found
    )


def people(c: Connection, others: Iterable[str] = ()) -> tuple[PersonLine, ...]:
    """Everybody whom the record knows as a member, a steward, or somebody who had a sandbox; and ``others``."""
    known = c.execute(_names().order_by("name").limit(LIMIT)).scalars()
    names = sorted({str(n) for n in known} | set(others))
    belongs: dict[str, list[str]] = {}
    for project, members in catalogue.members_by_project(c).items():
        for name in members:
            belongs.setdefault(name, []).append(project)
    looks_after: dict[str, list[str]] = {}
    for row in c.execute(select(s.dataset_steward).order_by(s.dataset_steward.c.dataset)):
        looks_after.setdefault(row.person, []).append(row.dataset)
    table = s.sandbox
    begun = c.execute(select(table.c.person, func.max(table.c.started_at)).group_by(table.c.person))
    seen = {str(r[0]): str(r[1]) for r in begun}
    now = _counted(c, select(table.c.person).where(table.c.stopped_at.is_(None)))
    return tuple(
        PersonLine(n, tuple(belongs.get(n, ())), tuple(looks_after.get(n, ())), now.get(n, 0), seen.get(n))
        for n in names
    )


def knows(c: Connection, name: str) -> bool:
    """Whether the record knows somebody of this name, or that they had an account."""
    change = s.account_change
    had = select(change.c.id).where(change.c.person == name, change.c.failed_at.is_(None))
    found = _names().subquery()
    return any(
        c.execute(query.limit(1)).first() is not None for query in (had, select(found).where(found.c.name == name))
    )


def datasets(c: Connection) -> tuple[DatasetLine, ...]:
    """The first of them by name: for a form to choose from."""
    return datasets_page(c, 1, size=LIMIT).rows


def datasets_page(c: Connection, number: int, names: Iterable[str] | None = None, size: int = PAGE) -> Paged:
    """In order of their names; only those of ``names`` when given."""
    counted = (
        select(
            s.dataset_version.c.dataset,
            func.count(s.dataset_version.c.id.distinct()).label("versions"),
            func.coalesce(func.sum(s.dataset_table.c.rows), 0).label("rows"),
        )
        .outerjoin(s.dataset_table, s.dataset_table.c.version == s.dataset_version.c.id)
        .group_by(s.dataset_version.c.dataset)
        .subquery()
    )
    query = (
        select(s.dataset, counted.c.versions, counted.c.rows)
        .outerjoin(counted, counted.c.dataset == s.dataset.c.name)
        .order_by(s.dataset.c.name)
    )
    if names is not None:
        query = query.where(s.dataset.c.name.in_(sorted(names)))
    found = paged(c, query, number, size=size)
    stewards = catalogue.stewards(c, [r.name for r in found.rows])
    lines = (
        DatasetLine(
            r.name, r.title, r.provider, r.classification, stewards[r.name], int(r.versions or 0), int(r.rows or 0)
        )
        for r in found.rows
    )
    return replace(found, rows=tuple(lines))


def grants_page(c: Connection, number: int) -> Paged:
    """Every grant, newest first."""
    return paged(c, select(s.grant).order_by(s.grant.c.id.desc()), number)


def grants(c: Connection, project: str | None = None) -> tuple[Any, ...]:
    """Newest first."""
    query = select(s.grant).order_by(s.grant.c.id.desc()).limit(LIMIT)
    return tuple(c.execute(query if project is None else query.where(s.grant.c.project == project)))


def refused_starts(c: Connection, limit: int = 20) -> tuple[Any, ...]:
    """The newest sandboxes that were not started, with policy's codes."""
    table = s.access_refusal
    return tuple(c.execute(select(table).order_by(table.c.id.desc()).limit(limit)))


def _names() -> Select[Any]:
    """Every person's name, once."""
    sources = (s.person.c.name, s.project_member.c.person, s.dataset_steward.c.person, s.sandbox.c.person)
    first, *others = (select(column.label("name")) for column in sources)
    everybody = first.union(*others).subquery()
    return select(everybody.c.name.label("name"))


def _counted(c: Connection, query: Select[Any]) -> dict[str, int]:
    """How often each value of the query's one column occurs."""
    table = query.subquery()
    column = next(iter(table.c))
    return {str(value): int(n) for value, n in c.execute(select(column, func.count()).group_by(column))}
