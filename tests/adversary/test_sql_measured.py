"""Statements that a red team ran against the gate: each would give one person's record away; none may, measured on real rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from installation.fault import Fault
from tests.assessed import assessed, table

ONE = "age = 29 AND weight > 181.5"  # one person in the file below


@pytest.fixture
def case(tmp_path: Path) -> Any:
    rows = [f"{n},{20 + n % 60},{n % 2},{60 + n % 90},{160 + n % 30},{100 + n * 7},{n % 2}" for n in range(600)]
    rows.append("9718,29,1,181.7,167,881,0")
    people = table(tmp_path, "p", "id,age,male,weight,height,futime,status", rows)

    def judged(sql: str, *earlier: str) -> dict[str, Any]:
        return assessed(tmp_path, people, sql, earlier, protect=True)

    return judged


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        (
            "SELECT b.weight * 1000 + b.height AS k, count(*) AS n FROM p a JOIN p b ON b.male = a.male AND a.age = 50 "
            "LEFT JOIN p c ON c.id = a.id AND c.id = b.id GROUP BY k",
            "LEFT JOIN that compares people of several tables",
        ),
        (
            "SELECT male, count(DISTINCT CASE WHEN age = 29 THEN futime ELSE 1 END) AS d FROM p GROUP BY male",
            "DISTINCT",
        ),
        ("SELECT male, count(DISTINCT floor(weight / 181.65)) AS d FROM p GROUP BY male", "DISTINCT"),
        ("SELECT count(1 % (abs(futime - 881) + abs(age - 29))) AS n FROM p", "remainder"),
        (f"SELECT CASE WHEN male = 1 THEN '{'A' * 80}' ELSE 'b' END AS k, count(*) AS n FROM p GROUP BY k", "label"),
        ("SELECT CASE WHEN male = 1 THEN 'x\u200b\u200c' ELSE 'b' END AS k, count(*) AS n FROM p GROUP BY k", "label"),
    ],
)
def test_statement_is_refused_by_name(case: Any, sql: str, named: str) -> None:
    with pytest.raises(Fault) as refusal:
        case(sql)
    assert named in refusal.value.what


LEFT = "SELECT a.male, sum(a.futime) AS n, sum(b.futime) AS m FROM p a LEFT JOIN p b ON b.id = a.id "
LEFT += "AND NOT (b.age = 29 AND b.weight > 181.5)"
PART = f"SELECT male, sum(f) AS s, sum(g) AS t FROM (SELECT male, futime AS f, CASE WHEN NOT ({ONE}) THEN futime"
COUNT = f"SELECT status, count(*) AS n, count(b) AS m FROM (SELECT status, CASE WHEN NOT ({ONE}) THEN 1 END AS b FROM p) AS x"


@pytest.mark.parametrize(
    "sql",
    [
        f"{LEFT} GROUP BY a.male",
        f"{PART} END AS g FROM p) AS x GROUP BY male",
        f"{PART} ELSE 0 END AS g FROM p) AS x GROUP BY male",
        f"{COUNT} GROUP BY status",
    ],
)
def test_leaving_one_person_out_inside_a_table_is_not_published(case: Any, sql: str) -> None:
    answer = case(sql)
    shown = [c for c in answer["cells"] if c["suppressed"] is None]
    holding = [c for c in shown if c["key"].get("male") == 1 or c["key"].get("status") == 0]
    assert answer["decision"] == "refuse" or not holding, answer["cells"]


@pytest.mark.parametrize("spelt", ["sum(futime * 1.0)", "sum(1 * futime)", "sum(-futime)", "avg(futime)"])
def test_the_same_figure_in_other_words_is_never_proven_safe(case: Any, spelt: str) -> None:
    answer = case(
        f"SELECT male, {spelt} AS s FROM p WHERE NOT ({ONE}) GROUP BY male",
        "SELECT male, sum(futime) AS s FROM p GROUP BY male",
    )
    assert answer["decision"] != "release"
    assert answer["audit_verdict"] != "proven_safe"


def test_an_honest_table_of_several_figures_still_leaves(case: Any) -> None:
    answer = case("SELECT male, count(DISTINCT id) AS people, avg(futime) AS mean FROM p GROUP BY male")
    assert answer["decision"] == "review"
    assert all(c["suppressed"] is None for c in answer["cells"])
