"""One policy replay at a time, in the background, as it takes longer than a page may. Kept until the next, or a restart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from egress_gate.service.errors import Conflict
from egress_gate.service.replay import Report, Told
from installation.fault import Fault

log = logging.getLogger(__name__)
PATIENCE = 3.0  # seconds that a page waits, so that a short replay is shown at once


@dataclass
class Run:
    """A replay that somebody started: how far it is, and what came of it."""

    person: str
    file: str = ""  # the changed file of numbers; empty: the policies in force
    text: str = ""
    done: int = 0
    of: int = 0
    report: Report | None = None
    fault: Fault | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def told(self, done: int, of: int) -> None:
        self.done, self.of = done, of


class Replays:
    """What the desk's process replays; its last run is shown until the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Run | None = None

    @property
    def last(self) -> Run | None:
        return self._last

    def start(self, run: Run, ask: Callable[[Told], Report]) -> Run:
        """Raises Conflict while another runs."""
        with self._lock:
            if self._last is not None and not self._last.over.is_set():
                raise Conflict(
                    "The replay was not started.",
                    why=f"One that {self._last.person} started is running, and they share the verifier with new requests.",
                    do="Wait until it is done.",
                )
            self._last = run
        threading.Thread(target=_ask, args=(run, ask), name="policy-replay", daemon=True).start()
        run.over.wait(PATIENCE)
        return run


def _ask(run: Run, ask: Callable[[Told], Report]) -> None:
    try:
        run.report = ask(run.told)
    except Fault as fault:
        run.fault = fault
    except Exception:  # whatever it was, the page must not say for ever that it runs
        log.exception("policy replay of %s", run.person)
        run.fault = Fault(
            "The replay ended before its end.",
            why="A record could not be read or judged.",
            do="Try again; if it stays so, look into the desk's log.",
        )
    finally:
        run.over.set()
