"""What differs between a notebook's outputs as they were sent and as they came when it was run anew. Pure."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_LINES = 300
LINE = 300
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")


@dataclass(frozen=True)
class CellDifference:
    """One code cell, by its place in the notebook from 1. ``lines``: removed and added lines, as a unified difference has them."""

    cell: int
    same: bool
    lines: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        return {"cell": self.cell, "same": self.same, "lines": list(self.lines)}


def code_cells(data: bytes) -> list[tuple[int, str, list[Any]]]:
    """Place, source and outputs of each code cell of a notebook that `service.notebooks.sources` has read."""
    cells = json.loads(data.decode("utf-8"))["cells"]
    code = [(n, c) for n, c in enumerate(cells, 1) if c["cell_type"] == "code"]
    return [(n, _text(c["source"]), c["outputs"] if isinstance(c.get("outputs"), list) else []) for n, c in code]


def difference(cell: int, sent: Sequence[Any], came: Sequence[Any]) -> CellDifference:
    """Numbers of execution, metadata, colours and addresses in memory do not count; everything else does."""
    before, after = normalised(sent), normalised(came)
    if before == after:
        return CellDifference(cell, same=True)
    lines = list(difflib.unified_diff(_shown(before), _shown(after), lineterm="", n=1))[2:]
    cut = [line[:LINE] for line in lines[:MOST_LINES]]
    return CellDifference(cell, same=False, lines=(*cut, *(["…"] if not lines or len(lines) > MOST_LINES else [])))


def normalised(outputs: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Type and content of what a cell put out; what one stream printed in several pieces is one piece."""
    made: list[tuple[str, str]] = []
    for kind, text in (part for one in outputs for part in _parts(one)):
        if made and kind.startswith("stream ") and made[-1][0] == kind:
            made[-1] = (kind, made[-1][1] + text)
        else:
            made.append((kind, text))
    return tuple((kind, ADDRESS.sub("0x…", COLOUR.sub("", text))) for kind, text in made)


def _parts(output: Any) -> list[tuple[str, str]]:
    if not isinstance(output, Mapping):
        return [("unreadable", _canonical(output))]
    kind = output.get("output_type")
    if kind == "stream":
        return [(f"stream {output.get('name')}", _text(output.get("text")))]
    if kind == "error":
        return [("error", f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}")]
    data = output.get("data")
    if kind not in ("display_data", "execute_result") or not isinstance(data, Mapping):
        return [("unreadable", _canonical(output))]
    return [(mime, _text(data[mime])) for mime in sorted(data)]


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "".join(value)
    return value if isinstance(value, str) else _canonical(value)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _shown(parts: Sequence[tuple[str, str]]) -> list[str]:
    """Lines for the eye: text as text, everything else by its type and a digest. Bounded, because comparing lines is not cheap."""
    lines: list[str] = []
    for kind, text in parts:
        if kind.startswith("stream ") or kind in ("error", "text/plain"):
            lines += [] if kind == "stream stdout" else [f"[{revealed(kind[:80])}]"]
            lines += [revealed(line[: 4 * LINE]) for line in text.splitlines()]
        else:
            lines.append(f"[{revealed(kind[:80])} {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:12]}]")
    return lines[:MOST_LINES]


def revealed(text: str) -> str:
    """Characters that nobody sees, by their code."""
    return "".join(f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c)[0] == "C" and c != "\t" else c for c in text)
