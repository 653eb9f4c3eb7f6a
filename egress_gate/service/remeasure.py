"""Measures a past request anew, as its check would have with other numbers. Nothing is stored.

On the pinned versions, and with what had left from them when it was decided (`CheckRow.audited_against`): what left since is no part
of that decision. What the check recorded holds no largest contributions, so that none outlives its data; hence a table of a destroyed
version cannot be judged with other numbers, and that is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from egress_gate.domain.decision import Verdict
from egress_gate.domain.finding import Finding
from egress_gate.domain.item import Item
from egress_gate.service.aside import Aside
from egress_gate.service.check import judge_again
from egress_gate.service.gate import Gate
from egress_gate.service.ports import Blobs, SourceTable
from egress_gate.store import catalogue, requests
from egress_gate.store.requests import CheckRow, DecisionRow, RequestRow, canonical
from store.clock import moment


class NotMeasured(Exception):
    """Why the request cannot be measured anew, in plain words; ``destroyed``: versions of its data that are there no more."""

    def __init__(self, why: str, destroyed: tuple[str, ...] = ()) -> None:
        super().__init__(why)
        self.destroyed = destroyed


@dataclass(frozen=True)
class CellChange:
    """One cell that other numbers would judge otherwise: the rules it breaks, and whether (and why) it is hidden."""

    key: Mapping[str, Any]
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]
    hidden_before: str | None
    hidden_after: str | None

    def facts(self) -> dict[str, Any]:
        return {
            "key": dict(self.key),
            "rules_before": list(self.rules_before),
            "rules_after": list(self.rules_after),
            "hidden_before": self.hidden_before,
            "hidden_after": self.hidden_after,
        }


@dataclass(frozen=True)
class OutputChange:
    """One output whose findings would differ, with its cells."""

    output: str
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]
    cells: tuple[CellChange, ...]

    def facts(self) -> dict[str, Any]:
        return {
            "output": self.output,
            "rules_before": list(self.rules_before),
            "rules_after": list(self.rules_after),
            "cells": [c.facts() for c in self.cells],
        }


@dataclass(frozen=True)
class Recorded:
    """A request as it was decided on: its outputs, its checks, what its sandbox had mounted, and the levels of that."""

    row: RequestRow
    items: tuple[Item, ...]
    checks: tuple[CheckRow, ...]
    versions: tuple[str, ...]
    available: tuple[SourceTable, ...]
    levels: tuple[int, ...]

    @property
    def destroyed(self) -> tuple[str, ...]:
        """Versions its outputs came from that are there no more."""
        used = {v for check in self.checks for v in check.lineage} or set(self.versions)
        return tuple(sorted(used - {t.version for t in self.available}))


@dataclass(frozen=True)
class Measured:
    verdict: Verdict
    policy: str
    outputs: tuple[OutputChange, ...]


def recorded(gate: Gate, c: Connection, number: int, decision: DecisionRow, facts: Mapping[str, Any]) -> Recorded:
    """Read what the decision rested on. Classifications and stewards are those of then, as far as the decision names the data."""
    row = requests.fetch(c, number)
    if row is None:
        raise LookupError(number)
    asked = facts["request"]
    row = replace(
        row, revision=decision.revision, author=asked["author"], project=asked["project"], purpose=asked["purpose"]
    )
    versions = catalogue.versions_of_sandbox(c, row.sandbox)
    named = {entry["version"]: entry for item in facts.get("items", []) for entry in item["lineage"]}
    datasets = catalogue.datasets_of_versions(c, versions)
    now = catalogue.classifications(c, datasets.values())
    levels = {named[v]["classification"] if v in named else now[datasets[v]] for v in versions if v in datasets}
    return Recorded(
        row,
        requests.items(c, number, decision.revision),
        requests.checks(c, number, decision.revision),
        versions,
        tuple(_as_then(t, named) for t in catalogue.sources(c, versions, gate.datasets)),
        tuple(sorted(levels)),
    )


def _as_then(table: SourceTable, named: Mapping[str, Mapping[str, Any]]) -> SourceTable:
    entry = named.get(table.version)
    if entry is None:
        return table
    return replace(table, classification=entry["classification"], stewards=tuple(entry["stewards"]))


def measured(gate: Gate, was: Recorded, parameters: Mapping[str, Any], decided_at: str) -> Measured:
    """Check the request again with `gate.engine` and these numbers. Raises NotMeasured, PolicyUnavailable, RecomputerAway and the vault's
    faults."""
    if was.destroyed:
        raise NotMeasured("Its data were destroyed, so it cannot be measured with the other numbers.", was.destroyed)
    if not was.items or {i.name for i in was.items} != {k.item for k in was.checks}:
        raise NotMeasured("Its check is not on record, so it cannot be measured with the other numbers.")
    aside = replace(gate, blobs=Aside(gate.blobs))
    left = frozenset(n for check in was.checks for n in check.audited_against)
    checked, verdict, policy = judge_again(
        aside, was.row, was.items, was.available, was.versions, left, parameters, moment(decided_at)
    )
    before = {check.item: check for check in was.checks}
    changed = [_output(aside.blobs, before[k.row.item], k.row) for k in checked]
    return Measured(verdict, policy, tuple(c for c in changed if c is not None))


def _output(blobs: Blobs, before: CheckRow, after: CheckRow) -> OutputChange | None:
    cells = _cells_that_differ(_cells(blobs, before.assessment), _cells(blobs, after.assessment))
    if not cells and _told(before.findings) == _told(after.findings):
        return None
    return OutputChange(after.item, _rules(before.findings), _rules(after.findings), cells)


def _told(findings: Sequence[Finding]) -> set[tuple[str, str, int]]:
    """What is compared of findings: figures of a text's scan hold chance."""
    return {(f.rule, f.severity.value, f.cells) for f in findings}


def _rules(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(sorted({f.rule for f in findings}))


def _cells(blobs: Blobs, digest: str | None) -> dict[str, Mapping[str, Any]]:
    """The cells of a check's evidence by key: of a table, a figure's table, or the counts that a fit stands for. Files have none."""
    if digest is None:
        return {}
    evidence = json.loads(blobs.read(digest))
    table = evidence.get("implied") or evidence
    return {canonical(cell["key"]): cell for cell in table.get("cells", ())}


def _cells_that_differ(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> tuple[CellChange, ...]:
    nothing: Mapping[str, Any] = {}
    found = []
    for name in dict.fromkeys((*before, *after)):
        then, now = before.get(name, nothing), after.get(name, nothing)
        change = CellChange(
            (then or now)["key"],
            tuple(then.get("findings", ())),
            tuple(now.get("findings", ())),
            then.get("suppressed"),
            now.get("suppressed"),
        )
        if (set(change.rules_before), change.hidden_before) != (set(change.rules_after), change.hidden_after):
            found.append(change)
    return tuple(found)
