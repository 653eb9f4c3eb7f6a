"""Noise: calibrated by OpenDP's own map, rows under the threshold left out, what cannot be protected refused."""

from __future__ import annotations

import math

import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.privacy import add_noise, clipped, people_threshold, require_one_row_each
from egress_gate.disclosure.tabulation import Cell, MeasureStats
from egress_gate.service.noise import OpenDpMechanism

COLUMNS = {"id": "BIGINT", "sex": "VARCHAR", "region": "VARCHAR", "pay": "DOUBLE"}
CATALOGUE = {"d.t": TableSchema("d", "t", COLUMNS, "id"), "d.u": TableSchema("d", "u", COLUMNS, "id")}


def read(sql: str) -> Derivation:
    return parse(sql, CATALOGUE)


def cell(people: int, /, **values: float) -> Cell:
    stats = dict.fromkeys(values, MeasureStats(people, people, 0.0, 0.0, 0.0))
    return Cell({"sex": "f"}, frozenset(), values, people, people, stats)


class Recorder:
    """No noise, but a list of what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float, float]] = []

    def count(self, value: int, epsilon: float, /) -> int:
        self.asked.append(("count", 1.0, epsilon))
        return value

    def sum(self, value: float, sensitivity: float, epsilon: float, /) -> float:
        self.asked.append(("sum", sensitivity, epsilon))
        return value


def test_columns_and_grouping_sets_share_epsilon() -> None:
    sql = "SELECT sex, region, count(*) AS n, sum(pay) AS pay FROM t GROUP BY ROLLUP (sex, region)"
    recorder = Recorder()
    add_noise(read(sql), [cell(50, n=50, pay=9.0)], 0.6, 1e-6, {"pay": (-10.0, 100.0)}, recorder)
    assert recorder.asked == [("count", 1.0, pytest.approx(0.1)), ("sum", 100.0, pytest.approx(0.1))]


def test_rows_and_people_are_one_figure_and_paid_once() -> None:
    recorder = Recorder()
    sql = "SELECT sex, count(*) AS n, count(DISTINCT id) AS people FROM t GROUP BY sex"
    made = add_noise(read(sql), [cell(90, n=90, people=90)], 1.0, 1e-6, {}, recorder)
    assert recorder.asked == [("count", 1.0, 1.0)]
    assert made.cells == ({"n": 90, "people": 90},)


def test_a_row_under_the_threshold_is_left_out_whole() -> None:
    made = add_noise(read("SELECT sex, count(*) AS n FROM t GROUP BY sex"), [cell(1, n=1)], 1.0, 1e-6, {}, Recorder())
    assert made.cells == (None,)


@pytest.mark.parametrize(("epsilon", "delta"), [(1.0, 1e-6), (0.1, 1e-6), (0.5, 1e-9), (8.0, 1e-3)])
def test_the_threshold_is_the_least_that_hides_one_person(epsilon: float, delta: float) -> None:
    a = math.exp(-epsilon)

    def passes(threshold: int) -> float:
        return a ** (threshold - 1) / (1 + a)

    threshold = people_threshold(epsilon, delta)
    assert passes(threshold) <= delta
    assert threshold == 2 or passes(threshold - 1) > delta


@pytest.mark.parametrize(
    ("sql", "bounds"),
    [
        ("SELECT t.sex, count(*) AS n FROM t JOIN u ON t.id = u.id GROUP BY t.sex", {}),
        ("SELECT sex, avg(pay) AS pay FROM t GROUP BY sex", {"pay": (0.0, 1.0)}),
        ("SELECT sex, sum(pay) AS pay FROM t GROUP BY sex", {}),
        ("SELECT sex, count(*) AS n FROM t GROUP BY sex", {"n": (0.0, 1.0)}),
    ],
)
def test_what_noise_cannot_protect_is_refused(sql: str, bounds: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(JudgementFault):
        clipped(read(sql), bounds)


def test_several_rows_of_one_person_are_refused() -> None:
    require_one_row_each(7, 7)
    with pytest.raises(JudgementFault):
        require_one_row_each(8, 7)


def test_sums_are_clipped_before_they_are_added_up() -> None:
    made = clipped(read("SELECT sex, sum(pay) AS pay FROM t GROUP BY sex"), {"pay": (-5.0, 100.0)})
    sql = made.canonical_sql()
    assert sql.index("SUM(") < sql.index("LEAST(") < sql.rindex("100.0")
    assert "NULL" in sql  # a missing value stays missing and is not lifted to the lower bound


def test_opendp_draws_with_the_spread_that_was_paid_for() -> None:
    mechanism = OpenDpMechanism()
    draws = [mechanism.count(100, 0.5) for _ in range(4000)]
    assert all(isinstance(d, int) for d in draws)
    assert abs(sum(draws) / len(draws) - 100) < 0.5
    a = math.exp(-0.5)
    variance = 2 * a / (1 - a) ** 2
    assert abs(sum((d - 100) ** 2 for d in draws) / len(draws) / variance - 1) < 0.25
    sums = [mechanism.sum(0.0, 50.0, 0.5) for _ in range(4000)]
    assert abs(sum(abs(s) for s in sums) / len(sums) / 100.0 - 1) < 0.15
    assert len(set(sums)) > 3900
