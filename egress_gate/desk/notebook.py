"""A notebook as a steward decides on it: a frame with what nbconvert makes of it, and each output as it would leave.

Nothing in it is markup, nothing in it runs: the frame is sandboxed and under a policy of its own (`render.notebook`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from egress_gate.desk.context import Desk
from egress_gate.domain.decision import Reason
from egress_gate.render.notebook import page
from egress_gate.service.cell_outputs import Offered, ask, evidence, levels_of, said_of
from egress_gate.service.errors import no_such
from egress_gate.service.notebooks import sources
from egress_gate.store.requests import CheckRow, ReviewRow
from installation.fault import Fault

MOST_TEXT = 20_000


@dataclass(frozen=True)
class OutputView:
    """One output as it would leave. ``off``: why it cannot be approved; ``leaves``: with the reviews that the visitor may see."""

    id: str
    cell: int
    text: str
    picture: str
    kinds: tuple[str, ...]
    off: tuple[Reason, ...]
    leaves: bool
    approved_by: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "text": self.text,
            "picture": bool(self.picture),
            "types": list(self.kinds),
            "off": [r.code for r in self.off],
            "leaves": self.leaves,
        }


@dataclass(frozen=True)
class NotebookView:
    sources: tuple[tuple[str, str], ...]
    outputs: tuple[OutputView, ...]


def notebook_view(
    desk: Desk, c: Connection, check: CheckRow, data: bytes, given: Sequence[ReviewRow]
) -> NotebookView | None:
    """None for one that could not be read or rendered when it was checked. `given`: the reviews that the visitor may see."""
    found = evidence(desk.gate, check)
    if found is None:
        return None
    said = said_of(c, check.item, given)
    try:
        verdict = ask(desk.gate, levels_of(c, check), found.outputs, said)
        off, leaves = verdict.off, verdict.leaves
    except Fault as away:  # nothing can be ticked while policy does not answer
        off, leaves = {o.id: (Reason("policy_away", away.what, away.do),) for o in found.outputs}, ()
    shown = tuple(_shown(desk, o, off.get(o.id, ()), o.id in leaves, said) for o in found.outputs)
    return NotebookView(sources(data), shown)


def notebook_page(desk: Desk, check: CheckRow | None, title: str) -> bytes:
    """The page inside the frame. Raises NotFound for what is no notebook that was rendered."""
    found = evidence(desk.gate, check) if check is not None else None
    if found is None:
        raise no_such("notebook")
    return page(desk.gate.blobs.read(found.html), title)


def text_view(data: bytes) -> str | None:
    """The beginning of a text file; None for anything else."""
    if b"\x00" in data[:MOST_TEXT]:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "\n…"


def _shown(
    desk: Desk, one: Offered, off: tuple[Reason, ...], leaves: bool, said: Sequence[Mapping[str, Any]]
) -> OutputView:
    picture = ""
    if one.png:
        picture = "data:image/png;base64," + base64.b64encode(desk.gate.blobs.read(one.png)).decode()
    approved = tuple(s["reviewer"] for s in said if one.id in s["approved"])
    return OutputView(one.id, one.cell, one.text, picture, one.kinds, off, leaves, approved)
