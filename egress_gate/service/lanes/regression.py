"""A regression: formula and rows as SQL; the gate fits it anew in the sealed verifier, and only the rounded fit leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from egress_gate.domain.decision import Reason
from egress_gate.domain.item import Item
from egress_gate.policy.facts import JudgedItem
from egress_gate.render.preview import assessment_json
from egress_gate.render.regression import regression_parts
from egress_gate.service.errors import RecomputerAway
from egress_gate.service.gate import Gate
from egress_gate.service.lanes.lane import Checked, LaneContext, Leaving, refused_by_parser
from egress_gate.service.lanes.table import MECHANICAL
from egress_gate.service.ports import ModelAssessment, ModelQuestion, SourceTable
from egress_gate.store.releases import PublishedItem
from egress_gate.store.requests import CheckRow, canonical
from installation.fault import Fault
from store.clock import stamp


class RegressionLane:
    def refusal(self, gate: Gate, item: Item, sources: Sequence[SourceTable], /) -> Reason | None:
        try:
            gate.recomputer.parse_model(item.declared["formula"], item.sql or "", sources)
        except Fault as fault:
            if fault.code in MECHANICAL:
                raise
            return Reason(fault.code, f"{item.name}: {fault.what} {fault.why}", fault.do)
        return None

    def check(self, gate: Gate, item: Item, context: LaneContext, /) -> Checked:
        question = ModelQuestion(
            name=item.name,
            formula=item.declared["formula"],
            sql=item.sql or "",
            family=item.declared["family"],
            sources=context.sources,
            parameters=context.parameters,
            earlier=context.earlier,
        )
        try:
            made = gate.recomputer.refit(question)
        except RecomputerAway:
            raise
        except Fault as fault:
            return refused_by_parser(item, context, fault)
        return _checked(gate, item, context, made)

    def leaving(self, gate: Gate, item: Item, check: CheckRow, /) -> Leaving:
        if check.protected is None or check.assessment is None:
            return Leaving()
        fit = json.loads(gate.blobs.read(check.protected))
        implied = json.loads(gate.blobs.read(check.assessment))["implied"]
        remembered = PublishedItem(check.item, check.lineage, implied["canonical_sql"], (), implied["rounding_base"])
        said = {"kind": item.kind.value, "family": fit["family"], "formula": fit["formula"]}
        return Leaving(regression_parts(check.item, fit), (remembered,), said, figures_in(fit))


def figures_in(part: object) -> int:
    """Numbers in a fit, as it leaves."""
    if isinstance(part, Mapping):
        return sum(map(figures_in, part.values()))
    if isinstance(part, list):
        return sum(map(figures_in, part))
    return int(isinstance(part, int | float) and not isinstance(part, bool))


def _checked(gate: Gate, item: Item, context: LaneContext, made: ModelAssessment) -> Checked:
    used = tuple(t for t in context.sources if t.version in made.versions)
    leaves = None
    if made.leaving is not None and made.implied is not None:
        leaves = gate.blobs.put(canonical(dict(made.leaving)).encode())
    evidence = gate.blobs.put(canonical(_evidence(made)).encode())
    row = CheckRow(
        item.name,
        made.findings,
        evidence,
        leaves,
        made.versions,
        made.canonical_sql,
        (),
        stamp(context.at),
        dict(made.seconds),
    )
    judged = JudgedItem(item, used, made.findings, made.completed, protected=False, canonical_sql=made.canonical_sql)
    return Checked(row, judged, made.implied)


def _evidence(made: ModelAssessment) -> dict[str, object]:
    implied = None
    if made.implied is not None:
        implied = {**assessment_json(made.implied), "rounding_base": made.implied.rounding_base}
    return {
        "format": "glovebox-model/1",
        "formula": made.formula,
        "canonical_sql": made.canonical_sql,
        "measured": dict(made.measured),
        "leaving": dict(made.leaving) if made.leaving is not None else None,
        "implied": implied,
    }
