"""The auditor's readings of the record: a noun's life, a person's trail, what ran inside. Everything is paged, newest first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Select, func, select, union

from egress_gate.store.views import Event, event_from
from store import schema as s

PAGE = 100


@dataclass(frozen=True)
class Timeline:
    """One page of entries. `kinds`: every family of kinds that occurs, with its number; `older`: where the next page begins."""

    events: tuple[Event, ...]
    kinds: Mapping[str, int]
    older: int | None


@dataclass(frozen=True)
class Ran:
    """Something that a sandbox did, as the session door wrote it down: a cell's digest, bytes shown, a refusal."""

    id: int
    time: str
    sandbox: str
    project: str
    kind: str
    digest: str
    bytes: int
    facts: Mapping[str, Any]


def life(c: Connection, noun: str, name: str, family: str = "", before: int | None = None) -> Timeline:
    """Everything the ledger holds about one noun."""
    about = s.ledger_subject
    return _timeline(c, select(about.c.seq).where(about.c.noun == noun, about.c.name == name), family, before)


def trail(c: Connection, person: str, family: str = "", before: int | None = None) -> Timeline:
    """What a person did, and what others did about them."""
    entry, about = s.ledger_entry, s.ledger_subject
    did = select(entry.c.seq).where(entry.c.actor == person)
    had = select(about.c.seq).where(about.c.noun == "person", about.c.name == person)
    return _timeline(c, union(did, had), family, before)


def found(c: Connection, words: str, family: str = "", before: int | None = None) -> Timeline:
    """Entries by a name in their subject, their actor, or their kind, exactly as written; without words, all."""
    entry, about = s.ledger_entry, s.ledger_subject
    if not words:
        return _timeline(c, select(entry.c.seq), family, before, counted=False)
    by_name = select(about.c.seq).where(about.c.name == words)
    by_hand = select(entry.c.seq).where((entry.c.actor == words) | (entry.c.kind == words))
    return _timeline(c, union(by_name, by_hand), family, before)


def _timeline(
    c: Connection,
    wanted: Select[Any] | CompoundSelect[Any],
    family: str,
    before: int | None,
    *,
    counted: bool = True,
) -> Timeline:
    entry = s.ledger_entry
    mine = wanted.subquery()
    query = select(entry).join(mine, mine.c.seq == entry.c.seq).order_by(entry.c.seq.desc()).limit(PAGE + 1)
    if family:
        query = query.where(entry.c.kind.startswith(f"{family}.", autoescape=True))
    if before is not None:
        query = query.where(entry.c.seq < before)
    rows = c.execute(query).all()
    kinds: dict[str, int] = {}
    if counted:
        tally = select(entry.c.kind, func.count()).join(mine, mine.c.seq == entry.c.seq).group_by(entry.c.kind)
        for kind, n in c.execute(tally):
            kinds[kind.partition(".")[0]] = kinds.get(kind.partition(".")[0], 0) + int(n)
    events = tuple(event_from(r) for r in rows[:PAGE])
    return Timeline(events, dict(sorted(kinds.items())), events[-1].seq if len(rows) > PAGE else None)


def ran(c: Connection, person: str, kind: str = "", before: int | None = None) -> tuple[tuple[Ran, ...], int | None]:
    """What ran in a person's sandboxes, and where the next page begins."""
    event, sandbox = s.session_event, s.sandbox
    query = (
        select(event, sandbox.c.project)
        .join(sandbox, sandbox.c.id == event.c.sandbox)
        .where(sandbox.c.person == person)
        .order_by(event.c.id.desc())
        .limit(PAGE + 1)
    )
    if kind:
        query = query.where(event.c.kind == kind)
    if before is not None:
        query = query.where(event.c.id < before)
    rows = c.execute(query).all()
    lines = tuple(
        Ran(r.id, r.time, r.sandbox, r.project, r.kind, r.digest, r.bytes, json.loads(r.facts)) for r in rows[:PAGE]
    )
    return lines, lines[-1].id if len(rows) > PAGE else None


def checkpoint_at(c: Connection, size: int | None = None) -> str | None:
    """The signed tree head over the first `size` entries, or the newest; None when there is none."""
    entry = s.ledger_entry
    query = select(entry.c.checkpoint).order_by(entry.c.seq.desc()).limit(1)
    found = c.execute(query if size is None else query.where(entry.c.seq == size - 1)).scalar()
    return None if found is None else str(found)
