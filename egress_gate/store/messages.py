"""Questions and answers between reviewers and the author, and private notes between reviewers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, insert, select

from store import schema as s
from store.database import Transaction

MAX_MESSAGE = 4_000


class Audience(StrEnum):
    AUTHOR = "author"
    REVIEWERS = "reviewers"


@dataclass(frozen=True)
class Message:
    id: int
    revision: int
    author: str
    audience: Audience
    body: str
    sent_at: str


def to_author(c: Connection, request: int) -> tuple[Message, ...]:
    """What the author may read: never a private note."""
    return tuple(m for m in everything(c, request) if m.audience is Audience.AUTHOR)


def everything(c: Connection, request: int) -> tuple[Message, ...]:
    table = s.request_message
    query = select(table).where(table.c.request == request).order_by(table.c.id)
    return tuple(Message(r.id, r.revision, r.author, Audience(r.audience), r.body, r.sent_at) for r in c.execute(query))


def insert_message(
    t: Transaction, request: int, revision: int, author: str, audience: Audience, body: str, at: str
) -> None:
    t.execute(
        insert(s.request_message).values(
            request=request, revision=revision, author=author, audience=audience.value, body=body, sent_at=at
        )
    )
