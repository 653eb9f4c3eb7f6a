"""The sandboxes that the doors serve: found in ``run/sandboxes/<id>/door.json``, addressed by their URL prefix."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egress_gate.doors.errors import NoSandbox

SANDBOX_ID = re.compile(r"[0-9a-f]{8,64}")
PREFIX = re.compile(r"/user/[^/?#\s]+/(?:[^/?#\s]+/)?")
VIEWS = ("open", "guarded", "blind")
FIELDS = ("id", "person", "server_name", "prefix", "project", "view", "token")


@dataclass(frozen=True)
class Sandbox:
    """One analyst's container for one project, as the doors see it. ``folder`` is the host's, never the sandbox's."""

    id: str
    person: str
    server_name: str
    prefix: str
    project: str
    view: str
    token: str
    folder: Path

    @property
    def serve(self) -> Path:
        """The small tmpfs that the inside can write: never followed, see `connection`."""
        return self.folder / "serve"

    @property
    def inner(self) -> Path:
        return self.folder / "inner"


def read(sandboxes: Path, sandbox_id: str) -> Sandbox:
    """Read ``door.json`` of one sandbox. Raises NoSandbox for a bad id, a missing or an ill-formed file."""
    if not SANDBOX_ID.fullmatch(sandbox_id):
        raise _unreadable(sandbox_id, "the id is not lower-case hex")
    folder = sandboxes / sandbox_id
    try:
        raw = json.loads((folder / "door.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(sandbox_id, str(error)) from error
    if not isinstance(raw, dict) or any(not isinstance(raw.get(name), str) for name in FIELDS):
        raise _unreadable(sandbox_id, f"door.json must hold the texts {', '.join(FIELDS)}")
    if raw["id"] != sandbox_id or not PREFIX.fullmatch(raw["prefix"]) or raw["view"] not in VIEWS:
        raise _unreadable(sandbox_id, "id, prefix or view in door.json is not what it must be")
    return Sandbox(folder=folder, **{name: raw[name] for name in FIELDS})


def _unreadable(sandbox_id: str, private: str) -> NoSandbox:
    return NoSandbox(
        f"Sandbox {sandbox_id[:64]} was not opened.",
        why="Its door.json is missing or is not what the doors expect.",
        do="Start the server again from the hub's home page.",
        private=private,
    )


class Registry:
    """Open sandboxes by id and by prefix. A new sandbox under an old prefix takes its place."""

    def __init__(self) -> None:
        self._by_id: dict[str, Sandbox] = {}
        self._by_prefix: dict[str, Sandbox] = {}

    def add(self, sandbox: Sandbox) -> None:
        self._by_id[sandbox.id] = sandbox
        self._by_prefix[sandbox.prefix] = sandbox

    def remove(self, sandbox_id: str) -> Sandbox | None:
        sandbox = self._by_id.pop(sandbox_id, None)
        if sandbox and self._by_prefix.get(sandbox.prefix) is sandbox:
            del self._by_prefix[sandbox.prefix]
        return sandbox

    def get(self, sandbox_id: str) -> Sandbox | None:
        return self._by_id.get(sandbox_id)

    def at(self, path: str) -> Sandbox | None:
        """The sandbox whose prefix this raw path lies under; a named server's prefix is longer and wins."""
        parts = path.split("/", 4)
        for depth in (4, 3):
            if len(parts) > depth:
                found = self._by_prefix.get("/".join(parts[:depth]) + "/")
                if found:
                    return found
        return None

    def __iter__(self) -> Iterator[Sandbox]:
        return iter(list(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)
