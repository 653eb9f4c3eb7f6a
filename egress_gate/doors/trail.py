"""The session's trail: what was shown, refused, executed and imported, written in batches with a ledger entry each.

A batch is a period's total per sandbox, so that ten thousand messages are one row and one entry. What happened since
the last batch is held in memory for at most `PERIOD` seconds; a clean stop writes it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from egress_gate.doors.sandboxes import Sandbox
from store.clock import now

PERIOD = 30.0
MOST_LISTED = 50
MOST_TEXT = 200
log = logging.getLogger("glovebox.doors")


@dataclass(frozen=True)
class Event:
    """One row of the trail. ``digest`` is of what it is about: the code, uploaded bytes, or the facts themselves."""

    kind: str
    digest: str
    size: int
    facts: dict[str, Any]
    at: datetime
    blob: bytes | None = None  # what `digest` is of, for the blob store


def canonical(facts: Any) -> str:
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(facts: Any) -> str:
    return hashlib.sha256(canonical(facts).encode()).hexdigest()


class Book(Protocol):
    def write(self, batches: list[tuple[Sandbox, list[Event]]], at: datetime) -> None:
        """Store all batches and their ledger entries in one transaction. Blocking."""


@dataclass
class Tally:
    """Of one project, since the doors opened: what was asked for, what was counted, and how much of that is in the store."""

    asked: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)


@dataclass
class Page:
    """What one sandbox's browser saw and was refused since the last batch."""

    sandbox: Sandbox
    shown: Counter[str] = field(default_factory=Counter)
    image: int = 0  # bytes of the interface's own files: they carry no data, and are not metered
    answers: Counter[str] = field(default_factory=Counter)
    spent: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    events: list[Event] = field(default_factory=list)

    def events_at(self, at: datetime) -> list[Event]:
        made = list(self.events)
        if self.answers:
            facts: dict[str, Any] = {"bytes": dict(self.shown), "answers": dict(self.answers)}
            if self.spent:
                facts["spent"] = dict(self.spent)
            made.append(Event("shown", digest_of(facts), sum(self.shown.values()) - self.image, facts, at))
        if self.refused:
            listed = [
                {"code": code, "what": what, "path": path, "times": times}
                for (code, what, path), times in self.refused.most_common(MOST_LISTED)
            ]
            facts = {"refused": listed, "times": sum(self.refused.values())}
            made.append(Event("refused", digest_of(facts), 0, facts, at))
        return made


class Trail:
    """Counts in memory, cheap enough for every message; `flush` hands the batch to the book in a thread."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._pages: dict[str, Page] = {}
        self._tallies: dict[str, Tally] = {}
        self._waiting: list[tuple[Sandbox, list[Event]]] = []
        self._writing = asyncio.Lock()
        self.before: list[Callable[[], None]] = []  # called before each batch: who has something to add

    def _page(self, sandbox: Sandbox) -> Page:
        page = self._pages.get(sandbox.id)
        if page is None:
            page = self._pages[sandbox.id] = Page(sandbox)
        return page

    def tally(self, project: str) -> Tally:
        return self._tallies.setdefault(project, Tally())

    def asked_for_a_cell(self, sandbox: Sandbox) -> None:
        self.tally(sandbox.project).asked["cells"] += 1

    def shown(self, sandbox: Sandbox, route: str, size: int, answers: int = 1, *, image: bool = False) -> None:
        """``image``: it came from the sandbox image, whatever the sandbox says."""
        page, tally = self._page(sandbox), self.tally(sandbox.project)
        page.shown[route] += size
        page.answers[route] += answers
        if image:
            page.image += size
        else:
            tally.asked["shown_bytes"] += size
            tally.counted["shown_bytes"] += size

    def spent(self, sandbox: Sandbox, size: int, outputs: int, images: int) -> None:
        """What a narrow view counted against its budgets; read back after a restart."""
        page = self._page(sandbox).spent
        page["bytes"] += size
        page["outputs"] += outputs
        page["images"] += images

    def refused(self, sandbox: Sandbox, code: str, method: str, path: str) -> None:
        page = self._page(sandbox)
        key = (code, method[:16], path[:MOST_TEXT])
        if key in page.refused or len(page.refused) < 4 * MOST_LISTED:
            page.refused[key] += 1
        else:
            page.refused[code, "…", "…"] += 1

    def happened(self, sandbox: Sandbox, event: Event) -> None:
        self._page(sandbox).events.append(event)
        if event.kind == "cell":
            self.tally(sandbox.project).counted["cells"] += 1

    async def flush(self) -> None:
        """Write what is counted. When the store is away the batch is kept and tried again."""
        async with self._writing:
            for add in self.before:
                add()
            at = now()
            pages, self._pages = self._pages, {}
            counted = {project: tally.counted.copy() for project, tally in self._tallies.items()}
            self._waiting += [(page.sandbox, page.events_at(at)) for page in pages.values()]
            if not self._waiting:
                return
            await asyncio.to_thread(self._book.write, self._waiting, at)
            self._waiting = []
            for project, written in counted.items():
                self._tallies[project].written = written

    async def keep(self) -> None:
        """Flush every `PERIOD` seconds for ever; a failure is logged and tried again, never dropped."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.flush()
            except Exception:
                log.exception("the session trail could not be written; it is kept and tried again")
