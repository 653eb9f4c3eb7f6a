"""What the door remembers of one kernel, whichever socket asked: requests that a browser sent, and the cells they ran.

Outputs are tied to the browser's own requests by id, so a reconnected page still gets the rest of its cell, and a hostile
kernel cannot name a request that was never made.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.trail import Event, Trail
from store.clock import now

MOST_REQUESTS = 512
RUNNING_AFTER = timedelta(seconds=20)


@dataclass
class Asked:
    """One request of the browser; for a cell also what it has shown so far."""

    header: dict[str, Any]
    at: datetime
    code: str | None = None
    cursor: int = 0
    number: int = 0
    shown: int = 0
    withheld: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    recorded: bool = False
    begun: bool = False  # on the trail already, as still running
    said: Counter[str] = field(default_factory=Counter)  # messages of a kind that have passed for it
    over: str | None = None  # under blind: why nothing is said of it, once that was asked; empty when it may be

    def first(self, kind: str, most: int = 1) -> bool:
        """Whether another message of this kind may pass; counts it. How many come is the kernel's choice, and so says something."""
        self.said[kind] += 1
        return self.said[kind] <= most

    def show(self, data: bytes) -> None:
        self.shown += len(data)
        self.digest.update(data)


class KernelMemory:
    """The last requests of one kernel, and the trail of its cells."""

    def __init__(self, sandbox: Sandbox, trail: Trail) -> None:
        self._sandbox = sandbox
        self._trail = trail
        self._asked: OrderedDict[str, Asked] = OrderedDict()
        self._cells = 0
        self.stray = Asked({}, now())  # all that belongs to no request, together

    def ask(self, header: dict[str, Any], *, code: str | None = None, cursor: int = 0) -> Asked:
        asked = Asked(header, now(), code, cursor)
        if code is not None:
            self._cells += 1
            self._trail.asked_for_a_cell(self._sandbox)
            asked.number = self._cells
        self._asked[str(header["msg_id"])] = asked
        while len(self._asked) > MOST_REQUESTS:
            self.record(self._asked.popitem(last=False)[1])
        return asked

    def of(self, message_id: str) -> Asked | None:
        return self._asked.get(message_id)

    def record(self, asked: Asked, who: str = "") -> None:
        """Write a cell into the trail, once: its code by digest, what it showed by digest and size."""
        if asked.code is None or asked.recorded:
            return
        asked.recorded = True
        self._write(asked, who)

    def note_running(self) -> None:
        """Cells that began a while ago and have not ended go on the trail as they stand: a kernel may never say that it is idle."""
        for asked in self._asked.values():
            if asked.code is None or asked.recorded or asked.begun or now() - asked.at < RUNNING_AFTER:
                continue
            asked.begun = True
            self._write(asked, "", running=True)

    def _write(self, asked: Asked, who: str, **more: Any) -> None:
        code = (asked.code or "").encode("utf-8", "replace")
        facts = {
            "who": who or self._sandbox.person, "project": self._sandbox.project, "view": self._sandbox.view,
            "shown": asked.digest.hexdigest(), "shown_bytes": asked.shown, "withheld": asked.withheld,
            "milliseconds": int((now() - asked.at).total_seconds() * 1000), **more,
        }  # fmt: skip
        self._trail.happened(
            self._sandbox, Event("cell", hashlib.sha256(code).hexdigest(), asked.shown, facts, asked.at, blob=code)
        )

    def close(self) -> None:
        """The sandbox is going: cells still running are recorded as far as they came."""
        for asked in self._asked.values():
            self.record(asked)
