"""A figure: a Vega-Lite specification over a derived table. The table is judged as every table is; the gate draws what leaves of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from egress_gate.domain.decision import Reason
from egress_gate.domain.finding import Finding, Severity
from egress_gate.domain.item import Item
from egress_gate.domain.protection import certified
from egress_gate.render.bundle import Part
from egress_gate.render.figure import Drawing, NotDrawn, draw, figure_parts
from egress_gate.render.figure_spec import Figure, SpecRefused, read_figure
from egress_gate.render.figure_svg import SvgRefused
from egress_gate.render.table import CanonicalTable, table_from_assessment
from egress_gate.service.gate import Gate
from egress_gate.service.lanes.lane import Checked, LaneContext, Leaving
from egress_gate.service.lanes.table import TableLane, published
from egress_gate.service.ports import SourceTable
from egress_gate.store.requests import CheckRow, canonical


class FigureLane:
    def __init__(self) -> None:
        self._table = TableLane()

    def refusal(self, gate: Gate, item: Item, sources: Sequence[SourceTable], /) -> Reason | None:
        try:
            read_figure(item.declared["spec"], None)
        except SpecRefused as fault:
            return Reason(fault.code, f"{item.name}: {fault.what} {fault.why}", fault.do)
        return self._table.refusal(gate, item, sources)

    def check(self, gate: Gate, item: Item, context: LaneContext, /) -> Checked:
        made = self._table.check(gate, item, context)
        if made.row.assessment is None:
            return made
        table = json.loads(gate.blobs.read(made.row.assessment))
        findings, drawn = _drawn(item, table)
        evidence = {**_evidence(gate, table, drawn), "answer": made.row.assessment}
        digest = gate.blobs.put(canonical(evidence).encode())
        findings = (*made.row.findings, *findings)
        row = replace(made.row, findings=findings, assessment=digest, protected=digest if drawn else None)
        return replace(made, row=row, judged=replace(made.judged, findings=findings))

    def leaving(self, gate: Gate, item: Item, check: CheckRow, /) -> Leaving:
        if check.protected is None:
            return Leaving()
        stored = json.loads(gate.blobs.read(check.protected))
        table, kept = table_from_assessment(stored), stored["figure"]
        drawing = Drawing(kept["spec"], gate.blobs.read(kept["svg"]), gate.blobs.read(kept["png"]))
        parts: tuple[Part, ...] = figure_parts(check.item, drawing, table)
        said = {"kind": item.kind.value, "texts": kept["texts"]}
        if table.protection is not None:
            said["protection"] = certified(table.protection)
        return Leaving(parts, (published(check, table, stored["answer"]),), said, table.cells)


def _drawn(item: Item, made: Mapping[str, Any]) -> tuple[tuple[Finding, ...], tuple[Figure, Drawing] | None]:
    """The figure over what would leave. What cannot be read or drawn is a failed check, and nothing leaves."""
    table: CanonicalTable = table_from_assessment(made)
    try:
        figure = read_figure(item.declared["spec"], (*table.keys, *table.values))
    except SpecRefused as fault:
        return (Finding("spec_refused", Severity.FAIL, 0, {"what": fault.what}),), None
    try:
        drawing = draw(figure, table)
    except (NotDrawn, SvgRefused) as fault:
        return (Finding("not_drawn", Severity.FAIL, 0, {"what": fault.why, "code": fault.code}),), None
    digits = figure.digits
    said = (Finding("text_digits", Severity.WARN, len(digits), {"texts": digits}),) if digits else ()
    return said, (figure, drawing)


def _evidence(gate: Gate, table: Mapping[str, Any], drawn: tuple[Figure, Drawing] | None) -> dict[str, Any]:
    if drawn is None:
        return {**table, "figure": None}
    figure, drawing = drawn
    kept = {
        "spec": dict(drawing.spec),
        "texts": figure.texts,
        "numbers": figure.numbers,
        "svg": gate.blobs.put(drawing.svg),
        "png": gate.blobs.put(drawing.png),
    }
    return {**table, "figure": kept}
