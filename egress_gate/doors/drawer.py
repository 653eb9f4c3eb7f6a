"""Settings and layouts that a browser saved, kept by the door where the view does not let the sandbox keep them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from egress_gate.doors.errors import ImportRefused
from egress_gate.doors.interface import Interface

MOST_KEPT = 64
MOST_BYTES = 1024**2


def _malformed() -> ImportRefused:
    return ImportRefused("It was not saved.", why="It is not what JupyterLab saves here.", do="Reload the page.")


class Drawer:
    """One sandbox's. Lost when the sandbox closes."""

    def __init__(self, interface: Interface) -> None:
        self._interface = interface
        self._raw: dict[str, str] = {}
        self._layouts: dict[str, Any] = {}

    # -- settings -----------------------------------------------------------------------------------------------------
    def settings(self, plugin: str) -> dict[str, Any] | None:
        """All settings, or one plug-in's, with what was saved laid over the image's defaults."""
        listed = [self._with_saved(dict(one)) for one in self._interface.settings()]
        if not plugin:
            return {"settings": listed}
        return next((one for one in listed if one["id"] == plugin), None)

    def _with_saved(self, one: dict[str, Any]) -> dict[str, Any]:
        raw = self._raw.get(one["id"])
        if raw is not None:
            one["raw"] = raw
            try:
                one["settings"] = json.loads(raw)
            except ValueError:
                one["settings"] = {}  # with comments; JupyterLab reads `raw` itself
        return one

    def save_settings(self, plugin: str, body: bytes) -> None:
        """Raises ImportRefused."""
        raw = _object(body).get("raw")
        if not isinstance(raw, str) or all(one["id"] != plugin for one in self._interface.settings()):
            raise _malformed()
        self._raw[plugin] = raw

    # -- layouts ------------------------------------------------------------------------------------------------------
    def layouts(self, name: str) -> dict[str, Any]:
        if not name:
            return {"workspaces": {"ids": list(self._layouts), "values": list(self._layouts.values())}}
        return self._layouts.get(name) or {"data": {}, "metadata": {"id": name}}

    def save_layout(self, name: str, body: bytes) -> None:
        """Raises ImportRefused."""
        layout = _object(body)
        if not isinstance(layout.get("data"), dict) or (name not in self._layouts and len(self._layouts) >= MOST_KEPT):
            raise _malformed()
        self._layouts[name] = {"data": layout["data"], "metadata": {"id": name}}

    def drop_layout(self, name: str) -> None:
        self._layouts.pop(name, None)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if len(body) <= MOST_BYTES else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _malformed()
    return found


def named(relative: str, base: str) -> str:
    """What follows ``base`` in a path, decoded: a plug-in's or a layout's name."""
    return unquote(relative.removeprefix(base).strip("/"))
