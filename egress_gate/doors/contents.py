"""The contents API under the views: what a file shows, what a listing names, and what may be brought in.

An upload is taken by its name's ending and its size, and recorded by digest. Under ``guarded`` a file is an output; under
``blind`` only text that came in through the door is shown again.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any

from egress_gate.doors import notices
from egress_gate.doors.errors import ASK_FOR_RELEASE, ImportRefused, ShownWithheld, misbehaved
from egress_gate.doors.kernel_judge import SHOWN_TYPES, size_of
from egress_gate.doors.view import Budget

MIB = 1024**2
MOST_BINARY = 4 * MIB  # of a file shown as base64: pictures; the rest has no business in a browser
IMAGES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp", "ico"})
# What may be brought in: text, notebooks, pictures, small tables, packages and archives of code.
IMPORTS = frozenset({
    "ipynb", "py", "r", "R", "jl", "sql", "md", "rst", "txt", "csv", "tsv", "json", "jsonl", "yaml", "yml", "toml", "ini",
    "cfg", "html", "css", "js", "tex", "bib", "sh", "xml", "png", "jpg", "jpeg", "gif", "svg", "parquet", "feather",
    "xlsx", "whl", "zip", "gz", "tar", "lock", "log", "gitignore", "",
}) | IMAGES  # fmt: skip
UNTITLED = re.compile(r"[Uu]ntitled(?: Folder)? ?\d{0,2}(?:\.(?:ipynb|py|md|txt))?")
FIELDS = ("name", "path", "last_modified", "created", "content", "format", "mimetype", "size", "writable", "type")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)")
KINDS = frozenset({"directory", "file", "notebook"})


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


@dataclass
class Import:
    """One upload as the trail keeps it."""

    path: str
    digest: str
    size: int
    pieces: list[str]


class Known:
    """Texts and names that came in through the door: all that a blind page may show again."""

    def __init__(self) -> None:
        self.texts: set[str] = {digest("")}
        self.names: set[str] = set()

    def learn(self, pieces: list[str], path: str) -> list[str]:
        """Remember; returns the digests that are new."""
        fresh = [piece for piece in dict.fromkeys(pieces) if piece not in self.texts]
        self.texts.update(fresh)
        parts = [part for part in path.split("/") if part]
        self.names.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        return fresh

    def name(self, path: str) -> bool:
        return path.strip("/") in self.names or bool(UNTITLED.fullmatch(posixpath.basename(path)))


def _refused_import(why: str, do: str) -> ImportRefused:
    return ImportRefused("The file was not taken in.", why=why, do=do)


def imported(path: str, body: bytes) -> Import | None:
    """Judge a save or an upload. None when it carries no content (a new folder, a rename). Raises ImportRefused."""
    model = _parsed(body)
    if model is None:
        raise _refused_import("It is not the JSON of the contents API.", "Save it from JupyterLab.")
    content = model.get("content")
    if content is None:
        return None
    suffix = posixpath.basename(path).rpartition(".")[2] if "." in posixpath.basename(path) else ""
    if suffix.lower() not in IMPORTS and suffix not in IMPORTS:
        raise _refused_import(
            f"Files ending in .{suffix[:12]} are not brought in.",
            "Bring data in as a dataset; code as text, notebook or wheel.",
        )
    if model.get("type") == "notebook" or isinstance(content, dict):
        text = json.dumps(content, sort_keys=True)
        return Import(path, digest(text), len(text), [digest(source) for source in sources(content)])
    if not isinstance(content, str):
        raise _refused_import("Its content is neither text nor a notebook.", "Save it from JupyterLab.")
    pieces = [digest(content)] if model.get("format") == "text" else []
    return Import(path, digest(content), len(content), pieces)


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        model = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return model if isinstance(model, dict) else None


def _joined(source: Any) -> str:
    parts = [source] if isinstance(source, str) else source if isinstance(source, list) else []
    return "".join(part for part in parts if isinstance(part, str))


def sources(notebook: Any) -> list[str]:
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    return [_joined(cell.get("source")) for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []


# -- what is shown ----------------------------------------------------------------------------------------------------
def model_of(body: bytes) -> dict[str, Any]:
    """A model of the contents API with known fields only. Raises SandboxMisbehaved."""
    model = _parsed(body)
    if model is None or model.get("type") not in KINDS:
        raise misbehaved("it is not a file or folder of the contents API")
    return {name: model.get(name) for name in FIELDS}


def refuse_download(model: dict[str, Any]) -> None:
    """A base64 answer is a download unless it is a picture of a size to look at. Raises ShownWithheld."""
    if model.get("format") != "base64":
        return
    content = model.get("content")
    _, dot, suffix = str(model.get("name", "")).lower().rpartition(".")
    if not dot or suffix not in IMAGES or not isinstance(content, str) or len(content) * 3 // 4 > MOST_BINARY:
        raise ShownWithheld(
            "The file was not shown.",
            why="It is not text, and only pictures of up to 4 MiB are shown; anything else would be a download.",
            do="Read it in a notebook. " + ASK_FOR_RELEASE,
        )


def guarded(model: dict[str, Any], budget: Budget) -> dict[str, Any]:
    """A file as an output: within size and budget; a notebook's outputs each by itself. Raises ShownWithheld."""
    content = model.get("content")
    most = budget.allowance.output_bytes
    images = 0
    if isinstance(content, dict) and model["type"] == "notebook":
        images = _guard_notebook(content, most)
    elif model.get("format") == "base64":
        images = 1
    size = size_of(model)
    if most and model["type"] == "file" and size > most:
        raise _withheld(f"it is larger than the {most} bytes that one output may have here")
    over = budget.spend(size, images=images)
    if over:
        raise _withheld(over)
    return model


def _guard_notebook(notebook: dict[str, Any], most: int) -> int:
    """Replace outputs over the size by notices; returns how many pictures are left."""
    images = 0
    for cell in notebook.get("cells") or []:
        outputs = cell.get("outputs") if isinstance(cell, dict) else None
        if not isinstance(outputs, list):
            continue
        for at, output in enumerate(outputs):
            if most and size_of(output) > most:
                why = f"it is larger than the {most} bytes that one output may have here"
                outputs[at] = {"output_type": "display_data", "data": notices.bundle("an output", why), "metadata": {}}
            elif isinstance(output, dict) and isinstance(output.get("data"), dict):
                output["data"] = {name: output["data"][name] for name in SHOWN_TYPES if name in output["data"]}
                images += sum(name.startswith("image/") for name in output["data"])
    return images


def _withheld(why: str) -> ShownWithheld:
    return ShownWithheld(
        "The file was not shown.", why=f"This project's view is guarded, and {why}.", do=ASK_FOR_RELEASE
    )


def blind(model: dict[str, Any], known: Known, asked: str) -> dict[str, Any]:
    """Only names and texts that came in through the door. ``asked`` is the path in the address, the model's is not believed."""
    shown = _frame(model, asked)
    content = model.get("content")
    if content is None:
        return shown
    if model["type"] == "directory":
        listed = (
            [m for m in content if isinstance(m, dict) and m.get("type") in KINDS] if isinstance(content, list) else []
        )
        inside = [(posixpath.join(asked, str(m.get("name", ""))), m) for m in listed[:2000]]
        shown["content"] = [
            _frame(m, path) for path, m in inside if known.name(path) and "/" not in str(m.get("name", ""))
        ]
        return shown
    if model["type"] == "notebook" and isinstance(content, dict):
        shown["content"] = _blind_notebook(content, known)
        return shown
    if model.get("format") == "text" and isinstance(content, str) and digest(content) in known.texts:
        shown["content"] = content
        return shown
    raise ShownWithheld(
        "The file was not shown.",
        why="Its text did not come in through this page. " + notices.BLIND,
        do=ASK_FOR_RELEASE,
    )


def _frame(model: dict[str, Any], path: str) -> dict[str, Any]:
    kind = str(model.get("type"))
    formats = {"directory": "json", "notebook": "json", "file": "text"}
    has = model.get("content") is not None
    return {
        "name": posixpath.basename(path), "path": path.strip("/"), "type": kind, "writable": True, "size": None,
        "last_modified": "2000-01-01T00:00:00Z", "created": "2000-01-01T00:00:00Z", "mimetype": None,
        "content": None, "format": formats[kind] if has else None, "hash": None, "hash_algorithm": None,
    }  # fmt: skip


def _blind_notebook(notebook: dict[str, Any], known: Known) -> dict[str, Any]:
    cells: list[dict[str, Any]] = []
    for cell in notebook.get("cells") or []:
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            continue
        source = _joined(cell.get("source"))
        shown = source if digest(source) in known.texts else "# withheld: this text did not come in through this page"
        made: dict[str, Any] = {
            "cell_type": cell["cell_type"],
            "metadata": {},
            "source": shown,
            "id": f"cell-{len(cells)}",
        }
        if cell["cell_type"] == "code":
            made |= {"outputs": [], "execution_count": None}
        cells.append(made)
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": spec, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
