"""Statistics that are one person's value in other words: found by an attacker from outside, measured here on real rows."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import parse
from egress_gate.disclosure.plan import Plan, Step, plan
from installation.fault import Fault
from tests.assessed import assessed, table


@pytest.fixture
def case(tmp_path: Path) -> Any:
    chance = random.Random(5)
    rows = []
    for n in range(1, 401):
        ill = int(n in (7, 8, 9))
        coded = f"{1 + (n == 11)},{1 + (n not in (5, 6))},{0 if n % 97 == 0 else n / 4}"
        kind = "rare" if n == 11 else "usual"
        rows.append(f"{n},{20 + n % 60},{n % 2},{ill},{1000 + chance.randint(0, 900)},{kind},{coded}")
    people = table(tmp_path, "p", "id,age,male,ill,pay,kind,code,other,score", rows)

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
        "avg(code)",
        "sum(code)",
        "avg(code * 7)",
        "stddev(code)",
        "corr(pay, code)",
        "corr(code, pay)",
        "avg(other)",
        "corr(other, pay)",
        "sum(CASE WHEN kind <> 'rare' THEN 1 ELSE 0 END)",
    ],
)
def test_a_value_that_few_stand_behind_is_refused(case: Any, value: str) -> None:
    answer = case(f"SELECT count(*) AS n, avg(pay) AS m, stddev(pay) AS s, {value} AS x FROM p")
    assert answer["decision"] == "refuse"
    assert "min_contributors" in answer["cells"][0]["findings"]


@pytest.mark.parametrize(
    "value",
    [
        "corr(pay, age)",
        "stddev(pay)",
        "sum(male * pay)",
        "avg(pay / age)",
        "corr(pay, male)",
        "avg(male)",
        "corr(pay, score)",
    ],
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


@pytest.mark.parametrize("value", ["avg(code)", "corr(pay, code)", "stddev(code)"])
@pytest.mark.parametrize("unit", [None, "id"])
def test_a_rare_code_is_found_in_each_cell_and_in_margins(tmp_path: Path, value: str, unit: str | None) -> None:
    """In the region of the one who has it and over all regions; not in the others. With and without people of several rows."""
    rows = [f"{n % 300},{'NS'[n % 2]},{1000 + 7 * n % 900},{1 + (n == 101)}" for n in range(600)]
    tables = table(tmp_path, "p", "id,region,pay,code", rows) | {"p": {"path": "p.csv", "unit": unit}}
    answer = assessed(tmp_path, tables, f"SELECT region, count(*) AS n, {value} AS x FROM p GROUP BY ROLLUP(region)")
    found = {cell["key"]["region"]: "min_contributors" in cell["findings"] for cell in answer["cells"]}
    assert found == {"N": False, "S": True, None: True}


@given(st.lists(st.sampled_from([-3.0, 0.0, 0.1, 2.0, 50.0]), min_size=1, max_size=60), st.integers(0, 2))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_with_the_rarer_of_two_values_are_counted(values: list[float], shift: int) -> None:
    """Against counting them one by one; more than two values, or one, are none of these."""
    column = [v * (10**shift) for v in values]
    con = duckdb.connect(":memory:")
    con.execute("CREATE TABLE p AS SELECT unnest(?::DOUBLE[]) AS x", [column])
    people = TableSchema("d", "p", {"x": "DOUBLE"}, None)
    derivation = parse("SELECT avg(x) AS x FROM p", {people.key: people})
    made = plan(derivation)
    con.execute("CREATE SCHEMA d; CREATE VIEW d.p AS SELECT *, row_number() OVER () AS __row FROM main.p")
    (row,) = counted(con, made)
    tally = Counter(column)
    assert row[-1] == (min(tally.values()) if len(tally) == 2 else None)


def counted(con: duckdb.DuckDBPyConnection, made: Plan) -> list[tuple[Any, ...]]:
    """The last statistics query, after all the steps it needs."""

    def take(step: Step) -> None:
        known = (con.execute(test).fetchall()[0][0] for test in step.tests)
        chosen = step.then if next((k for k in known if k is not None), not step.tests) else step.otherwise
        for one in chosen:
            take(one) if isinstance(one, Step) else con.execute(one)

    for step in made.steps:
        take(step)
    return con.execute(made.statistics[-1]).fetchall()


@given(
    st.lists(
        st.tuples(st.sampled_from("NS"), st.integers(1, 12) | st.none(), st.sampled_from([1.0, 2.0]) | st.none()),
        min_size=1,
        max_size=80,
    ),
    st.booleans(),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_people_with_the_rarer_of_two_values_are_counted(rows: list[tuple[str, Any, Any]], third: bool) -> None:
    """One by one, in each region and over both: people with several rows, people with both values, rows of nobody, no value."""
    rows = [*rows, ("S", 3, 7.0)] if third else rows
    con = duckdb.connect(":memory:")
    con.execute("CREATE SCHEMA d; CREATE TABLE d.p (region VARCHAR, id INTEGER, x DOUBLE)")
    con.executemany("INSERT INTO d.p VALUES (?, ?, ?)", rows)
    con.execute("ALTER TABLE d.p ADD COLUMN __row BIGINT; UPDATE d.p SET __row = rowid")
    people = TableSchema("d", "p", {"region": "VARCHAR", "id": "INTEGER", "x": "DOUBLE"}, "id")
    made = plan(parse("SELECT region, stddev(x) AS x FROM p GROUP BY ROLLUP(region)", {people.key: people}))
    for region, total, rarer in counted(con, made):
        mine = [(unit, x) for place, unit, x in rows if total or place == region]
        sides = [{unit for unit, x in mine if x == value} - {None} for value in {x for _, x in mine} - {None}]
        values, every = {x for _, x in mine} - {None}, {x for _, _, x in rows} - {None}
        shared = len(values) == 1 < len(every) and values & {min(every), max(every)}
        assert rarer == (max(1, min(len(side) for side in sides)) if len(sides) == 2 else 0 if shared else None)


@pytest.mark.parametrize("value", ["avg(female)", "sum(female)", "stddev(code)", "corr(result, female)"])
def test_many_rows_of_the_one_woman_are_one_woman(tmp_path: Path, value: str) -> None:
    """Forty results of the only woman in the north had counted as forty with the rarer value."""
    rows = []
    for person in range(120):
        female = int(person == 2 or (person % 2 and person % 4 == 1))
        for visit in range(40 if person == 2 else 1 + person % 9):
            rows.append(f"{person},{'NS'[person % 2]},{female},{1 + female},{100 + (person * 31 + visit * 17) % 90}")
    tables = {"p": table(tmp_path, "p", "id,region,female,code,result", rows)["p"] | {"unit": "id"}}
    answer = assessed(tmp_path, tables, f"SELECT region, count(*) AS n, {value} AS x FROM p GROUP BY region")
    found = {cell["key"]["region"]: "min_contributors" in cell["findings"] for cell in answer["cells"]}
    assert found == {"N": True, "S": False}


@pytest.mark.parametrize("everybody", ["count(*)", "count(DISTINCT id)"])
@pytest.mark.parametrize(("without", "broken"), [(1, True), (9, True), (10, False), (0, False)])
def test_few_without_a_value_are_told_by_those_with_one(
    tmp_path: Path, everybody: str, without: int, broken: bool
) -> None:
    """`count(died)` of 40 beside 41 people: one is alive."""
    rows = [f"{n},{'' if n < without else 2024}" for n in range(60)]
    tables = table(tmp_path, "t", "id,died", rows)
    answer = assessed(tmp_path, tables, f"SELECT {everybody} AS n, count(died) AS dead FROM t", classification="public")
    assert ("min_contributors" in answer["cells"][0]["findings"]) is broken
    assert answer["decision"] == ("refuse" if broken else "release")
    alone = assessed(tmp_path, tables, "SELECT count(died) AS dead FROM t", classification="public")
    assert alone["cells"][0]["findings"] == []
