"""Kernels, sessions and terminals as JSON under the views: read strictly; under ``blind`` built anew, with the door's own ids."""

from __future__ import annotations

import json
import posixpath
import re
import uuid
from collections import OrderedDict
from typing import Any

from egress_gate.doors.errors import RouteRefused, misbehaved
from egress_gate.doors.known import Known

MOST_LISTED = 32
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
        self._sessions: dict[str, tuple[str, str]] = {}  # the sandbox's id of a session → path and kind, as it began

    def bind(self, answer: Any, known: Known) -> None:
        """The answer to a browser's own request for a kernel or a session: from now on it is one of the browser's."""
        if not isinstance(answer, dict):
            return
        kernel = answer.get("kernel")
        self._give(answer.get("id"))
        if isinstance(kernel, dict):
            self._give(kernel.get("id"))
            path, kind = answer.get("path"), answer.get("type")
            if isinstance(path, str) and known.name(path) and isinstance(kind, str) and kind in SESSION_KINDS:
                self._sessions[str(answer.get("id"))] = (path, kind)

    def session(self, inside: Any) -> tuple[str, str] | None:
        return self._sessions.get(inside) if isinstance(inside, str) else None

    def outer(self, inside: Any) -> str | None:
        """The door's id for one that a browser began; None for any other: the sandbox names no new ones."""
        return self._outer.get(inside) if isinstance(inside, str) else None

    def _give(self, inside: Any) -> None:
        if not isinstance(inside, str) or not INSIDE_ID.fullmatch(inside) or inside in self._outer:
            return
        if len(self._outer) >= MOST_IDS:
            gone, outer = self._outer.popitem(last=False)
            del self._inner[outer]
            self._sessions.pop(gone, None)
        self._outer[inside] = str(uuid.uuid4())
        self._inner[self._outer[inside]] = inside

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


def blind(answer: Any, ids: Ids) -> Any:
    """A list or one of kernels or sessions that a browser began. Each once and in the door's order: a list says who lives, no more."""
    if not isinstance(answer, list):
        return _one(answer, ids) or {}
    made = [found for one in answer[:MOST_LISTED] if (found := _one(one, ids)) is not None]
    return [each for _, each in sorted({each["id"]: each for each in made}.items())]


def _one(raw: Any, ids: Ids) -> dict[str, Any] | None:
    if not isinstance(raw, dict):
        return None
    return _session(raw, ids) if "kernel" in raw else _kernel(raw, ids)


def _kernel(raw: Any, ids: Ids) -> dict[str, Any] | None:
    name = ids.outer(raw.get("id")) if isinstance(raw, dict) else None
    if name is None:
        return None
    return {"id": name, "name": "python3", "last_activity": NEVER, "connections": 1, "execution_state": "idle"}


def _session(raw: dict[str, Any], ids: Ids) -> dict[str, Any] | None:
    name, kernel, began = ids.outer(raw.get("id")), _kernel(raw["kernel"], ids), ids.session(raw.get("id"))
    if name is None or kernel is None or began is None:
        return None
    path, kind = began
    made = {"id": name, "path": path, "name": posixpath.basename(path), "type": kind, "kernel": kernel}
    return made | ({"notebook": {"path": path, "name": made["name"]}} if kind == "notebook" else {})


def inbound(body: bytes, ids: Ids, known: Known) -> bytes:
    """A browser's new or changed session: its name is known from now on, its kernel's id becomes the sandbox's."""
    model = parsed(body) if body else {}
    if not isinstance(model, dict):
        return b"{}"
    if isinstance(model.get("path"), str) and not known.name(model["path"]):
        known.came_in(model["path"])
    kernel = model.get("kernel")
    if isinstance(kernel, dict) and isinstance(kernel.get("id"), str):
        kernel["id"] = ids.inner(kernel["id"])
    return json.dumps(model).encode()
