"""The loop that takes waiting requests up. Killed at any point, its successor finds everything in the store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from egress_gate.domain.request import State
from egress_gate.service.check import LostLease, check, claim, requeue
from egress_gate.service.gate import Gate
from egress_gate.service.release import prepare, put_off, release
from egress_gate.store import requests
from egress_gate.store.requests import RequestRow
from installation.fault import Fault
from installation.rounds import in_rounds
from policy_engine import PolicyUnavailable
from store.clock import stamp

log = logging.getLogger("glovebox.gate.worker")

FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=1)
PROBE = {"classifications": [1], "kinds": ["table"]}


class CheckBroken(Fault):
    """The check itself failed in a way nobody foresaw; the log has the trace."""

    code = "check-broken"


def broken() -> CheckBroken:
    return CheckBroken(
        "The check could not be finished, so the request waits.",
        why="The gate met an error of its own. Nothing leaves on an error.",
        do="Nothing is lost: it is tried again. An administrator can see the cause in the gate's log.",
    )


@dataclass
class Worker:
    """One per process is enough; several do no harm, because each request is claimed in the store."""

    gate: Gate
    clock: Callable[[], datetime]
    idle: float = 0.5
    _waits: dict[int, tuple[datetime, timedelta]] = field(default_factory=dict)

    def run(self, stop: Event) -> None:
        """Until `stop` is set."""
        in_rounds(self.round, stop, self.idle, log)

    def round(self) -> bool:
        """Take up everything that is due once; True when anything was moved."""
        now = self.clock()
        with self.gate.store.read() as c:
            due = requests.waiting(c, stamp(now), limit=50)
        moved = False
        for row in due:
            if self._due(row, now):
                moved = self._take(row) or moved
        return moved

    def _due(self, row: RequestRow, now: datetime) -> bool:
        """Not while it backs off; and what was delayed only once the engine answers again, so retries write nothing."""
        waiting = self._waits.get(row.id)
        if waiting is not None and now < waiting[0]:
            return False
        if row.trouble is None or self._engine_answers():
            return True
        self._back_off(row.id)
        return False

    def _engine_answers(self) -> bool:
        try:
            self.gate.engine.query("release/parameters", dict(PROBE))
        except PolicyUnavailable:
            return False
        return True

    def _take(self, row: RequestRow) -> bool:
        try:
            done = self._step(row)
        except LostLease:
            return True
        if done is not None and done.trouble is not None:
            self._back_off(row.id)
        else:
            self._waits.pop(row.id, None)
        return done is not None

    def _step(self, row: RequestRow) -> RequestRow | None:
        if row.state in (State.SUBMITTED, State.CHECKING):
            held = claim(self.gate, row.id, self.clock())
            return None if held is None else self._checked(held)
        held = prepare(self.gate, row.id, self.clock())
        return None if held is None else self._released(held)

    def _checked(self, held: RequestRow) -> RequestRow:
        try:
            return check(self.gate, held, self.clock())
        except LostLease:
            raise
        except Exception:
            log.exception("the check of %s failed", held.name)
            return requeue(self.gate, held, broken(), self.clock())

    def _released(self, held: RequestRow) -> RequestRow:
        try:
            return release(self.gate, held, self.clock())
        except LostLease:
            raise
        except PolicyUnavailable as away:
            return put_off(self.gate, held, away.public(), self.clock(), LONGEST_WAIT)
        except Exception:
            log.exception("the release of %s failed", held.name)
            return put_off(self.gate, held, broken().public(), self.clock(), LONGEST_WAIT)

    def _back_off(self, number: int) -> None:
        _, last = self._waits.get(number, (None, FIRST_WAIT / 2))
        wait = min(last * 2, LONGEST_WAIT)
        self._waits[number] = (self.clock() + wait, wait)
