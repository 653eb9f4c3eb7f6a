"""Notebooks that are run anew: the queue, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from store import schema as s
from store.database import Transaction


class RerunState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


ENDED = frozenset({RerunState.DONE, RerunState.FAILED})


@dataclass(frozen=True)
class RerunRow:
    id: int
    request: int
    revision: int
    item: str
    blob: str
    state: RerunState
    attempts: int
    asked_by: str
    asked_at: str
    lease_until: str | None
    seconds: int
    result: str | None
    ended_at: str | None


def of_revision(c: Connection | Transaction, request: int, revision: int, item: str) -> tuple[RerunRow, ...]:
    """Runs of one notebook of a revision, oldest first."""
    table = s.notebook_rerun
    query = select(table).where(table.c.request == request, table.c.revision == revision, table.c.item == item)
    return tuple(_row(r) for r in c.execute(query.order_by(table.c.id)))


def fetch(c: Connection | Transaction, number: int) -> RerunRow | None:
    row = c.execute(select(s.notebook_rerun).where(s.notebook_rerun.c.id == number)).first()
    return _row(row) if row else None


def due(c: Connection, now: str) -> RerunRow | None:
    """The oldest that waits, or whose worker died."""
    table = s.notebook_rerun
    free = or_(table.c.lease_until.is_(None), table.c.lease_until <= now)
    open_ = table.c.state.in_([RerunState.WAITING.value, RerunState.RUNNING.value])
    row = c.execute(select(table).where(open_, free).order_by(table.c.id).limit(1)).first()
    return _row(row) if row else None


def insert_rerun(
    t: Transaction, request: int, revision: int, item: str, blob: str, seconds: int, by: str, at: str
) -> None:
    made = {"request": request, "revision": revision, "item": item, "blob": blob, "seconds": seconds}
    t.execute(insert(s.notebook_rerun).values(state=RerunState.WAITING.value, asked_by=by, asked_at=at, **made))


def change(t: Transaction, row: RerunRow, state: RerunState, **values: Any) -> RerunRow:
    table = s.notebook_rerun
    t.execute(update(table).where(table.c.id == row.id).values(state=state.value, **values))
    return RerunRow(**{**vars(row), "state": state, **values})


def _row(r: Any) -> RerunRow:
    return RerunRow(**{**r._mapping, "state": RerunState(r.state)})
