"""What was used, counted from the record: sessions, processor time, cells, bytes shown, requests, releases (可控可计量).

Every figure is a count of rows that were written as they happened; nothing is kept beside them. Both sides read it: provisioning before
a sandbox starts, the gate before something leaves, both for their reports. What a number counts, and what it cannot see, is said in
``docs/reference/usage.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from sqlalchemy import ColumnElement, CursorResult, func, or_, select

from store import schema as s

# What a grant may limit in sum, for a whole project and one dataset version.
LIMITED = (
    "sessions",
    "processor_seconds",
    "cells",
    "shown_bytes",
    "requests",
    "releases",
    "released_cells",
    "released_bytes",
)
# What a grant may cap in each single sandbox.
CAPPED = ("memory_bytes",)


class Reader(Protocol):
    """A snapshot connection or an open transaction."""

    def execute(self, statement: Any, /) -> CursorResult[Any]: ...


@dataclass(frozen=True)
class Usage:
    """``sessions`` begun; ``processor_seconds``, ``read_bytes`` and the largest ``memory_bytes`` of sandboxes, as the kernel counts;
    ``cells`` executed and ``shown_bytes`` as the session door counts; ``requests`` submitted; ``releases`` with their ``released_cells``
    and ``released_bytes``; ``downloads`` of them.
    """

    sessions: int = 0
    processor_seconds: int = 0
    memory_bytes: int = 0
    read_bytes: int = 0
    cells: int = 0
    shown_bytes: int = 0
    requests: int = 0
    releases: int = 0
    released_cells: int = 0
    released_bytes: int = 0
    downloads: int = 0

    def facts(self) -> dict[str, int]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


def usage(
    c: Reader,
    *,
    project: str | None = None,
    person: str | None = None,
    version: str | None = None,
    since: str = "",
    live: Mapping[str, Mapping[str, int]] | None = None,
) -> Usage:
    """Of everything that fits each given filter and happened at ``since`` (UTC text) or later.

    What a sandbox took of processor and memory has no time of its own: a sandbox that still ran at ``since`` counts whole. ``live``:
    by sandbox, what was measured of running ones and is not yet written down.
    """
    found = _sandboxes(c, project, person, version)
    ran = [r for r in found if r.stopped_at is None or r.stopped_at >= since]
    measured = [larger(json.loads(r.used), (live or {}).get(r.id, {})) for r in ran]
    names = [str(r.id) for r in found]
    return Usage(
        sessions=sum(1 for r in found if r.started_at >= since),
        processor_seconds=sum(m.get("processor_ms", 0) for m in measured) // 1000,
        memory_bytes=max((m.get("memory_bytes", 0) for m in measured), default=0),
        read_bytes=sum(m.get("read_bytes", 0) for m in measured),
        **_in_sessions(c, names, since),
        **_at_the_gate(c, names, version, since),
    )


def larger(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, int]:
    """Two measurements of one sandbox: its counters only grow."""
    names = {*one, *other}
    return {name: max(_whole(one, name), _whole(other, name)) for name in names}


def _sandboxes(c: Reader, project: str | None, person: str | None, version: str | None) -> Sequence[Any]:
    table = s.sandbox
    query = select(table.c.id, table.c.versions, table.c.used, table.c.started_at, table.c.stopped_at)
    for column, wanted in ((table.c.project, project), (table.c.person, person)):
        if wanted is not None:
            query = query.where(column == wanted)
    return [r for r in c.execute(query).all() if version is None or version in json.loads(r.versions)]


def _in_sessions(c: Reader, sandboxes: list[str], since: str) -> dict[str, int]:
    event = s.session_event
    made = {"cells": 0, "shown_bytes": 0}
    for some in _chunks(sandboxes):
        mine: list[ColumnElement[bool]] = [event.c.sandbox.in_(some), event.c.time >= since]
        made["cells"] += _one(c, select(func.count()).where(*mine, event.c.kind == "cell"))
        made["shown_bytes"] += _one(c, select(func.sum(event.c.bytes)).where(*mine, event.c.kind == "shown"))
    return made


def _at_the_gate(c: Reader, sandboxes: list[str], version: str | None, since: str) -> dict[str, int]:
    request, release, size = s.release_request, s.release, s.release_size
    made = dict.fromkeys(("requests", "releases", "released_cells", "released_bytes", "downloads"), 0)
    for some in _chunks(sandboxes):
        divided = select(s.held_output.c.goes_on_as)  # nobody asked for these: a reviewer held them back
        asked = select(func.count()).select_from(request).where(request.c.id.not_in(divided))
        made["requests"] += _one(c, asked.where(request.c.sandbox.in_(some), request.c.created_at >= since))
        query = select(release.c.id, size.c.versions, size.c.cells, size.c.bytes)
        query = query.join(request, request.c.id == release.c.request).outerjoin(size, size.c.release == release.c.id)
        left = set()
        for row in c.execute(query.where(request.c.sandbox.in_(some), release.c.released_at >= since)).all():
            if version is not None and row.versions is not None and version not in json.loads(row.versions):
                continue
            left.add(row.id)
            made["released_cells"] += int(row.cells or 0)
            made["released_bytes"] += int(row.bytes or 0)
        made["releases"] += len(left)
        made["downloads"] += _downloads(c, left)
    return made


def _downloads(c: Reader, releases: set[int]) -> int:
    table = s.download
    parts = _chunks(sorted(releases))
    return sum(_one(c, select(func.count()).select_from(table).where(table.c.release.in_(part))) for part in parts)


def grants_in_force(c: Reader, project: str, versions: Sequence[str], now: str) -> list[dict[str, Any]]:
    """The grants that count for a sandbox with these versions, with their quotas and what was used under each: facts for policy."""
    table = s.grant
    alive = or_(table.c.revoked_at.is_(None), table.c.revoked_at > now)
    query = select(table).where(
        table.c.project == project,
        table.c.version.in_(list(versions)),
        table.c.granted_at <= now,
        table.c.expires_at > now,
        alive,
    )
    return [under(c, row) for row in c.execute(query.order_by(table.c.id)).all()]


def under(c: Reader, grant: Any, live: Mapping[str, Mapping[str, int]] | None = None) -> dict[str, Any]:
    """One grant's quotas and what the whole project used of its version since it was given; not counted where nothing is limited."""
    quotas = json.loads(grant.quotas)
    used = usage(c, project=grant.project, version=grant.version, since=grant.granted_at, live=live) if quotas else None
    return {
        "id": int(grant.id),
        "version": str(grant.version),
        "quotas": quotas,
        "used": used.facts() if used is not None else {},
    }


def _chunks(names: Sequence[Any], size: int = 500) -> Iterable[Sequence[Any]]:
    return (names[at : at + size] for at in range(0, len(names), size))


def _one(c: Reader, query: Any) -> int:
    return int(c.execute(query).scalar() or 0)


def _whole(measured: Mapping[str, Any], name: str) -> int:
    value = measured.get(name, 0)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
