"""Primary rules on measured tables: people and not rows, and the answers that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import parse
from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.judge import Judgement, disagreements, judge
from egress_gate.disclosure.plan import plan
from egress_gate.disclosure.rules import Parameters
from egress_gate.disclosure.tabulation import Tabulation, tabulate
from egress_gate.verifier.in_process import Subprocess
from egress_gate.verifier.port import Limits, TableFile

RULES = Parameters(min_contributors=3, dominance_n=2, dominance_k=0.9, p=0.1)
Rows = list[dict[str, Any]]


class Room:
    """Small CSV tables and their measurement by the real program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[TableFile] = []
        self.catalogue: dict[str, TableSchema] = {}

    def add(self, name: str, columns: dict[str, str], rows: Rows, unit: str | None = "id") -> None:
        lines = [",".join(columns)]
        lines += [",".join("" if row.get(c) is None else str(row[c]) for c in columns) for row in rows]
        path = self.folder / f"{name}.csv"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        self.files.append(TableFile("d", name, path, unit, "csv"))
        self.catalogue[f"d.{name}"] = TableSchema("d", name, columns, unit)

    def measure(self, sql: str) -> Tabulation:
        derivation = parse(sql, self.catalogue)
        used = {t.name for t in derivation.tables}
        made = Subprocess().measure(plan(derivation), [f for f in self.files if f.name in used], Limits(threads=1))
        return tabulate(derivation, made.values, made.statistics)

    def judge(self, sql: str, rules: Parameters = RULES, **more: Any) -> Judgement:
        table = self.measure(sql)
        return judge(parse(sql, self.catalogue), table, rules, protect=False, left=lambda: 5.0, **more)

    def rules_of(self, sql: str, key: dict[str, Any], rules: Parameters = RULES) -> set[str]:
        return {r for c in self.judge(sql, rules).cells if c.cell.published_key == key for r in c.rules}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


PEOPLE = {"id": "BIGINT", "sex": "VARCHAR", "x": "DOUBLE"}


def people(*values: float | None, sex: str = "F", first: int = 1) -> Rows:
    return [{"id": first + n, "sex": sex, "x": v} for n, v in enumerate(values)]


def test_forty_rows_of_one_person_are_one_contributor(room: Room) -> None:
    room.add("t", PEOPLE, [{"id": 1, "sex": "F", "x": 1}] * 40)
    (cell,) = room.measure("SELECT sex, count(*) AS n FROM t GROUP BY sex").cells
    assert (cell.values["n"], cell.rows, cell.contributors) == (40, 40, 1)


def test_a_join_multiplies_rows_but_not_people(room: Room) -> None:
    room.add("t", PEOPLE, people(1, 2))
    room.add("v", {"id": "BIGINT", "kind": "VARCHAR"}, [{"id": i, "kind": "a"} for i in (1, 2) for _ in range(30)])
    (cell,) = room.measure("SELECT v.kind, count(*) AS n FROM t JOIN v USING (id) GROUP BY v.kind").cells
    assert (cell.values["n"], cell.contributors) == (60, 2)


def test_a_join_of_other_columns_counts_the_rarer_kind_of_people(room: Room) -> None:
    room.add("t", PEOPLE, people(1, 2, 3, 4, 5))
    room.add("w", {"id": "BIGINT", "sex": "VARCHAR"}, [{"id": 9, "sex": "F"}])
    (cell,) = room.measure("SELECT count(*) AS n FROM t JOIN w ON t.sex = w.sex").cells
    assert (cell.values["n"], cell.contributors) == (5, 1)


def test_contributions_of_a_person_are_added_before_they_are_compared(room: Room) -> None:
    room.add("t", PEOPLE, [*people(10, 10, 10, 10), *[{"id": 9, "sex": "F", "x": 10}] * 36])
    (cell,) = room.measure("SELECT sum(x) AS s FROM t").cells
    assert (cell.stats["s"].top1, cell.stats["s"].top2, cell.stats["s"].total) == (360.0, 10.0, 400.0)
    assert "dominance" in room.rules_of("SELECT sum(x) AS s FROM t", {})


def test_each_row_is_its_own_person_where_the_table_has_no_unit(room: Room) -> None:
    room.add("t", PEOPLE, [{"id": 1, "sex": "F", "x": 1}] * 4, unit=None)
    (cell,) = room.measure("SELECT count(*) AS n FROM t").cells
    assert cell.contributors == 4


def test_dominance_is_broken_at_k_and_not_below(room: Room) -> None:
    room.add("t", PEOPLE, [*people(50, 40, 4, 3, 3), *people(50, 39, 4, 4, 3, sex="M", first=10)])
    sql = "SELECT sex, sum(x) AS s FROM t GROUP BY sex"
    assert "dominance" in room.rules_of(sql, {"sex": "F"})
    assert "dominance" not in room.rules_of(sql, {"sex": "M"})


def test_p_percent_is_broken_below_a_tenth_of_the_largest_and_not_at_it(room: Room) -> None:
    room.add("t", PEOPLE, [*people(100, 50, 9), *people(100, 50, 10, sex="M", first=10)])
    loose = Parameters(3, 2, 1.0, 0.1)
    sql = "SELECT sex, sum(x) AS s FROM t GROUP BY sex"
    assert "p_percent" in room.rules_of(sql, {"sex": "F"}, loose)
    assert "p_percent" not in room.rules_of(sql, {"sex": "M"}, loose)


def test_a_negative_value_does_not_hide_dominance(room: Room) -> None:
    room.add("t", PEOPLE, people(-1000, 1, 2, 3, 4))
    assert "dominance" in room.rules_of("SELECT sum(x) AS s FROM t", {})


def test_missing_values_are_no_contributors(room: Room) -> None:
    room.add("t", PEOPLE, people(5, 6, None, None, None))
    judged = room.rules_of("SELECT avg(x) AS a FROM t", {})
    assert {"min_contributors", "missing"} <= judged


def test_a_sum_of_an_indicator_is_a_count(room: Room) -> None:
    room.add("t", PEOPLE, people(1, 1, 0, 0, 0, 0, 0))
    assert "min_contributors" in room.rules_of("SELECT sum(x) AS s FROM t", {})
    assert "min_contributors" in room.rules_of("SELECT sum(CASE WHEN x = 1 THEN 1 ELSE 0 END) AS s FROM t", {})


def test_whom_a_filter_leaves_out_counts_where_the_whole_stands_beside_it(room: Room) -> None:
    room.add("t", PEOPLE, people(1, 2, 3, 4, 5, 6, 7))
    assert room.rules_of("SELECT count(*) AS n, count(*) FILTER (WHERE x < 7) AS m FROM t", {}) == {"min_contributors"}
    assert room.rules_of("SELECT count(*) FILTER (WHERE x < 7) AS m FROM t", {}) == set()


def test_a_contribution_that_is_no_number_counts_as_one_person_alone(room: Room) -> None:
    room.add("t", PEOPLE, people(*[1.0] * 9))
    with (room.folder / "t.csv").open("a", encoding="utf-8") as out:
        out.write("77,F,NaN\n")
    judged = room.judge("SELECT sum(x) AS s FROM t")
    assert "dominance" in judged.cells[0].rules


def test_min_and_max_are_order_statistics(room: Room) -> None:
    room.add("t", PEOPLE, people(*range(20)))
    assert "order_statistic" in room.rules_of("SELECT max(x) AS m FROM t", {})


@pytest.mark.parametrize(("fraction", "broken"), [(0.5, False), (0.1, True)])
def test_a_quantile_needs_people_on_both_sides(room: Room, fraction: float, broken: bool) -> None:
    room.add("t", PEOPLE, people(*range(20)))
    assert ("quantile" in room.rules_of(f"SELECT quantile_cont(x, {fraction}) AS q FROM t", {})) is broken


def test_a_full_cell_tells_the_category_of_everybody_in_its_group(room: Room) -> None:
    room.add("t", {**PEOPLE, "ill": "VARCHAR"}, [
        *({"id": n, "sex": "F", "ill": "yes"} for n in range(5)),
        *({"id": 10 + n, "sex": "M", "ill": "yes" if n % 2 else "no"} for n in range(10)),
    ])  # fmt: skip
    sql = "SELECT sex, ill, count(*) AS n FROM t GROUP BY sex, ill"
    assert "full" in room.rules_of(sql, {"sex": "F", "ill": "yes"})
    assert "full" not in room.rules_of(sql, {"sex": "M", "ill": "yes"})


@pytest.mark.parametrize(("ill", "broken"), [(18, False), (19, True)])
def test_a_group_share_is_broken_above_its_edge_only(room: Room, ill: int, broken: bool) -> None:
    """Nine of ten are the edge: 18 of 20 are not more, 19 are. What it leads to is the policy's word: for Python it failed."""
    rules = Parameters(min_contributors=1, dominance_n=2, dominance_k=0.9, p=0.1, share=0.9)
    rows = [{"id": n, "sex": "F", "ill": "yes" if n < ill else "no"} for n in range(20)]
    room.add(
        "t",
        {**PEOPLE, "ill": "VARCHAR"},
        [*rows, *({"id": 100 + n, "sex": "M", "ill": ["yes", "no"][n % 2]} for n in range(10))],
    )
    sql = "SELECT sex, ill, count(*) AS n FROM t GROUP BY sex, ill"
    assert ("group_share" in room.rules_of(sql, {"sex": "F", "ill": "yes"}, rules)) is broken
    told = {f.rule: f.severity for f in room.judge(sql, rules).findings}
    assert told.get("group_share") == ("fail" if broken else None)


ILL = {"id": "BIGINT", "region": "VARCHAR", "ill": "BIGINT", "x": "DOUBLE"}


def sick(*, of: dict[str, tuple[int, int]], visits: int = 1, codes: tuple[int, int] = (0, 1)) -> Rows:
    """People of regions, `(ill, well)` of each, each with as many rows; x differs from row to row."""
    made: Rows = []
    for region, (ill, well) in of.items():
        for n in range(ill + well):
            made += [
                {"id": 100 * ord(region) + n, "region": region, "ill": codes[n < ill], "x": len(made) + v + 1}
                for v in range(visits)
            ]
    return made


EVERYBODY_SOMEBODY_NOBODY = {"A": (20, 0), "B": (9, 11), "C": (0, 20)}


@pytest.mark.parametrize("visits", [1, 3])
@pytest.mark.parametrize("value", [
    "count(*) FILTER (WHERE ill = 1)",
    "count(DISTINCT id) FILTER (WHERE ill = 1)",
    "count(CASE WHEN ill = 1 THEN 1 END)",
    "sum(ill)",
    "avg(ill)",
    "sum(CASE WHEN ill = 1 THEN 1 ELSE 0 END)",
    "sum(CASE WHEN ill = 1 THEN 1 END)",
    "stddev(ill)",
    "avg(x) FILTER (WHERE ill = 1)",
])  # fmt: skip
def test_a_value_that_tells_the_same_of_everybody_is_a_full_cell(room: Room, value: str, visits: int) -> None:
    room.add("t", ILL, sick(of=EVERYBODY_SOMEBODY_NOBODY, visits=visits))
    sql = f"SELECT region, {value} AS v FROM t GROUP BY region"
    assert "full" in room.rules_of(sql, {"region": "A"})
    assert "full" not in room.rules_of(sql, {"region": "B"})
    assert "full" in room.rules_of(sql, {"region": "C"})


@pytest.mark.parametrize("value", ["sum(f)", "avg(f)", "count(g)", "sum(g)"])
def test_a_subquery_hides_no_full_cell(room: Room, value: str) -> None:
    room.add("t", ILL, sick(of=EVERYBODY_SOMEBODY_NOBODY))
    inner = "SELECT region, CASE WHEN ill = 1 THEN 1 ELSE 0 END AS f, CASE WHEN ill = 1 THEN 1 END AS g FROM t"
    sql = f"SELECT region, {value} AS v FROM ({inner}) q GROUP BY region"
    assert "full" in room.rules_of(sql, {"region": "A"})
    assert "full" not in room.rules_of(sql, {"region": "B"})
    assert "full" in room.rules_of(sql, {"region": "C"})


@pytest.mark.parametrize("value", ["avg(ill)", "sum(ill)", "stddev(ill)"])
def test_however_the_two_values_are_coded(room: Room, value: str) -> None:
    room.add("t", ILL, sick(of=EVERYBODY_SOMEBODY_NOBODY, codes=(1, 2)))
    sql = f"SELECT region, {value} AS v FROM t GROUP BY region"
    assert "full" in room.rules_of(sql, {"region": "A"})
    assert "full" not in room.rules_of(sql, {"region": "B"})
    assert "full" in room.rules_of(sql, {"region": "C"})


def test_margins_tell_it_of_everybody_too(room: Room) -> None:
    room.add("t", {**ILL, "sex": "VARCHAR"}, [
        {**row, "sex": "FM"[n % 2]} for n, row in enumerate(sick(of={"A": (20, 0), "B": (18, 22)}))
    ])  # fmt: skip
    sql = "SELECT region, sex, avg(ill) AS v FROM t GROUP BY ROLLUP (region, sex)"
    assert "full" in room.rules_of(sql, {"region": "A", "sex": None})
    assert "full" not in room.rules_of(sql, {"region": "B", "sex": None})
    assert "full" not in room.rules_of(sql, {"region": None, "sex": None})


@pytest.mark.parametrize(
    "value", ["avg(x)", "sum(x)", "stddev(x)", "avg(x) FILTER (WHERE ill = 1)", "count(*) FILTER (WHERE ill = 1)"]
)
def test_where_people_differ_or_the_whole_table_is_alike_nothing_is_full(room: Room, value: str) -> None:
    room.add("t", ILL, sick(of={"A": (20, 0), "B": (20, 0)}))
    for region in "AB":
        assert "full" not in room.rules_of(f"SELECT region, {value} AS v FROM t GROUP BY region", {"region": region})


def test_a_computed_column_is_no_condition(room: Room) -> None:
    """Somebody earns nothing in B, nobody in A: that is no class that everybody of A is in."""
    first, *others = sick(of={"A": (9, 11), "B": (9, 11)})
    room.add("t", ILL, [{**first, "x": 0}, *others])
    sql = "SELECT region, avg(y) AS v FROM (SELECT region, x * 2 AS y FROM t) q GROUP BY region"
    assert "full" not in room.rules_of(sql, {"region": "B"})


def test_a_correlation_of_0_is_no_want_of_one(room: Room) -> None:
    rows = [{"id": n, "region": "A", "ill": n % 2, "x": n // 2 % 2 + 1} for n in range(40)]
    rows += [{"id": 100 + n, "region": "B", "ill": 1, "x": n + 1} for n in range(40)]
    room.add("t", ILL, rows)
    sql = "SELECT region, corr(ill, x) AS v FROM t GROUP BY region"
    assert room.measure(sql).cells[0].values["v"] == 0
    assert "full" not in room.rules_of(sql, {"region": "A"})
    assert "full" in room.rules_of(sql, {"region": "B"})


CHILDREN = {"id": "BIGINT", "region": "VARCHAR", "children": "BIGINT"}


def families(column: dict[str, dict[int, int]]) -> Rows:
    """Of each region, how many people have so many children."""
    each = [(region, n) for region, many in column.items() for n, people in many.items() for _ in range(people)]
    return [{"id": i, "region": region, "children": n} for i, (region, n) in enumerate(each)]


@pytest.mark.parametrize(
    "value", ["avg(children)", "sum(children)", "avg(children * 1.0)", "sum(2 * children)", "stddev(children)"]
)
def test_whole_numbers_that_add_up_to_little_are_of_few_people(room: Room, value: str) -> None:
    """RULES ask for 3 people: one child and one more in A are of two people at the most; in B only one has fewer than five."""
    room.add(
        "t",
        CHILDREN,
        families({"A": {0: 20, 1: 1, 2: 0}, "B": {5: 20, 3: 1}, "C": {0: 10, 1: 2, 2: 4, 5: 5}, "D": {0: 20, 2: 1}}),
    )
    sql = f"SELECT region, {value} AS v FROM t GROUP BY region"
    assert "min_contributors" in room.rules_of(sql, {"region": "A"})
    assert "min_contributors" in room.rules_of(sql, {"region": "B"})
    assert room.rules_of(sql, {"region": "C"}) == set()
    assert "min_contributors" in room.rules_of(sql, {"region": "D"})


def test_measures_that_are_no_whole_numbers_may_be_small(room: Room) -> None:
    room.add("t", {**CHILDREN, "children": "DOUBLE"}, families({"A": {n / 100: 1 for n in range(20)}}))
    assert room.rules_of("SELECT region, avg(children) AS v FROM t GROUP BY region", {"region": "A"}) == set()


def test_nobody_is_a_zero_and_nothing_else(room: Room) -> None:
    room.add("t", PEOPLE, people(1, 2, 3))
    assert room.rules_of("SELECT count(*) AS n FROM t WHERE x > 100", {}) == {"zero"}


def test_a_key_without_a_value_is_not_the_total(room: Room) -> None:
    room.add("t", PEOPLE, [*people(1, 2, 3), *({"id": 10 + n, "sex": None, "x": 1} for n in range(5))])
    table = room.measure("SELECT sex, count(*) AS n FROM t GROUP BY ROLLUP (sex)")
    found = {str(c.published_key["sex"]): (c.values["n"], c.contributors) for c in table.cells}
    assert found == {"F": (3, 3), "(missing)": (5, 5), "None": (8, 8)}


def test_the_cells_of_each_grouping_set_are_there(room: Room) -> None:
    room.add("t", {**PEOPLE, "r": "VARCHAR"}, [{"id": n, "sex": "FM"[n % 2], "r": "ab"[n // 2 % 2]} for n in range(8)])
    sizes = {
        how: len(room.measure(f"SELECT sex, r, count(*) AS n FROM t GROUP BY {how}").cells)
        for how in ("sex, r", "ROLLUP (sex, r)", "CUBE (sex, r)", "GROUPING SETS ((sex, r), ())")
    }
    assert list(sizes.values()) == [4, 7, 9, 5]


def test_figures_that_differ_are_counted(room: Room) -> None:
    room.add("t", PEOPLE, people(1, 2, 3))
    table = room.measure("SELECT sex, count(*) AS n, avg(x) AS a FROM t GROUP BY sex")
    columns = ["sex", "n", "a"]
    assert disagreements(table, {"columns": columns, "rows": [["F", 3, 2.0]]}) == 0
    assert disagreements(table, {"columns": columns, "rows": [["F", 4, 2.5]]}) == 2
    assert disagreements(table, {"columns": columns, "rows": [["X", 3, 2.0]]}) == 1


def test_parameters_that_are_missing_or_impossible_are_refused() -> None:
    good = {"min_contributors": 10, "dominance": {"n": 2, "k": 0.9}, "p_percent": 0.1}
    assert Parameters.read(good).dominance_k == 0.9
    for bad in (
        {},
        {**good, "min_contributors": 0},
        {**good, "dominance": {"n": 3, "k": 0.9}},
        {**good, "p_percent": "x"},
    ):
        with pytest.raises(JudgementFault):
            Parameters.read(bad)
