"""A figure drawn by the gate from its own protected numbers, and the files that leave of it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egress_gate.render.apart import run_apart
from egress_gate.render.bundle import Part
from egress_gate.render.figure_png import only_pixels
from egress_gate.render.figure_spec import Figure
from egress_gate.render.figure_svg import sanitised
from egress_gate.render.table import CanonicalTable, Scalar, key_text, plain_text, rounded
from installation.fault import Fault

PROGRAM = Path(__file__).with_name("figure_draw.py")
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
MAX_ROWS = 5_000
SECONDS = 20
MEMORY = 1536 * 1024 * 1024


class NotDrawn(Fault):
    """The figure could not be drawn; nothing of it leaves."""

    code = "not-drawn"


@dataclass(frozen=True)
class Drawing:
    """What leaves as a picture. `spec` is the whole specification with the protected data inside."""

    spec: Mapping[str, Any]
    svg: bytes
    png: bytes


def draw(figure: Figure, table: CanonicalTable) -> Drawing:
    """The figure over the rows of `table` that leave. Raises NotDrawn or SvgRefused; nothing is drawn of a withheld row."""
    if table != table.whole:
        draw(figure, table.whole)  # whether it can be drawn must not answer a HAVING
    if len(table.leaving) > MAX_ROWS:
        raise _not_drawn(f"It has more than {MAX_ROWS} rows.")
    spec = {"$schema": SCHEMA, "data": {"values": rows(table)}, **figure.spec}
    svg = sanitised(str(_run({"spec": spec})["svg"]))
    png = only_pixels(base64.b64decode(_run({"svg": svg})["png"]))
    return Drawing(spec, svg.encode(), png)


def rows(table: CanonicalTable) -> list[dict[str, Scalar]]:
    """What the figure shows: the table as its CSV has it, numbers as numbers."""
    return [
        {
            **{k: _key(row.key.get(k)) for k in table.keys},
            **{v: _shown(value) for v, value in zip(table.values, row.values, strict=True)},
        }
        for row in table.leaving
    ]


def _key(value: Any) -> Scalar:
    return rounded(value) if isinstance(value, int | float) and not isinstance(value, bool) else key_text(value)


def _shown(value: Scalar) -> Scalar:
    return plain_text(value) if isinstance(value, str) else rounded(value)


def figure_parts(name: str, drawing: Drawing, table: CanonicalTable) -> tuple[Part, ...]:
    """`name`.csv, .svg, .png and .vl.json."""
    spec = json.dumps(drawing.spec, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    return (
        Part(f"{name}.csv", table.csv()),
        Part(f"{name}.svg", drawing.svg),
        Part(f"{name}.png", drawing.png),
        Part(f"{name}.vl.json", spec.encode()),
    )


def _run(job: Mapping[str, Any]) -> dict[str, Any]:
    """In a process of its own: no environment, bounded time and memory, no file larger than nothing."""
    try:
        found = json.loads(run_apart(PROGRAM, json.dumps(job, allow_nan=False).encode(), SECONDS, MEMORY))
    except (OSError, subprocess.SubprocessError, ValueError) as broken:
        private = getattr(broken, "stderr", b"") or str(broken).encode()
        raise _not_drawn("The drawing failed or took too long.", private[-2000:].decode("utf-8", "replace")) from broken
    return dict(found)


def _not_drawn(why: str, private: str = "") -> NotDrawn:
    return NotDrawn(
        "The figure could not be drawn.", why=why, do="Simplify it, or ask for the table alone.", private=private
    )
