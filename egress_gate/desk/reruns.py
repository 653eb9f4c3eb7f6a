"""What a request's page says of a notebook that is run anew: what it waits for, and what differs; the same for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from egress_gate.desk.context import Desk, Visitor
from egress_gate.domain.decision import Reason
from egress_gate.domain.item import Item
from egress_gate.service.reading import Dossier
from egress_gate.service.reexecution import may, notebooks_of, result
from egress_gate.store import reruns
from egress_gate.store.reruns import ENDED, RerunRow
from installation.fault import Fault

WHY = {
    "time": "It took longer than policy lets it.",
    "kernel": "Its kernel ended: it needed too much memory, or the code ended it.",
    "size": "It put out more than can be compared.",
    "attempts": "It was tried several times, and each time nothing answered.",
    "unreadable": "It cannot be read.",
    "data_gone": "A dataset version it was made with is not there any more.",
    "overtaken": "The request moved on before its turn came.",
}


@dataclass(frozen=True)
class RerunView:
    """The last run of a notebook as it stands; `off` says why another cannot be asked for now."""

    last: RerunRow | None
    why: str | None  # why it did not come to its end
    agrees: bool
    cells: tuple[Mapping[str, Any], ...]
    required: bool
    off: tuple[Reason, ...]

    @property
    def open(self) -> bool:
        return self.last is not None and self.last.state not in ENDED

    @property
    def differing(self) -> list[Mapping[str, Any]]:
        return [c for c in self.cells if not c["same"]]


def rerun_view(desk: Desk, visitor: Visitor, found: Dossier, item: Item) -> RerunView | None:
    """None for what is no notebook, and when policy is away. For people who see evidence only: it was made from the data."""
    if not notebooks_of([item]):
        return None
    try:
        said = may(desk.gate, visitor.person, "ask", found, item, desk.clock())
    except Fault:
        return None
    with desk.gate.store.read() as c:
        runs = reruns.of_revision(c, found.request.id, found.request.revision, item.name)
    last = runs[-1] if runs else None
    made = result(desk.gate, last) if last and last.state in ENDED else {}
    return RerunView(
        last=last,
        why=WHY.get(str(made.get("why")), str(made.get("why"))) if made.get("why") else None,
        agrees=bool(made.get("agrees")),
        cells=tuple(made.get("cells", ())),
        required=said.required,
        off=said.permission.reasons if not said.permission.allow else (),
    )


def rerun_json(view: RerunView) -> dict[str, Any]:
    last = view.last
    return {
        "state": last.state.value if last else "none",
        "asked_by": last.asked_by if last else None,
        "result": last.result if last else None,
        "agrees": view.agrees,
        "why": view.why,
        "cells": [dict(c) for c in view.cells],
        "required": view.required,
    }
