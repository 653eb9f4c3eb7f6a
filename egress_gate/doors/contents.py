"""The contents API under the views: what a file shows, what a listing names, and what may be brought in.

An upload is taken by its name's ending and its size, and recorded by digest. Under ``guarded`` a file is an output; under
``blind`` only text that came in through the door is shown again.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any

from egress_gate.doors import notices
from egress_gate.doors.errors import ASK_FOR_RELEASE, ImportRefused, ShownWithheld, misbehaved
from egress_gate.doors.kernel_judge import SHOWN_TYPES, size_of
from egress_gate.doors.known import Known, cells_of, digest, joined, whole
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
FIELDS = ("name", "path", "last_modified", "created", "content", "format", "mimetype", "size", "writable", "type")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)")
KINDS = frozenset({"directory", "file", "notebook"})


@dataclass
class Import:
    """One upload as the trail keeps it. ``version``: what the whole of it says, for a blind page."""

    path: str
    kind: str
    digest: str
    size: int
    version: str | None


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
        return Import(path, "notebook", digest(text), len(text), whole(content))
    if not isinstance(content, str):
        raise _refused_import("Its content is neither text nor a notebook.", "Save it from JupyterLab.")
    version = whole(content) if model.get("format") == "text" else None
    return Import(path, "file", digest(content), len(content), version)


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        model = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return model if isinstance(model, dict) else None


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
    """What came in through the door, as the door remembers it; of the sandbox's answer only that it is the same.

    ``asked`` is the path in the address; the model's is not believed.
    """
    content, kind = model.get("content"), known.kind(asked)
    if kind is None:
        raise _unknown("Its name did not come in through this page.")
    shown = _frame(kind, asked, has=content is not None)
    if content is None:
        return shown
    if kind == "directory":
        shown["content"] = [_frame(each, path, has=False) for path, each in known.inside(asked)]
    elif not known.holds(asked, content):
        raise _unknown("What it holds now did not come in through this page.")
    else:
        shown["content"] = _blind_notebook(content) if kind == "notebook" and isinstance(content, dict) else content
    if kind != "directory" and isinstance(shown["content"], dict) != (kind == "notebook"):
        raise misbehaved("it is not the kind of file that was asked for")
    return shown


def _unknown(why: str) -> ShownWithheld:
    return ShownWithheld("The file was not shown.", why=f"{why} {notices.BLIND}", do=ASK_FOR_RELEASE)


def _frame(kind: str, path: str, *, has: bool) -> dict[str, Any]:
    formats = {"directory": "json", "notebook": "json", "file": "text"}
    return {
        "name": posixpath.basename(path.strip("/")), "path": path.strip("/"), "type": kind, "writable": True, "size": None,
        "last_modified": "2000-01-01T00:00:00Z", "created": "2000-01-01T00:00:00Z", "mimetype": None,
        "content": None, "format": formats[kind] if has else None, "hash": None, "hash_algorithm": None,
    }  # fmt: skip


def _blind_notebook(notebook: dict[str, Any]) -> dict[str, Any]:
    cells: list[dict[str, Any]] = []
    for cell in cells_of(notebook):
        kind = cell.get("cell_type")
        made: dict[str, Any] = {
            "cell_type": kind if kind in ("code", "markdown", "raw") else "raw",
            "metadata": {},
            "source": joined(cell.get("source")),
            "id": f"cell-{len(cells)}",
        }
        if made["cell_type"] == "code":
            made |= {"outputs": [], "execution_count": None}
        cells.append(made)
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": spec, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
