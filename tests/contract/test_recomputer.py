"""One contract for all verifiers: the program inside this process, as a subprocess, and sealed in a container."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import duckdb
import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import parse
from egress_gate.disclosure.plan import Plan, plan
from egress_gate.verifier.container import SealedContainer
from egress_gate.verifier.in_process import Inside, Subprocess
from egress_gate.verifier.port import Limits, Runner, ScanPlan, TableFile, VerifierAway, VerifierRefused
from installation.settings import Settings
from provisioning.sandbox.hardening import verifier_profile
from tests.conftest import make_installation

pytest_plugins = ["tests.unit.sandbox.fixtures"]

LIMITS = Limits(seconds=60, memory=512 * 1024**2, threads=1)
SECRET = "the-secret-of-patient-17"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = make_installation(tmp_path_factory.mktemp("verifier") / "home")
    profile = json.dumps(verifier_profile(made, cgroup_version=_cgroup()))
    (made.home / "verifier-profile.json").write_text(profile, "utf-8")
    return made


def _cgroup() -> int:
    return 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1


@pytest.fixture(params=[pytest.param("sealed", marks=pytest.mark.docker), "subprocess", "inside"])
def runner(request: pytest.FixtureRequest, installed: Settings) -> Runner:
    if request.param != "sealed":
        return Subprocess() if request.param == "subprocess" else Inside()
    request.getfixturevalue("sandbox_image")  # the verifier runs in the image of this checkout
    return SealedContainer(installed)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFile:
    folder = tmp_path_factory.mktemp("data")
    folder.chmod(0o755)
    place = folder / "visits.parquet"
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT i % 40 AS id, CASE WHEN i % 2 = 0 THEN 'F' ELSE 'M' END AS sex, i * 1.5 AS pay, "
            f"CASE WHEN i % 40 = 17 THEN '{SECRET}' ELSE '5' END AS note FROM range(400) t(i)) TO '{place}'"
        )
    place.chmod(0o444)
    return TableFile("liver", "visits", place, "id")


def derived(sql: str) -> Plan:
    columns = {"id": "BIGINT", "sex": "VARCHAR", "pay": "DOUBLE", "note": "VARCHAR"}
    schema = TableSchema("liver", "visits", columns, "id")
    return plan(parse(sql, {schema.key: schema}))


def test_it_measures_the_table_and_who_stands_behind_it(runner: Runner, table: TableFile) -> None:
    made = runner.measure(
        derived("SELECT sex, count(*) AS n, sum(pay) AS s FROM visits GROUP BY ROLLUP (sex)"), [table], LIMITS
    )
    values = {(row[0], row[1]): row[2:] for row in made.values}
    assert values == {("F", 0): [200, 59700.0], ("M", 0): [200, 60000.0], (None, 1): [400, 119700.0]}
    behind = {(row[0], row[1]): row[2:4] for row in made.statistics[0]}
    assert behind == {("F", 0): [200, 20], ("M", 0): [200, 20], (None, 1): [400, 40]}
    assert made.engine.startswith("duckdb")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM read_csv('/etc/passwd')",
        "SELECT content FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/*')",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "ATTACH '/tmp/other.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access=true",
        "SET lock_configuration=false",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    ],
)
def test_even_a_hostile_plan_reaches_nothing_else(runner: Runner, table: TableFile, statement: str) -> None:
    with pytest.raises(VerifierRefused):
        runner.measure(Plan(statement, ()), [table], LIMITS)


def test_a_plan_that_takes_too_long_is_ended(runner: Runner, table: TableFile) -> None:
    endless = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 8"
    with pytest.raises(VerifierRefused, match="longer"):
        runner.measure(Plan(endless, ()), [table], dataclasses.replace(LIMITS, seconds=2))


def test_a_plan_with_too_many_cells_is_ended(runner: Runner, table: TableFile) -> None:
    with pytest.raises(VerifierRefused):
        runner.measure(Plan("SELECT range FROM range(1000)", ()), [table], dataclasses.replace(LIMITS, cells=100))


def test_a_plan_that_needs_too_much_memory_is_ended(runner: Runner, table: TableFile) -> None:
    greedy = "SELECT len(list(range)) FROM range(100000000)"
    with pytest.raises((VerifierRefused, VerifierAway)):
        runner.measure(Plan(greedy, ()), [table], dataclasses.replace(LIMITS, memory=64 * 1024**2))


def test_an_error_tells_no_value_of_the_data(runner: Runner, table: TableFile) -> None:
    with pytest.raises(VerifierRefused) as refused:
        runner.measure(derived("SELECT sum(CAST(note AS INTEGER)) AS s FROM visits"), [table], LIMITS)
    assert SECRET not in json.dumps(refused.value.public())


def test_the_same_plan_gets_the_same_answer(runner: Runner, table: TableFile) -> None:
    made = derived("SELECT sex, avg(pay) AS a, median(pay) AS m FROM visits GROUP BY sex")
    answers = [runner.measure(made, [table], LIMITS) for _ in range(2)]
    assert sorted(answers[0].values) == sorted(answers[1].values)
    assert sorted(map(str, answers[0].statistics[0])) == sorted(map(str, answers[1].statistics[0]))


LOOKED_FOR = ScanPlan((("text", "thesecretofpatient17"), ("number", "25.5"), ("number", "31")), ((0, 1, 2),), 10)


def test_it_finds_values_of_few_people_and_the_records_they_name(runner: Runner, table: TableFile) -> None:
    made = runner.scan(LOOKED_FOR, [table], LIMITS)
    hits = {(token, column): (rows, people) for token, _, column, _, rows, people in made["hits"]}
    assert hits == {(0, "note"): (10, 1), (1, "pay"): (1, 1), (2, "id"): (10, 1)}
    assert {tuple(columns) for _, _, columns, *_ in made["patterns"]} == {("note", "pay")}
    assert (made["rows"], made["unseen"]) == ({"liver.visits": 400}, 0)


def test_a_scan_that_finds_nothing_says_nothing_of_the_data(runner: Runner, table: TableFile) -> None:
    made = runner.scan(ScanPlan((("text", "nobody"), ("number", "777777")), ((0, 1),), 10), [table], LIMITS)
    assert (made["hits"], made["patterns"]) == ([], [])
    assert SECRET not in json.dumps(dict(made))


def test_a_scan_that_takes_too_long_is_ended(runner: Runner, table: TableFile) -> None:
    tokens = tuple(("number", str(n)) for n in range(20_000))
    windows = tuple(tuple(range(n, n + 60)) for n in range(0, 19_000, 10))
    with pytest.raises(VerifierRefused, match="longer"):
        runner.scan(ScanPlan(tokens, windows, 10), [table], dataclasses.replace(LIMITS, seconds=0.001))


@pytest.mark.docker
def test_no_container_is_left_behind(installed: Settings, table: TableFile, docker_client: object) -> None:
    SealedContainer(installed).measure(derived("SELECT count(*) AS n FROM visits"), [table], LIMITS)
    left = docker_client.containers.list(all=True, filters={"name": installed.sandbox.container_prefix})  # type: ignore[attr-defined]
    assert left == []


def test_without_its_profile_the_sealed_verifier_does_not_run(tmp_path: Path, table: TableFile) -> None:
    with pytest.raises(VerifierAway):
        SealedContainer(make_installation(tmp_path / "home")).measure(Plan("SELECT 1", ()), [table], LIMITS)
