"""A service that looks for work in rounds, until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from logging import Logger
from threading import Event


def in_rounds(round_: Callable[[], bool], stop: Event, idle: float, log: Logger) -> None:
    """Call `round_` until `stop` is set; after a round without work, or one that failed, wait `idle` seconds."""
    while not stop.is_set():
        try:
            busy = round_()
        except Exception:  # the loop must outlive a locked database or a full disk
            log.exception("a round failed")
            busy = False
        if not busy:
            stop.wait(idle)
