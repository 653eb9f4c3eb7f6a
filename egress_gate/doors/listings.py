"""Kernels, sessions and terminals as JSON under the views: read strictly; under ``blind`` built anew, with the door's own ids."""

from __future__ import annotations

import json
import posixpath
import re
import uuid
from collections import OrderedDict
from typing import Any

from egress_gate.doors.contents import Known
from egress_gate.doors.errors import RouteRefused, misbehaved
from egress_gate.doors.kernel_judge import STATES

MOST_LISTED = 64
MOST_IDS = 256
INSIDE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
SESSION_KINDS = frozenset({"notebook", "console", "file"})
NEVER = "2000-01-01T00:00:00Z"
BY_ID = re.compile(r"(api/(?:kernels|sessions)/)([0-9A-Za-z_-]{1,64})(.*)")


def parsed(body: bytes) -> Any:
    """JSON or SandboxMisbehaved."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise misbehaved("it is not JSON") from error


class Ids:
    """The sandbox's ids behind ids of the door's own: a text that the inside chose is not shown."""

    def __init__(self) -> None:
        self._outer: OrderedDict[str, str] = OrderedDict()
        self._inner: dict[str, str] = {}

    def outer(self, inside: Any) -> str | None:
        if not isinstance(inside, str) or not INSIDE_ID.fullmatch(inside):
            return None
        if inside not in self._outer:
            if len(self._outer) >= MOST_IDS:
                del self._inner[self._outer.popitem(last=False)[1]]
            self._outer[inside] = str(uuid.uuid4())
            self._inner[self._outer[inside]] = inside
        return self._outer[inside]

    def inner(self, outer: str) -> str | None:
        return self._inner.get(outer)

    def path(self, relative: str) -> str:
        """A path with the browser's id exchanged for the sandbox's. Raises RouteRefused for an id never given out."""
        found = BY_ID.fullmatch(relative)
        if found is None:
            return relative
        inside = self.inner(found[2])
        if inside is None:
            raise RouteRefused(
                "There is no such kernel or session.", why="It has ended.", do="Open the notebook again."
            )
        return f"{found[1]}{inside}{found[3]}"


def blind(answer: Any, ids: Ids, known: Known) -> Any:
    """A list or one of kernels or sessions, of known fields only."""
    if isinstance(answer, list):
        return [made for one in answer[:MOST_LISTED] if (made := _one(one, ids, known)) is not None]
    return _one(answer, ids, known) or {}


def _one(raw: Any, ids: Ids, known: Known) -> dict[str, Any] | None:
    if not isinstance(raw, dict):
        return None
    return _session(raw, ids, known) if "kernel" in raw else _kernel(raw, ids)


def _kernel(raw: Any, ids: Ids) -> dict[str, Any] | None:
    name = ids.outer(raw.get("id")) if isinstance(raw, dict) else None
    if name is None:
        return None
    state = raw.get("execution_state")
    return {
        "id": name, "name": "python3", "last_activity": NEVER, "connections": 1,
        "execution_state": state if state in STATES else "unknown",
    }  # fmt: skip


def _session(raw: dict[str, Any], ids: Ids, known: Known) -> dict[str, Any] | None:
    name, kernel, path, kind = ids.outer(raw.get("id")), _kernel(raw["kernel"], ids), raw.get("path"), raw.get("type")
    if name is None or kernel is None or not isinstance(path, str) or not known.name(path) or kind not in SESSION_KINDS:
        return None
    made = {"id": name, "path": path, "name": posixpath.basename(path), "type": kind, "kernel": kernel}
    return made | ({"notebook": {"path": path, "name": made["name"]}} if kind == "notebook" else {})


def inbound(body: bytes, ids: Ids, known: Known) -> bytes:
    """A browser's new or changed session: its name is known from now on, its kernel's id becomes the sandbox's."""
    model = parsed(body) if body else {}
    if not isinstance(model, dict):
        return b"{}"
    if isinstance(model.get("path"), str):
        known.learn([], model["path"])
    kernel = model.get("kernel")
    if isinstance(kernel, dict) and isinstance(kernel.get("id"), str):
        kernel["id"] = ids.inner(kernel["id"])
    return json.dumps(model).encode()
