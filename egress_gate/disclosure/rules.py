"""Primary rules: for each cell, which of them it breaks, with the figures that show it. No threshold stands here.

Sources: threshold and dominance rules, Handbook on Statistical Disclosure Control (2nd ed.), sections 4.2.1 to 4.2.3: the (n,k) rule is
broken when the n largest contributions are at least k of the total; the p % rule when (total - top1 - top2) < p/100 * top1.
Absolute contributions and degrees of freedom: ABS DataLab output rules. Counting units and not rows: this product's invariant 6.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from egress_gate.disclosure.derivation import Aggregate, Derivation
from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.measures import is_plain
from egress_gate.disclosure.tabulation import Cell, MeasureStats, Tabulation

MAGNITUDES = frozenset({"sum", "avg"})
SHAPES = frozenset({"stddev", "variance", "corr"})
POSITIONS = frozenset({"median", "quantile"})
ENDPOINTS = frozenset({"min", "max"})


@dataclass(frozen=True)
class Parameters:
    """The policy's numbers. ``k``, ``p`` and ``share`` are fractions; ``share`` 1 means that the rule is off."""

    min_contributors: int
    dominance_n: int
    dominance_k: float
    p: float
    share: float = 1.0
    max_cells: int = 10_000

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Parameters:
        """From policy's answer or a case file. Raises JudgementFault for a missing or impossible number."""
        try:
            dominance = raw["dominance"]
            k = dominance["k"] if "k" in dominance else dominance["k_percent"] / 100
            p = raw["p_percent"] if raw["p_percent"] < 1 else raw["p_percent"] / 100
            made = cls(
                int(raw["min_contributors"]),
                int(dominance["n"]),
                float(k),
                float(p),
                float(raw.get("group_share_percent", 100)) / 100,
                int(raw.get("max_cells", 10_000)),
            )
        except (KeyError, TypeError, ValueError) as broken:
            raise JudgementFault(
                "The table could not be judged.",
                why="The parameters of the checks are incomplete.",
                do="Give min_contributors, dominance {n, k} and p_percent.",
            ) from broken
        if (
            made.min_contributors < 1
            or made.dominance_n not in (1, 2)
            or not 0 < made.dominance_k <= 1
            or not 0 <= made.p < 1
        ):
            raise JudgementFault(
                "The table could not be judged.",
                why="A parameter is outside what the rules know.",
                do="Dominance works with the largest one or two contributors.",
            )
        return made


@dataclass(frozen=True)
class CellFinding:
    """``rule`` broken by the value ``column`` of a cell (by the whole cell when empty), with the figures for the steward."""

    rule: str
    column: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


def cell_findings(cell: Cell, aggregates: Sequence[Aggregate], rules: Parameters) -> list[CellFinding]:
    """All primary rules on one cell. A cell that nobody stands behind is a zero and breaks nothing but that."""
    if cell.contributors == 0:
        return [CellFinding("zero")]
    found = []
    if cell.contributors < rules.min_contributors:
        found.append(CellFinding("min_contributors", "", {"contributors": cell.contributors}))
    for one in aggregates:
        counted = len(aggregates) > 1 and _counted(one, aggregates)
        found += _value_findings(one, cell, cell.stats[one.name], rules, counted=counted)
    return found + _spaced(cell, aggregates, rules) + _rows_beyond_people(cell, aggregates, rules)


def _rows_beyond_people(cell: Cell, aggregates: Sequence[Aggregate], rules: Parameters) -> list[CellFinding]:
    """Rows minus people is a sum: what everybody has beyond one row. Its own contributors must be enough, and none may be most of it."""
    found = []
    people = [a for a in aggregates if a.of_unit]
    for one in (a for a in aggregates if a.func == "count" and not a.of_unit):
        stats = cell.stats[one.name]
        more = stats.rows - stats.units
        if more <= 0 or not any(_same_rows(one, p) for p in people):
            continue
        if more < rules.min_contributors:
            found.append(CellFinding("min_contributors", one.name, {"rows_beyond_people": more}))
        largest, second = (max(x - 1.0, 0.0) for x in (stats.top1, stats.top2))
        beyond = MeasureStats(stats.units, stats.rows, float(more), largest, second)
        found += _dominance(one.name, beyond, rules)
    return found


def _same_rows(one: Aggregate, other: Aggregate) -> bool:
    return one.where == other.where


def _spaced(cell: Cell, aggregates: Sequence[Aggregate], rules: Parameters) -> list[CellFinding]:
    """Between two quantiles of one column stand enough people: a hundred of them side by side are the records, in order. By the
    columns they are taken of, so that a scaled or filtered column is no other one."""
    found = []
    asked: dict[frozenset[str], list[Aggregate]] = {}
    for one in aggregates:
        if one.func in POSITIONS and one.argument is not None:
            asked.setdefault(frozenset(c.name.casefold() for c in one.argument.find_all(exp.Column)), []).append(one)
    for group in asked.values():
        shares = sorted({one.parameter or 0.5 for one in group})
        units = min(cell.stats[one.name].units for one in group)
        closest = min((b - a for a, b in itertools.pairwise(shares)), default=1.0)
        if units * closest < rules.min_contributors:
            found += [CellFinding("quantile", one.name, {"between": units * closest}) for one in group]
    return found


def _counted(one: Aggregate, aggregates: Sequence[Aggregate]) -> bool:
    """Whether another value of the table may tell of those whom this one leaves out: it counts them, or adds something up over
    others. The number of rows or of people alone tells neither, but beside the number of those with a value."""
    others = [a for a in aggregates if a is not one and not a.of_unit and (a.chooses or a.argument is not None)]
    everybody = [a for a in aggregates if a.func == "count" and not a.chooses and (a.argument is None or a.of_unit)]
    with_value = one.func == "count" and one.argument is not None and not one.of_unit
    return one.chooses or (one.argument is not None and bool(others)) or (with_value and bool(everybody))


def _behind(one: Aggregate, stats: MeasureStats, *, counted: bool) -> list[int]:
    """The groups of people whose size one value tells: those with a value; those whose value is not zero, where a condition or another
    column chose them or where all have the same (a sum of 0/1 is a count, and so is its deviation); those with the rarer of two values,
    however these are coded (the mean of 1 and 2 tells how many have 2); those left out, where other values tell how many they are."""
    groups = [stats.units]
    measured = one.func in MAGNITUDES | SHAPES
    indicator = measured and abs(stats.top1 * stats.nonzero - stats.total) <= 1e-9 * stats.total
    if one.func != "count" and (one.chooses or one.weighs or indicator or one.func in SHAPES):
        groups.append(stats.nonzero)
    if one.func in SHAPES and indicator:
        groups.append(stats.units - stats.nonzero)
    if measured:
        groups.append(stats.rarer)
    if (one.chooses and one.func != "count") or counted:
        groups.append(stats.left_out)
    return groups


def _value_findings(
    one: Aggregate, cell: Cell, stats: MeasureStats, rules: Parameters, *, counted: bool
) -> list[CellFinding]:
    found = []
    threshold = rules.min_contributors
    if cell.contributors >= threshold:
        groups = _behind(one, stats, counted=counted)
        if one.of_unit and counted:  # a person with rows on both sides of the condition is not left out
            groups.append(cell.contributors - stats.units)
        small = [n for n in groups if 0 < n < threshold]
        if small or (one.func != "count" and stats.units == 0):
            found.append(CellFinding("min_contributors", one.name, {"contributors": min(small, default=0)}))
    if one.func in MAGNITUDES:
        found += _dominance(one.name, stats, rules)
    if one.func in SHAPES and stats.units - 1 < threshold:
        found.append(CellFinding("degrees_of_freedom", one.name, {"degrees": stats.units - 1}))
    if one.func in POSITIONS:
        share = min(one.parameter or 0.5, 1 - (one.parameter or 0.5))
        if stats.units * share < threshold:
            found.append(CellFinding("quantile", one.name, {"beyond": stats.units * share}))
    if one.func in ENDPOINTS:
        found.append(CellFinding("order_statistic", one.name))
    if stats.rows < cell.rows and one.argument is not None and one.where is None and one.func != "count":
        found.append(CellFinding("missing", one.name, {"missing": cell.rows - stats.rows}))
    return found


def _dominance(name: str, stats: MeasureStats, rules: Parameters) -> list[CellFinding]:
    """(n,k) and p %; a total of zero is every contributor's own zero, which the class rules look at."""
    if stats.total <= 0:
        return []
    found = []
    largest = stats.top1 + (stats.top2 if rules.dominance_n == 2 else 0.0)
    figures = {"top1": stats.top1, "top2": stats.top2, "total": stats.total}
    if largest >= rules.dominance_k * stats.total:
        found.append(CellFinding("dominance", name, figures))
    if stats.total - stats.top1 - stats.top2 < rules.p * stats.top1:
        found.append(CellFinding("p_percent", name, figures))
    return found


def class_findings(table: Tabulation, derivation: Derivation, rules: Parameters) -> dict[int, list[CellFinding]]:
    """Class disclosure by cell number: a *full* cell holds everybody of its group, so that being in the group tells the category.

    A group is the cells that differ in one key only. Looked at for cells of the full grouping set, where a key has several values. The
    category may stand in a value as well (`_told_of_all`).
    """
    found = _told_of_all(table, derivation, rules)
    detailed = [(i, c) for i, c in enumerate(table.cells) if not c.totals]
    for name in table.keys:
        if len({_text(c.key[name]) for _, c in detailed}) < 2:
            continue
        groups: dict[tuple[Any, ...], list[int]] = {}
        for i, cell in detailed:
            groups.setdefault(tuple(_text(cell.key[k]) for k in table.keys if k != name), []).append(i)
        for members in groups.values():
            people = [table.cells[i].contributors for i in members]
            total = sum(people)
            for i, n in zip(members, people, strict=True):
                if total and n == total:
                    found.setdefault(i, []).append(CellFinding("full", "", {"key": name}))
                elif total and rules.share < 1 and n > rules.share * total:
                    found.setdefault(i, []).append(CellFinding("group_share", "", {"key": name, "share": n / total}))
    return found


def _told_of_all(table: Tabulation, derivation: Derivation, rules: Parameters) -> dict[int, list[CellFinding]]:
    """Cells of which a value tells the same of everybody, and of others of the table something else: everybody or nobody meets a
    condition inside the aggregate, or all have the least or the greatest number, or no two differ (a deviation of 0)."""
    found: dict[int, list[CellFinding]] = {}
    enough = [(i, c) for i, c in enumerate(table.cells) if c.contributors >= rules.min_contributors]
    for one in derivation.aggregates:
        conditioned = one.where is not None or not is_plain(one.argument) or (one.derived and _marks(one, table))
        sides = {i: _side(one, c) if conditioned else "" for i, c in enumerate(table.cells) if c.contributors}
        mixed = len(set(sides.values())) > 1
        for i, cell in enough:
            if (mixed and sides[i]) or _same_of_all(one, cell):
                found.setdefault(i, []).append(CellFinding("full", one.name, {"value": one.name}))
    return found


def _marks(one: Aggregate, table: Tabulation) -> bool:
    """Whether what is added up or counted is one number wherever it is not 0 or missing."""
    every = [c.stats[one.name] for c in table.cells]
    equal = all(abs(s.top1 * s.nonzero - s.total) <= 1e-9 * s.total for s in every)
    return one.func == "count" or (equal and len({s.top1 for s in every if s.nonzero}) == 1)


def _side(one: Aggregate, cell: Cell) -> str:
    """``all`` or ``none`` of the people of the cell meet the condition inside the aggregate, else empty."""
    stats = cell.stats[one.name]
    if stats.units == 0 or (one.func != "count" and stats.nonzero == 0):
        return "none"
    everybody = stats.units == cell.contributors if one.of_unit else stats.left_out == 0
    return "all" if everybody else ""


def _same_of_all(one: Aggregate, cell: Cell) -> bool:
    """No deviation (a billionth of the mean is none), or a correlation that cannot be computed for want of one."""
    stats, value = cell.stats[one.name], cell.values.get(one.name)
    if one.func in MAGNITUDES:
        return stats.shared
    if one.func not in SHAPES or stats.units < 2:
        return False
    if value is None or value != value:
        return True
    return one.func != "corr" and abs(float(value)) <= 1e-9 * stats.total / max(1, stats.rows)


def _text(value: Any) -> str:
    return f"{type(value).__name__}:{value}"
