"""The search for a cheaper pattern may be cut off anywhere: what it leaves protects."""

from __future__ import annotations

from itertools import count

import pytest

from egress_gate.disclosure.linear import LinearTable
from egress_gate.disclosure.suppression import Effort, protect
from egress_gate.disclosure.suppression.cuts import Separator
from egress_gate.disclosure.suppression.targets import targets_of
from egress_gate.disclosure.suppression.trimming import trim
from tests.benchmarks.suppression import counts, linear_table


@pytest.fixture
def table() -> LinearTable:
    made = linear_table(counts((6, 5, 4), 1))
    assert isinstance(made, LinearTable)
    return made


@pytest.mark.parametrize("looks", [0, 1, 3, 8, 21, 55, 144])
def test_a_search_cut_off_after_any_step_leaves_a_safe_pattern(table: LinearTable, looks: int) -> None:
    asked = count()
    pattern = protect(table, Effort(left=lambda: 60.0 if next(asked) < looks else 0.0, exact_intervals=False))
    assert pattern.safe


def test_a_trim_without_any_time_gives_nothing_up(table: LinearTable) -> None:
    found = protect(table, Effort(search=False, exact_intervals=False)).suppressed
    separator = Separator(table, targets_of(table))
    assert (trim(separator, found, [], set(), lambda: 0.0) == found).all()
