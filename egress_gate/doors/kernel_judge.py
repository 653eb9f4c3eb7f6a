"""The judge of a kernel's websocket, for the views ``open`` and ``guarded``; `blind_judge` narrows it further.

Every message is parsed; what cannot be parsed, or has a kind that the table does not know, does not pass. Under
``guarded`` each message is built anew from known fields, so that nothing travels beside what is counted.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType

from egress_gate.doors import notices
from egress_gate.doors.frames import Message
from egress_gate.doors.kernel_protocol import KERNEL_V1, KernelMessage, Unreadable, decode, encode, peek
from egress_gate.doors.memory import Asked, KernelMemory
from egress_gate.doors.view import Budget
from store.clock import now

INWARD: dict[str, frozenset[str]] = {
    "shell": frozenset({
        "execute_request", "inspect_request", "complete_request", "history_request", "is_complete_request",
        "comm_info_request", "kernel_info_request", "connect_request", "comm_open", "comm_msg", "comm_close",
    }),
    "control": frozenset({
        "interrupt_request", "shutdown_request", "debug_request", "kernel_info_request", "create_subshell_request",
        "delete_subshell_request", "list_subshell_request",
    }),
    "stdin": frozenset({"input_reply"}),
    "iopub": frozenset(),
}  # fmt: skip
DISPLAYS = frozenset({"display_data", "update_display_data", "execute_result"})
REPLIES = frozenset({
    "inspect_reply", "complete_reply", "history_reply", "comm_info_reply", "kernel_info_reply", "connect_reply",
    "is_complete_reply", "debug_reply",
})  # fmt: skip
PLAIN = frozenset({
    "shutdown_reply", "interrupt_reply", "create_subshell_reply", "delete_subshell_reply", "list_subshell_reply",
    "clear_output", "iopub_welcome",
})  # fmt: skip
ONCE = REPLIES | {"execute_reply", "execute_input", "shutdown_reply", "interrupt_reply"}
COMMS = frozenset({"comm_open", "comm_msg", "comm_close", "debug_event"})
OUTWARD: dict[str, frozenset[str]] = {
    "iopub": DISPLAYS | COMMS | PLAIN | {"status", "execute_input", "stream", "error"},
    "shell": REPLIES | PLAIN | COMMS | {"execute_reply"},
    "control": REPLIES | PLAIN | {"execute_reply"},
    "stdin": frozenset({"input_request"}),
}
STATES = frozenset({"busy", "idle", "starting", "restarting", "autorestarting", "dead", "terminating", "unknown"})
SHOWN_TYPES = (
    "text/plain", "text/html", "text/markdown", "text/latex", "image/png", "image/jpeg", "image/gif", "image/svg+xml",
    "application/json", "application/vnd.jupyter.widget-view+json", "application/vnd.vega.v5+json",
    "application/vnd.vega.v6+json", "application/vnd.vegalite.v5+json", "application/vnd.vegalite.v6+json",
    "application/vnd.glovebox.answer+json",
)  # fmt: skip
UNPARSED = "a message that the door cannot read"

Refused = Callable[[str, str], None]
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def size_of(part: Any) -> int:
    return len(ENCODER.encode(part).encode("utf-8", "replace"))


class OpenJudge:
    """View ``open``: messages of known kinds pass as they came; cells are recorded."""

    def __init__(self, memory: KernelMemory, protocol: str | None, who: str, refused: Refused) -> None:
        self._memory = memory
        self._protocol = protocol
        self._who = who
        self._refused = refused

    # -- from the browser ---------------------------------------------------------------------------------------------
    def inward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        try:
            message = decode(kind, data, self._protocol)
        except Unreadable:
            self._refused("unreadable-message", "from the browser")
            return []
        if message.kind not in INWARD[message.channel]:
            self._refused("unknown-message", message.kind[:40])
            return []
        content = message.content
        code = content.get("code") if message.kind == "execute_request" else None
        cursor = content.get("cursor_pos")
        self._memory.ask(
            message.header,
            code=code if isinstance(code, str) else None,
            cursor=cursor if isinstance(cursor, int) else 0,
        )
        return [(kind, data)]

    # -- to the browser -----------------------------------------------------------------------------------------------
    def outward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        try:
            message = self._read(kind, data)
        except Unreadable:
            self._refused("unreadable-message", "from the kernel")
            return []
        if message.kind not in OUTWARD[message.channel]:
            self._refused("unknown-message", message.kind[:40])
            return []
        asked = self._memory.of(message.parent_id)
        passed = self._pass(message, asked, (kind, data))
        if asked is not None and asked.code is not None:
            for _, sent in passed:
                asked.show(sent)
            # Outputs and the reply come on two channels; "idle" is the last word on that of the outputs.
            if message.kind == "status" and _idle(kind, data, self._protocol):
                self._memory.record(asked, self._who)
        return passed

    def _read(self, kind: WSMsgType, data: bytes) -> KernelMessage:
        binary = self._protocol == KERNEL_V1 and kind is WSMsgType.BINARY
        return peek(data) if binary else decode(kind, data, self._protocol)

    def _pass(self, message: KernelMessage, asked: Asked | None, raw: Message) -> list[Message]:
        return [raw]


class GuardedJudge(OpenJudge):
    """View ``guarded``: within the budgets, each output within its size; what is over is replaced by a notice."""

    def __init__(self, memory: KernelMemory, protocol: str | None, who: str, refused: Refused, budget: Budget) -> None:
        super().__init__(memory, protocol, who, refused)
        self._budget = budget
        self._display_ids: dict[str, str] = {}
        self._streamed: dict[str, int] = {}  # parent → bytes of text shown

    def _read(self, kind: WSMsgType, data: bytes) -> KernelMessage:
        return decode(kind, data, self._protocol)

    def _pass(self, message: KernelMessage, asked: Asked | None, raw: Message) -> list[Message]:
        made = self._rebuilt(message, asked)
        if made is None:
            if asked is not None:
                asked.withheld += 1
            return []
        return [encode(self._framed(made, asked), self._protocol)]

    def _framed(self, message: KernelMessage, asked: Asked | None) -> KernelMessage:
        """Header and parent of the door's own making; the kernel chooses the kind alone."""
        header = {
            "msg_id": uuid.uuid4().hex, "msg_type": message.kind, "username": "sandbox", "session": "sandbox",
            "date": now().isoformat(), "version": "5.3",
        }  # fmt: skip
        return KernelMessage(
            message.channel, header, asked.header if asked else {}, {}, message.content, message.buffers
        )

    def _rebuilt(self, message: KernelMessage, asked: Asked | None) -> KernelMessage | None:
        kind = message.kind
        if kind == "status":
            return self._status(message, asked)
        if kind in ONCE and self._unasked(kind, asked):
            return None
        if kind == "execute_input":
            return (
                _with(message, {"code": asked.code, "execution_count": _count(message)})
                if asked and asked.code
                else None
            )
        if kind in DISPLAYS:
            return self._display(message)
        if kind == "stream":
            return self._stream(message)
        if kind == "error":
            return self._error(message)
        if kind == "execute_reply":
            return self._reply(message)
        return self._other(message)

    # -- one kind each ------------------------------------------------------------------------------------------------
    def _unasked(self, kind: str, asked: Asked | None) -> bool:
        """An answer comes once, and to a request. One to a request from before the doors' restart costs like an output."""
        return not asked.first(kind) if asked is not None else self._budget.spend(0, cells=1) is not None

    def _status(self, message: KernelMessage, asked: Asked | None) -> KernelMessage | None:
        """Busy and idle once for each request; every other state is the kernel's to choose, and costs like an output."""
        made = status(message.content)
        state = made["execution_state"]
        if asked is not None and state in ("busy", "idle") and (state == "idle" or not asked.said["idle"]):
            if asked.first(state):
                return _with(message, made)
        elif self._budget.spend(size_of(made), cells=1) is None:
            return _with(message, made)
        return None

    def _over(self, size: int, *, cells: int = 0, images: int = 0) -> str | None:
        """Why an output of this size is withheld, or None when it was counted and may pass."""
        most = self._budget.allowance.output_bytes
        if most and size > most:
            return f"it is larger than the {most} bytes that one output may have here"
        return self._budget.spend(size, cells=cells, images=images)

    def _display(self, message: KernelMessage) -> KernelMessage | None:
        content = message.content
        data = content.get("data")
        known = {name: data[name] for name in SHOWN_TYPES if name in data} if isinstance(data, dict) else {}
        images = sum(name.startswith("image/") for name in known)
        over = self._over(size_of(known) + sum(map(len, message.buffers)), cells=1, images=images)
        if over and self._budget.spend(0, cells=1):
            return self._once(message, "an output", over)
        made: dict[str, Any] = {"data": notices.bundle("an output", over) if over else known, "metadata": {}}
        transient = content.get("transient")
        display_id = transient.get("display_id") if isinstance(transient, dict) else None
        made["transient"] = {"display_id": self._display_id(display_id)} if isinstance(display_id, str) else {}
        if message.kind == "execute_result":
            made["execution_count"] = _count(message)
        return _with(message, made)

    def _display_id(self, named: str) -> str:
        """An id of the door's own for one that the kernel chose."""
        if named not in self._display_ids:
            while len(self._display_ids) > 512:
                del self._display_ids[next(iter(self._display_ids))]
            self._display_ids[named] = uuid.uuid4().hex
        return self._display_ids[named]

    def _stream(self, message: KernelMessage) -> KernelMessage | None:
        text = message.content.get("text")
        if not isinstance(text, str):
            return None
        parent = message.parent_id
        size = len(text.encode("utf-8", "replace"))
        so_far = self._streamed.get(parent, 0) + size
        most = self._budget.allowance.output_bytes
        over = f"it printed more than the {most} bytes that one cell may print here" if most and so_far > most else None
        over = over or self._budget.spend(size, cells=0 if parent in self._streamed else 1)
        if over:
            return self._once(message, "printed text", over)
        self._remember(parent, so_far)
        name = message.content.get("name")
        return _with(message, {"name": name if name == "stderr" else "stdout", "text": text})

    def _remember(self, parent: str, size: int) -> None:
        while len(self._streamed) > 512:
            del self._streamed[next(iter(self._streamed))]
        self._streamed[parent] = size

    def _once(self, message: KernelMessage, what: str, why: str) -> KernelMessage | None:
        """A notice in the stream for the first thing withheld from a cell; the rest is silent."""
        asked = self._memory.of(message.parent_id)
        if not (asked or self._memory.stray).first("notice"):
            return None
        made = KernelMessage(
            "iopub", {**message.header, "msg_type": "stream"}, message.parent, {}, notices.stream(what, why)
        )
        return made

    def _error(self, message: KernelMessage) -> KernelMessage | None:
        known = {name: message.content.get(name) for name in ("ename", "evalue", "traceback")}
        over = self._over(size_of(known), cells=1)
        return self._once(message, "the error's text", over) if over else _with(message, known)

    def _reply(self, message: KernelMessage) -> KernelMessage:
        over = self._over(size_of(message.content))
        if not over:
            return message
        return _with(message, bare_reply(message.content))

    def _other(self, message: KernelMessage) -> KernelMessage | None:
        over = self._over(size_of(message.content) + sum(map(len, message.buffers)))
        if not over:
            return message
        if message.kind in REPLIES:
            return _with(message, empty_reply(message.kind))
        if message.kind in PLAIN:
            return _with(message, {"status": "ok"}) if message.kind in ONCE else None
        return self._once(message, "an interactive output", over)


def _idle(kind: WSMsgType, data: bytes, protocol: str | None) -> bool:
    try:
        return decode(kind, data, protocol).content.get("execution_state") == "idle"
    except Unreadable:
        return False


def _with(message: KernelMessage, content: dict[str, Any]) -> KernelMessage:
    return KernelMessage(message.channel, message.header, message.parent, {}, content)


def _count(message: KernelMessage) -> int:
    count = message.content.get("execution_count")
    return count if isinstance(count, int) and 0 <= count < 10**6 else 0


def status(content: dict[str, Any]) -> dict[str, Any]:
    state = content.get("execution_state")
    return {"execution_state": state if state in STATES else "unknown"}


def bare_reply(content: dict[str, Any]) -> dict[str, Any]:
    """An ``execute_reply`` without anything that a cell could put into it."""
    if content.get("status") == "ok":
        return {"status": "ok", "execution_count": 0, "user_expressions": {}, "payload": []}
    return {"status": "aborted" if content.get("status") == "aborted" else "error", "execution_count": 0,
            "ename": "Error", "evalue": "", "traceback": []}  # fmt: skip


def empty_reply(kind: str) -> dict[str, Any]:
    """A reply of this kind that says nothing."""
    replies: dict[str, dict[str, Any]] = {
        "inspect_reply": {"status": "ok", "found": False, "data": {}, "metadata": {}},
        "complete_reply": {"status": "ok", "matches": [], "cursor_start": 0, "cursor_end": 0, "metadata": {}},
        "history_reply": {"status": "ok", "history": []},
        "comm_info_reply": {"status": "ok", "comms": {}},
        "is_complete_reply": {"status": "unknown"},
        "debug_reply": {
            "type": "response", "seq": 1, "request_seq": 1, "success": True, "command": "debugInfo",
            "body": {
                "isStarted": False, "hashMethod": "Murmur2", "hashSeed": 0, "tmpFilePrefix": "", "tmpFileSuffix": "",
                "breakpoints": [], "stoppedThreads": [], "richRendering": False, "exceptionPaths": [], "copyToGlobals": False,
            },
        },
        "kernel_info_reply": {
            "status": "ok", "protocol_version": "5.3", "implementation": "ipython", "implementation_version": "",
            "banner": "", "help_links": [], "debugger": False,
            "language_info": {
                "name": "python", "version": "3.13", "mimetype": "text/x-python", "file_extension": ".py",
                "codemirror_mode": {"name": "ipython", "version": 3}, "pygments_lexer": "ipython3",
                "nbconvert_exporter": "python",
            },
        },
    }  # fmt: skip
    return replies.get(kind, {"status": "error", "ename": "Withheld", "evalue": "", "traceback": []})


__all__ = ["KERNEL_V1", "GuardedJudge", "OpenJudge"]
