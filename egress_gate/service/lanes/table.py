"""A derived table: SQL, recomputed from the registered data in the sealed verifier."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from egress_gate.domain.decision import Reason
from egress_gate.domain.item import Item
from egress_gate.policy.facts import JudgedItem
from egress_gate.render.bundle import Part
from egress_gate.render.preview import assessment_json
from egress_gate.render.table import CanonicalTable, table_from_assessment
from egress_gate.service.errors import RecomputerAway
from egress_gate.service.gate import Gate
from egress_gate.service.lanes.lane import Checked, LaneContext, Leaving, refused_by_parser
from egress_gate.service.ports import Question, SourceTable
from egress_gate.store.releases import PublishedItem
from egress_gate.store.requests import CheckRow, canonical
from installation.fault import Fault
from store.clock import stamp

# What parsing refuses because it was mistyped; anything else it refuses is an attempt worth recording.
MECHANICAL = frozenset({"sql-syntax", "unknown-table", "unknown-column", "ambiguous-table", "item-refused"})


class TableLane:
    def refusal(self, gate: Gate, item: Item, sources: Sequence[SourceTable], /) -> Reason | None:
        try:
            gate.recomputer.parse(item.sql or "", sources)
        except Fault as fault:
            if fault.code in MECHANICAL:
                raise
            return Reason(fault.code, f"{item.name}: {fault.what} {fault.why}", fault.do)
        return None

    def check(self, gate: Gate, item: Item, context: LaneContext, /) -> Checked:
        question = Question(
            name=item.name,
            sql=item.sql or "",
            sources=context.sources,
            parameters=context.parameters,
            earlier=context.earlier,
            expected=_expected(gate, item),
            protect=context.parameters.get("protect") is True,
            withheld=context.withheld.get(item.name, ()),
        )
        try:
            made = gate.recomputer.assess(question)
        except RecomputerAway:
            raise
        except Fault as fault:
            return refused_by_parser(item, context, fault)
        used = tuple(t for t in context.sources if t.version in made.versions)
        digest = gate.blobs.put(canonical(assessment_json(made)).encode())
        spent = dict(made.seconds)
        row = CheckRow(
            item.name, made.findings, digest, digest, made.versions, made.canonical_sql, (), stamp(context.at), spent
        )
        judged = JudgedItem(item, used, made.findings, made.completed, made.protected, made.canonical_sql)
        return Checked(row, judged, made)

    def leaving(self, gate: Gate, item: Item, check: CheckRow, /) -> Leaving:
        table = protected_table(gate, check)
        if table is None:
            return Leaving()
        parts = (Part(f"{check.item}.csv", table.csv()), Part(f"{check.item}.parquet", table.parquet()))
        return Leaving(parts, (published(check, table),), cells=table.cells)


def protected_table(gate: Gate, check: CheckRow) -> CanonicalTable | None:
    """The table as it leaves, from the stored check; None when the check made none."""
    if check.protected is None:
        return None
    return table_from_assessment(json.loads(gate.blobs.read(check.protected)))


def published(check: CheckRow, table: CanonicalTable) -> PublishedItem:
    """What the joint audit remembers of a table that leaves."""
    return PublishedItem(check.item, check.lineage, check.canonical_sql or "", table.suppressed_keys(), None)


def _expected(gate: Gate, item: Item) -> Mapping[str, Any] | None:
    """The figures the analyst says they got, if they sent any."""
    if item.blob is None:
        return None
    loaded: Mapping[str, Any] = json.loads(gate.blobs.read(item.blob))
    return loaded
