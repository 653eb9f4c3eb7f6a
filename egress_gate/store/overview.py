"""The administrator's pages: what runs now, projects with what they used, people, catalogue, grants. Read-only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from egress_gate.store import catalogue
from egress_gate.store.paging import PAGE, Paged, paged, sliced
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


def running(c: Connection, project: str | None = None, number: int = 1) -> Paged:
    """What runs, newest first."""
    table, asked = s.sandbox, s.sandbox_stop
    query = (
        select(table, asked.c.reason.label("stopping"))
        .outerjoin(asked, asked.c.sandbox == table.c.id)
        .where(table.c.stopped_at.is_(None))
        .order_by(table.c.started_at.desc())
    )
    if project is not None:
        query = query.where(table.c.project == project)
    return paged(c, query, number, _running_line)


def _running_line(r: Any) -> RunningLine:
    return RunningLine(
        r.id, r.person, r.project, r.view, catalogue.named_versions(r.versions), r.started_at, r.stopping
    )


def projects(c: Connection, number: int = 1, words: str = "") -> Paged:
    """A page of those whose name, title or sponsor holds `words`, in order of their names, each with its members and figures."""
    project = s.project
    query = select(project).order_by(project.c.name)
    if words:
        query = query.where(or_(*(_holds(project.c[column], words) for column in ("name", "title", "sponsor"))))
    found = paged(c, query, number)
    names = [r.name for r in found.rows]
    request = s.release_request
    members = catalogue.members_by_project(c, names)
    now = _counted(c, select(s.sandbox.c.project).where(s.sandbox.c.stopped_at.is_(None)))
    asked = _counted(c, select(request.c.project).where(request.c.project.in_(names)))
    left = select(request.c.project).join(s.release, s.release.c.request == request.c.id)
    gone = _counted(c, left.where(request.c.project.in_(names)))
    lines = (
        ProjectLine(
            catalogue.ProjectRow(r.name, r.title, r.purpose, r.state, r.expires_at, members.get(r.name, ())),
            now.get(r.name, 0),
            asked.get(r.name, 0),
            gone.get(r.name, 0),
        )
        for r in found.rows
    )
    return replace(found, rows=tuple(lines))


def project_names(c: Connection) -> tuple[str, ...]:
    """The first five hundred projects by name: for a form to choose from."""
    return tuple(str(n) for n in c.execute(select(s.project.c.name).order_by(s.project.c.name).limit(LIMIT)).scalars())


def _holds(column: ColumnElement[str], words: str) -> ColumnElement[bool]:
    """Whether the text is in it, whatever the case of its letters, and with no letter that means something else."""
    return func.lower(column).contains(words.lower(), autoescape=True)


def names(c: Connection) -> tuple[str, ...]:
    """The first five hundred people by name: for a form to suggest. Any other name can be typed."""
    return tuple(str(n) for n in c.execute(_names().order_by("name").limit(LIMIT)).scalars())


def people(c: Connection, others: Iterable[str] = (), number: int = 1, words: str = "") -> Paged:
    """A page of everybody whom the record knows as a member, a steward, or somebody who had a sandbox; and of ``others``; with `words`,
    of those in whose name they are."""
    everybody = {str(n) for n in c.execute(_names()).scalars()} | set(others)
    found = sliced(sorted(n for n in everybody if words.lower() in n.lower()), number)
    shown = list(found.rows)
    table, member, steward = s.sandbox, s.project_member, s.dataset_steward
    mine = select(member.c.person, member.c.project).where(member.c.removed_at.is_(None), member.c.person.in_(shown))
    belongs = _listed(c, mine.order_by(member.c.project))
    looks_after = _listed(
        c, select(steward.c.person, steward.c.dataset).where(steward.c.person.in_(shown)).order_by(steward.c.dataset)
    )
    begun = select(table.c.person, func.max(table.c.started_at)).where(table.c.person.in_(shown))
    seen = {str(r[0]): str(r[1]) for r in c.execute(begun.group_by(table.c.person))}
    now = _counted(c, select(table.c.person).where(table.c.stopped_at.is_(None)))
    lines = (
        PersonLine(n, tuple(belongs.get(n, ())), tuple(looks_after.get(n, ())), now.get(n, 0), seen.get(n))
        for n in shown
    )
    return replace(found, rows=tuple(lines))


def _listed(c: Connection, query: Select[Any]) -> dict[str, list[str]]:
    """The second column's values by the first's."""
    found: dict[str, list[str]] = {}
    for name, value in c.execute(query):
        found.setdefault(str(name), []).append(str(value))
    return found


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


def grants_page(c: Connection, number: int, project: str | None = None) -> Paged:
    """Every grant, or every one of a project, newest first."""
    query = select(s.grant).order_by(s.grant.c.id.desc())
    return paged(c, query if project is None else query.where(s.grant.c.project == project), number)


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
