"""What is on the record about one sandbox: its start with the proof of its isolation, its end, and the session's trail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from store import schema as s

PAGE = 50


@dataclass(frozen=True)
class SandboxRow:
    """``proof`` is what engine and kernel said at the start; ``entry`` is the number of the ledger entry that holds its digest."""

    id: str
    person: str
    project: str
    image: str
    view: str
    versions: tuple[str, ...]
    proof: Mapping[str, Any]
    entry: int | None
    evidence: Mapping[str, Any]
    started_at: str
    stopped_at: str | None
    stop_reason: str | None


@dataclass(frozen=True)
class Happened:
    """One line of the trail: an executed cell, a total of what was shown, refusals, an upload, a sign-in."""

    id: int
    time: str
    kind: str
    digest: str
    size: int
    facts: Mapping[str, Any]


def sandbox(c: Connection, name: str) -> SandboxRow | None:
    row = c.execute(select(s.sandbox).where(s.sandbox.c.id == name)).first()
    if row is None:
        return None
    entry, facts = _start(c, name)
    return SandboxRow(
        row.id,
        row.person,
        row.project,
        row.image_digest,
        row.view,
        tuple(json.loads(row.versions)),
        json.loads(row.proof),
        entry,
        facts.get("proof") or {},
        row.started_at,
        row.stopped_at,
        row.stop_reason,
    )


def _start(c: Connection, name: str) -> tuple[int | None, Mapping[str, Any]]:
    entry, subject = s.ledger_entry, s.ledger_subject
    query = (
        select(entry.c.seq, entry.c.body)
        .join(subject, subject.c.seq == entry.c.seq)
        .where(
            subject.c.noun == "sandbox",
            subject.c.name == name,
            entry.c.kind.in_(("sandbox.started", "sandbox.refused")),
        )
        .order_by(entry.c.seq)
        .limit(1)
    )
    row = c.execute(query).first()
    return (row.seq, json.loads(bytes(row.body))["facts"]) if row else (None, {})


def isolation(c: Connection, name: str | None) -> dict[str, Any] | None:
    """The proof at the start as a release names it: entry, digest and profile. None when there is none on the record."""
    found = sandbox(c, name) if name else None
    if found is None or found.entry is None or not found.evidence:
        return None
    return {
        "entry": found.entry,
        "proof": str(found.evidence.get("sha256", "")),
        "profile": str(found.proof.get("profile", "")),
        "runtime": str(found.proof.get("runtime", "")),
        "holds": found.proof.get("holds") is True,
    }


def happened(
    c: Connection, name: str, kind: str = "cell", before: int | None = None
) -> tuple[tuple[Happened, ...], int | None]:
    """The trail of one sandbox, newest first, and where the next page begins. An empty ``kind`` is everything."""
    event = s.session_event
    query = select(event).where(event.c.sandbox == name).order_by(event.c.id.desc()).limit(PAGE + 1)
    if kind:
        query = query.where(event.c.kind == kind)
    if before is not None:
        query = query.where(event.c.id < before)
    rows = c.execute(query).all()
    lines = tuple(Happened(r.id, r.time, r.kind, r.digest, r.bytes, json.loads(r.facts)) for r in rows[:PAGE])
    return lines, lines[-1].id if len(rows) > PAGE else None


def counted(c: Connection, name: str) -> dict[str, int]:
    """How many lines of each kind there are."""
    event = s.session_event
    query = select(event.c.kind, func.count()).where(event.c.sandbox == name).group_by(event.c.kind)
    return {kind: int(number) for kind, number in c.execute(query)}
