"""Which cells of a table are hidden: the primary ones, and those that margins would otherwise give back.

Every additive quantity of the table (row counts, people where they add up, sums, averages times their rows) is a linear
table of its own; a cell is hidden in all its columns at once, so each quantity starts from what the others hid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from egress_gate.disclosure.derivation import Aggregate, Derivation
from egress_gate.disclosure.linear import Levels, LinearTable, from_equations, grouping_equations
from egress_gate.disclosure.rules import CellFinding, Parameters
from egress_gate.disclosure.suppression import (
    Effort,
    Level,
    count_level,
    dominance_level,
    p_percent_level,
    protect,
    strictest,
)
from egress_gate.disclosure.tabulation import Cell, MeasureStats, Tabulation

PRIMARY = frozenset({"min_contributors", "dominance", "p_percent", "full", "quantile", "degrees_of_freedom"})
_TOTAL = ("total",)


@dataclass(frozen=True)
class Protection:
    """For each cell None, ``primary`` or ``secondary``; ``safe`` False when some cell could not be protected."""

    suppressed: tuple[str | None, ...]
    safe: bool
    optimal: bool


@dataclass(frozen=True)
class Quantity:
    """One additive column: cell values, and what the rules require of each primary cell."""

    name: str
    values: np.ndarray
    levels: tuple[Level, ...]


def is_primary(findings: Sequence[CellFinding]) -> bool:
    return any(f.rule in PRIMARY for f in findings)


def protect_table(
    derivation: Derivation,
    table: Tabulation,
    findings: Mapping[int, Sequence[CellFinding]],
    rules: Parameters,
    left: Callable[[], float],
    hidden: frozenset[int] = frozenset(),
    withheld: frozenset[int] = frozenset(),
) -> Protection:
    """Suppress. ``hidden``: cells that the analyst already left blank, ``withheld``: that other tables of the request need hidden.
    ``left()``: seconds that remain for searching."""
    asked, nobody = len(table.cells), empty_beside(table, findings)
    table = replace(table, cells=(*table.cells, *nobody))
    primary = np.array(
        [is_primary(findings.get(i, ())) or i in hidden or i >= asked for i in range(len(table.cells))], dtype=bool
    )
    apart = np.array([i in withheld for i in range(len(table.cells))], dtype=bool) & ~primary
    if not primary.any():
        kinds = tuple("secondary" if one else None for one in apart)
        return Protection(kinds, safe=True, optimal=True)
    equations = table_equations(table)
    suppressed, safe, optimal = primary | apart, True, True
    told = frozenset(
        f.figures["value"] for one in findings.values() for f in one if f.rule == "full" and "value" in f.figures
    )
    wanted = quantities(derivation, table, rules, told)
    for _ in range(2):  # a second round, because a later quantity may have hidden what an earlier one leaned on
        before = suppressed.copy()
        for quantity in wanted:
            pattern = protect(
                _linear(quantity, equations, primary, suppressed, table), Effort(left=left, audit_left=left)
            )
            suppressed |= pattern.suppressed
            safe, optimal = pattern.safe, optimal and pattern.optimal
            if not safe:
                break
        if not safe or (suppressed == before).all():
            break
    marks = tuple("primary" if p else "secondary" if s else None for p, s in zip(primary, suppressed, strict=True))
    return Protection(marks[:asked], safe, optimal)


def empty_beside(table: Tabulation, findings: Mapping[int, Sequence[CellFinding]]) -> list[Cell]:
    """Cells that a full cell leaves empty, with nobody in them. They have no row, but margins give their 0 back, and with it that the
    other is full: so they are hidden as if they had one, which to a reader is the same."""
    there = {cell.place for cell in table.cells}
    made: dict[tuple[Any, ...], Cell] = {}
    for i, found in findings.items():
        for name in (f.figures["key"] for f in found if f.rule == "full" and "key" in f.figures):
            for value in {c.key[name] for c in table.cells if name not in c.totals} - {table.cells[i].key[name]}:
                none = MeasureStats(0, 0, 0.0, 0.0, 0.0)
                key = {**table.cells[i].key, name: value}
                cell = Cell(key, frozenset(), dict.fromkeys(table.values, 0), 0, 0, dict.fromkeys(table.values, none))
                if cell.place not in there:
                    made[cell.place] = cell
    return list(made.values())


def table_equations(table: Tabulation) -> list[dict[int, float]]:
    """The table's margins as equations between cell numbers; whether a column fulfils them is another question."""
    return grouping_equations([_key(cell) for cell in table.cells], _TOTAL)


def holding(
    equations: Sequence[Mapping[int, float]], values: Sequence[float] | np.ndarray
) -> list[Mapping[int, float]]:
    """The equations that hold for a column: people who stand in several categories do not add up."""
    return [
        e
        for e in equations
        if abs(sum(c * values[i] for i, c in e.items()))
        <= 1e-6 * max(1.0, sum(abs(c * values[i]) for i, c in e.items()))
    ]


def _key(cell: Cell) -> tuple[object, ...]:
    return tuple(_TOTAL if total else (type(value).__name__, value) for _, value, total in cell.place)


def quantities(
    derivation: Derivation, table: Tabulation, rules: Parameters, told: frozenset[str] = frozenset()
) -> list[Quantity]:
    """People first (they carry the threshold), then every released column that adds up. ``told``: columns that say the same of everybody in
    some cell; what such a column leaves out adds up too, and must not be known to be nothing."""
    people = np.array([float(c.contributors) for c in table.cells])
    levels = tuple(count_level(c.contributors, rules.min_contributors) for c in table.cells)
    made = [Quantity("contributors", people, levels)]
    for one in derivation.aggregates:
        values = _additive(one, table)
        if values is not None:
            made.append(Quantity(one.name, values, tuple(level_of(one, c, rules) for c in table.cells)))
        if values is not None and one.name in told and (rest := _left_out(one, table, values)) is not None:
            levels = tuple(count_level(round(n), rules.min_contributors) for n in rest.tolist())
            made.append(Quantity(f"not {one.name}", rest, levels))
    return made


def _left_out(one: Aggregate, table: Tabulation, values: np.ndarray) -> np.ndarray | None:
    """How far a column is from the most that it could be: those who do not meet its condition, or do not have its greatest number.
    None where it is no such column."""
    if one.func == "count":
        whole = np.array([float(c.contributors if one.of_unit else c.rows) for c in table.cells])
    else:
        most = max((c.stats[one.name].top1 for c in table.cells), default=0.0)
        whole = np.array([most * c.stats[one.name].rows for c in table.cells])
    rest = whole - values
    return rest if (rest >= -1e-9 * np.abs(whole)).all() else None


def _additive(one: Aggregate, table: Tabulation) -> np.ndarray | None:
    numbers = [c.values.get(one.name) for c in table.cells]
    if one.func == "avg":
        products = [(n or 0.0) * c.stats[one.name].rows for n, c in zip(numbers, table.cells, strict=True)]
        return np.array(products, dtype=float)
    if one.func in ("count", "sum"):
        return np.array([float(n or 0.0) for n in numbers])
    return None


def level_of(one: Aggregate, cell: Cell, rules: Parameters) -> Level:
    """What the rules require of a primary cell's figure in one column."""
    stats = cell.stats[one.name]
    if one.func == "count":
        return count_level(int(cell.values.get(one.name) or 0), rules.min_contributors)
    needs = [p_percent_level(stats.top1, stats.top2, stats.total, rules.p)]
    largest = [stats.top1] if rules.dominance_n == 1 else [stats.top1, stats.top2]
    needs.append(dominance_level(largest, stats.total, rules.dominance_k))
    if cell.contributors < rules.min_contributors:
        needs.append(Level(rules.p * stats.total, rules.p * stats.total))
    return strictest(needs)


def _linear(
    quantity: Quantity,
    equations: Sequence[Mapping[int, float]],
    primary: np.ndarray,
    suppressed: np.ndarray,
    table: Tabulation,
) -> LinearTable:
    """The quantity with the equations that hold for it: people who stand in several categories do not add up."""
    lower = np.where(suppressed & ~primary, 0.0, [level.lower for level in quantity.levels])
    upper = np.where(suppressed & ~primary, 0.0, [level.upper for level in quantity.levels])
    negative = bool((quantity.values < 0).any())
    return from_equations(
        quantity.values,
        holding(equations, quantity.values),
        Levels(
            primary=suppressed,
            lower=lower if negative else np.minimum(lower, np.maximum(quantity.values, 0.0)),
            upper=upper,
            cost=np.where(suppressed, 0.0, np.sqrt([max(c.contributors, 0) for c in table.cells]) + 1),
            lower_bound=-np.inf if negative else 0.0,
            contributors=[c.contributors for c in table.cells],
        ),
    )
