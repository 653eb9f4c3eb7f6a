"""A notebook in the manual lane: what leaves of it is its words and its code, written anew; no output, no attachment, no metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SUFFIX = ".ipynb"
KINDS = frozenset({"code", "markdown", "raw"})
MOST_CELLS = 1_000


class NotebookUnreadable(ValueError):
    """It is not a notebook of a known form, so nothing of it leaves."""


def is_notebook(name: str) -> bool:
    return name.casefold().endswith(SUFFIX)


def sources(data: bytes) -> tuple[tuple[str, str], ...]:
    """Kind and text of each cell. Raises NotebookUnreadable for everything that is not plainly a notebook of format 4."""
    try:
        raw = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
        cells = raw["cells"]
        if raw["nbformat"] != 4 or not isinstance(cells, list) or len(cells) > MOST_CELLS:
            raise NotebookUnreadable
        return tuple(_cell(one) for one in cells)
    except (ValueError, KeyError, TypeError, RecursionError) as broken:
        raise NotebookUnreadable(str(type(broken).__name__)) from broken


def stripped(data: bytes) -> bytes:
    """The notebook as it leaves: the same sources give the same bytes, whatever else was in it. Raises NotebookUnreadable."""
    cells = [_written(kind, text) for kind, text in sources(data)]
    made = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    return (json.dumps(made, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _written(kind: str, text: str) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": text}
    return {**made, "execution_count": None, "outputs": []} if kind == "code" else made


def _cell(raw: Mapping[str, Any]) -> tuple[str, str]:
    kind, text = raw["cell_type"], raw["source"]
    if isinstance(text, list) and all(isinstance(part, str) for part in text):
        text = "".join(text)
    if kind not in KINDS or not isinstance(text, str):
        raise NotebookUnreadable
    return str(kind), text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice is read differently by different readers, so that it is not read at all."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotebookUnreadable
    return made
