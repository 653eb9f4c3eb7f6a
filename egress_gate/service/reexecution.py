"""Run a notebook anew, top to bottom, in a sealed container over the pinned data, and keep what differs from what was sent.

Asked for by a reviewer, done by a worker of its own, kept as a row with a state. It releases nothing and approves nothing: it is one more
thing to look at, and `release/rerun` may ask for it before anybody approves. What came of it is seen by the data's stewards
and by auditors only: the author may have worked on less than the data. The record tells no more of it than a salted digest.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Any

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.domain.rerun import code_cells, difference
from egress_gate.policy.ask import Permission, permission_from
from egress_gate.policy.facts import Person, rerun_input
from egress_gate.service.errors import Conflict, NotReady, no_such
from egress_gate.service.gate import Gate
from egress_gate.service.notebooks import NotebookUnreadable, is_notebook, sources
from egress_gate.service.ports import sealed
from egress_gate.service.reading import Dossier, visible
from egress_gate.store import catalogue, requests, reruns
from egress_gate.store.requests import RequestRow, canonical
from egress_gate.store.reruns import ENDED, RerunRow, RerunState
from egress_gate.verifier.port import Rerun, Rerunner, TableFile, VerifierAway
from installation.fault import Fault
from installation.rounds import in_rounds
from ledger.entry import Entry
from store.clock import stamp
from store.database import Transaction

log = logging.getLogger("glovebox.gate.reexecution")

ATTEMPTS = 3
AGAIN = timedelta(seconds=30)
SPARE = timedelta(minutes=3)  # what a run may take beside its seconds before another worker takes it over
ENDINGS = frozenset({"time", "kernel", "size"})


@dataclass(frozen=True)
class RerunPermission:
    """Policy's answer: whether, for how long, and whether this level of data wants it before an approval."""

    permission: Permission
    required: bool
    seconds: int


def notebooks_of(items: Iterable[Item]) -> list[Item]:
    return [i for i in items if i.kind is Kind.FILE and i.blob and is_notebook(i.name)]


def ask(gate: Gate, person: Person, number: int, name: str, at: datetime, revision: int) -> None:
    """Put a notebook into the queue. Raises NotFound, NotAllowed with policy's words, Conflict for another revision, NotReady."""
    found = visible(gate, person, number, at)
    row = found.request
    if revision != row.revision:
        raise _another_revision(row)
    item = _notebook(gate, row, name)
    said = may(gate, person, "ask", found, item, at)
    said.permission.require("have this notebook run anew")
    if gate.rerunner is None:
        raise NotReady(
            "The notebook was not run.", why="This gate has nothing to run it in.", do="Tell an administrator."
        )
    with gate.store.transaction(at) as t:
        held = requests.fetch(t, number)
        if held is None or (held.state, held.revision) != (row.state, row.revision):
            raise _another_revision(row)
        if any(r.state not in ENDED for r in reruns.of_revision(t, row.id, row.revision, name)):
            raise Conflict(
                "The notebook is being run already.", why="One run at a time is enough.", do="Wait for it to end."
            )
        reruns.insert_rerun(t, row.id, row.revision, name, item.blob or "", said.seconds, person.name, stamp(at))
        t.record(_entry("notebook.rerun_asked", person.name, row, output=name))


def may(gate: Gate, person: Person, action: str, found: Dossier, item: Item, at: datetime) -> RerunPermission:
    """``release/rerun`` for `ask` or `approve`. Raises PolicyUnavailable; an answer of another shape is no permission."""
    row = found.request
    with gate.store.read() as c:
        levels = catalogue.classifications(c, found.stewards).values()
        runs = reruns.of_revision(c, row.id, row.revision, item.name)
    facts = rerun_input(action, person, found.facts(), levels, [run_facts(gate, r) for r in runs], at)
    answer = gate.engine.query("release/rerun", facts).result
    permission = permission_from(answer)
    seconds = answer.get("seconds") if isinstance(answer, Mapping) else None
    required = not isinstance(answer, Mapping) or answer.get("required") is not False
    return RerunPermission(permission, required, seconds if isinstance(seconds, int) and seconds > 0 else 60)


def require_before_approval(gate: Gate, person: Person, found: Dossier, leaving: Iterable[str], at: datetime) -> None:
    """Raises NotAllowed for an approval of a notebook that policy wants run anew first."""
    with gate.store.read() as c:
        wanted = notebooks_of(requests.items(c, found.request.id, found.request.revision))
    for item in wanted:
        if item.name in leaving:
            may(gate, person, "approve", found, item, at).permission.require(f"approve {item.name}")


def run_facts(gate: Gate, row: RerunRow) -> dict[str, Any]:
    """For policy: the state, whether it agrees, the digest of what came of it."""
    agrees = bool(result(gate, row)["agrees"]) if row.state is RerunState.DONE else None
    return {"state": row.state.value, "agrees": agrees, "result": row.result}


def result(gate: Gate, row: RerunRow) -> dict[str, Any]:
    """What came of a run that has ended."""
    return dict(json.loads(gate.blobs.read(row.result))) if row.result else {"agrees": False, "cells": []}


def certified(gate: Gate, row: RequestRow, item: Item) -> dict[str, Any]:
    """What the certificate says: the last run's digest and whether it agreed, or that there was none. No more: it leaves."""
    if not notebooks_of([item]):
        return {}
    with gate.store.read() as c:
        runs = reruns.of_revision(c, row.id, row.revision, item.name)
    done = [r for r in runs if r.state is RerunState.DONE and r.blob == item.blob]
    if not done:
        return {"reexecution": "none"}
    return {"reexecution": {"agrees": bool(result(gate, done[-1])["agrees"]), "result": done[-1].result}}


# ---- the worker's part -----------------------------------------------------------------------------------------------
def claim(gate: Gate, at: datetime) -> RerunRow | None:
    """Take the oldest run up, or over from a worker that died. One that ended three workers is not tried a fourth time."""
    now = stamp(at)
    with gate.store.read() as c:
        row = reruns.due(c, now)
    if row is None:
        return None
    until = stamp(at + timedelta(seconds=row.seconds) + SPARE)
    with gate.store.transaction(at) as t:
        held = reruns.fetch(t, row.id)
        if held != row:
            return None
        if row.attempts >= ATTEMPTS:
            return _end(gate, t, row, _nothing("attempts"), at)
        made = reruns.change(t, row, RerunState.RUNNING, attempts=row.attempts + 1, lease_until=until)
        t.record(_entry("notebook.rerun_claimed", "gate", _request(t, row), output=row.item))
        return made


def execute(gate: Gate, row: RerunRow, at: Callable[[], datetime]) -> RerunRow:
    """Run a claimed one and keep what came of it. When nothing answered, it is tried again later."""
    try:
        found = _run(gate, row)
    except NotebookUnreadable:
        found = _nothing("unreadable")
    except Fault as away:
        log.warning("notebook run %s did not answer: %s", row.id, away.private or away.what)
        return _put_off(gate, row, at())
    now = at()
    with gate.store.transaction(now) as t:
        held = reruns.fetch(t, row.id)
        if held != row:
            return row if held is None else held  # another worker took it over: what it finds counts
        return _end(gate, t, row, found, now)


def _run(gate: Gate, row: RerunRow) -> dict[str, Any]:
    with gate.store.read() as c:
        asked = _request(c, row)
        versions = catalogue.versions_of_sandbox(c, asked.sandbox)
        tables = catalogue.sources(c, versions, gate.datasets)
        digests = catalogue.digests(c, versions)
    if (asked.state, asked.revision) != (State.IN_REVIEW, row.revision):
        return _nothing("overtaken")
    if {t.version for t in tables} != set(versions):
        return _nothing("data_gone")
    data = gate.blobs.read(row.blob)
    sources(data)
    cells = code_cells(data)
    with gate.vault.opened(sealed(tables)):
        files = [TableFile(t.dataset, t.name, t.path, t.unit) for t in tables]
        came = _rerunner(gate).rerun([text for _, text, _ in cells], files, row.seconds)
    facts = {"versions": dict(sorted(digests.items())), "image": came.image, "notebook": row.blob}
    if came.stopped is not None:
        return {**_nothing(came.stopped if came.stopped in ENDINGS else "kernel"), **facts}
    return {**_compared(cells, came), **facts}


def _compared(cells: Sequence[tuple[int, str, list[Any]]], came: Rerun) -> dict[str, Any]:
    found = [difference(n, sent, now) for (n, _, sent), now in zip(cells, came.cells, strict=True)]
    return {"why": None, "agrees": all(d.same for d in found), "cells": [d.facts() for d in found]}


def _nothing(why: str) -> dict[str, Any]:
    return {"why": why, "agrees": False, "cells": []}


def _end(gate: Gate, t: Transaction, row: RerunRow, found: Mapping[str, Any], at: datetime) -> RerunRow:
    """A salt, because whoever knows the digest of what is easily guessed knows the thing; and the entry is alike however it ended."""
    digest = gate.blobs.put(canonical({**found, "salt": secrets.token_hex(16)}).encode())
    state = RerunState.FAILED if found["why"] else RerunState.DONE
    made = reruns.change(t, row, state, result=digest, ended_at=stamp(at), lease_until=None)
    t.record(_entry("notebook.rerun_ended", "gate", _request(t, row), output=row.item, result=digest))
    return made


def _put_off(gate: Gate, row: RerunRow, at: datetime) -> RerunRow:
    with gate.store.transaction(at) as t:
        if reruns.fetch(t, row.id) != row:
            return row
        made = reruns.change(t, row, RerunState.WAITING, lease_until=stamp(at + AGAIN * row.attempts))
        t.record(_entry("notebook.rerun_delayed", "gate", _request(t, row), output=row.item))
        return made


@dataclass
class Reexecutions:
    """One notebook at a time, beside the worker that checks, so that a long one keeps no request waiting."""

    gate: Gate
    clock: Callable[[], datetime]
    idle: float = 1.0

    def run(self, stop: Event) -> None:
        in_rounds(self.round, stop, self.idle, log)

    def round(self) -> bool:
        held = claim(self.gate, self.clock())
        if held is None:
            return False
        if held.state is RerunState.RUNNING:
            execute(self.gate, held, self.clock)
        return True


def _notebook(gate: Gate, row: RequestRow, name: str) -> Item:
    with gate.store.read() as c:
        found = [i for i in notebooks_of(requests.items(c, row.id, row.revision)) if i.name == name]
    if not found:
        raise no_such("notebook")
    return found[0]


def _rerunner(gate: Gate) -> Rerunner:
    if gate.rerunner is None:
        raise VerifierAway(
            "The notebook was not run.", why="This gate has nothing to run it in.", do="Tell an administrator."
        )
    return gate.rerunner


def _request(c: Any, row: RerunRow) -> RequestRow:
    found = requests.fetch(c, row.request)
    if found is None:
        raise no_such("request")
    return found


def _another_revision(row: RequestRow) -> Conflict:
    return Conflict(
        "The notebook was not run.",
        why=f"{row.name} changed while you were reading.",
        do="Reload the page.",
    )


def _entry(kind: str, actor: str, row: RequestRow, **facts: object) -> Entry:
    return Entry(kind, actor, {"request": row.name, "project": row.project}, {"revision": row.revision, **facts})
