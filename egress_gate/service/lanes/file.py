"""The manual lane: a file the gate cannot recompute. Policy denies it by default, else a person looks at it."""

from __future__ import annotations

from collections.abc import Sequence

from egress_gate.domain.decision import Reason
from egress_gate.domain.item import Item
from egress_gate.render.bundle import Part
from egress_gate.service.gate import Gate
from egress_gate.service.lanes.lane import Checked, LaneContext, Leaving, without_assessment
from egress_gate.service.manual import file_findings
from egress_gate.service.notebooks import is_notebook, stripped
from egress_gate.service.ports import SourceTable
from egress_gate.store.requests import CheckRow


class FileLane:
    def refusal(self, gate: Gate, item: Item, sources: Sequence[SourceTable], /) -> Reason | None:
        return None

    def check(self, gate: Gate, item: Item, context: LaneContext, /) -> Checked:
        return without_assessment(item, context, file_findings(gate, item, context.sources, context.parameters))

    def leaving(self, gate: Gate, item: Item, check: CheckRow, /) -> Leaving:
        data = gate.blobs.read(item.blob or "")
        if not is_notebook(item.name):
            return Leaving((Part(check.item, data),))
        return Leaving((Part(check.item, stripped(data)),), certified={"outputs": "stripped"})
