"""A notebook in the manual lane: what leaves of it is written anew, its words and code, and those outputs that people approved.

No attachment, no metadata, no markup. An output is a plain text or a picture; what it came as besides is named and left behind.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SUFFIX = ".ipynb"
KINDS = frozenset({"code", "markdown", "raw"})
MOST_CELLS = 1_000
MOST_OUTPUTS = 500  # of a notebook; more are never offered, and so never leave
TEXT, PICTURE, OTHER = "text", "picture", "other"
PICTURES = ("image/png", "image/jpeg")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_SEEN_SPACES = " \u3000"
# blank though they are letters or symbols: fillers of Hangul, the empty Braille pattern; and what joins or varies without a mark
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5") | {chr(n) for n in range(0xFE00, 0xFE10)}
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
_MOST_MARKS = 2  # on one letter


class NotebookUnreadable(ValueError):
    """It is not a notebook of a known form, so nothing of it leaves."""


@dataclass(frozen=True)
class Output:
    """``id``: cell and output, both from 1. ``kinds``: what it came as. ``picture``: its bytes as they were sent, never as they leave."""

    id: str
    cell: int
    kind: str
    text: str = ""
    stream: str = "stdout"
    kinds: tuple[str, ...] = ()
    picture: bytes = b""


@dataclass(frozen=True)
class Cell:
    kind: str
    source: str
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True)
class Approved:
    """An output that leaves: its text, or a PNG that the gate wrote."""

    cell: int
    text: str
    stream: str
    png: bytes


def is_notebook(name: str) -> bool:
    return name.casefold().endswith(SUFFIX)


def cells_of(data: bytes) -> tuple[Cell, ...]:
    """Its cells with their outputs. Raises NotebookUnreadable for everything that is not plainly a notebook of format 4."""
    try:
        raw = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
        cells = raw["cells"]
        if raw["nbformat"] != 4 or not isinstance(cells, list) or len(cells) > MOST_CELLS:
            raise NotebookUnreadable
        made, left = [], MOST_OUTPUTS
        for number, one in enumerate(cells, 1):
            made.append(_cell(number, one, left))
            left -= len(made[-1].outputs)
        return tuple(made)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as broken:
        raise NotebookUnreadable(str(type(broken).__name__)) from broken


def sources(data: bytes) -> tuple[tuple[str, str], ...]:
    """Kind and text of each cell. Raises NotebookUnreadable."""
    return tuple((one.kind, one.source) for one in cells_of(data))


def stripped(data: bytes) -> bytes:
    """The notebook as it leaves without outputs. Raises NotebookUnreadable."""
    return written(cells_of(data), ())


def written(cells: Iterable[Cell], approved: Iterable[Approved]) -> bytes:
    """The notebook as it leaves: the same sources and outputs give the same bytes, whatever else was in it."""
    kept = tuple(approved)
    made = [_written(one, [k for k in kept if k.cell == number]) for number, one in enumerate(cells, 1)]
    whole = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    return (json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def hidden_characters(text: str) -> bool:
    """Whether there is a character that nobody sees, or that could be told from another only by its code."""
    marks = 0
    for one in text:
        marks = marks + 1 if unicodedata.combining(one) else 0
        if _unseen(one) or marks > _MOST_MARKS:
            return True
    return False


def revealed(text: str) -> str:
    """The text with every hidden character as its code, so that whoever looks sees it."""
    return "".join(f"⟨U+{ord(one):04X}⟩" if _unseen(one) else one for one in text)


def _unseen(one: str) -> bool:
    if one in "\n\t" or one in _SEEN_SPACES:
        return False
    return one in _BLANK or unicodedata.category(one) in _UNSEEN or unicodedata.category(one) == "Zs"


def _written(cell: Cell, approved: Iterable[Approved]) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": cell.kind, "metadata": {}, "source": cell.source}
    if cell.kind != "code":
        return made
    return {**made, "execution_count": None, "outputs": [_written_output(one) for one in approved]}


def _written_output(one: Approved) -> dict[str, Any]:
    if one.png:
        picture = base64.b64encode(one.png).decode()
        return {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}}
    return {"output_type": "stream", "name": one.stream, "text": one.text}


def _cell(number: int, raw: Mapping[str, Any], most: int) -> Cell:
    kind, text = raw["cell_type"], _joined(raw["source"])
    if kind not in KINDS or text is None:
        raise NotebookUnreadable
    outputs = (raw.get("outputs") or []) if kind == "code" else []
    if not isinstance(outputs, list):
        raise NotebookUnreadable
    found = (_output(f"{number}.{n}", number, one) for n, one in enumerate(outputs[:most], 1))
    return Cell(str(kind), text, tuple(found))


def _output(name: str, cell: int, raw: Any) -> Output:
    """What cannot be read is an output of no kind: it is named, and never leaves."""
    if not isinstance(raw, dict):
        return Output(name, cell, OTHER)
    kind = raw.get("output_type")
    if kind == "stream":
        stream = "stderr" if raw.get("name") == "stderr" else "stdout"
        return _text(name, cell, _joined(raw.get("text")), stream, ("stream",))
    if kind == "error":
        said = [part for part in (raw.get("ename"), raw.get("evalue")) if isinstance(part, str) and part]
        return _text(name, cell, ": ".join(said), "stderr", ("error",))
    data = raw.get("data")
    if kind not in ("display_data", "execute_result") or not isinstance(data, dict):
        return Output(name, cell, OTHER, kinds=(str(kind)[:60],))
    kinds = tuple(sorted(str(k)[:60] for k in data))
    for picture in PICTURES:
        if picture in data:
            return Output(name, cell, PICTURE, kinds=kinds, picture=_decoded(data[picture]))
    return _text(name, cell, _joined(data.get("text/plain")), "stdout", kinds)


def _text(name: str, cell: int, text: str | None, stream: str, kinds: tuple[str, ...]) -> Output:
    if not text:
        return Output(name, cell, OTHER, kinds=kinds)
    return Output(name, cell, TEXT, _plain(text), stream, kinds)


def _plain(text: str) -> str:
    """Without colours, and without blanks at the end of lines, which nobody sees; a line that overwrites another is a line."""
    lines = _COLOUR.sub("", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _decoded(data: Any) -> bytes:
    try:
        return base64.b64decode("".join((_joined(data) or "").split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _joined(text: Any) -> str | None:
    if isinstance(text, list) and all(isinstance(part, str) for part in text):
        return "".join(text)
    return text if isinstance(text, str) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice is read differently by different readers, so that it is not read at all."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotebookUnreadable
    return made
