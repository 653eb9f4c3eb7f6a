"""Controlled rounding: multiples, sums that hold, and an attacker who cannot tell a small count from a larger one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from egress_gate.disclosure.linear import forever, grouping_equations
from egress_gate.disclosure.rounding import Rounded, round_counts

BASE = 5


def with_margins(inner: np.ndarray) -> tuple[list[int], list[dict[int, float]]]:
    keys = list(itertools.product(*[(*range(n), "T") for n in inner.shape]))
    values = [int(inner[tuple(slice(None) if k == "T" else k for k in key)].sum()) for key in keys]
    return values, grouping_equations(keys, "T")


def rounded(shape: Sequence[int], numbers: list[int]) -> tuple[np.ndarray, list[dict[int, float]], Rounded]:
    values, equations = with_margins(np.array(numbers).reshape(shape))
    return np.array(values), equations, round_counts(values, equations, BASE, forever)


two = st.lists(st.integers(0, 30), min_size=12, max_size=12)
three = st.lists(st.integers(0, 30), min_size=12, max_size=12)


@settings(max_examples=60, deadline=None)
@given(two)
def test_a_table_of_two_keys_is_rounded_to_its_neighbours_and_still_adds_up(numbers: list[int]) -> None:
    values, equations, made = rounded((3, 4), numbers)
    assert made.additive
    assert made.restricted
    assert (made.values % BASE == 0).all()
    assert (np.abs(made.values - values) < BASE).all()
    assert (made.values[values % BASE == 0] == values[values % BASE == 0]).all()
    for one in equations:
        assert sum(c * made.values[i] for i, c in one.items()) == 0


@settings(max_examples=40, deadline=None)
@given(three)
def test_a_table_of_three_keys_adds_up(numbers: list[int]) -> None:
    _, equations, made = rounded((2, 3, 2), numbers)
    assert made.additive
    assert (made.values % BASE == 0).all()
    assert (made.values >= 0).all()
    for one in equations:
        assert sum(c * made.values[i] for i, c in one.items()) == 0


@settings(max_examples=25, deadline=None)
@given(two)
def test_an_attacker_with_all_margins_gets_no_closer_than_the_base(numbers: list[int]) -> None:
    """Knowing the method: each figure is less than a base away, all true figures add up and none is negative."""
    _, equations, made = rounded((3, 4), numbers)
    size = len(made.values)
    matrix = np.zeros((len(equations), size))
    for row, one in enumerate(equations):
        for cell, entry in one.items():
            matrix[row, cell] = entry
    bounds = [(max(0, int(v) - BASE + 1), int(v) + BASE - 1) for v in made.values]
    for cell in range(size):
        ends = []
        for sign in (1.0, -1.0):
            cost = np.zeros(size)
            cost[cell] = sign
            ends.append(sign * linprog(cost, A_eq=matrix, b_eq=np.zeros(len(equations)), bounds=bounds).fun)
        assert ends[1] - ends[0] >= BASE - 1 - 1e-6
        assert ends[1] >= BASE - 1 - 1e-6


def test_the_same_table_is_rounded_alike() -> None:
    numbers = list(range(12))
    assert (rounded((3, 4), numbers)[2].values == rounded((3, 4), numbers)[2].values).all()


def test_out_of_time_the_table_still_adds_up() -> None:
    values, equations = with_margins(np.array([[3, 3, 3], [3, 3, 3]]))
    made = round_counts(values, equations, 5, lambda: 0.0)
    assert made.additive
    assert not made.restricted  # 18 people are shown as 30: said, not hidden
    assert (made.values % 5 == 0).all()


@pytest.mark.parametrize(
    ("counts", "equations", "base"), [([1], [], 1), ([-1], [], 5), ([1, 3], [{0: 1.0, 1: -1.0}], 5)]
)
def test_what_cannot_be_rounded_is_refused(counts: list[int], equations: list[dict[int, float]], base: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        round_counts(counts, equations, base, forever)


def test_a_large_table_is_rounded_in_seconds() -> None:
    rng = np.random.default_rng(3)
    values, equations = with_margins(rng.poisson(20, (200, 50)))
    made = round_counts(values, equations, 15, lambda: 10.0)
    assert made.additive
    assert made.restricted
