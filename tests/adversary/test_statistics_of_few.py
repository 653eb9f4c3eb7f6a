"""Statistics that are one person's value in other words: found by an attacker from outside, measured here on real rows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from installation.fault import Fault
from tests.assessed import assessed, table


@pytest.fixture
def case(tmp_path: Path) -> Any:
    chance = random.Random(5)
    rows = []
    for n in range(1, 401):
        ill = int(n in (7, 8, 9))
        rows.append(f"{n},{20 + n % 60},{n % 2},{ill},{1000 + chance.randint(0, 900)},{'rare' if n == 11 else 'usual'}")
    people = table(tmp_path, "p", "id,age,male,ill,pay,kind", rows)

    def judged(sql: str, **more: Any) -> dict[str, Any]:
        return assessed(tmp_path, more.pop("tables", people), sql, **more)

    return judged


@pytest.mark.parametrize(
    "value",
    [
        "corr(pay, CASE WHEN kind = 'rare' THEN pay ELSE 0 END)",
        "corr(pay, CASE WHEN kind = 'rare' THEN 1 ELSE 0 END)",
        "corr(CASE WHEN kind = 'rare' THEN 1 ELSE 0 END, pay)",
        "corr(pay, CASE WHEN kind <> 'rare' THEN 1 ELSE 0 END)",
        "corr(pay, ill)",
        "corr(ill, pay)",
        "stddev(ill * pay)",
        "stddev(ill)",
        "variance(ill)",
        "sum(ill * pay)",
        "avg(ill * pay)",
        "sum(ill * age)",
    ],
)
def test_a_value_that_few_stand_behind_is_refused(case: Any, value: str) -> None:
    answer = case(f"SELECT count(*) AS n, avg(pay) AS m, stddev(pay) AS s, {value} AS x FROM p")
    assert answer["decision"] == "refuse"
    assert "min_contributors" in answer["cells"][0]["findings"]


@pytest.mark.parametrize(
    "value", ["corr(pay, age)", "stddev(pay)", "sum(male * pay)", "avg(pay / age)", "corr(pay, male)"]
)
def test_the_same_over_many_people_still_leaves(case: Any, value: str) -> None:
    assert case(f"SELECT count(*) AS n, {value} AS x FROM p")["decision"] == "review"


def test_many_quantiles_are_not_the_records_in_order(case: Any) -> None:
    many = ", ".join(f"quantile_cont(pay, {k / 100}) AS q{k}" for k in range(10, 90))
    answer = case(f"SELECT {many} FROM p")
    assert answer["decision"] == "refuse"
    assert "quantile" in answer["cells"][0]["findings"]
    scaled = ", ".join(f"quantile_cont(pay * {1 + k / 1000}, {k / 100}) AS q{k}" for k in range(10, 90))
    assert case(f"SELECT {scaled} FROM p")["decision"] == "refuse"
    few = ", ".join(f"quantile_cont(pay, {k / 10}) AS q{k}" for k in range(1, 10))
    assert case(f"SELECT {few} FROM p")["decision"] == "review"


def test_people_counted_with_and_without_a_condition_are_not_one_person_apart(case: Any, tmp_path: Path) -> None:
    rows = ["id,day", *(f"{n},{day}" for n in range(1, 201) for day in (1, 6) if (n, day) != (77, 6))]
    (tmp_path / "v.csv").write_text("\n".join(rows) + "\n", "utf-8")
    sql = "SELECT count(DISTINCT id) AS n, count(DISTINCT id) FILTER (WHERE day >= 5) AS m FROM v"
    answer = case(sql, tables={"v": {"path": "v.csv", "unit": "id"}})
    assert answer["decision"] == "refuse"


@pytest.mark.parametrize("how", ["LEFT JOIN", "JOIN"])
def test_a_join_that_ties_nothing_does_not_multiply_one_person(case: Any, how: str) -> None:
    sql = f"SELECT count(*) AS n, sum(a.pay) AS s FROM p AS a {how} p AS b ON a.kind = 'rare' AND b.male = 1"
    with pytest.raises(Fault) as refused:
        case(sql)
    assert "ON" in refused.value.what
