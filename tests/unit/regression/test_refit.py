"""The gate's own fit: the same numbers as statsmodels' formulas give, and how much of them rests on single people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.regression.formula import parse_formula
from egress_gate.disclosure.regression.rows import parse_rows
from egress_gate.verifier import refit as program
from egress_gate.verifier.port import Limits, ModelPlan, TableFile, refit_job

COLUMNS = {
    "id": "BIGINT",
    "sex": "VARCHAR",
    "stage": "BIGINT",
    "age": "DOUBLE",
    "pay": "DOUBLE",
    "ill": "BIGINT",
    "visits": "BIGINT",
}
SQL = "SELECT sex, stage, age, pay, ill, visits FROM people"


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    draw = np.random.default_rng(7)
    size = 400
    sex, stage = draw.choice(["F", "M"], size), draw.integers(1, 4, size)
    age = draw.normal(60, 9, size).round(1)
    linear = -2 + 0.03 * age + 0.4 * (sex == "M") - 0.2 * stage
    return pd.DataFrame(
        {
            "id": np.arange(size) // 2,
            "sex": sex,
            "stage": stage,
            "age": age,
            "pay": np.exp(linear + draw.normal(0, 0.5, size)),
            "ill": draw.random(size) < 1 / (1 + np.exp(-linear)),
            "visits": draw.poisson(np.exp(linear / 2)),
        }
    ).astype({"ill": int})


@pytest.fixture(scope="module")
def refit(people: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("data") / "people.parquet"

    def run(
        formula: str, family: str = "ols", *, unit: str | None = "id", data: pd.DataFrame = people, sql: str = SQL
    ) -> Any:
        data.to_parquet(path)
        read = parse_formula(formula)
        rows = parse_rows(sql, {"t.people": TableSchema("t", "people", COLUMNS, unit)}, read)
        plan = ModelPlan(rows.measuring_sql(), read.facts(), family)
        job = refit_job(plan, [TableFile("t", "people", Path(path), unit)], Limits(seconds=60), [str(path)])
        try:
            return program.run(json.loads(job))
        except program.Refusal as refused:
            return {"refused": str(refused)}

    return run


@pytest.mark.parametrize(
    ("family", "formula"),
    [
        ("ols", "pay ~ C(sex) + age"),
        ("ols", "log(pay) ~ sex * age + I(age ** 2) + C(stage, Treatment('2'))"),
        ("ols", "pay ~ C(sex):C(stage) + age - 1"),
        ("logit", "ill ~ C(sex) + age + C(stage):age"),
        ("poisson", "visits ~ C(stage) + sqrt(age)"),
    ],
)
def test_the_fit_is_statsmodels_own_clustered_by_person(
    refit: Any, people: pd.DataFrame, family: str, formula: str
) -> None:
    asked = formula.replace("log(", "np.log(").replace("sqrt(", "np.sqrt(").replace("Treatment('2')", "Treatment(2)")
    model = getattr(smf, family)(asked, people)
    options = {} if family == "ols" else {"disp": 0}
    theirs = model.fit(cov_type="cluster", cov_kwds={"groups": people["id"]}, use_t=True, **options)
    ours = refit(formula, family)["fit"]
    plain = {name.replace("np.", "").replace("Treatment(2)", "Treatment('2')"): name for name in theirs.params.index}
    assert set(ours["names"]) == set(plain)
    for place, name in enumerate(ours["names"]):
        assert ours["estimate"][place] == pytest.approx(theirs.params[plain[name]], rel=1e-5, abs=1e-8)
        assert ours["standard_error"][place] == pytest.approx(theirs.bse[plain[name]], rel=1e-4)
    assert ours["covariance"] == "clustered by unit"


def test_each_row_its_own_person_needs_no_clusters(refit: Any) -> None:
    assert refit("pay ~ sex + age", unit=None)["fit"]["covariance"] == "nonrobust"


def test_what_leaves_with_a_person_is_what_refitting_without_them_shows(refit: Any, people: pd.DataFrame) -> None:
    told = refit("pay ~ sex + age")
    errors = np.array(told["fit"]["standard_error"])
    whole = np.array(told["fit"]["estimate"])
    shifts = []
    for one in people["id"].unique():
        without = smf.ols("pay ~ sex + age", people[people["id"] != one]).fit().params.to_numpy()
        shifts.append(np.abs(without - whole) / errors)
    assert told["influence"]["shift"] == pytest.approx(list(np.max(shifts, axis=0)), rel=1e-6)


def test_a_dummy_of_one_person_is_their_lever(refit: Any, people: pd.DataFrame) -> None:
    sql = SQL.replace(" age,", " CASE WHEN age = 60.0 AND pay > 0 THEN 1.0 ELSE age / 1e6 END AS age,")
    only = people.assign(age=np.where(people["id"] == 5, 60.0, people["age"] + 0.01))
    told = refit("pay ~ sex + age", data=only, sql=sql)
    place = told["fit"]["names"].index("age")
    assert told["influence"]["effective"][place] < 3
    assert told["influence"]["leverage"] > 0.9


@pytest.mark.parametrize(
    ("formula", "family", "change", "word"),
    [
        ("pay ~ sex + age", "ols", {"pay": 3.0}, "constant"),
        ("pay ~ sex + age", "ols", {"age": 3.0}, "collinear"),
        ("pay ~ sex + log(age)", "ols", {"age": 0.0}, "not a number"),
        ("ill ~ sex + age", "logit", {"ill": 2}, "constant"),
        ("visits ~ sex + age", "logit", {}, "outcome not 0 and 1"),
        ("pay ~ sex + age", "poisson", {}, "outcome not a count"),
        ("pay ~ I(sex * 2) + age", "ols", {}, "text in arithmetic"),
        ("pay ~ C(age)", "ols", {}, "levels"),
        ("pay ~ C(sex, Treatment('X')) + age", "ols", {}, "reference"),
    ],
)
def test_what_cannot_be_judged_is_said_in_a_word(
    refit: Any, people: pd.DataFrame, formula: str, family: str, change: Any, word: str
) -> None:
    assert refit(formula, family, data=people.assign(**change)) == {"refused": word}


def test_an_outcome_that_its_variables_give_exactly_is_refused(refit: Any, people: pd.DataFrame) -> None:
    assert refit("pay ~ age + sex", data=people.assign(pay=people["age"] * 2)) == {"refused": "exact"}


@pytest.mark.parametrize("family", ["logit", "poisson"])
def test_a_level_without_events_separates(refit: Any, people: pd.DataFrame, family: str) -> None:
    data = people.assign(ill=np.where(people["stage"] == 2, 0, people["ill"]))
    assert refit("ill ~ C(stage) + age", family, data=data) == {"refused": "separation"}


def test_perfect_separation_by_a_number_is_found(refit: Any, people: pd.DataFrame) -> None:
    data = people.assign(ill=(people["age"] > 60).astype(int))
    assert refit("ill ~ age + sex", "logit", data=data) == {"refused": "separation"}


def test_rows_with_a_missing_value_are_left_out(refit: Any, people: pd.DataFrame) -> None:
    data = people.assign(age=people["age"].where(people["id"] > 9))
    assert refit("pay ~ sex + age", data=data)["observations"] == 380


def test_too_few_people_give_no_fit_at_all(refit: Any, people: pd.DataFrame) -> None:
    told = refit("pay ~ sex + age", data=people.assign(sex="F").head(6).assign(sex=list("FMFMFM")))
    assert told["fit"] is None
    assert told["residual_df"] <= 0
