"""HAVING: what it may be made of, how the gate writes it anew, and which rows of figures satisfy it."""

from __future__ import annotations

from typing import Any

import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.errors import DerivationRefused, UnknownColumn
from egress_gate.disclosure.having import holds, without_having
from egress_gate.disclosure.plan import plan

PEOPLE = TableSchema(
    "d", "people", {"id": "BIGINT", "sex": "VARCHAR", "age": "INTEGER", "pay": "DOUBLE", "since": "DATE"}, "id"
)
CATALOGUE = {PEOPLE.key: PEOPLE}
TABLE = "SELECT upper(sex) AS s, age, since, count(*) AS n, sum(pay) AS total, round(avg(pay), 1) FROM people p"
GROUPED = " GROUP BY ROLLUP (s, age, since)"


def read(condition: str) -> Derivation:
    return parse(f"{TABLE}{GROUPED} HAVING {condition}", CATALOGUE)


def satisfied(condition: str, **row: Any) -> bool | None:
    made = read(condition).having
    assert made is not None
    return holds(made, {"s": None, "age": None, "since": None, "n": None, "total": None, "avg_6": None, **row})


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ("max(pay) > 5", "MAX(pay)"),
        ("min(pay) > 5", "MIN(pay)"),
        ("sum(age) > 5", "SUM(age)"),
        ("avg(pay) > 5", "AVG(pay)"),
        ("round(avg(pay), 2) > 5", "ROUND(AVG(pay), 2)"),
        ("count(DISTINCT id) > 5", "COUNT(DISTINCT id)"),
        ("count(*) FILTER (WHERE age > 5) > 5", "FILTER"),
        ("sex = 'F'", "sex"),
        ("p.pay > 5", "p.pay"),
        ("id = 17", "id"),
        ("n > 5 OR max(pay) > 5", "MAX(pay)"),
        ("NOT (n BETWEEN 1 AND max(age))", "MAX(age)"),
        ("n IN (1, max(age))", "MAX(age)"),
        ("n + 1 > 5", "arithmetic"),
        ("sum(pay) / count(*) > 5", "arithmetic"),
        ("total > 2 * 3", "arithmetic"),
        ("abs(total) > 5", "the function abs"),
        ("lower(sex) = 'f'", "the function lower"),
        ("random() > 0.5", "the function rand"),
        ("CASE WHEN n > 5 THEN 1 ELSE 0 END = 1", "case"),
        ("CAST(n AS VARCHAR) = '5'", "cast"),
        ("s LIKE 'F%'", "LIKE"),
        ("n IS NOT DISTINCT FROM 5", "NULLSAFE"),
        ("n BETWEEN SYMMETRIC 5 AND 1", "BETWEEN"),
        ("n > (SELECT max(age) FROM people)", "subquery"),
        ("n IN (SELECT age FROM people)", "subquery"),
        ("EXISTS (SELECT 1 FROM people)", "subquery"),
        ("n > ALL (SELECT age FROM people)", "subquery"),
        ("count(*) OVER () > 5", "window"),
        ("grouping(s) = 0", "grouping"),
        ("median(pay) > 5", "MEDIAN(pay)"),
        ("list(age) = 5", "array_agg"),
        ("n", "COLUMN"),
        ("TRUE", "BOOLEAN"),
        ("(n, age) = (1, 2)", "TUPLE"),
        ("n = $x", "PLACEHOLDER"),
    ],
)
def test_what_is_not_published_or_no_comparison_is_refused_by_name(condition: str, named: str) -> None:
    with pytest.raises(DerivationRefused) as refusal:
        read(condition)
    assert named.casefold() in refusal.value.what.casefold()
    assert refusal.value.why
    assert refusal.value.do


def test_a_refused_figure_comes_with_the_two_ways_out() -> None:
    with pytest.raises(DerivationRefused) as refusal:
        read("max(pay) > 5")
    assert "Publish it too" in refusal.value.do
    assert "drop the condition" in refusal.value.do


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownColumn, match="ages"):
        read("ages > 5")


@pytest.mark.parametrize(
    "sql",
    [
        "WITH x AS (SELECT sex FROM people GROUP BY sex HAVING count(*) > 5) SELECT sex, count(*) AS n FROM x GROUP BY sex",
        "SELECT sex, count(*) AS n FROM (SELECT sex FROM people HAVING count(*) > 5) AS x GROUP BY sex",
    ],
)
def test_having_inside_a_subquery_is_refused(sql: str) -> None:
    with pytest.raises(DerivationRefused, match=r"GROUP|HAVING"):
        parse(sql, CATALOGUE)


@pytest.mark.parametrize(
    ("condition", "written"),
    [
        ("count(*) >= 10", '"n" >= 10'),
        ("COUNT(*) >= 10 and N < 50", '"n" >= 10 AND "n" < 50'),
        ("sum(p.pay) > 1e3", '"total" > 1e3'),
        ("round(avg(pay), 1) = -2.5", '"avg_6" = -2.5'),
        ("upper(sex) = 'F' OR p.age IN (1, 2)", '"s" = \'F\' OR "age" IN (1, 2)'),
        ("(s = 'F' OR n > 5) AND NOT (n = 7)", '("s" = \'F\' OR "n" > 5) AND NOT ("n" = 7)'),
        ("s IS NOT NULL", 'NOT ("s" IS NULL)'),
        ("NOT NOT n > 5", '"n" > 5'),
        ("since >= DATE '2020-01-01'", "\"since\" >= CAST('2020-01-01' AS DATE)"),
        ("n NOT BETWEEN 1 AND (9)", 'NOT ("n" BETWEEN 1 AND 9)'),
        ("total > n /* ; hidden */", '"total" > "n"'),
    ],
)
def test_the_condition_is_written_anew_and_reads_to_itself(condition: str, written: str) -> None:
    canonical = read(condition).canonical_sql()
    assert canonical.endswith(f" HAVING {written}")
    assert parse(canonical, CATALOGUE).canonical_sql() == canonical


def test_nothing_that_measures_sees_the_condition() -> None:
    asked, whole = read("count(*) >= 10 AND s = 'F'"), parse(TABLE + GROUPED, CATALOGUE)
    assert plan(asked) == plan(whole)
    assert asked.canonical_sql(having=False) == whole.canonical_sql()
    assert without_having(asked.canonical_sql()) == whole.canonical_sql()
    assert without_having(whole.canonical_sql()) == whole.canonical_sql()


def test_order_and_condition_stand_side_by_side() -> None:
    made = parse("SELECT sex, count(*) AS n FROM people GROUP BY sex HAVING n > 5 ORDER BY sex", CATALOGUE)
    assert made.canonical_sql().endswith('GROUP BY sex HAVING "n" > 5 ORDER BY "sex"')
    assert without_having(made.canonical_sql()) == made.canonical_sql(having=False)


def test_the_word_in_a_filter_is_no_condition() -> None:
    sql = parse("SELECT count(*) AS n FROM people WHERE sex = 'HAVING n > 5'", CATALOGUE).canonical_sql()
    assert without_having(sql) == sql


@pytest.mark.parametrize(
    ("condition", "row", "wanted"),
    [
        ("n >= 10", {"n": 10}, True),
        ("n >= 10", {"n": 9}, False),
        ("n >= 10", {"n": None}, None),
        ("NOT n >= 10", {"n": None}, None),
        ("n <> 10", {"n": 10.0}, False),
        ("n = 10", {"n": float("nan")}, None),
        ("total > n", {"n": 3, "total": 3.5}, True),
        ("total < -1.5", {"total": -2}, True),
        ("n BETWEEN 1 AND 5", {"n": 5}, True),
        ("n NOT BETWEEN 1 AND 5", {"n": 6}, True),
        ("n BETWEEN 1 AND age", {"n": 0}, False),  # 0 >= 1 is false, whatever the other end is
        ("n BETWEEN 0 AND age", {"n": 0}, None),
        ("n IN (1, NULL)", {"n": 1}, True),
        ("n IN (1, NULL)", {"n": 2}, None),
        ("n NOT IN (1, 2)", {"n": 3}, True),
        ("s = 'F'", {"s": "F"}, True),
        ("s = 'F'", {"s": None}, None),
        ("s IS NULL", {}, True),
        ("s IS NOT NULL", {}, False),
        ("s = NULL", {"s": "F"}, None),
        ("n > 5 AND s = 'F'", {"n": 1}, False),
        ("n > 5 AND s = 'F'", {"n": 6}, None),
        ("n > 5 OR s = 'F'", {"n": 6}, True),
        ("n > 5 OR s = 'F'", {"n": 1}, None),
        ("s > 5", {"s": "7"}, True),  # as the database casts it
        ("s > 5", {"s": "seven"}, None),
        ("since >= DATE '2020-01-01'", {"since": "2020-01-01"}, True),
        ("since < DATE '2020-01-01'", {"since": "2020-01-01"}, False),
        ("since = DATE '2020-01-01'", {"since": "2020-01-01T00:00:00"}, True),
        ("n = TRUE", {"n": True}, True),
    ],
)
def test_a_condition_is_true_false_or_unknown_as_in_sql(
    condition: str, row: dict[str, Any], wanted: bool | None
) -> None:
    assert satisfied(condition, **row) is wanted


def test_a_name_of_the_table_comes_before_a_column_of_the_data() -> None:
    made = parse("SELECT age AS sex, count(*) AS n FROM people GROUP BY age HAVING sex > 30", CATALOGUE)
    assert made.having is not None
    assert holds(made.having, {"sex": 31, "n": 1}) is True
