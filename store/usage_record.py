"""What every project, person or dataset version used, from one reading of the record; `store.usage` counts one of them by itself."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, case, func, select

from store import schema as s
from store.usage import Reader, Usage, larger

_SANDBOX = (s.sandbox.c.project, s.sandbox.c.person, s.sandbox.c.versions)


@dataclass(frozen=True)
class _Left:
    """A figure of a release by its item; ``versions`` None: before sizes were kept, of everything that the sandbox had."""

    release: int
    versions: frozenset[str] | None
    cells: int
    bytes: int


@dataclass
class _Sum:
    """Of the sandboxes of one person for one project with the same data."""

    project: str
    person: str
    version: tuple[str, ...]
    sessions: int = 0
    cells: int = 0
    shown_bytes: int = 0
    requests: int = 0
    measured: list[dict[str, int]] = field(default_factory=list)
    left: list[_Left] = field(default_factory=list)

    def names(self, noun: str) -> tuple[str, ...]:
        return self.version if noun == "version" else (self.project if noun == "project" else self.person,)


@dataclass(frozen=True)
class Record:
    """Everything since then, and how often each release was downloaded."""

    sums: tuple[_Sum, ...]
    downloads: Mapping[int, int]

    def by(self, noun: str) -> dict[str, Usage]:
        """In order of name; only what ever had a sandbox. `noun`: project, person or version."""
        mine: defaultdict[str, list[_Sum]] = defaultdict(list)
        for one in self.sums:
            for name in one.names(noun):
                mine[name].append(one)
        return {name: self._used(mine[name], name if noun == "version" else None) for name in sorted(mine)}

    def _used(self, sums: Iterable[_Sum], version: str | None) -> Usage:
        sums = tuple(sums)
        measured = [m for one in sums for m in one.measured]
        left = [
            part
            for one in sums
            for part in one.left
            if version is None or part.versions is None or version in part.versions
        ]
        releases = {part.release for part in left}
        return Usage(
            sessions=sum(one.sessions for one in sums),
            processor_seconds=sum(m.get("processor_ms", 0) for m in measured) // 1000,
            memory_bytes=max((m.get("memory_bytes", 0) for m in measured), default=0),
            read_bytes=sum(m.get("read_bytes", 0) for m in measured),
            cells=sum(one.cells for one in sums),
            shown_bytes=sum(one.shown_bytes for one in sums),
            requests=sum(one.requests for one in sums),
            releases=len(releases),
            released_cells=sum(part.cells for part in left),
            released_bytes=sum(part.bytes for part in left),
            downloads=sum(self.downloads.get(number, 0) for number in releases),
        )


def record(c: Reader, *, project: str | None = None, since: str = "", dataset: str | None = None) -> Record:
    """Of one project or of all, at ``since`` or later, as `store.usage.usage` has it; of sandboxes that had a version of ``dataset``."""
    table, event, request = s.sandbox, s.session_event, s.release_request

    def rows(query: Select[Any]) -> Iterable[Any]:
        if project is not None:
            query = query.where(table.c.project == project)
        if dataset is not None:
            query = query.where(table.c.versions.contains(f'"{dataset}/', autoescape=True))
        return c.execute(query).all()

    begun = func.sum(case((table.c.started_at >= since, 1), else_=0))
    sums = {
        tuple(r[:3]): _Sum(r[0], r[1], tuple(json.loads(r[2])), int(r[3]))
        for r in rows(select(*_SANDBOX, begun).group_by(*_SANDBOX))
    }
    took = table.c.stopped_at.is_(None) | (table.c.stopped_at >= since)
    for r in rows(select(*_SANDBOX, table.c.used).where(table.c.used != "{}", took)):
        sums[tuple(r[:3])].measured.append(larger(json.loads(r[3]), {}))
    cells = func.count(case((event.c.kind == "cell", 1)))
    shown = func.coalesce(func.sum(case((event.c.kind == "shown", event.c.bytes))), 0)
    query = select(*_SANDBOX, cells, shown).join(event, event.c.sandbox == table.c.id).where(event.c.time >= since)
    for r in rows(query.group_by(*_SANDBOX)):
        sums[tuple(r[:3])].cells, sums[tuple(r[:3])].shown_bytes = int(r[3]), int(r[4])
    divided = select(s.held_output.c.goes_on_as)  # nobody asked for these: a reviewer held them back
    query = select(*_SANDBOX, func.count()).join(request, request.c.sandbox == table.c.id)
    query = query.where(request.c.created_at >= since, request.c.id.not_in(divided))
    for r in rows(query.group_by(*_SANDBOX)):
        sums[tuple(r[:3])].requests = int(r[3])
    for r in rows(_released(since)):
        sums[tuple(r[:3])].left.append(_Left(r[3], _read(r[4]), int(r[5] or 0), int(r[6] or 0)))
    return Record(tuple(sums.values()), _downloads(c))


def _downloads(c: Reader) -> dict[int, int]:
    table = s.download
    query = select(table.c.release, func.count().label("n")).group_by(table.c.release)
    return {int(r.release): int(r.n) for r in c.execute(query).all()}


def _released(since: str) -> Select[Any]:
    request, release, size = s.release_request, s.release, s.release_size
    return (
        select(*_SANDBOX, release.c.id, size.c.versions, size.c.cells, size.c.bytes)
        .join(request, request.c.sandbox == s.sandbox.c.id)
        .join(release, release.c.request == request.c.id)
        .outerjoin(size, size.c.release == release.c.id)
        .where(release.c.released_at >= since)
    )


def _read(versions: str | None) -> frozenset[str] | None:
    return None if versions is None else frozenset(json.loads(versions))
