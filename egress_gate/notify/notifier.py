"""The loop that draws notices from the ledger and sends them. Killed at any point, its successor goes on where the store stands.

A message may go out twice when the process dies between sending and writing it down: its number is the same, so that a receiver can tell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from smtplib import SMTPException
from threading import Event

from httpx import HTTPError

from egress_gate.notify import notices
from egress_gate.notify.channels import Channel, NoAddress
from egress_gate.notify.notices import Notice
from egress_gate.service.ports import Store
from installation.rounds import in_rounds
from store.clock import moment

log = logging.getLogger("glovebox.gate.notifier")
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP = timedelta(days=3)


@dataclass
class Notifier:
    store: Store
    channels: Mapping[str, Channel]
    clock: Callable[[], datetime]
    idle: float = 1.0
    _waits: dict[int, tuple[datetime, timedelta]] = field(default_factory=dict)
    _begun: bool = False

    def run(self, stop: Event) -> None:
        """Until `stop` is set."""
        in_rounds(self.round, stop, self.idle, log)

    def round(self) -> bool:
        """Draw what happened, send what is due; True when anything moved."""
        if not self._begun:
            notices.begin(self.store, self.clock())
            self._begun = True
        moved = notices.draw(self.store, tuple(self.channels), self.clock())
        with self.store.read() as c:
            due = notices.waiting(c)
        for delivery, channel, notice in due:
            moved = self._deliver(delivery, channel, notice) or moved
        return moved

    def _deliver(self, delivery: int, channel: str, notice: Notice) -> bool:
        now = self.clock()
        next_try, last = self._waits.get(delivery, (now, FIRST_WAIT / 2))
        if now < next_try:
            return False
        state = self._sent(channel, notice, now)
        if state is None:
            wait = min(last * 2, LONGEST_WAIT)
            self._waits[delivery] = (now + wait, wait)
            return False
        self._waits.pop(delivery, None)
        notices.settle(self.store, delivery, notice, channel, state, now)
        return True

    def _sent(self, channel: str, notice: Notice, now: datetime) -> str | None:
        """The state it ends in, or None when it is tried again."""
        way = self.channels.get(channel)
        if way is not None:
            try:
                way.send(notice)
            except NoAddress:
                return "given_up"
            except (OSError, SMTPException, HTTPError, ValueError) as failed:
                log.warning("notice %s did not go out by %s: %s", notice.id, channel, type(failed).__name__)
            else:
                return "sent"
        return "given_up" if now - moment(notice.told_at) > GIVE_UP else None
