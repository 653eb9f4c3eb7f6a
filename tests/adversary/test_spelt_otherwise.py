"""One figure in two spellings: all the people, then all but one of them, in words that do not look the same. None may leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import parse
from egress_gate.disclosure.flatten import flatten
from egress_gate.disclosure.quantities import Quantity, quantity_of
from tests.assessed import assessed, table

ALL_BUT_ONE = "age <> 93"


@pytest.fixture
def case(tmp_path: Path) -> Any:
    """600 people, one of 93 years; `member` is 1 or 2, `ill` 0 or 1, and the one is ill. 1,200 visits."""
    people = [f"{n},{20 + n % 60},{'mf'[n % 2]},{1000 + n * 7},{1 + n % 5},{1 + n % 2},{n % 2}" for n in range(600)]
    people.append("600,93,m,881,3,2,1")
    visits = [f"{n % 600},{'abc'[n % 3]},{50 + n % 17}" for n in range(1200)] + ["600,a,51", "600,b,51"]
    tables = table(tmp_path, "p", "id,age,sex,pay,stage,member,ill", people)
    tables |= table(tmp_path, "v", "id,kind,cost", visits)

    def judged(sql: str, *earlier: str) -> dict[str, Any]:
        return assessed(tmp_path, tables, sql, earlier, classification="public")

    return judged


SPELLINGS = [
    ("sum(pay)", "sum(2 * pay)"),
    ("sum(pay)", "sum(-pay)"),
    ("sum(pay)", "sum(pay / 12)"),
    ("sum(pay)", "sum(abs(pay))"),
    ("sum(pay)", "sum(coalesce(pay, 0))"),
    ("sum(pay)", "sum(CAST(pay AS DOUBLE))"),
    ("sum(pay)", "sum(CASE WHEN sex IN ('m', 'f') THEN pay END)"),
    ("sum(pay * stage)", "sum(stage * pay)"),
    ("sum(pay)", "avg(pay * 3)"),
    ("sum(CASE WHEN ill = 1 THEN 1 ELSE 0 END)", "count(*) FILTER (WHERE ill = 1)"),
    ("count(*) FILTER (WHERE ill = 1)", "avg(CASE WHEN ill = 1 THEN 100 ELSE 0 END)"),
    ("count(*) FILTER (WHERE ill = 1)", "stddev(CASE WHEN ill = 1 THEN 1 ELSE 0 END)"),
    ("sum(ill)", "avg(ill)"),
    ("sum(member)", "avg(member)"),
    ("stddev(pay)", "variance(2 * pay)"),
    ("median(pay)", "quantile_cont(pay, 0.25)"),
]


@pytest.mark.parametrize(("first", "second"), SPELLINGS)
@pytest.mark.parametrize("turned", [False, True])
def test_all_and_all_but_one_do_not_both_leave(case: Any, first: str, second: str, turned: bool) -> None:
    if turned:
        first, second = second, first
    answer = case(f"SELECT {second} AS s FROM p WHERE {ALL_BUT_ONE}", f"SELECT {first} AS s FROM p")
    assert answer["decision"] == "refuse", answer
    assert answer["audit"][0]["collides_with"] == [0]


@pytest.mark.parametrize(
    "without",
    [
        f"FROM p JOIN v ON p.id = v.id WHERE {ALL_BUT_ONE}",
        f"FROM v AS y JOIN p AS x ON x.id = y.id WHERE x.{ALL_BUT_ONE}",
        f"FROM v JOIN p USING (id) WHERE {ALL_BUT_ONE}",
        f"FROM v AS p JOIN p AS v ON (p.id = v.id) WHERE v.{ALL_BUT_ONE}",
    ],
)
def test_a_join_is_the_same_in_any_order_and_by_any_name(case: Any, without: str) -> None:
    answer = case(f"SELECT count(*) AS n {without}", "SELECT count(*) AS n FROM p JOIN v ON p.id = v.id")
    assert answer["decision"] == "refuse", answer
    assert answer["audit"][0]["collides_with"] == [0]


def test_few_who_are_different_are_few_whatever_the_two_values_are(case: Any) -> None:
    """Between the two tables are 21 people; one of them has another number than the rest."""
    answer = case("SELECT sum(member) AS s FROM p WHERE age NOT IN (20, 22, 93)", "SELECT sum(member) AS s FROM p")
    assert answer["decision"] == "refuse", answer


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("pay", Quantity('"pay"')),
        ("-(pay / 4)", Quantity('"pay"', -0.25)),
        ("IF(ill = 1, 2, 0)", Quantity("count", 2.0)),
        ("CASE stage WHEN 1 THEN pay WHEN 2 THEN pay END", Quantity('"pay"')),
    ],
)
def test_what_a_sum_adds_up(argument: str, meant: Quantity) -> None:
    schema = TableSchema("d", "p", {"id": "INT", "pay": "DOUBLE", "ill": "INT", "stage": "INT"}, "id")
    (one,) = flatten(parse(f"SELECT sum({argument}) AS s FROM p", {schema.key: schema})).aggregates
    assert one.argument is not None
    found = quantity_of(one.argument)
    assert (found.name, found.factor) == (meant.name, meant.factor)


def test_branches_that_come_first_take_their_people_out() -> None:
    schema = TableSchema("d", "p", {"id": "INT", "pay": "DOUBLE", "ill": "INT", "stage": "INT"}, "id")
    sql = "SELECT sum(CASE WHEN ill = 1 THEN 0 WHEN stage = 2 THEN pay END) AS s FROM p"
    (one,) = flatten(parse(sql, {schema.key: schema})).aggregates
    assert one.argument is not None
    where = quantity_of(one.argument).where
    assert where is not None
    assert where.sql("duckdb") == '"stage" = 2 AND NOT COALESCE("ill" = 1, FALSE)'
