"""The trail's book in the product's database: rows of `session_event`, one ledger entry per sandbox and batch."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.trail import Event, canonical, digest_of
from ledger.entry import Entry
from store.blobs import Blobs
from store.clock import stamp
from store.database import Database
from store.schema import session_event


class StoreBook:
    """`trail.Book` over the store. One transaction per write, so that a batch is there whole or not at all."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def write(self, batches: list[tuple[Sandbox, list[Event]]], at: datetime) -> None:
        filled = [(sandbox, events) for sandbox, events in batches if events]
        if not filled:
            return
        for blob in {event.blob for _, events in filled for event in events if event.blob is not None}:
            self._blobs.put(blob)  # first, so that no row names bytes that are not there
        with self._database.transaction(at) as t:
            for sandbox, events in filled:
                t.execute(insert(session_event), [_row(sandbox, event) for event in events])
                t.record(_entry(sandbox, events))


def _row(sandbox: Sandbox, event: Event) -> dict[str, Any]:
    return {
        "sandbox": sandbox.id, "time": stamp(event.at), "kind": event.kind, "digest": event.digest,
        "bytes": event.size, "facts": canonical(event.facts),
    }  # fmt: skip


def _entry(sandbox: Sandbox, events: list[Event]) -> Entry:
    kinds = Counter(event.kind for event in events)
    facts: dict[str, Any] = {
        "events": dict(sorted(kinds.items())),
        "bytes": sum(event.size for event in events if event.kind == "shown"),
        "digest": digest_of([[event.kind, event.digest, event.size] for event in events]),
    }
    verb = "session.refused" if set(kinds) == {"refused"} else "session.recorded"
    subject = {"sandbox": sandbox.id, "project": sandbox.project, "person": sandbox.person}
    return Entry(verb, sandbox.person, subject, facts)
