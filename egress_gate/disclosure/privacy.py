"""Counts and bounded sums with noise: differential privacy for one measured table.

Two datasets are neighbours when one person's row is added or removed. Every person has one row, so a person stands in one cell of
each grouping set: each figure of a cell changes by at most 1 (a count) or by the larger bound (a sum clipped to bounds), and the
figures of one column in one grouping set compose in parallel. Columns and grouping sets share epsilon evenly (sequential
composition). Groups that nobody stands behind are not in the data; so that their absence says nothing, a row is published
only if its noisy count reaches a threshold, which a single person's row passes with probability at most delta in all.

Sources: Dwork, McSherry, Nissim and Smith, "Calibrating noise to sensitivity in private data analysis", TCC 2006; Ghosh, Roughgarden
and Sundararajan, "Universally utility-maximizing privacy mechanisms", STOC 2009 (geometric noise); Korolova, Kenthapadi, Mishra
and Ntoulas, "Releasing search queries and clicks privately", WWW 2009 (the threshold).

Chance comes from outside as a `Mechanism`, so that this module stays pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sqlglot import exp

from egress_gate.disclosure.derivation import Aggregate, Derivation
from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.tabulation import Cell

Bounds = Mapping[str, tuple[float, float]]


class Mechanism(Protocol):
    """Noise for one figure of which one person changes at most `sensitivity`, at privacy loss `epsilon`."""

    def count(self, value: int, epsilon: float, /) -> int: ...

    def sum(self, value: float, sensitivity: float, epsilon: float, /) -> float: ...


@dataclass(frozen=True)
class Noisy:
    """For each cell its published figures, None when its row is left out; what one figure cost, and the threshold of people."""

    cells: tuple[Mapping[str, Any] | None, ...]
    epsilon_each: float
    threshold: int


def clipped(derivation: Derivation, bounds: Bounds) -> Derivation:
    """The derivation with each sum clipped to its bounds, person by person. Raises JudgementFault for what noise cannot protect."""
    if len(derivation.tables) != 1:
        raise _unsuitable("it joins tables, so that one person can stand in many rows", "Ask for it over one table.")
    unknown = set(bounds) - {a.name for a in derivation.aggregates if a.func == "sum"}
    if unknown:
        raise _unsuitable(f"there is no sum {sorted(unknown)[0]} to bound", "Name the columns of sums.")
    made = tuple(_clipped(one, bounds) for one in derivation.aggregates)
    return replace(derivation, aggregates=made)


def _clipped(one: Aggregate, bounds: Bounds) -> Aggregate:
    if one.func == "count":
        return one
    if one.func != "sum" or one.argument is None:
        raise _unsuitable(f"{one.name} is neither a count nor a sum", "Ask for counts and sums; divide them yourself.")
    if one.name not in bounds:
        raise _unsuitable(
            f"nothing bounds what one person adds to {one.name}", f'Give "bounds": {{"{one.name}": [low, high]}}.'
        )
    low, high = (
        exp.Literal.number(repr(end)) if end >= 0 else exp.Neg(this=exp.Literal.number(repr(-end)))
        for end in bounds[one.name]
    )
    inside = exp.Least(this=exp.Greatest(this=one.argument.copy(), expressions=[low]), expressions=[high])
    return replace(one, argument=inside)


def require_one_row_each(rows: int, people: int) -> None:
    """Raises JudgementFault unless every row of the whole table is another person's."""
    if rows != people:
        raise _unsuitable("a person has several rows in the table", "Ask for suppression or rounding.")


def add_noise(
    derivation: Derivation, cells: Sequence[Cell], epsilon: float, delta: float, bounds: Bounds, mechanism: Mechanism
) -> Noisy:
    """Noise for every figure of every cell. The count that decides whether a row is shown is paid for like any column."""
    counts = [a for a in derivation.aggregates if a.func == "count"]
    plain = [a for a in counts if _of_everybody(a)]
    others = [a for a in derivation.aggregates if a not in plain]
    sets = len(derivation.grouping_sets)
    each = epsilon / (sets * (1 + len(others)))
    threshold = people_threshold(each, delta / sets)
    made: list[Mapping[str, Any] | None] = []
    for cell in cells:
        people = mechanism.count(cell.contributors, each)
        figures: dict[str, Any] = {a.name: people for a in plain}
        for one in others:
            value = cell.values.get(one.name) or 0
            if one.func == "count":
                figures[one.name] = max(0, mechanism.count(int(value), each))
            else:
                low, high = bounds[one.name]
                figures[one.name] = mechanism.sum(float(value), max(abs(low), abs(high)), each)
        made.append({a.name: figures[a.name] for a in derivation.aggregates} if people >= threshold else None)
    return Noisy(tuple(made), each, threshold)


def _of_everybody(one: Aggregate) -> bool:
    """A count of the cell's people: with one row each, rows and people are the same."""
    return one.where is None and not one.chooses and (one.argument is None or one.of_unit)


def people_threshold(epsilon: float, delta: float) -> int:
    """The least t with P(1 + geometric noise >= t) <= delta; P(noise >= k) = a^k / (1 + a) with a = exp(-epsilon), for k >= 1."""
    a = math.exp(-epsilon)
    least = math.log(delta * (1 + a)) / math.log(a)
    return 1 + max(1, math.ceil(least))


def _unsuitable(why: str, do: str) -> JudgementFault:
    return JudgementFault("Noise cannot protect this table.", why=f"Here {why}.", do=do)
