"""Ways to learn one person's figure from a regression, tried on data where the answer is known: each must be refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from egress_gate.disclosure.errors import DerivationRefused, FormulaRefused
from egress_gate.disclosure.regression.formula import parse_formula
from egress_gate.domain.finding import Severity
from egress_gate.service.ports import EarlierTable, ModelAssessment, ModelQuestion, SourceTable
from egress_gate.service.recompute import SealedRecomputer
from egress_gate.verifier import refit
from installation.fault import Fault
from installation.settings import load
from tests.integration.cohort import SENSITIVE, SameProcess

SIZE = 600
TARGET_AGE = 93  # one person has it; their pay is what the attacker wants
COLUMNS = "pay, age, sex, stage, ill, visits, ward"
Judge = Callable[..., ModelAssessment]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> SourceTable:
    draw = np.random.default_rng(3)
    age = draw.integers(20, 80, SIZE).astype(float)
    age[17] = TARGET_AGE
    frame = pd.DataFrame(
        {
            "id": np.arange(SIZE),
            "age": age,
            "sex": draw.choice(["F", "M"], SIZE),
            "stage": draw.integers(1, 4, SIZE),
            "ward": draw.integers(1, 31, SIZE),
            "pay": draw.normal(3000, 400, SIZE).round(),
            "ill": draw.integers(0, 2, SIZE),
            "visits": draw.poisson(4, SIZE),
        }
    )
    path: Path = tmp_path_factory.mktemp("data") / "people.parquet"
    frame.to_parquet(path, index=False)
    columns = tuple({"name": c, "type": str(d).upper(), "meaning": ""} for c, d in frame.dtypes.items())
    return SourceTable("firm", "firm/1", 3, ("stella",), "people", path, "e" * 64, "id", columns, SIZE)


@pytest.fixture(scope="module")
def judge(people: SourceTable) -> Judge:
    recomputer = SealedRecomputer(load(), SameProcess())

    def judged(
        formula: str, sql: str = f"SELECT {COLUMNS} FROM people", family: str = "ols", earlier: Any = ()
    ) -> ModelAssessment:
        return recomputer.refit(ModelQuestion("m", formula, sql, family, (people,), SENSITIVE, tuple(earlier)))

    return judged


def failed(made: ModelAssessment) -> set[str]:
    return {f.rule for f in made.findings if f.severity is Severity.FAIL}


def left(made: ModelAssessment, release: int = 1) -> EarlierTable:
    """The model as the joint audit remembers it once it has left."""
    assert made.implied is not None
    return EarlierTable(
        release, release, "m", made.implied.canonical_sql, (), made.implied.rounding_base, made.versions
    )


def test_an_honest_model_passes(judge: Judge) -> None:
    for formula, family in (
        ("pay ~ age + sex + C(stage)", "ols"),
        ("ill ~ age * sex", "logit"),
        ("visits ~ age + sex", "poisson"),
    ):
        made = judge(formula, family=family)
        assert not failed(made)
        assert made.completed
        assert made.leaving is not None


SINGLED_OUT = {
    "a dummy of one": (f"CASE WHEN age = {TARGET_AGE} THEN 1 ELSE 0 END", "pay ~ z + age"),
    "a category of one": (f"CASE WHEN age = {TARGET_AGE} THEN 'x' ELSE sex END", "pay ~ C(z) + age"),
    "one among noise": (f"CASE WHEN age = {TARGET_AGE} THEN 1.0 ELSE ward / 100000.0 END", "pay ~ z + age"),
    "one huge value": (f"CASE WHEN age = {TARGET_AGE} THEN 1000000.0 ELSE age END", "pay ~ z + sex"),
    "one left when the rest is taken out": (f"age + CASE WHEN age = {TARGET_AGE} THEN 50.0 ELSE 0 END", "pay ~ z + age"),
    "a few": ("CASE WHEN age >= 79 AND sex = 'F' AND stage = 1 THEN 1 ELSE 0 END", "pay ~ z + age"),
    "a steep power": ("age", "pay ~ I((z / 80) ** 200) + sex"),
    "an exponential": ("age", "pay ~ exp(z) + sex"),
    "a pole": ("age", f"pay ~ I(1 / (z - {TARGET_AGE}.001)) + sex"),
    "a level of an interaction": (
        f"CASE WHEN age > 70 THEN 'old' WHEN age = {TARGET_AGE} THEN 'x' ELSE 'young' END", "pay ~ C(z) * C(ward) + age"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLED_OUT)
def test_a_variable_that_singles_people_out_is_refused(judge: Judge, name: str) -> None:
    variable, formula = SINGLED_OUT[name]
    made = judge(formula, f"SELECT {COLUMNS}, {variable} AS z FROM people")
    assert failed(made) & {"influence", "min_contributors", "degenerate", "unfit"}


@pytest.mark.parametrize("family", ["logit", "poisson"])
def test_singling_out_is_refused_in_every_family(judge: Judge, family: str) -> None:
    sql = f"SELECT {COLUMNS}, CASE WHEN age = {TARGET_AGE} THEN 1 ELSE 0 END AS z FROM people"
    made = judge(f"{'ill' if family == 'logit' else 'visits'} ~ z + age", sql, family)
    assert failed(made) & {"influence", "separation", "min_contributors"}


@pytest.mark.parametrize(
    "outcome",
    [
        f"CASE WHEN age = {TARGET_AGE} THEN pay ELSE 0 END",
        f"CASE WHEN age = {TARGET_AGE} THEN pay END",
        "CASE WHEN age > 78 AND sex = 'M' THEN pay ELSE 0 END",
    ],
)
def test_an_outcome_of_one_person_is_refused(judge: Judge, outcome: str) -> None:
    made = judge("y ~ age + sex", f"SELECT {outcome} AS y, age, sex FROM people")
    assert failed(made) & {
        "dominance",
        "min_contributors",
        "influence",
        "unfit",
        "degenerate",
        "p_percent",
        "degrees_of_freedom",
    }


@pytest.mark.parametrize(
    "outcome",
    [
        f"CASE WHEN age = {TARGET_AGE} THEN pay ELSE 3000 END",
        "pay + age",
        "pay + 1000000",
        "CAST(pay AS VARCHAR)",
        "id",
        "length(sex)",
    ],
)
def test_an_outcome_that_is_composed_is_refused_by_the_parser(judge: Judge, outcome: str) -> None:
    with pytest.raises(DerivationRefused):
        judge("y ~ age + sex", f"SELECT {outcome} AS y, age, sex FROM people")


def test_a_table_in_disguise_is_refused(judge: Judge) -> None:
    assert "saturated" in failed(judge("pay ~ C(sex)"))
    assert "saturated" in failed(judge("pay ~ C(sex) * C(stage)"))
    assert "saturated" in failed(judge("pay ~ C(sex):C(stage) - 1"))
    near = judge("pay ~ C(sex) + C(stage)")
    assert not failed(near)
    assert "saturated" in {f.rule for f in near.findings}


def test_wards_of_too_few_are_refused_where_larger_ones_pass(judge: Judge) -> None:
    sql = f"SELECT {COLUMNS}, ward * 10 + stage AS cell FROM people"
    assert failed(judge("pay ~ C(cell) + age", sql)) & {"min_contributors", "influence", "unfit"}
    assert not failed(judge("pay ~ C(stage) + age", sql))


def test_too_few_people_for_the_variables_is_refused(judge: Judge) -> None:
    made = judge("pay ~ age + sex + C(stage)", f"SELECT {COLUMNS} FROM people WHERE age = 30 AND ward < 20")
    assert failed(made) & {"degrees_of_freedom", "min_contributors", "unfit", "degenerate"}


def test_leaving_one_person_out_of_a_second_model_is_refused(judge: Judge) -> None:
    first = judge("pay ~ age + sex")
    without = judge("pay ~ age + sex", f"SELECT {COLUMNS} FROM people WHERE age <> {TARGET_AGE}", earlier=[left(first)])
    assert failed(without) & {"joint_exact", "joint_narrow"}
    otherwise_spelt = f"SELECT {COLUMNS} FROM (SELECT * EXCLUDE (id) FROM people) p WHERE age <> {TARGET_AGE}"
    with pytest.raises(Fault):
        judge("pay ~ age + sex", otherwise_spelt, earlier=[left(first)])
    in_a_subquery = f"SELECT {COLUMNS} FROM (SELECT {COLUMNS} FROM people WHERE age <> {TARGET_AGE}) p"
    assert failed(judge("pay ~ age + sex", in_a_subquery, earlier=[left(first)])) & {"joint_exact", "joint_narrow"}
    by_missing = f"SELECT pay, sex, CASE WHEN age <> {TARGET_AGE} THEN age END AS age FROM people"
    assert failed(judge("pay ~ age + sex", by_missing, earlier=[left(first)])) & {"joint_exact", "joint_narrow"}


def test_the_same_people_under_another_formula_may_leave(judge: Judge) -> None:
    first = judge("pay ~ age + sex")
    assert not failed(judge("pay ~ age + sex + C(stage)", earlier=[left(first)]))


def test_models_of_other_people_may_leave(judge: Judge) -> None:
    first = judge("pay ~ age + sex", f"SELECT {COLUMNS} FROM people WHERE stage = 1")
    assert not failed(judge("pay ~ age + sex", f"SELECT {COLUMNS} FROM people WHERE stage = 2", earlier=[left(first)]))


def test_what_leaves_is_rounded_and_holds_no_count_of_its_own(judge: Judge) -> None:
    made = judge("pay ~ age + sex", f"SELECT {COLUMNS} FROM people WHERE stage < 3")
    out = json.loads(json.dumps(made.leaving))
    assert made.measured["observations"] % 10
    assert out["observations"] % 10 == out["units"] % 10 == out["residual_df"] % 10 == 0
    for term in out["terms"]:
        for name in ("estimate", "standard_error", "low", "high"):
            assert float(f"{term[name]:.3e}") == term[name]
    exact = {made.measured[k] for k in ("observations", "units", "residual_df")}
    assert not exact & {v for v in out.values() if isinstance(v, int)}


HOSTILE = [
    "pay ~ __import__('os').system('id')",
    "pay ~ eval('1')",
    "pay ~ I(open('/etc/passwd').read())",
    "pay ~ I(age.__class__.__mro__)",
    "pay ~ I(lambda: 0)",
    "pay ~ I([x for x in (1,)])",
    "pay ~ I(age if age else 0)",
    "pay ~ np.log(age)",
    "pay ~ Q('age')",
    "pay ~ bs(age, df=5)",
    "pay ~ C(age, Sum)",
    "pay ~ C(sex, levels=['F'])",
    "pay ~ C(__builtins__)",
    "pay ~ I(age ** age)",
    "pay ~ I(age // 2)",
    "pay ~ I(age @ age)",
    "pay ~ I(age & 1)",
    "pay ~ I((age == 93))",
    "pay ~ age; import os",
    "pay ~ {age}",
    "pay ~ `age`",
    "pay ~ age | sex",
    "pay ~ age ~ sex",
    "pay ~ (age + sex) ** 2",
    "pay + age ~ sex",
    "C(sex) ~ age",
    "pay ~ age\\nsex",
    "pay ~ \u0430ge",
    "pay ~ I(" + "(" * 200 + "age" + ")" * 200 + ")",
    "pay ~ I(" + "-" * 500 + "age)",
    "pay ~ " + "*".join(f"x{i}" for i in range(40)),
    "pay ~ " + " + ".join(f"x{i}" for i in range(100)),
    "pay ~ a:b:c:d",
    "pay ~ " + "x" * 61,
    "pay ~ 1",
    "pay ~",
    "~ age",
    "",
    "pay ~ age" + " " * 2000,
]


@pytest.mark.parametrize("formula", HOSTILE, ids=lambda f: f[:40] or "nothing")
def test_a_formula_is_never_a_program(formula: str) -> None:
    with pytest.raises(FormulaRefused):
        parse_formula(formula)


@pytest.mark.parametrize(
    "node", [["call", "os.system"], ["name", "__builtins__"], ["attr", ["name", "age"], "x"], ["pow"], []]
)
def test_the_refit_knows_no_node_but_its_own(node: list[Any]) -> None:
    with pytest.raises((KeyError, IndexError, refit.Refusal)):
        refit.computed(node, {"age": np.ones(3)})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pay, age FROM people LIMIT 9",
        "SELECT DISTINCT pay, age FROM people",
        "SELECT pay, id AS age FROM people",
        "SELECT pay, age FROM people ORDER BY pay",
        "SELECT pay, age FROM people GROUP BY ALL",
        "SELECT max(pay) AS pay, age FROM people",
        "SELECT pay, row_number() OVER () AS age FROM people",
        "SELECT pay, (SELECT max(age) FROM people) AS age FROM people",
        "SELECT pay, age FROM people UNION ALL SELECT 1, 2",
        "SELECT pay, age FROM read_parquet('/etc/x')",
        "SELECT pay, getenv('HOME') AS age FROM people",
        "SELECT pay, age FROM people WHERE id = 17",
        "SELECT pay, age FROM people USING SAMPLE 10",
        "COPY people TO '/tmp/x'",
        "SELECT pay, random() AS age FROM people",
    ],
)
def test_the_rows_are_read_by_the_same_allow_list_as_a_table(judge: Judge, sql: str) -> None:
    with pytest.raises(Fault) as refused:
        judge("pay ~ age", sql)
    assert refused.value.code in ("derivation-refused", "sql-syntax")


def test_policy_without_numbers_for_regressions_judges_nothing(judge: Judge, people: SourceTable) -> None:
    without = {k: v for k, v in SENSITIVE.items() if k != "regression"}
    question = ModelQuestion("m", "pay ~ age", f"SELECT {COLUMNS} FROM people", "ols", (people,), without)
    with pytest.raises(Fault):
        SealedRecomputer(load(), SameProcess()).refit(question)
    with pytest.raises(Fault):
        SealedRecomputer(load(), SameProcess()).refit(
            replace(question, parameters={**SENSITIVE, "regression": {"digits": 4}})
        )
