"""What is left of a project's quotas of cells and bytes shown, held exactly while its sandboxes run.

Policy's last answer for a sandbox is the base; what any sandbox of the same project asked for since then, and is not yet in the store that
policy judged, is taken off. So neither several tabs, servers or colleagues nor the half minute between two batches of the trail stretch a
quota.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import WSMsgType

from egress_gate.doors.errors import DoorFault
from egress_gate.doors.frames import Message
from egress_gate.doors.kernel_protocol import KernelMessage, Unreadable, decode, encode
from egress_gate.doors.trail import Tally
from egress_gate.doors.websocket import Judge
from store.clock import now

HELD = ("cells", "shown_bytes")
CLOSED: Mapping[str, int] = dict.fromkeys(HELD, 0)


class QuotaSpent(DoorFault):
    """The project's quota of bytes shown is used up: its pages are closed, its sandboxes are not."""

    code = "quota-spent"
    status = 403


def nothing_more_is_shown() -> QuotaSpent:
    return QuotaSpent(
        "Nothing more is shown.",
        why="The bytes that may be shown of this project's data are used up.",
        do="Ask the data steward for more. What runs goes on, and what was submitted for release stays.",
    )


class Allotment:
    """Of one sandbox. ``left``: policy's answer, by name; a name that is not in it has no limit."""

    def __init__(self, tally: Tally, left: Mapping[str, int], mark: Counter[str]) -> None:
        self._tally = tally
        self._left, self._mark = dict(left), mark
        self.warnings: tuple[str, ...] = ()

    def renew(self, left: Mapping[str, int], mark: Counter[str]) -> None:
        """``mark``: what was in the store before policy was asked."""
        self._left, self._mark = dict(left), mark

    def spent(self, name: str) -> bool:
        if name not in self._left:
            return False
        return self._tally.asked[name] - self._mark[name] >= self._left[name]


class MeteredJudge:
    """Holds the quotas around another judge, and puts the door's warnings beside the next cell's output."""

    def __init__(
        self,
        judge: Judge,
        allotment: Allotment,
        protocol: str | None,
        refused: Callable[[str, str], None],
        *,
        kernel: bool,
    ) -> None:
        self._judge = judge
        self._allotment = allotment
        self._protocol = protocol
        self._refused = refused
        self._kernel = kernel
        self._warned: tuple[str, ...] = ()
        self._asked: dict[str, Any] | None = None  # the header of a cell that a warning goes to

    def inward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        if self._kernel and (self._allotment.spent("cells") or self._allotment.warnings != self._warned):
            data = self._looked_at(kind, data)
        return self._judge.inward(kind, data)

    def outward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        """Raises QuotaSpent, which closes the connection."""
        if self._allotment.spent("shown_bytes"):
            raise nothing_more_is_shown()
        passed = self._judge.outward(kind, data)
        if self._asked is not None and passed:
            passed = [*passed, *self._warnings(self._asked)]
            self._asked = None
        return passed

    def _looked_at(self, kind: WSMsgType, data: bytes) -> bytes:
        try:
            message = decode(kind, data, self._protocol)
        except Unreadable:
            return data
        if message.channel != "shell" or message.kind != "execute_request":
            return data
        if self._allotment.warnings != self._warned:
            self._asked = message.header
        if not self._allotment.spent("cells"):
            return data
        self._refused("quota-spent", "a cell")
        content = {**message.content, "code": INSTEAD, "silent": False, "store_history": False, "user_expressions": {}}
        return encode(KernelMessage(message.channel, message.header, message.parent, {}, content), self._protocol)[1]

    def _warnings(self, header: dict[str, Any]) -> list[Message]:
        self._warned = self._allotment.warnings
        if not self._warned:
            return []
        own = {
            "msg_id": uuid.uuid4().hex, "msg_type": "stream", "username": "door", "session": "door",
            "date": now().isoformat(), "version": "5.3",
        }  # fmt: skip
        content = {"name": "stderr", "text": "".join(f"[session door] {text}\n" for text in self._warned)}
        return [encode(KernelMessage("iopub", own, header, {}, content), self._protocol)]


_SAID = (
    "[session door] This cell was not run: the cells that the grant of this project's data allows are used up. "
    "Ask the data steward for more; what was submitted for release stays."
)
INSTEAD = f"import sys; print({json.dumps(_SAID)}, file=sys.stderr)"
