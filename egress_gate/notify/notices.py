"""Notices in the store. The ledger is their outbox: what happened is an entry of the same transaction, so that no notice can be
lost or made up; they are drawn from it in order, each entry once, with the place reached in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from egress_gate.notify.plan import KINDS, told
from egress_gate.service.ports import Store
from egress_gate.store.views import Event, event_from
from ledger.entry import Entry
from store import schema as s
from store.transaction import Transaction

BATCH = 100
PAGE = 50


@dataclass(frozen=True)
class Notice:
    """`word` says what happened, to `request` or `project`; `channels` are those it still has to go out by."""

    id: int
    seq: int
    person: str
    word: str
    request: str | None
    project: str | None
    release: str | None
    told_at: str
    read_at: str | None


def begin(store: Store, at: datetime) -> None:
    """Set the place to begin with, once: what was there before the first start is told to nobody."""
    with store.read() as c:
        if c.execute(select(s.notice_place.c.upto)).first() is not None:
            return
        newest = c.execute(select(func.max(s.ledger_entry.c.seq))).scalar()
    upto = -1 if newest is None else int(newest)
    with store.transaction(at) as t:
        if t.execute(select(s.notice_place.c.upto)).first() is None:
            t.execute(insert(s.notice_place).values(id=1, upto=upto))
            t.record(Entry("notices.begun", "gate", {"entry": str(upto)}))


def draw(store: Store, channels: tuple[str, ...], at: datetime) -> bool:
    """Make the notices of the next entries that somebody is told of. False when there was none."""
    with store.read() as c:
        upto = c.execute(select(s.notice_place.c.upto)).scalar()
        events = [] if upto is None else _next(c, int(upto))
        wanted = [(event, told(c, event)) for event in events]
    if not events:
        return False
    if not any(people for _, people in wanted) and len(events) < BATCH:
        return False
    with store.transaction(at) as t:
        if t.execute(select(s.notice_place.c.upto)).scalar() != upto:
            return True  # another process drew them
        count = sum(
            _insert(t, event, person, word, channels) for event, all_ in wanted for person, word in all_.items()
        )
        t.execute(update(s.notice_place).values(upto=events[-1].seq))
        t.record(Entry("notices.drawn", "gate", {"entry": str(events[-1].seq)}, {"notices": count}))
    return True


def _next(c: Connection, upto: int) -> list[Event]:
    entry = s.ledger_entry
    query = select(entry).where(entry.c.seq > upto, entry.c.kind.in_(KINDS)).order_by(entry.c.seq).limit(BATCH)
    return [event_from(r) for r in c.execute(query)]


def _insert(t: Transaction, event: Event, person: str, word: str, channels: tuple[str, ...]) -> int:
    made = t.execute(
        insert(s.notice).values(
            seq=event.seq,
            person=person,
            word=word,
            request=event.subject.get("request"),
            project=event.subject.get("project"),
            release=event.subject.get("release"),
            told_at=event.time,
        )
    )
    key = made.inserted_primary_key
    for channel in channels:
        t.execute(insert(s.notice_delivery).values(notice=key[0] if key else None, channel=channel, state="waiting"))
    return 1


def unread(c: Connection, person: str) -> int:
    table = s.notice
    query = select(func.count()).select_from(table).where(table.c.person == person, table.c.read_at.is_(None))
    return int(c.execute(query).scalar_one())


def of(c: Connection, person: str) -> tuple[Notice, ...]:
    """A person's newest notices."""
    table = s.notice
    query = select(table).where(table.c.person == person).order_by(table.c.id.desc()).limit(PAGE)
    return tuple(_notice(r) for r in c.execute(query))


def read(store: Store, person: str, upto: int, at: datetime) -> None:
    """What they saw, up to that number, counts as read; the record says so once."""
    table = s.notice
    new = (table.c.person == person, table.c.read_at.is_(None), table.c.id <= upto)
    with store.read() as c:
        if c.execute(select(table.c.id).where(*new)).first() is None:
            return
    with store.transaction(at) as t:
        count = t.execute(update(table).where(*new).values(read_at=t.at)).rowcount
        if count:
            t.record(Entry("notices.read", person, {"person": person}, {"notices": int(count)}))


def waiting(c: Connection, limit: int = BATCH) -> list[tuple[int, str, Notice]]:
    """Deliveries to be made, oldest first: number, channel, notice."""
    out, table = s.notice_delivery, s.notice
    query = (
        select(out.c.id.label("delivery"), out.c.channel, table)
        .join(table, table.c.id == out.c.notice)
        .where(out.c.state == "waiting")
        .order_by(out.c.id)
        .limit(limit)
    )
    return [(r.delivery, r.channel, _notice(r)) for r in c.execute(query)]


def settle(store: Store, delivery: int, notice: Notice, channel: str, state: str, at: datetime) -> None:
    """`state` is sent or given_up. Done twice, it is done once."""
    out = s.notice_delivery
    with store.transaction(at) as t:
        where = (out.c.id == delivery, out.c.state == "waiting")
        if t.execute(select(out.c.id).where(*where)).first() is None:
            return
        t.execute(update(out).where(*where).values(state=state, done_at=t.at))
        subject = {"notice": str(notice.id), "person": notice.person}
        t.record(Entry(f"notice.{state}", "gate", subject, {"channel": channel, "entry": notice.seq}))


def _notice(r: Any) -> Notice:
    return Notice(r.id, r.seq, r.person, r.word, r.request, r.project, r.release, r.told_at, r.read_at)
