"""What a statement is read as: keys, grouping sets, aggregates, and whose rows they are."""

from __future__ import annotations

import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.errors import SqlSyntax, UnknownColumn, UnknownTable
from egress_gate.disclosure.flatten import flatten
from egress_gate.disclosure.plan import plan

PEOPLE = TableSchema("d", "people", {"id": "BIGINT", "sex": "VARCHAR", "age": "INTEGER", "pay": "DOUBLE"}, "id")
VISITS = TableSchema("d", "visits", {"id": "BIGINT", "kind": "VARCHAR", "sex": "VARCHAR"}, "id")
OTHER = TableSchema("e", "visits", {"id": "BIGINT"}, "id")
FIRMS = TableSchema("d", "firms", {"size": "VARCHAR"}, None)
CATALOGUE = {t.key: t for t in (PEOPLE, VISITS, OTHER, FIRMS)}


def sets(sql: str) -> list[set[str]]:
    return [set(s) for s in parse(sql, CATALOGUE).grouping_sets]


def units(derivation: Derivation) -> list[str]:
    return [u.sql(dialect="duckdb") for u in derivation.source.units()]


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("sex, age", [{"sex", "age"}]),
        ("ROLLUP (sex, age)", [{"sex", "age"}, {"sex"}, set()]),
        ("CUBE (sex, age)", [{"sex", "age"}, {"age"}, {"sex"}, set()]),
        ("GROUPING SETS ((sex, age), (age), ())", [{"sex", "age"}, {"age"}, set()]),
        ("sex, ROLLUP (age)", [{"sex", "age"}, {"sex"}]),
        ("ALL", [{"sex", "age"}]),
        ("1, 2", [{"sex", "age"}]),
        ("ROLLUP (1, 2)", [{"sex", "age"}, {"sex"}, set()]),
        ("GROUPING SETS ((1, 2), (2), ())", [{"sex", "age"}, {"age"}, set()]),
    ],
)
def test_grouping_is_read_as_sets_of_keys(how: str, wanted: list[set[str]]) -> None:
    assert sets(f"SELECT sex, age, count(*) AS n FROM people GROUP BY {how}") == wanted


def test_a_position_is_written_anew_as_a_name() -> None:
    made = parse("SELECT age // 10 AS decade, count(*) AS n FROM people GROUP BY 1 ORDER BY 1", CATALOGUE)
    assert [key.name for key in made.keys] == ["decade"]
    assert "GROUP BY 1" not in made.canonical_sql()
    assert made.canonical_sql() == parse(made.canonical_sql(), CATALOGUE).canonical_sql()


@pytest.mark.parametrize(
    ("inner", "columns"),
    [
        ("SELECT * FROM people", ["id", "sex", "age", "pay"]),
        ("SELECT *, age // 10 AS decade FROM people", ["id", "sex", "age", "pay", "decade"]),
        ("SELECT v.*, age FROM people p JOIN d.visits v ON p.id = v.id", ["id", "kind", "sex", "age"]),
        ("SELECT * FROM people JOIN e.visits USING (id)", ["id", "sex", "age", "pay"]),
        ("SELECT * FROM (SELECT * FROM people) AS p", ["id", "sex", "age", "pay"]),
    ],
)
def test_a_star_in_a_subquery_is_written_out(inner: str, columns: list[str]) -> None:
    made = parse(f"WITH s AS ({inner}) SELECT count(*) AS n FROM s", CATALOGUE)
    (relation,) = made.source.relations
    assert list(relation.columns) == columns
    assert relation.unit_names == {"id"}
    assert "*" not in made.canonical_sql().replace("COUNT(*)", "")


def test_a_star_counts_the_same_people_as_its_columns() -> None:
    text = "WITH s AS (SELECT {} FROM people WHERE age > 17) SELECT sex, count(*) AS n FROM s GROUP BY sex"
    star, named = (flatten(parse(text.format(what), CATALOGUE)) for what in ("*", "id, sex, age, pay"))
    assert (star.universe, star.unit, star.where, star.keys) == (named.universe, named.unit, named.where, named.keys)


def test_a_join_on_the_unit_makes_one_kind_of_people() -> None:
    made = parse("SELECT count(*) AS n FROM people p JOIN d.visits v ON p.id = v.id", CATALOGUE)
    assert units(made) == ['"p"."id"']
    assert len(plan(made).statistics) == 1


def test_a_join_on_something_else_makes_two_kinds_of_people() -> None:
    made = parse("SELECT count(*) AS n FROM people p JOIN d.visits v ON p.sex = v.sex", CATALOGUE)
    assert units(made) == ['"p"."id"', '"v"."id"']
    assert len(plan(made).statistics) == 2


def test_a_subquery_keeps_whose_rows_they_are_though_it_does_not_show_it() -> None:
    made = parse("WITH x AS (SELECT sex FROM people) SELECT sex, count(*) AS n FROM x GROUP BY sex", CATALOGUE)
    assert units(made) == ['"x"."__u0"']
    assert "__u0" not in made.canonical_sql()


def test_rows_without_a_unit_are_people_until_a_join_repeats_them() -> None:
    steps = plan(parse("SELECT size, count(*) AS n FROM firms GROUP BY size", CATALOGUE)).steps
    assert not any(step.tests or step.otherwise for step in steps)
    joined = "SELECT f.size, count(*) AS n FROM firms f JOIN firms g ON f.size = g.size GROUP BY f.size"
    steps = plan(parse(joined, CATALOGUE)).steps
    assert all("__row" in step.tests[-1] for step in steps[1:])


def test_contributors_are_counted_where_the_unit_itself_is() -> None:
    (one,) = parse("SELECT count(DISTINCT id) AS people FROM people", CATALOGUE).aggregates
    assert one.of_unit


def test_an_aggregate_is_read_with_its_filter_and_digits() -> None:
    (one,) = parse("SELECT round(avg(pay) FILTER (WHERE age > 5), 2) AS a FROM people", CATALOGUE).aggregates
    assert (one.func, one.digits, one.where is not None, one.chooses) == ("avg", 2, True, True)


def test_a_table_of_two_datasets_needs_its_full_name() -> None:
    with pytest.raises(UnknownTable, match="several"):
        parse("SELECT count(*) AS n FROM visits", CATALOGUE)


def test_a_name_that_no_table_has_comes_back_with_the_names_there_are() -> None:
    with pytest.raises(UnknownColumn) as unknown:
        parse("SELECT sum(heigt) AS h FROM people", CATALOGUE)
    assert "age" in (unknown.value.do or "")


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(UnknownColumn):
        parse("SELECT sex AS a, count(*) AS a FROM people GROUP BY sex", CATALOGUE)


def test_a_mistyped_statement_is_a_syntax_fault() -> None:
    with pytest.raises(SqlSyntax):
        parse("SELEC count(*) FROM people", CATALOGUE)


def test_the_order_of_keys_stays_and_the_order_of_values_is_refused() -> None:
    made = parse("SELECT sex, count(*) AS n FROM people GROUP BY sex ORDER BY sex", CATALOGUE)
    assert made.order == ("sex",)
