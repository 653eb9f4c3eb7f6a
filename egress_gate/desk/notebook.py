"""A notebook as a steward reads it: text, code, printed output and pictures. Nothing in it is markup, nothing in it runs.

What a browser would interpret (HTML, SVG, JavaScript, widgets) is named and left out; a picture is shown as the PNG or JPEG it says it
is, under a policy that loads nothing from elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 10 * 1024 * 1024
MOST_CELLS = 300
MOST_TEXT = 20_000
PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


@dataclass(frozen=True)
class Shown:
    """One output: its text, or a picture as a ``data:`` address, or the name of what is left out."""

    text: str = ""
    picture: str = ""
    left_out: str = ""
    error: bool = False


@dataclass(frozen=True)
class CellView:
    number: int
    kind: str  # code | markdown | raw
    source: str
    outputs: tuple[Shown, ...] = ()


@dataclass(frozen=True)
class NotebookView:
    cells: tuple[CellView, ...]
    more: int


def notebook_view(data: bytes) -> NotebookView | None:
    """None for what is no notebook; it is then shown as any other file."""
    if len(data) > MOST_BYTES:
        return None
    try:
        raw = json.loads(data)
        cells = raw["cells"]
        made = tuple(_cell(n, one) for n, one in enumerate(cells[:MOST_CELLS], 1))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return NotebookView(made, max(0, len(cells) - MOST_CELLS))


def text_view(data: bytes) -> str | None:
    """The beginning of a text file; None for anything else."""
    if b"\x00" in data[:MOST_TEXT]:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return _cut(text)


def _cell(number: int, raw: Mapping[str, Any]) -> CellView:
    kind = raw.get("cell_type")
    outputs = raw.get("outputs") or [] if kind == "code" else []
    shown = tuple(one for output in outputs[:50] for one in _output(output))
    return CellView(number, kind if kind in ("code", "markdown") else "raw", _cut(_joined(raw.get("source"))), shown)


def _output(raw: Mapping[str, Any]) -> list[Shown]:
    kind = raw.get("output_type")
    if kind == "stream":
        return [Shown(_cut(_joined(raw.get("text"))))]
    if kind == "error":
        return [Shown(_cut(f"{raw.get('ename', '')}: {raw.get('evalue', '')}"), error=True)]
    found: Mapping[str, Any] = raw.get("data") or {}
    made = [Shown(picture=p) for kind in PICTURES if (p := _picture(kind, found.get(kind)))]
    text = _joined(found.get("text/plain"))
    if text and not made:
        made.append(Shown(_cut(text)))
    left = sorted(k for k in found if k not in PICTURES and k != "text/plain")
    return [*made, *(Shown(left_out=str(k)[:60]) for k in left)]


def _picture(kind: str, data: object) -> str:
    """A ``data:`` address of a picture that begins as its kind does, else nothing."""
    try:
        raw = base64.b64decode("".join(_joined(data).split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    if not raw.startswith(PICTURES[kind]):
        return ""
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def _joined(source: object) -> str:
    if isinstance(source, list):
        return "".join(str(part) for part in source)
    return source if isinstance(source, str) else ""


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "\n…"
