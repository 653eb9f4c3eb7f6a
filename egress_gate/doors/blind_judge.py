"""The judge of a kernel's websocket under ``blind``: status, the type and line of errors, and the gate's own answers.

Nothing here is copied from the kernel but choices from short lists and numbers bounded by what the browser itself sent, so
a kernel that lies can say little more than how far it is.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType

from egress_gate.doors import notices
from egress_gate.doors.answers import Answers
from egress_gate.doors.frames import Message
from egress_gate.doors.kernel_judge import (
    COMMS,
    DISPLAYS,
    PLAIN,
    REPLIES,
    GuardedJudge,
    Refused,
    bare_reply,
    empty_reply,
)
from egress_gate.doors.kernel_protocol import KernelMessage
from egress_gate.doors.memory import Asked, KernelMemory
from egress_gate.doors.view import Budget

ERRORS = frozenset(
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
) | {"GloveboxError", "Refused", "Mistake", "GateUnreachable", "BinderException", "CatalogException", "ParserException"}
LINE = re.compile(r"(?:line |Cell In\[\d+\], line )(\d{1,6})")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
MOST = {"input_request": 16}  # of a kind, for one cell; of the others one
ANSWER_TYPE = "application/vnd.glovebox.answer+json"


class BlindJudge(GuardedJudge):
    """``answers`` are what the gate said to this sandbox through the inner door: the one content that may be shown."""

    def __init__(
        self, memory: KernelMemory, protocol: str | None, who: str, refused: Refused, budget: Budget, answers: Answers
    ) -> None:
        super().__init__(memory, protocol, who, refused, budget)
        self._answers = answers

    def _rebuilt(self, message: KernelMessage, asked: Asked | None) -> KernelMessage | None:
        kind = message.kind
        if kind == "status":
            return self._status(message, asked)
        if asked is None or (kind not in DISPLAYS and not asked.first(kind, MOST.get(kind, 1))):
            return None  # nothing that a browser asked for, or said before
        if asked.code is None:
            return _made(message, self._empty(message, asked)) if kind in REPLIES else self._plain(message)
        over = self._cost(asked)
        if over:
            return self._silent(message, over)
        if kind == "execute_input":
            return _made(message, {"code": asked.code, "execution_count": asked.number})
        if kind in DISPLAYS:
            return self._answer(message, asked)
        if kind == "error":
            return _made(message, scrubbed(message.content, asked))
        if kind == "execute_reply":
            return _made(message, self._bare(message, asked))
        if kind == "input_request":
            return _made(message, {"prompt": "", "password": message.content.get("password") is True})
        if kind == "stream" or kind in COMMS:
            return self._once(message, "output", notices.BLIND.rstrip("."))
        return self._plain(message)

    def _cost(self, asked: Asked) -> str:
        """Type and line of an error, or that there was none, are told of so many cells an hour; empty while it may be told."""
        if asked.over is None:
            asked.over = self._budget.spend(0, cells=1) or ""
        return asked.over

    def _silent(self, message: KernelMessage, over: str) -> KernelMessage | None:
        """Of a cell beyond the budget the same is said, whatever it did."""
        if message.kind == "execute_input":
            return self._once(message, "how this cell went", over)
        return _made(message, bare_reply({"status": "aborted"})) if message.kind == "execute_reply" else None

    def _plain(self, message: KernelMessage) -> KernelMessage | None:
        return _made(message, {"status": "ok", "restart": False}) if message.kind in PLAIN else None

    def _answer(self, message: KernelMessage, asked: Asked) -> KernelMessage | None:
        """The gate's own answer, rendered by the door from the gate's bytes; anything else is withheld."""
        data = message.content.get("data")
        named = data.get(ANSWER_TYPE) if isinstance(data, Mapping) else None
        digest = named.get("digest") if isinstance(named, Mapping) else None
        shown = self._answers.shown(digest) if isinstance(digest, str) else None
        if shown is None or self._over(sum(map(len, shown.values())), cells=1):
            asked.withheld += 1
            return self._once(message, "output", notices.BLIND.rstrip("."))
        made: dict[str, Any] = {"data": shown, "metadata": {}, "transient": {}}
        if message.kind == "execute_result":
            made["execution_count"] = asked.number
        return _made(message, made)

    def _bare(self, message: KernelMessage, asked: Asked) -> dict[str, Any]:
        made = bare_reply(message.content)
        if made["status"] == "error":
            made |= scrubbed(message.content, asked)
        return made | {"execution_count": asked.number}

    def _empty(self, message: KernelMessage, asked: Asked) -> dict[str, Any]:
        made = empty_reply(message.kind)
        if message.kind == "complete_reply":
            made |= {"cursor_start": asked.cursor, "cursor_end": asked.cursor}
        return made


def scrubbed(content: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """An error as its type, from a list, and a line of the code that the browser sent."""
    name = content.get("ename")
    kind = name if isinstance(name, str) and name in ERRORS else "Exception"
    line = _line(content.get("traceback"), (asked.code or "").count("\n") + 1)
    where = f"line {line}" if line else "somewhere in this cell"
    text = f"{kind}: {where}. The rest is withheld: {notices.BLIND}"
    return {"ename": kind, "evalue": where, "traceback": [text]}


def _line(traceback: Any, lines: int) -> int:
    """The last line of the cell that a traceback names; 0 when there is none within the cell."""
    if not isinstance(traceback, list):
        return 0
    named = [
        int(found)
        for part in traceback[:50]
        if isinstance(part, str)
        for found in LINE.findall(ANSI.sub("", part[:4000]))
    ]
    within = [number for number in named if 1 <= number <= lines]
    return within[-1] if within else 0


def _made(message: KernelMessage, content: dict[str, Any]) -> KernelMessage:
    return KernelMessage(message.channel, message.header, message.parent, {}, content)


__all__ = ["BlindJudge", "Message", "WSMsgType"]
