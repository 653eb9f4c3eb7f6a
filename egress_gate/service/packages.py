"""What analysts ask for beyond the sandbox image: remembered here, decided by administrators (`provisioning.service.shelf`)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.errors import Conflict, Malformed, TooMany
from egress_gate.service.gate import Gate
from egress_gate.service.submit import Caller
from egress_gate.store import shelf as kept
from egress_gate.store.paging import Paged, sliced
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp

MOST_OPEN = 20
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True)
class ShelfPage:
    """``answers``: whether the reader is one who answers requests, and so sees every project's."""

    edition: kept.Edition | None
    packages: Paged
    waiting: Paged
    answered: Paged
    answers: bool


@dataclass(frozen=True)
class Turned:
    """Which page of each list is shown."""

    packages: int = 1
    waiting: int = 1
    answered: int = 1


def ask(gate: Gate, who: Caller, name: str, reason: str, at: datetime) -> dict[str, Any]:
    """Ask for a package by name. Raises Malformed, Conflict for one that is asked for already, TooMany."""
    if not _NAME.fullmatch(name) or not 0 < len(reason.strip()) <= 500 or not reason.isprintable():
        raise Malformed(
            "The package was not asked for.",
            why="A request is a package's plain name and a reason of at most 500 characters on one line.",
            do="Give the name as the package index has it, without a version or an address.",
        )
    table = s.package_request
    mine = (table.c.person == who.sandbox.person, table.c.state == "open")
    with gate.store.transaction(at) as t:
        if t.execute(select(table.c.id).where(*mine, func.lower(table.c.name) == name.lower())).first() is not None:
            raise Conflict(
                f"{name} was not asked for again.", why="Your first request is open.", do="Wait for the answer."
            )
        if int(t.execute(select(func.count()).select_from(table).where(*mine)).scalar_one()) >= MOST_OPEN:
            raise TooMany(
                f"{name} was not asked for.", why=f"You have {MOST_OPEN} open requests.", do="Wait for answers."
            )
        row = {
            "person": who.sandbox.person, "project": who.sandbox.project, "name": name, "reason": reason.strip(), "state": "open",
            "asked_at": stamp(at),
        }  # fmt: skip
        t.execute(insert(table).values(row))
        subject = {"package": name, "person": who.sandbox.person, "project": who.sandbox.project}
        t.record(Entry("package.requested", who.sandbox.person, subject, {}))
    return row


def shelf(gate: Gate, who: Caller) -> dict[str, Any]:
    """What this sandbox sees on the shelf, and what its person asked for."""
    table, edition = s.package_request, s.shelf_edition
    with gate.store.read() as c:
        digest = c.execute(select(s.sandbox.c.shelf).where(s.sandbox.c.id == who.sandbox.id)).scalar()
        listed = c.execute(select(edition.c.packages).where(edition.c.digest == digest).limit(1)).scalar()
        asked = c.execute(select(table).where(table.c.person == who.sandbox.person).order_by(table.c.id)).all()
    packages = [{"name": one["name"], "version": one["version"]} for one in json.loads(listed or "[]")]
    return {
        "packages": packages,
        "requests": [{"name": r.name, "state": r.state, "answer": r.answer, "asked_at": r.asked_at} for r in asked],
    }


def shelf_for(gate: Gate, person: Person, at: datetime, turned: Turned | None = None) -> ShelfPage:
    """The newest edition with the requests of one's own projects, or of all. Raises NotAllowed."""
    may(gate.engine, person, "view_shelf", at).require("see the package shelf")
    answers = may(gate.engine, person, "view_package_requests", at).allow
    only, shown = None if answers else person.name, turned or Turned()
    with gate.store.read() as c:
        edition = kept.edition(c)
        packages = sliced(edition.packages if edition else (), shown.packages)
        waiting = kept.asked(c, is_open=True, person=only, number=shown.waiting)
        answered = kept.asked(c, is_open=False, person=only, number=shown.answered)
    return ShelfPage(edition, packages, waiting, answered, answers)
