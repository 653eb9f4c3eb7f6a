"""The manual lane: a file the gate cannot recompute. Policy denies it by default, else a person looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from egress_gate.domain.decision import Reason
from egress_gate.domain.finding import Finding, Severity
from egress_gate.domain.item import Item, picture_name
from egress_gate.policy.facts import parameters_input
from egress_gate.render.bundle import Part
from egress_gate.render.image import ImageRefused, is_image, reencoded
from egress_gate.render.notebook import NotebookNotShown
from egress_gate.service.cell_outputs import leaving_notebook, measure
from egress_gate.service.gate import Gate
from egress_gate.service.lanes.lane import Checked, LaneContext, Leaving, without_assessment
from egress_gate.service.manual import MODEL_FILE, file_findings, is_model_file, opened
from egress_gate.service.notebooks import cells_of, is_notebook, stripped
from egress_gate.service.ports import SourceTable
from egress_gate.store.requests import CheckRow


class FileLane:
    def refusal(self, gate: Gate, item: Item, sources: Sequence[SourceTable], /) -> Reason | None:
        """A picture that cannot be written anew. One that policy will not let leave is not decoded to find out."""
        if not is_image(item.name):
            return _model_refusal(gate, item)
        answer = gate.engine.query("release/parameters", parameters_input(sources, (item,))).result
        return _picture_refusal(gate, item) if isinstance(answer, dict) and opened(item, answer) else None

    def check(self, gate: Gate, item: Item, context: LaneContext, /) -> Checked:
        if is_image(item.name):
            return _picture(gate, item, context)
        found = file_findings(gate, item, context.project, context.sources, context.parameters, context.until)
        if is_notebook(item.name) and opened(item, context.parameters) and not _failed(found):
            return _notebook(gate, item, context, found)
        return without_assessment(item, context, found)

    def leaving(self, gate: Gate, item: Item, check: CheckRow, /) -> Leaving:
        if is_image(item.name):
            return _picture_leaving(gate, check)
        data = gate.blobs.read(item.blob or "")
        if not is_notebook(item.name):
            return Leaving((Part(check.item, data),))
        leaving, certified = leaving_notebook(gate, check) or (stripped(data), {"outputs": "stripped"})
        return Leaving((Part(check.item, leaving),), certified=certified)


def _failed(findings: Sequence[Finding]) -> bool:
    return any(f.severity is Severity.FAIL for f in findings)


def _notebook(gate: Gate, item: Item, context: LaneContext, found: tuple[Finding, ...]) -> Checked:
    """Rendered, and its outputs measured one by one, so that people can look at it and tick what may leave."""
    try:
        made = measure(gate, cells_of(gate.blobs.read(item.blob or "")), context.sources, context.parameters)
    except NotebookNotShown as fault:
        figures = {"what": fault.why, "do": fault.do, "code": fault.code}
        return without_assessment(item, context, (*found, Finding("unreadable", Severity.FAIL, 0, figures)))
    plain = without_assessment(item, context, found)
    return replace(plain, row=replace(plain.row, assessment=made))


def _model_refusal(gate: Gate, item: Item) -> Reason | None:
    if not is_model_file(item.name, gate.blobs.read(item.blob or "")):
        return None
    return Reason(MODEL_FILE["code"], f"{item.name}: {MODEL_FILE['what']}", MODEL_FILE["do"])


def _picture_refusal(gate: Gate, item: Item) -> Reason | None:
    try:
        reencoded(gate.blobs.read(item.blob or ""))
    except ImageRefused as fault:
        return Reason(fault.code, f"{item.name}: {fault.what} {fault.why}", fault.do)
    return None


def _picture(gate: Gate, item: Item, context: LaneContext) -> Checked:
    """Written anew while it is checked, so that what a person looks at is what leaves."""
    unseen = Finding("not_recomputed", Severity.WARN)
    if not opened(item, context.parameters):
        return without_assessment(item, context, (unseen, Finding("unreadable", Severity.FAIL)))
    try:
        png = reencoded(gate.blobs.read(item.blob or ""))
    except ImageRefused as fault:
        failed = Finding("unreadable", Severity.FAIL, 0, {"what": fault.why, "do": fault.do, "code": fault.code})
        return without_assessment(item, context, (unseen, failed))
    made = without_assessment(item, context, (unseen,))
    return replace(made, row=replace(made.row, protected=gate.blobs.put(png)))


def _picture_leaving(gate: Gate, check: CheckRow) -> Leaving:
    if check.protected is None:
        return Leaving()
    part = Part(picture_name(check.item), gate.blobs.read(check.protected))
    return Leaving((part,), certified={"picture": "re-encoded"})
