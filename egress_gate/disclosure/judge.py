"""The whole judgement of one table, pure: measured cells in, findings, protected cells and the joint audit's answer out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from egress_gate.disclosure.derivation import Derivation
from egress_gate.disclosure.placing import Places
from egress_gate.disclosure.rules import CellFinding, Parameters, cell_findings, class_findings
from egress_gate.disclosure.tabulation import Cell, Tabulation

FAIL, WARN, INFO = "fail", "warn", "info"
# What harms nobody by itself; everything else that a cell breaks is a failure until it is hidden, and policy says what a failure leads to.
NOTES = frozenset({"zero", "missing"})


@dataclass(frozen=True)
class JudgedCell:
    cell: Cell
    findings: tuple[CellFinding, ...]
    suppressed: str | None

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f.rule for f in self.findings))


@dataclass(frozen=True)
class TableFinding:
    """One rule over a whole table: how bad, over how many cells, with figures for the steward."""

    rule: str
    severity: str
    cells: int
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """``protected``: every cell that breaks a rule is hidden, and so are the cells that would give it back."""

    cells: tuple[JudgedCell, ...]
    findings: tuple[TableFinding, ...]
    protected: bool
    optimal: bool
    completed: bool = True


def judge(
    derivation: Derivation,
    table: Tabulation,
    rules: Parameters,
    *,
    protect: bool,
    left: Callable[[], float],
    expected: Mapping[str, Any] | None = None,
    blank: Sequence[Mapping[str, Any]] = (),
    withheld: Sequence[Mapping[str, Any]] = (),
    small_share: float = 0.5,
    small_allowed: int = 5,
) -> Judgement:
    """Apply the primary rules, protect where asked, compare with the analyst's own figures.

    ``expected`` is ``{"columns": […], "rows": [[…]]}``; ``blank`` lists keys that the analyst left out (a total is None),
    ``withheld`` those that the other tables of the request need hidden.
    A table of which more than ``small_share``, and more than ``small_allowed`` cells, rest on too few people is no statistic but a
    list of records.
    """
    if len(table.cells) > rules.max_cells:
        return Judgement((), (TableFinding("too_many_cells", FAIL, len(table.cells)),), protected=False, optimal=False)
    broken = {i: tuple(cell_findings(c, derivation.aggregates, rules)) for i, c in enumerate(table.cells)}
    for i, cell in enumerate(table.cells):
        if cell.rows and not cell.contributors:  # rows of nobody: counted by no rule, so by the strictest
            broken[i] = (*broken[i], CellFinding("min_contributors", "", {"contributors": 0}))
    for i, more in class_findings(table, derivation, rules).items():
        broken[i] = (*broken[i], *more)
    places = Places(table.keys, [c.published_key for c in table.cells])
    hidden = frozenset(i for i in map(places.find, blank) if i is not None)
    kinds: tuple[str | None, ...] = tuple("primary" if i in hidden else None for i in range(len(table.cells)))
    protected, optimal, lost = False, True, False
    if protect:
        from egress_gate.disclosure.protection import protect_table  # the solvers, which few tables need

        apart = frozenset(i for i in map(places.find, withheld) if i is not None)
        made = protect_table(derivation, table, broken, rules, left, hidden, apart)
        kinds, optimal, lost = made.suppressed, made.optimal, not made.safe
        protected = made.safe and any(kinds)
    cells = tuple(JudgedCell(c, broken[i], kinds[i]) for i, c in enumerate(table.cells))
    findings = _summed(cells)
    if (small := _small_cells(table, broken)) > small_share * _detailed(table) and small > small_allowed:
        findings.append(TableFinding("raw_records", FAIL, small, {"cells": _detailed(table)}))
    if lost:
        findings.append(TableFinding("residual", FAIL, sum(k is not None for k in kinds)))
    if expected is not None and (differing := disagreements(table, expected)):
        findings.append(TableFinding("disagreement", FAIL, differing))
    return Judgement(cells, tuple(findings), protected, optimal)


def _detailed(table: Tabulation) -> int:
    return sum(1 for c in table.cells if not c.totals and c.rows)


def _small_cells(table: Tabulation, broken: Mapping[int, Sequence[CellFinding]]) -> int:
    """Cells of the full grouping that rest on too few people."""
    return sum(
        1
        for i, cell in enumerate(table.cells)
        if not cell.totals and cell.rows and any(f.rule == "min_contributors" and not f.column for f in broken[i])
    )


def _summed(cells: Sequence[JudgedCell]) -> list[TableFinding]:
    """One finding for each rule: a failure as long as a cell that breaks it would be published."""
    by_rule: dict[str, list[JudgedCell]] = {}
    for judged in cells:
        for rule in judged.rules:
            by_rule.setdefault(rule, []).append(judged)
    made = []
    for rule, members in sorted(by_rule.items()):
        shown = [j for j in members if j.suppressed is None]
        severity = FAIL if shown and rule not in NOTES else INFO
        smallest = min(j.cell.contributors for j in members)
        made.append(TableFinding(rule, severity, len(members), {"published": len(shown), "fewest": smallest}))
    return made


def disagreements(table: Tabulation, expected: Mapping[str, Any]) -> int:
    """How many of the analyst's figures differ from the recomputed ones (relative tolerance 1e-6), or have no place."""
    columns = [str(c) for c in expected.get("columns", [])]
    wanted = {name: columns.index(name) for name in (*table.keys, *table.values) if name in columns}
    if any(name not in wanted for name in table.keys):
        return max(1, len(expected.get("rows", [])))
    ours = {tuple(_plain(c.key[k]) for k in table.keys): c for c in table.cells}
    differing = 0
    for row in expected.get("rows", []):
        cell = ours.get(tuple(_plain(row[wanted[k]]) for k in table.keys))
        if cell is None:
            differing += 1
            continue
        differing += sum(not _agrees(row[wanted[v]], cell.values[v]) for v in table.values if v in wanted)
    return differing


def _plain(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _agrees(theirs: Any, ours: Any) -> bool:
    if theirs is None or theirs == "":
        return True  # left blank
    try:
        return math.isclose(float(theirs), float(ours), rel_tol=1e-6, abs_tol=1e-9)
    except (TypeError, ValueError):
        return str(theirs) == str(ours)


__all__ = ["JudgedCell", "Judgement", "TableFinding", "disagreements", "judge"]
