"""HAVING as a question about figures that the table does not show: every answer must follow from what leaves without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installation.fault import Fault
from tests.assessed import assessed, table

BOTH = "SELECT region, sex, count(*) AS n, sum(x) AS total FROM t GROUP BY CUBE (region, sex)"
Judge = Callable[..., dict[str, Any]]
_SAME = ("decision", "reasons", "audit", "audit_verdict", "findings")


@pytest.fixture
def assess(tmp_path: Path) -> Judge:
    """Four regions by two sexes, 20 people in each but for three men in W."""
    people = [(r, s, n) for r in "NSEW" for s in "FM" for n in range(3 if (r, s) == ("W", "M") else 20)]
    lines = [f"{i},{region},{sex},{100 + n}" for i, (region, sex, n) in enumerate(people)]
    tables = table(tmp_path, "t", "id,region,sex,x", lines)

    def run(sql: str, **more: Any) -> dict[str, Any]:
        return assessed(tmp_path, tables, sql, **{"classification": "public", "protect": True, **more})

    return run


def leaving(answer: dict[str, Any]) -> list[Any]:
    return [(c["key"], c["values"]) for c in answer["cells"] if c["suppressed"] is None]


def hidden(answer: dict[str, Any]) -> list[Any]:
    return [(c["key"], c["suppressed"]) for c in answer["cells"] if c["suppressed"]]


def test_bisecting_a_hidden_count_gets_the_same_answer_for_every_bound(assess: Judge) -> None:
    whole = assess(BOTH)
    assert ({"region": "W", "sex": "M"}, "primary") in hidden(whole)
    for condition in (f"count(*) {how} {k}" for how in (">", "<=", "=") for k in (0, 2, 3, 4, 20)):
        answer = assess(f"{BOTH} HAVING {condition}")
        assert hidden(answer) == hidden(whole), condition
        assert {k: answer[k] for k in _SAME} == {k: whole[k] for k in _SAME}, condition
        assert all(row in leaving(whole) for row in leaving(answer)), condition


@pytest.mark.parametrize(
    "condition",
    [
        "total > 150",
        "n = 3 OR n > 0",
        "region = 'W' AND sex = 'M'",
        "NOT (region = 'W' AND sex = 'M' AND n = 3)",
        "n IS NULL",
        "(region = 'W' AND sex = 'M' AND n > 2) OR n > 1000",
        "n IN (1, 2, 3)",
    ],
)
def test_no_condition_makes_a_hidden_row_count(assess: Judge, condition: str) -> None:
    """What leaves is a function of the table that leaves without it: the same rows, chosen by their own figures."""
    whole, answer = assess(BOTH), assess(f"{BOTH} HAVING {condition}")
    assert hidden(answer) == hidden(whole)
    assert {k: answer[k] for k in _SAME} == {k: whole[k] for k in _SAME}
    assert all(row in leaving(whole) for row in leaving(answer))


def test_a_condition_on_a_hidden_row_alone_tells_nothing_whatever_it_says(assess: Judge) -> None:
    told = [
        leaving(assess(f"{BOTH} HAVING region = 'W' AND sex = 'M' AND count(*) {how} 3")) for how in ("=", "<>", ">")
    ]
    assert told == [[], [], []]


@pytest.mark.parametrize("figure", ["max(x)", "min(x)", "avg(x)", "sum(x * 2)", "count(DISTINCT id)", "median(x)", "x"])
def test_a_figure_that_is_not_published_cannot_be_asked_about(assess: Judge, figure: str) -> None:
    with pytest.raises(Fault) as refusal:
        assess(f"{BOTH} HAVING {figure} > 118")
    assert "HAVING" in refusal.value.what
    assert "Publish it too" in refusal.value.do


def test_a_small_cell_that_nobody_protects_is_not_made_safe_by_leaving_it_out(assess: Judge) -> None:
    """Its absence beside the total would tell it."""
    answer = assess(f"{BOTH} HAVING count(*) >= 10", protect=False)
    assert answer["decision"] == "refuse"


def test_the_whole_table_after_one_with_having_is_the_same_table_again(assess: Judge) -> None:
    blank = [k for k, _ in hidden(assess(BOTH))]
    before = assess(BOTH)["sql"]
    part = assess(f"{BOTH} HAVING n > 1000")["sql"]
    assert part.startswith(before)
    fresh = assess(BOTH)
    for sql in (before, part):
        again = assess(BOTH, earlier=[{"sql": sql, "suppressed": blank}])
        assert {k: again[k] for k in _SAME} == {k: fresh[k] for k in _SAME}


@pytest.mark.parametrize("condition", ["", " HAVING n > 1000", " HAVING n >= 0", " HAVING sex IS NULL"])
def test_rows_that_having_left_out_before_count_as_published(assess: Judge, condition: str) -> None:
    """Nobody may collect the parts of a difference through conditions that seem to publish nothing."""
    sql = f"SELECT sex, count(*) AS n, sum(x) AS s FROM t GROUP BY ROLLUP (sex){condition}"
    earlier = [{"sql": sql}]
    answer = assess("SELECT count(*) AS n FROM t WHERE NOT (region = 'W' AND sex = 'M')", earlier=earlier)
    assert answer["decision"] == "refuse"
    assert answer["audit"][0]["collides_with"] == [0]


def test_having_on_the_new_table_hides_nothing_from_the_audit(assess: Judge) -> None:
    earlier = [{"sql": "SELECT count(*) AS n FROM t"}]
    sql = "SELECT count(*) AS n FROM t WHERE NOT (region = 'W' AND sex = 'M') HAVING n > 1000000"
    answer = assess(sql, earlier=earlier)
    assert answer["decision"] == "refuse"
    assert answer["cells"] == []
