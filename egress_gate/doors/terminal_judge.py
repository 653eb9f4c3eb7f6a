"""The judges of terminals and of the server's events: both are output like any other."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import WSMsgType

from egress_gate.doors import notices
from egress_gate.doors.frames import Message
from egress_gate.doors.kernel_judge import Refused
from egress_gate.doors.view import Budget

TEXTS = frozenset({"stdout"})
SIGNALS = frozenset({"setup", "disconnect"})
FROM_BROWSER = frozenset({"stdin", "set_size"})
MOST_KEYS = 65536


def _list(kind: WSMsgType, data: bytes) -> list[Any] | None:
    if kind is not WSMsgType.TEXT:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and found and isinstance(found[0], str) else None


def _text(*parts: Any) -> Message:
    return WSMsgType.TEXT, json.dumps(list(parts)).encode()


class TerminalJudge:
    """Text of a terminal within the budget and, between two entered lines, within the size of one output."""

    def __init__(self, refused: Refused, budget: Budget) -> None:
        self._refused = refused
        self._budget = budget
        self._since_line = 0
        self._noticed = False
        self._signalled: set[str] = set()

    def inward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        message = _list(kind, data)
        if message is None or message[0] not in FROM_BROWSER:
            self._refused("unreadable-message", "terminal, from the browser")
            return []
        if message[0] == "stdin":
            if len(message) != 2 or not isinstance(message[1], str) or len(message[1]) > MOST_KEYS:
                return []
            if "\r" in message[1] or "\n" in message[1]:
                self._since_line, self._noticed = 0, False
        elif not all(isinstance(number, int) for number in message[1:5]):
            return []
        return [(kind, data)]

    def outward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        message = _list(kind, data)
        if message is None:
            self._refused("unreadable-message", "terminal")
            return []
        if message[0] in SIGNALS:
            if message[0] in self._signalled and self._budget.spend(0, cells=1):
                return []  # each again would be a bit beside every budget
            self._signalled.add(message[0])
            return [_text(message[0], {})] if message[0] == "setup" else [_text(message[0], 1)]
        if message[0] not in TEXTS or len(message) != 2 or not isinstance(message[1], str):
            self._refused("unknown-message", "terminal")
            return []
        size = len(message[1].encode("utf-8", "replace"))
        self._since_line += size
        most = self._budget.allowance.output_bytes
        over = (
            f"it printed more than the {most} bytes that one command may print here"
            if most and self._since_line > most
            else None
        )
        over = over or self._budget.spend(size)
        if over is None:
            return [_text("stdout", message[1])]
        if self._noticed:
            return []
        self._noticed = True
        return [_text("stdout", "\r\n\x1b[33m" + notices.sentence("terminal output", over) + "\x1b[0m\r\n")]


class EventsJudge:
    """The server's own events: JSON within the budget, or nothing; under ``blind`` nothing."""

    def __init__(self, refused: Refused, budget: Budget, *, blind: bool) -> None:
        self._refused = refused
        self._budget = budget
        self._blind = blind

    def inward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        return []

    def outward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        if self._blind or kind is not WSMsgType.TEXT:
            return []
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            self._refused("unreadable-message", "event")
            return []
        text = json.dumps(event).encode()
        return [] if self._budget.spend(len(text)) else [(WSMsgType.TEXT, text)]
