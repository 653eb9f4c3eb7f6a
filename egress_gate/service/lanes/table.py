"""A derived table: SQL, recomputed from the registered data in the sealed verifier."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from egress_gate.domain.decision import Reason
from egress_gate.domain.item import Item, ItemRefused
from egress_gate.domain.protection import Method, Protection, asked_protection, certified, chosen_protection
from egress_gate.policy.facts import JudgedItem
from egress_gate.render.bundle import Part
from egress_gate.render.preview import assessment_json
from egress_gate.render.table import CanonicalTable, table_from_assessment
from egress_gate.service.errors import RecomputerAway
from egress_gate.service.gate import Gate
from egress_gate.service.lanes.lane import Checked, LaneContext, Leaving, refused_by_parser
from egress_gate.service.ports import Question, SourceTable
from egress_gate.store import privacy
from egress_gate.store.releases import PublishedItem
from egress_gate.store.requests import CheckRow, canonical
from installation.fault import Fault
from store.clock import stamp

# What parsing refuses because it was mistyped; anything else it refuses is an attempt worth recording.
MECHANICAL = frozenset({"sql-syntax", "unknown-table", "unknown-column", "ambiguous-table", "item-refused"})


class TableLane:
    def refusal(self, gate: Gate, item: Item, sources: Sequence[SourceTable], /) -> Reason | None:
        asked_protection(item.declared)
        try:
            gate.recomputer.parse(item.sql or "", sources)
        except Fault as fault:
            if fault.code in MECHANICAL:
                raise
            return Reason(fault.code, f"{item.name}: {fault.what} {fault.why}", fault.do)
        return None

    def check(self, gate: Gate, item: Item, context: LaneContext, /) -> Checked:
        try:
            protection = chosen_protection(item.declared, context.parameters)
        except ItemRefused as fault:
            return refused_by_parser(item, context, fault)
        if protection.method is Method.NOISE and (again := _repeated(gate, item, context, protection)) is not None:
            return again
        question = Question(
            name=item.name,
            sql=item.sql or "",
            sources=context.sources,
            parameters=context.parameters,
            earlier=context.earlier,
            expected=_expected(gate, item),
            protect=context.parameters.get("protect") is True,
            withheld=context.withheld.get(item.name, ()),
            protection=protection,
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
        told = _told(gate, context, protection, made.versions)
        judged = JudgedItem(item, used, made.findings, made.completed, made.protected, made.canonical_sql, told)
        return Checked(row, judged, made)

    def leaving(self, gate: Gate, item: Item, check: CheckRow, /) -> Leaving:
        table = protected_table(gate, check)
        if table is None:
            return Leaving()
        parts = (Part(f"{check.item}.csv", table.csv()), Part(f"{check.item}.parquet", table.parquet()))
        said = {} if table.protection is None else {"protection": certified(table.protection)}
        return Leaving(parts, (published(check, table),), said, table.cells)


def protected_table(gate: Gate, check: CheckRow) -> CanonicalTable | None:
    """The table as it leaves, from the stored check; None when the check made none."""
    if check.protected is None:
        return None
    return table_from_assessment(json.loads(gate.blobs.read(check.protected)))


def published(check: CheckRow, table: CanonicalTable, answer: str | None = None) -> PublishedItem:
    """What the joint audit remembers of a table that leaves. `answer`: its assessment, where the check's is of more than the table."""
    protection = table.protection
    base = None if protection is None else protection.get("base")
    sql, hidden = check.canonical_sql or "", table.suppressed_keys()
    return PublishedItem(check.item, check.lineage, sql, hidden, base, protection, answer or check.assessment)


def _told(
    gate: Gate, context: LaneContext, protection: Protection, versions: Sequence[str], *, repeated: bool = False
) -> Mapping[str, Any] | None:
    """For policy: how the table is altered, and what of the privacy budget of each version the project has spent."""
    if protection.method is Method.SUPPRESS:
        return None
    if protection.method is not Method.NOISE:
        return protection.facts()
    with gate.store.read() as c:
        own = privacy.spent(c, context.project, versions, context.until)
        everybody = privacy.spent(c, None, versions, context.until)

    def charged(version: str) -> dict[str, Any]:
        now = context.spending.get(version, 0.0)
        return {
            "version": version,
            "epsilon": own.get(version, 0.0) + now,
            "everybody": everybody.get(version, 0.0) + now,
        }

    return {**protection.facts(), "spent": [charged(v) for v in sorted(versions)], "repeated": repeated}


def _repeated(gate: Gate, item: Item, context: LaneContext, protection: Protection) -> Checked | None:
    """The answer that the very same question got before: new noise would let it be averaged away."""
    try:
        canonical_sql, versions = gate.recomputer.parse(item.sql or "", context.sources)
    except Fault as fault:
        return refused_by_parser(item, context, fault)
    with gate.store.read() as c:
        digest = privacy.answered(c, versions, canonical_sql, protection.facts(), context.until)
    if digest is None:
        return None
    used = tuple(t for t in context.sources if t.version in versions)
    row = CheckRow(item.name, (), digest, digest, versions, canonical_sql, (), stamp(context.at), {})
    told = _told(gate, context, protection, versions, repeated=True)
    judged = JudgedItem(item, used, (), completed=True, protected=True, canonical_sql=canonical_sql, protection=told)
    return Checked(row, judged)


def _expected(gate: Gate, item: Item) -> Mapping[str, Any] | None:
    """The figures the analyst says they got, if they sent any."""
    if item.blob is None:
        return None
    loaded: Mapping[str, Any] = json.loads(gate.blobs.read(item.blob))
    return loaded
