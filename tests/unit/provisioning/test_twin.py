"""A synthetic twin: its shape, its cost, what is never in it, and who may work on it."""

from __future__ import annotations

import json
import random
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from policy_engine import Answer
from provisioning.domain.errors import AccessRefused, NotFound, ProvisioningFault, RegistrationRefused
from provisioning.domain.twin import TwinTerms
from provisioning.service import projects, sessions, twin
from provisioning.twin import columns, model
from provisioning.twin.mechanisms import OpenDpDraws
from store import schema
from tests.unit.provisioning.world import CHECKLIST, DAY, START, World

AT = START + DAY


class Exact:
    """Draws without noise, so that known tables have known answers; `keys` keeps what at least ten rows have."""

    def counts(self, values: Any, sensitivity: int, epsilon: float) -> Any:
        return values

    def keys(self, found: dict[str, int], sensitivity: int, epsilon: float, delta: float) -> dict[str, int]:
        return {key: count for key, count in found.items() if count >= 10}

    def best(self, scores: Any, sensitivity: float, epsilon: float) -> int:
        return int(np.argmax(scores))


def people(count: int = 3000) -> str:
    chance = random.Random(7)
    rows = ["id,sex,region,age,pay,note"]
    for n in range(1, count + 1):
        sex = chance.choice("fm")
        age = chance.randint(20, 79)
        pay = 1000 + (500 if sex == "m" else 0) + age * 10 + chance.randint(0, 99)
        rows.append(f"{n},{sex},{'north' if chance.random() < 0.7 else 'south'},{age},{pay},about person {n}")
    rows.append(f"{count + 1},x,atlantis,119,98765432,the only one of her kind")
    return "\n".join(rows) + "\n"


@pytest.fixture
def twinned(world: World) -> World:
    world.register(content=people())
    twin.make_twin(world.db, world.engine, world.settings, version="nafld/1", actor="adam", at=AT)
    return world


def of(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.opened("nafld-twin/1") as folder:
        return duckdb.sql(sql.replace("TWIN", f"read_parquet('{folder}/people.parquet')")).fetchall()


# -- refusals ---------------------------------------------------------------------------------------------------------
def test_an_unknown_version_has_no_twin(world: World) -> None:
    with pytest.raises(NotFound):
        twin.make_twin(world.db, world.engine, world.settings, version="nafld/9", actor="adam", at=AT)


def test_a_version_has_one_twin_and_a_twin_has_none(twinned: World) -> None:
    for version in ("nafld/1", "nafld-twin/1"):
        with pytest.raises(RegistrationRefused) as refused:
            twin.make_twin(twinned.db, twinned.engine, twinned.settings, version=version, actor="adam", at=AT)
        assert refused.value.do
    assert twinned.rows(schema.dataset_twin) == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"allow": False},
        {"allow": "true", "level": 2, "epsilon": 1, "delta_per_million": 1, "rows_per_unit": 1},
        {"allow": True, "level": 2, "epsilon": 1000, "delta_per_million": 1, "rows_per_unit": 1},
        {"allow": True, "level": 2, "epsilon": -1, "delta_per_million": 1, "rows_per_unit": 1},
        {"allow": True, "level": 2, "epsilon": 1, "delta_per_million": 0, "rows_per_unit": 1},
        {"allow": True, "level": 2, "epsilon": 1, "delta_per_million": 1},
    ],
)
def test_terms_that_are_none_make_no_twin(world: World, answer: Any) -> None:
    class Says:
        def query(self, path: str, facts: Any) -> Answer:
            return Answer(answer, "opa", "0" * 64)

    world.register(content=people(50))
    with pytest.raises(ProvisioningFault):
        twin.make_twin(world.db, Says(), world.settings, version="nafld/1", actor="adam", at=AT)  # type: ignore[arg-type]
    assert world.rows(schema.dataset_twin) == 0
    assert not list((world.settings.datasets / "nafld-twin").glob("*"))


# -- what it is -------------------------------------------------------------------------------------------------------
def test_it_has_the_same_columns_types_and_about_as_many_people(twinned: World) -> None:
    described = of(twinned, "DESCRIBE SELECT * FROM TWIN")
    assert [(name, kind) for name, kind, *_ in described] == [
        ("id", "BIGINT"),
        ("sex", "VARCHAR"),
        ("region", "VARCHAR"),
        ("age", "BIGINT"),
        ("pay", "BIGINT"),
        ("note", "VARCHAR"),
    ]
    ((rows, ids),) = of(twinned, "SELECT count(*), count(DISTINCT id) FROM TWIN")
    assert rows == ids
    assert 2500 < rows < 3500


def test_common_values_come_back_about_as_often(twinned: World) -> None:
    shares = dict(of(twinned, "SELECT region, count(*) / sum(count(*)) OVER () FROM TWIN GROUP BY region"))
    assert 0.5 < shares["north"] < 0.9
    assert 0.1 < shares["south"] < 0.5


def test_nothing_rare_comes_through(twinned: World) -> None:
    ((rare, rich, notes),) = of(
        twinned,
        "SELECT count(*) FILTER (WHERE sex = 'x' OR region = 'atlantis'), count(*) FILTER (WHERE pay > 1000000), "
        "count(note) FROM TWIN",
    )
    assert (rare, rich, notes) == (0, 0, 0)


def test_it_is_sealed_and_on_the_record_with_its_cost(twinned: World) -> None:
    (entry,) = twinned.entries("dataset.twinned")
    assert entry["subject"] == {"dataset": "nafld", "version": "nafld/1", "twin": "nafld-twin/1"}
    assert entry["facts"]["epsilon"] == "2.0"
    for file in (twinned.settings.datasets / "nafld-twin/1").iterdir():
        assert b"PAR1" not in file.read_bytes()
    with twinned.db.read() as c:
        told = twin.report_of(c, "nafld/1")
    assert told["epsilon"] == 2.0
    assert set(told["tables"]["people"]["columns"]) == {"sex", "region", "age", "pay", "note"}


# -- who works on it --------------------------------------------------------------------------------------------------
def test_a_sandbox_on_the_twin_holds_the_twin_and_names_the_data(twinned: World) -> None:
    twinned.project()
    twinned.grant()
    choices = sessions.projects_for(twinned.db, twinned.engine, "ana", ["analysts"], AT)
    assert [c.asked for c in choices] == ["liver", "liver/twin"]
    plan = sessions.plan_session(twinned.db, twinned.engine, twinned.settings, "ana", ["analysts"], "liver/twin", AT)
    (mounted,) = plan.datasets
    assert (mounted.name, mounted.version, mounted.granted) == ("nafld", "nafld-twin/1", "nafld/1")
    assert (plan.view, plan.works_on) == ("open", "twin")
    sessions.sandbox_started(twinned.db, plan, "s1", "", "c1", "sha256:0", {}, AT)
    with twinned.db.read() as c:
        row = c.execute(schema.sandbox.select()).one()
    assert json.loads(row.versions) == ["nafld/1"]
    assert row.works_on == "twin"


def test_restricted_data_is_blind_while_its_twin_is_seen(world: World) -> None:
    world.register(content=people(300), classification=4)
    twin.make_twin(world.db, world.engine, world.settings, version="nafld/1", actor="adam", at=AT)
    world.project()
    world.grant()
    projects.assess_project(world.db, name="liver", confirmed=CHECKLIST["4"], actor="adam", at=AT)
    views = {}
    for asked in ("liver", "liver/twin"):
        plan = sessions.plan_session(world.db, world.engine, world.settings, "ana", ["analysts"], asked, AT)
        views[asked] = plan.view
    assert views == {"liver": "blind", "liver/twin": "open"}


@pytest.mark.parametrize("asked", ["liver/twin", "liver/data ", "liver/", "liver/twin/x", "liver/TWIN"])
def test_without_a_twin_nobody_gets_the_data_in_its_place(world: World, asked: str) -> None:
    world.ready()
    if asked == "liver/":  # the plain name with an empty rest is the data, as without the slash
        plan = sessions.plan_session(world.db, world.engine, world.settings, "ana", ["analysts"], asked, AT)
        assert plan.works_on == "data"
        return
    with pytest.raises(AccessRefused):
        sessions.plan_session(world.db, world.engine, world.settings, "ana", ["analysts"], asked, AT)


def test_a_session_on_a_destroyed_twin_ends(twinned: World) -> None:
    twinned.project()
    twinned.grant()
    plan = sessions.plan_session(twinned.db, twinned.engine, twinned.settings, "ana", ["analysts"], "liver/twin", AT)
    sessions.sandbox_started(twinned.db, plan, "s1", "", "c1", "sha256:0", {}, AT)
    assert sessions.sessions_to_stop(twinned.db, AT) == []
    with twinned.db.transaction(AT) as t:
        version = schema.dataset_version
        t.execute(version.update().where(version.c.id == "nafld-twin/1").values(state="destroyed"))
        from ledger.entry import Entry

        t.record(Entry("dataset.destroyed", "adam", {"version": "nafld-twin/1"}, {}))
    (stopped,) = sessions.sessions_to_stop(twinned.db, AT)
    assert "twin was destroyed" in stopped.reason


# -- the parts --------------------------------------------------------------------------------------------------------
def test_levels_of_codes_are_values_and_of_measures_are_bins() -> None:
    budget = columns.Budget(1, 1.0, 1e-6)
    codes = columns.learn(pa.chunked_array([[0, 1] * 50]), "BIGINT", Exact(), budget)
    assert codes.values == ("0", "1")
    measures = columns.learn(pa.chunked_array([[float(n % 50 + 100) for n in range(1000)]]), "DOUBLE", Exact(), budget)
    assert measures.size == columns.BINS + 1
    assert measures.edges[0] <= 100
    assert measures.edges[-1] >= 149


@pytest.mark.parametrize(
    ("kind", "values"),
    [("DATE", ["2021-03-04", None] * 20), ("TIMESTAMP", ["2021-03-04 05:06:07"] * 40)],
)
def test_dates_come_back_as_dates_of_their_years(kind: str, values: list[str | None]) -> None:
    typed = pa.chunked_array(
        [duckdb.sql(f"SELECT unnest(?)::{kind}", params=[values]).to_arrow_table().column(0).combine_chunks()]
    )
    levels = columns.learn(typed, kind, Exact(), columns.Budget(1, 1.0, 1e-6))
    back = columns.decode(columns.encode(typed, levels), levels, np.random.default_rng(1)).to_pylist()
    assert [v is None for v in back] == [v is None for v in values]
    assert all(v is None or "2020-12-30" <= v[:10] <= "2022-01-02" for v in back)


def test_a_tree_keeps_what_depends_on_what() -> None:
    rng = np.random.default_rng(3)
    first = rng.integers(1, 4, 5000)
    codes = [first, rng.integers(1, 5, 5000), (first * 2) % 5]
    tree = model.fit(codes, [4, 5, 5], Exact(), 1, 1.0)
    made = model.sample(tree, 5000, rng)
    assert (made[2] == (made[0] * 2) % 5).all()


def test_opendp_draws_hold_what_they_promise() -> None:
    draws = OpenDpDraws()
    noisy = draws.counts(np.full(2000, 100), 1, 0.5)
    assert 1.5 < float(np.std(noisy)) < 5
    assert draws.keys({"rare": 1, "common": 5000}, 1, 1.0, 1e-6).keys() == {"common"}
    assert draws.keys({}, 1, 1.0, 1e-6) == {}
    assert draws.best(np.array([0.0, 10_000.0, 1.0]), 1, 1.0) == 1


def test_terms_are_read_strictly() -> None:
    made = TwinTerms.of({"allow": True, "level": 2, "epsilon": 2.0, "delta_per_million": 1, "rows_per_unit": 8})
    assert made.delta == 1e-6
