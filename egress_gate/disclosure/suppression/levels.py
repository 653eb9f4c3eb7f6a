"""Protection levels: how far from the truth an attacker's interval of a primary cell has to reach.

Formulas: Handbook on Statistical Disclosure Control, section 4.2 ("Sensitivity rules") and its table of upper protection
levels. `x1 >= x2 >= ...` are the absolute contributions to the cell, `X` their total. The lower level equals the upper by
symmetry. With negative contributions all figures are of absolute values, as ABS applies the dominance rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """The interval must reach `value - lower` and `value + upper`."""

    lower: float
    upper: float


def count_level(count: int, threshold: int) -> Level:
    """For a small count: somebody must be able to believe in `threshold` units, and in one unit less than there are.

    A zero that has to be hidden gets a protection of one unit of its own: with none, the optimum would ignore it.
    """
    if count <= 0:
        return Level(0.0, 1.0)
    return Level(1.0, float(max(threshold - count, 1)))


def dominance_level(largest: Sequence[float], total: float, k: float) -> Level:
    """(n,k) rule: `100/k * (x1 + ... + xn) - X`; `largest` are the n largest, `k` a share between 0 and 1."""
    need = max(sum(largest) / k - total, 0.0)
    return Level(need, need)


def p_percent_level(top1: float, top2: float, total: float, p: float) -> Level:
    """p % rule: `p/100 * x1 - (X - x1 - x2)`; `p` a share between 0 and 1."""
    need = max(p * top1 - (total - top1 - top2), 0.0)
    return Level(need, need)


def pq_level(top1: float, top2: float, total: float, p: float, q: float) -> Level:
    """(p,q) rule: `p/q * x1 - (X - x1 - x2)`: attackers know contributions to within q beforehand."""
    need = max(p / q * top1 - (total - top1 - top2), 0.0)
    return Level(need, need)


def strictest(levels: Sequence[Level]) -> Level:
    """The level that satisfies every rule that fired."""
    return Level(max((x.lower for x in levels), default=0.0), max((x.upper for x in levels), default=0.0))
