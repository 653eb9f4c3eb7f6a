"""The administrator's overview: catalogue, projects, grants, running sandboxes. Read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from egress_gate.store import catalogue
from store import schema as s

LIMIT = 500


@dataclass(frozen=True)
class DatasetLine:
    name: str
    title: str
    provider: str
    classification: int
    stewards: tuple[str, ...]
    versions: int
    rows: int


@dataclass(frozen=True)
class Overview:
    datasets: tuple[DatasetLine, ...]
    projects: tuple[catalogue.ProjectRow, ...]
    grants: tuple[Any, ...]
    sandboxes: tuple[Any, ...]


def overview(c: Connection) -> Overview:
    return Overview(_datasets(c), _projects(c), _grants(c), _sandboxes(c))


def _datasets(c: Connection) -> tuple[DatasetLine, ...]:
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
        .limit(LIMIT)
    )
    found = c.execute(query).all()
    people = catalogue.stewards(c, [r.name for r in found])
    return tuple(
        DatasetLine(
            r.name, r.title, r.provider, r.classification, people[r.name], int(r.versions or 0), int(r.rows or 0)
        )
        for r in found
    )


def _projects(c: Connection) -> tuple[catalogue.ProjectRow, ...]:
    query = select(s.project.c.name).order_by(s.project.c.name).limit(LIMIT)
    found = (catalogue.project(c, r.name) for r in c.execute(query).all())
    return tuple(p for p in found if p is not None)


def _grants(c: Connection) -> tuple[Any, ...]:
    return tuple(c.execute(select(s.grant).order_by(s.grant.c.id.desc()).limit(LIMIT)))


def _sandboxes(c: Connection) -> tuple[Any, ...]:
    table = s.sandbox
    query = select(table).where(table.c.stopped_at.is_(None)).order_by(table.c.started_at.desc()).limit(LIMIT)
    return tuple(c.execute(query))
