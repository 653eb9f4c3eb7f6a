"""A notebook as a reader sees it: nbconvert's HTML, made by a process of its own, with neither scripts nor anything from elsewhere.

Why not in the gate's own process: nbconvert, its Markdown parser and its highlighter read what an analyst wrote, and a text can be made to
keep a regular expression busy for hours. The process has no environment, writes no file, and is ended when it takes too long. The page
that shows it (`page`) is the second wall: sandboxed, and under a policy by which nothing in it runs or loads.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from egress_gate.render.apart import run_apart
from installation.fault import Fault

PROGRAM = Path(__file__).with_name("notebook_convert.py")
SECONDS = 30
MEMORY = 1024**3
MAX_HTML = 64 * 1024 * 1024
STYLE = """
body { margin: 0; padding: 8px 12px; font: 14px/1.5 system-ui, sans-serif; }
body { color: CanvasText; background: Canvas; color-scheme: light dark; }
pre { margin: 0; padding: 6px 8px; overflow-x: auto; font: 13px/1.45 ui-monospace, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.cell { margin: 0 0 12px; } .input, .output_area { display: flex; gap: 8px; }
.inner_cell, .output_subarea { flex: 1; min-width: 0; }
.prompt { flex: 0 0 56px; font: 12px/2.4 ui-monospace, monospace; color: GrayText; text-align: right; }
.input_area { border: 1px solid color-mix(in srgb, CanvasText 20%, Canvas); border-radius: 4px; }
.output_stderr { border-left: 3px solid #b35c00; } img { max-width: 100%; height: auto; background: #fff; }
table { border-collapse: collapse; }
th, td { border: 1px solid color-mix(in srgb, CanvasText 25%, Canvas); padding: 2px 8px; }
.k, .kn, .kc, .kd, .ow { color: #7b3fa0; } .s1, .s2, .sd, .sa, .si { color: #1a7f37; }
.c1, .cm { color: GrayText; font-style: italic; }
@media (prefers-color-scheme: dark) { .k, .kn, .kc, .kd, .ow { color: #c49be0; } .s1, .s2, .sd { color: #7fd195; } }
"""


class NotebookNotShown(Fault):
    """It could not be rendered, so that nobody can look at it."""

    code = "notebook-not-shown"


@dataclass(frozen=True)
class Shown:
    """One output for the eye: its text, a PNG of the gate's, or a note about what is not shown."""

    text: str = ""
    png: bytes = b""
    note: str = ""


@dataclass(frozen=True)
class ShownCell:
    kind: str
    source: str
    outputs: tuple[Shown, ...] = ()


def rendered(cells: Sequence[ShownCell]) -> bytes:
    """The inside of a page. Raises NotebookNotShown when nbconvert stumbles or takes too long."""
    job = json.dumps({"cells": [_given(one) for one in cells]}).encode()
    try:
        made = run_apart(PROGRAM, job, SECONDS, MEMORY)
    except subprocess.CalledProcessError as broken:
        raise _not_shown(broken.stderr[-2000:].decode("utf-8", "replace")) from broken
    except (OSError, subprocess.SubprocessError) as broken:
        raise _not_shown(type(broken).__name__) from broken
    if len(made) > MAX_HTML:
        raise _not_shown("too long")
    return made


def page(inside: bytes, title: str) -> bytes:
    """A whole page around it. Its style is the only thing that the policy of `policy()` lets count."""
    head = f'<!doctype html><html><head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style></head>'
    return head.encode() + b"<body>" + inside + b"</body></html>"


@cache
def policy() -> str:
    """Content-Security-Policy of the page: nothing runs, nothing loads, no form, no frame; only the desk may show it in a frame."""
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; sandbox; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )


def _given(cell: ShownCell) -> dict[str, object]:
    outputs = [{"text": o.text, "png": base64.b64encode(o.png).decode(), "note": o.note} for o in cell.outputs]
    return {"kind": cell.kind, "source": cell.source, "outputs": outputs}


def _not_shown(private: str) -> NotebookNotShown:
    return NotebookNotShown(
        "The notebook cannot be shown, so it cannot leave.",
        why="It could not be rendered within its limits of time and memory.",
        do="Shorten it, or send its parts as several notebooks.",
        private=private,
    )
