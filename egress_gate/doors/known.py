"""What came in through the door: all that a blind page may be shown again, as the door remembers it.

Neither which of the known names are listed nor how known texts are put together is left to the sandbox: with a hundred short
texts uploaded, a notebook made of them would spell anything. A file is shown when the whole of it is what came in at its path.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from typing import Any

UNTITLED = re.compile(r"[Uu]ntitled(?: Folder)? ?\d{0,2}(?:\.(?:ipynb|py|md|txt))?")
MOST_VERSIONS = 8
MOST_NAMES = 5000


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def joined(source: Any) -> str:
    parts = [source] if isinstance(source, str) else source if isinstance(source, list) else []
    return "".join(part for part in parts if isinstance(part, str))


def cells_of(notebook: Any) -> list[dict[str, Any]]:
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    return [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []


def whole(content: Any) -> str | None:
    """The digest of a file's text, or of a notebook's cells in their order. None for what has no text."""
    if isinstance(content, str):
        return digest(content)
    if not isinstance(content, dict):
        return None
    return digest(json.dumps([[str(cell.get("cell_type")), joined(cell.get("source"))] for cell in cells_of(content)]))


EMPTY = frozenset(
    {digest(""), *(whole({"cells": cells}) or "" for cells in ([], [{"cell_type": "code", "source": ""}]))}
)


class Known:
    """Paths with their kinds, and for each the last versions that came in."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._versions: dict[str, list[str]] = {}

    def came_in(self, path: str, kind: str = "file", version: str | None = None) -> None:
        parts = [part for part in path.split("/") if part]
        if not parts or len(self._kinds) >= MOST_NAMES:
            return
        for depth in range(1, len(parts)):
            self._kinds["/".join(parts[:depth])] = "directory"
        path = "/".join(parts)
        self._kinds[path] = kind
        if version is not None:
            kept = [one for one in self._versions.get(path, []) if one != version]
            self._versions[path] = [*kept, version][-MOST_VERSIONS:]

    def moved(self, old: str, new: str) -> None:
        """A renamed file or folder, with what is in it."""
        old, new = old.strip("/"), new.strip("/")
        for path in [each for each in self._kinds if each == old or each.startswith(old + "/")]:
            kind, versions = self._kinds.pop(path), self._versions.pop(path, [])
            self.came_in(new + path[len(old) :], kind)
            self._versions[new + path[len(old) :]] = versions
        if new not in self._kinds:
            self.came_in(new)

    def removed(self, path: str) -> None:
        path = path.strip("/")
        for gone in [each for each in self._kinds if each == path or each.startswith(path + "/")]:
            del self._kinds[gone]
            self._versions.pop(gone, None)

    def kind(self, path: str) -> str | None:
        path = path.strip("/")
        return "directory" if path == "" else self._kinds.get(path)

    def name(self, path: str) -> bool:
        return path.strip("/") in self._kinds or bool(UNTITLED.fullmatch(posixpath.basename(path)))

    def inside(self, folder: str) -> list[tuple[str, str]]:
        """Paths and kinds directly in a folder, in order."""
        folder = folder.strip("/")
        return sorted((path, kind) for path, kind in self._kinds.items() if posixpath.dirname(path) == folder)

    def holds(self, path: str, content: Any) -> bool:
        """Whether this whole content came in at this path, or is empty."""
        found = whole(content)
        return found is not None and (found in EMPTY or found in self._versions.get(path.strip("/"), []))
