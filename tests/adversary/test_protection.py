"""Ways to get exact figures out of rounded and noisy tables, tried on the gate with its real policies, store, judgement and OpenDP."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from egress_gate.desk.analyst_api import build_analyst_api
from egress_gate.domain.item import Item, ItemRefused, Kind
from egress_gate.domain.protection import asked_protection, chosen_protection
from egress_gate.domain.request import State
from egress_gate.policy.facts import Person
from egress_gate.service.check import check, claim
from egress_gate.service.ports import Question
from egress_gate.service.recompute import SealedRecomputer
from egress_gate.service.release import prepare, release
from egress_gate.service.review import Opinion, ReviewVerdict, review
from egress_gate.service.submit import Draft, caller, sources_of, submit
from egress_gate.store import privacy, releases, requests
from egress_gate.store.requests import RequestRow
from ledger.entry import Entry
from policy_engine.in_process import InProcess
from store import schema as s
from store.clock import stamp
from tests.integration.cohort import SameProcess
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import START, World, make_world

NOISE = {"method": "noise"}
BY_SEX = "SELECT sex, count(*) AS n FROM nafld1 GROUP BY sex"
BY_AGE = "SELECT age, count(*) AS n FROM nafld1 GROUP BY age"
STEWARD = Person("stella", frozenset({"stewards"}))


@pytest.fixture(scope="module")
def engine() -> InProcess:
    return InProcess()


@pytest.fixture
def world(tmp_path: Path, engine: InProcess) -> World:
    made = make_world(tmp_path / "home")
    folder = made.settings.datasets / "nafld-1"
    folder.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT i AS id, 40 + i % 8 AS age, CASE WHEN i = 7 OR i % 2 = 0 THEN 1 ELSE 2 END AS sex, "
            "CASE WHEN i = 7 THEN 200 ELSE 50 + i % 50 END AS weight "
            f"FROM range(803) t(i)) TO '{folder / 'nafld1.parquet'}'"
        )
        con.execute(
            f"COPY (SELECT i % 200 AS id, i % 3 AS visit FROM range(600) t(i)) TO '{folder / 'visits.parquet'}'"
        )
    columns = json.dumps([{"name": n, "type": "BIGINT", "meaning": ""} for n in ("id", "visit")])
    with made.database.transaction(START) as t:
        table = {"name": "visits", "file": "visits.parquet", "digest": "f" * 64, "rows": 600, "bytes": 1000}
        t.execute(insert(s.dataset_table).values(version="nafld/1", unit="id", columns=columns, **table))
        t.record(Entry("dataset.registered", "adam", {"dataset": "nafld"}, {}))
    recomputer = SealedRecomputer(made.settings, SameProcess())
    made.gate = replace(made.gate, engine=engine, recomputer=recomputer)
    return made


def asked(world: World, *outputs: tuple[str, dict[str, Any] | None], sandbox: str = "5a") -> RequestRow:
    """A request for these tables, checked."""
    items = tuple(
        Item(f"t{n}", Kind.TABLE, sql, None, {} if how is None else {"protection": how})
        for n, (sql, how) in enumerate(outputs, 1)
    )
    draft = Draft("Ages", "A table for the paper on ages", "Table 1 of the paper", items)
    row = submit(world.gate, caller(world.gate, sandbox), draft, world.clock())
    held = claim(world.gate, row.id, world.clock())
    return row if held is None else check(world.gate, held, world.clock())  # what the parser refused is never claimed


def let_out(world: World, *outputs: tuple[str, dict[str, Any] | None], sandbox: str = "5a") -> RequestRow:
    row = asked(world, *outputs, sandbox=sandbox)
    assert row.state is State.IN_REVIEW, reasons(world, row)
    row = review(world.gate, STEWARD, row.id, Opinion(ReviewVerdict.APPROVE, "Seen."), world.clock(), row.revision)
    held = prepare(world.gate, row.id, world.clock())
    assert held is not None
    return release(world.gate, held, world.clock())


def reasons(world: World, row: RequestRow) -> set[str]:
    with world.gate.store.read() as c:
        made = requests.decision(c, row.id, row.revision)
    assert made is not None
    return {r.code for r in made.reasons}


def files(world: World, row: RequestRow) -> Iterator[tuple[str, bytes]]:
    with world.gate.store.read() as c:
        found = releases.of_request(c, row.id)
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(world.gate.blobs.read(found.bundle))) as bundle:
        for name in bundle.namelist():
            yield name, bundle.read(name)


def table(world: World, row: RequestRow, item: str = "t1") -> dict[str, int]:
    text = next(data for name, data in files(world, row) if name.endswith(f"{item}.csv")).decode("utf-8-sig")
    return {line["age" if "age" in line else "sex"]: int(line["n"]) for line in csv.DictReader(io.StringIO(text))}


def spent(world: World, project: str | None = "liver") -> float:
    with world.gate.store.read() as c:
        return privacy.spent(c, project, ["nafld/1"]).get("nafld/1", 0.0)


def test_asking_again_does_not_average_noise_away(world: World) -> None:
    answers = [table(world, let_out(world, (BY_SEX, NOISE))) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert spent(world) == 0.5  # paid once
    assert len(world.entries("privacy.charged")) == 1


def test_a_colleague_gets_the_same_answer(world: World) -> None:
    first = let_out(world, (BY_SEX, NOISE))
    with world.database.transaction(START) as t:
        t.execute(insert(s.project_member).values(project="liver", person="amir", added_at=stamp(START)))
        t.record(Entry("project.member_added", "adam", {"project": "liver"}, {}))
    assert table(world, let_out(world, (BY_SEX, NOISE), sandbox="5b")) == table(world, first)
    assert spent(world) == 0.5


def test_the_same_question_in_other_words_is_paid_again_until_the_budget_is_gone(world: World) -> None:
    """Averaging over spellings costs the budget, and then ends."""
    words = [BY_SEX.replace("count(*) AS n", f"count(*) AS n{'x' * n}") for n in range(7)]
    for text in words[:6]:
        let_out(world, (text, NOISE))
    row = asked(world, (words[6], NOISE))
    assert row.state is State.REFUSED
    assert "budget_spent" in reasons(world, row)
    assert spent(world) == 3.0


def test_one_request_cannot_spend_the_budget_many_times(world: World) -> None:
    words = [BY_SEX.replace("AS n", f"AS n{'x' * n}") for n in range(7)]
    assert asked(world, *((w, NOISE) for w in words[:6])).state is State.IN_REVIEW
    row = asked(world, *((w, NOISE) for w in words))
    assert row.state is State.REFUSED
    assert "budget_spent" in reasons(world, row)


def test_the_same_question_twice_in_one_request_is_paid_twice(world: World) -> None:
    let_out(world, (BY_SEX, NOISE), (BY_SEX, NOISE))
    assert spent(world) == 1.0


def test_a_budget_that_two_requests_raced_for_is_spent_once(world: World) -> None:
    """Both were checked while the budget sufficed for one; the second is checked again when it wants to leave."""
    for n in range(5):
        let_out(world, (BY_SEX.replace("AS n", f"AS n{'x' * n}"), NOISE))
    rows = [asked(world, (BY_AGE.replace("AS n", f"AS n{'y' * n}"), NOISE)) for n in range(2)]
    assert [r.state for r in rows] == [State.IN_REVIEW] * 2
    after = []
    for row in rows:
        review(world.gate, STEWARD, row.id, Opinion(ReviewVerdict.APPROVE, "Seen."), world.clock(), row.revision)
        held = prepare(world.gate, row.id, world.clock())
        assert held is not None
        after.append(release(world.gate, held, world.clock()))
    assert [r.state for r in after] == [State.RELEASED, State.SUBMITTED]
    held = claim(world.gate, after[1].id, world.clock())
    assert held is not None
    assert check(world.gate, held, world.clock()).state is State.REFUSED
    assert spent(world) == 3.0


def test_a_second_project_does_not_double_what_can_be_learnt(world: World) -> None:
    """Each project has its own budget, and all of them together have one too."""
    for project, person, sandbox in (("lung", "amir", "5c"), ("skin", "amir", "5d")):
        with world.database.transaction(START) as t:
            liver = t.execute(select(s.project).where(s.project.c.name == "liver")).one()._mapping
            t.execute(insert(s.project).values(**{**liver, "name": project}))
            t.execute(insert(s.project_member).values(project=project, person=person, added_at=stamp(START)))
            old = t.execute(select(s.grant).where(s.grant.c.project == "liver")).first()
            assert old is not None
            kept = {k: v for k, v in old._mapping.items() if k != "id"}
            t.execute(insert(s.grant).values(**{**kept, "project": project}))
            box = t.execute(select(s.sandbox).where(s.sandbox.c.id == "5b")).one()._mapping
            t.execute(insert(s.sandbox).values(**{**box, "id": sandbox, "project": project, "container": sandbox}))
            t.record(Entry("project.created", "adam", {"project": project}, {}))
    words = [BY_SEX.replace("AS n", f"AS n{'x' * n}") for n in range(13)]
    let_out(world, *((w, NOISE) for w in words[:6]))
    let_out(world, *((w, NOISE) for w in words[6:12]), sandbox="5c")
    row = asked(world, (words[12], NOISE), sandbox="5d")
    assert row.state is State.REFUSED
    assert "budget_spent" in reasons(world, row)
    assert (spent(world, "skin"), spent(world, None)) == (0.0, 6.0)


@pytest.mark.parametrize("epsilon", [0, -1, 1e9, 101, True, "1", float("nan"), float("inf"), 0.123456789])
def test_an_epsilon_that_makes_no_sense_is_refused(world: World, epsilon: Any) -> None:
    with pytest.raises(ItemRefused):
        asked(world, (BY_SEX, {**NOISE, "epsilon": epsilon}))


def test_a_large_epsilon_is_cut_to_the_policys(world: World) -> None:
    let_out(world, (BY_SEX, {**NOISE, "epsilon": 100}))
    assert spent(world) == 0.5


@pytest.mark.parametrize(
    "bounds",
    [
        {"w": [0, 57.123456789]},  # a figure of the data, carried out by the certificate
        {"w": [0, 123456]},
        {"w": [5, 5]},
        {"w": [9, 1]},
        {"w": [float("-inf"), float("inf")]},
        {"w": [0, 1e300]},
        {"w": [0]},
        {"w": "0,1"},
        {f"c{n}": [0, 1] for n in range(30)},
    ],
)
def test_bounds_that_carry_a_figure_or_bound_nothing_are_refused(bounds: Any) -> None:
    with pytest.raises(ItemRefused):
        asked_protection({"protection": {**NOISE, "bounds": bounds}})


def test_less_than_policy_asks_cannot_be_asked_for() -> None:
    least = {"protection": {"method": "round", "rounding_base": 15, "epsilon": 0.5, "delta_per_million": 1}}
    assert chosen_protection({"protection": {"method": "suppress"}}, least).method == "round"
    assert chosen_protection({"protection": {"method": "round", "base": 2}}, least).base == 15
    assert chosen_protection({"protection": NOISE}, least).epsilon == 0.5
    with pytest.raises(ItemRefused):
        chosen_protection({"protection": NOISE}, {})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.sex, count(*) AS n FROM nafld1 a JOIN visits v ON a.id = v.id GROUP BY a.sex",
        "SELECT visit, count(*) AS n FROM visits GROUP BY visit",
        "SELECT sex, avg(weight) AS n FROM nafld1 GROUP BY sex",
        "SELECT sex, max(weight) AS n FROM nafld1 GROUP BY sex",
        "SELECT sex, sum(weight) AS n FROM nafld1 GROUP BY sex",
        "SELECT sex, count(DISTINCT weight) AS n FROM nafld1 GROUP BY sex",
    ],
)
def test_noise_is_refused_where_one_person_moves_more_than_was_paid_for(world: World, sql: str) -> None:
    row = asked(world, (sql, NOISE))
    assert row.state is State.REFUSED
    assert spent(world) == 0.0


def test_a_row_of_one_person_never_appears_with_noise(world: World) -> None:
    heavy = "CASE WHEN weight >= 200 THEN 'x' ELSE 'y' END"
    row = let_out(world, (f"SELECT {heavy} AS sex, count(*) AS n FROM nafld1 GROUP BY {heavy}", NOISE))
    assert set(table(world, row)) == {"y"}


def test_the_certificate_says_how_and_at_what_cost(world: World) -> None:
    row = let_out(world, (BY_SEX, NOISE))
    members = dict(files(world, row))
    said = next(json.loads(d) for n, d in members.items() if n.endswith("certificate.json"))
    checked = said["statement"]["checks"][0]
    how = checked["protection"]
    assert how == {"method": "noise", "epsilon": "0.5", "delta": "1e-06", "bounds": {}}
    assert checked["item"] == "t1"
    (charged,) = world.entries("privacy.charged")
    assert charged["facts"]["protection"] == how


def test_rounding_hides_every_count_and_keeps_margins(world: World) -> None:
    sql = "SELECT sex, count(*) AS n FROM nafld1 GROUP BY ROLLUP (sex)"
    row = let_out(world, (sql, {"method": "round"}))
    made = table(world, row)
    assert all(count % 15 == 0 for count in made.values())
    assert sum(sorted(made.values())[:2]) == max(made.values())


def test_roundings_to_several_bases_do_not_close_in_on_a_difference(world: World) -> None:
    """402 is 400 to 403 by its multiples of 15, 16 and 31, and so is 401: the one person between them would be seen."""
    less = "SELECT sex, count(*) AS n FROM nafld1 WHERE weight < 200 GROUP BY sex"
    for base in (15, 16, 31):
        let_out(world, (BY_SEX, {"method": "round", "base": base}))
    let_out(world, (less, {"method": "round", "base": 15}))
    row = asked(world, (less, {"method": "round", "base": 16}), (less, {"method": "round", "base": 31}))
    assert row.state is State.REFUSED, reasons(world, row)
    with world.gate.store.read() as c:
        found = {f.rule for k in requests.checks(c, row.id, row.revision) for f in k.findings}
    assert found & {"joint_exact", "joint_narrow"}


def test_a_rounded_table_after_an_exact_one_gives_no_hidden_cell_back(world: World) -> None:
    sql = "SELECT sex, count(*) AS n FROM nafld1 GROUP BY sex"
    less = "SELECT sex, count(*) AS n FROM nafld1 WHERE weight < 200 GROUP BY sex"
    let_out(world, (sql, None))
    row = asked(world, (less, {"method": "round"}))  # 401 and 402 both lie between 390 and 405: nothing is learnt
    assert row.state is State.IN_REVIEW
    assert asked(world, (less, None)).state is State.REFUSED


def test_rounding_of_what_is_no_count_is_refused(world: World) -> None:
    row = asked(world, ("SELECT sex, sum(weight) AS n FROM nafld1 GROUP BY sex", {"method": "round"}))
    assert row.state is State.REFUSED


def test_a_preview_tells_no_figure(world: World) -> None:
    api = TestClient(build_analyst_api(world.gate, world.clock), headers={"x-glovebox-sandbox": "5a"})
    for how in (NOISE, {"method": "round"}):
        answer = api.post("/v1/preview", json={"sql": BY_SEX, "protection": how})
        assert answer.status_code == 200, answer.text
        assert answer.json()["protection"]["method"] == how["method"]
        assert not any(str(n) in answer.text for n in (402, 401, 405, 390))
    assert spent(world) == 0.0


@pytest.mark.parametrize(
    "how", [{"method": "guess"}, {}, {"method": "noise", "seed": 1}, {"method": "round", "base": 1.5}, "noise", []]
)
def test_a_protection_of_another_form_is_refused_whole(world: World, how: Any) -> None:
    api = TestClient(build_analyst_api(world.gate, world.clock), headers={"x-glovebox-sandbox": "5a"})
    item = {"name": "t1", "sql": BY_SEX, "protection": how}
    body = {"title": "t", "purpose": "p", "context": "c", "items": [item]}
    assert api.post("/v1/requests", json=body).status_code == 422
    assert not world.entries("request.submitted")


def test_only_tables_are_rounded_or_given_noise(world: World) -> None:
    api = TestClient(build_analyst_api(world.gate, world.clock), headers={"x-glovebox-sandbox": "5a"})
    item = {
        "name": "m",
        "kind": "regression",
        "sql": BY_SEX,
        "formula": "n ~ sex",
        "family": "ols",
        "protection": NOISE,
    }
    body = {"title": "t", "purpose": "p", "context": "c", "items": [item]}
    assert api.post("/v1/requests", json=body).status_code == 422


def test_a_figure_over_noise_is_drawn_from_the_same_answer(world: World) -> None:
    spec = {
        "mark": "bar",
        "encoding": {"x": {"field": "sex", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}},
    }
    first = table(world, let_out(world, (BY_SEX, NOISE)))
    item = Item("f1", Kind.FIGURE, BY_SEX, None, {"spec": spec, "protection": NOISE})
    draft = Draft("Ages", "A figure for the paper on ages", "Figure 1 of the paper", (item,))
    row = submit(world.gate, caller(world.gate, "5a"), draft, world.clock())
    held = claim(world.gate, row.id, world.clock())
    assert held is not None
    row = check(world.gate, held, world.clock())
    assert row.state is State.IN_REVIEW, reasons(world, row)
    review(world.gate, STEWARD, row.id, Opinion(ReviewVerdict.APPROVE, "Seen."), world.clock(), row.revision)
    held = prepare(world.gate, row.id, world.clock())
    assert held is not None
    assert table(world, release(world.gate, held, world.clock()), "f1") == first
    assert spent(world) == 0.5


def test_having_looks_at_the_rounded_figures_alone(world: World) -> None:
    """100 or 101 people of each age, all of them shown as 105: a condition between the two must not tell them apart."""
    by_age = {str(age): 105 for age in range(40, 48)}
    assert table(world, let_out(world, (f"{BY_AGE} HAVING count(*) > 100", {"method": "round"}))) == by_age
    assert table(world, let_out(world, (f"{BY_AGE} HAVING n <= 101", {"method": "round"}))) == {}


def test_another_condition_on_noise_is_paid_like_another_question(world: World) -> None:
    """Each answer has its own noise, so each costs."""
    for k in (10, 11):
        let_out(world, (f"{BY_SEX} HAVING n > {k}", NOISE))
    assert spent(world) == 1.0


def test_a_preview_does_not_answer_a_condition(world: World) -> None:
    """What HAVING would leave out tells figures, and no steward has seen them yet."""
    api = TestClient(build_analyst_api(world.gate, world.clock), headers={"x-glovebox-sandbox": "5a"})
    told = []
    for k in (0, 402, 403, 1000):
        answer = api.post("/v1/preview", json={"sql": f"{BY_SEX} HAVING n > {k}"})
        assert answer.status_code == 200, answer.text
        told.append({name: value for name, value in answer.json().items() if name != "canonical_sql"})
    assert all(one == told[0] for one in told)
    assert len(told[0]["cells"]) == 2


def test_figures_of_the_analyst_are_compared_with_the_whole_table(world: World) -> None:
    """A disagreement that depended on a condition would answer it; rows that agree agree under any."""
    sources = sources_of(world.gate, ["nafld/1"])
    rules = {"min_contributors": 10, "dominance": {"n": 2, "k": 0.9}, "p_percent": 0.1}
    sent = {"columns": ["sex", "n"], "rows": [[1, 403]]}
    for k in (0, 402, 403):
        asked_for = Question("t", f"{BY_SEX} HAVING n > {k}", sources, rules, expected=sent)
        made = world.gate.recomputer.assess(asked_for)
        assert "disagreement" not in {f.rule for f in made.findings}, k


def test_what_a_condition_leaves_out_does_not_leave_and_the_steward_sees_why(world: World) -> None:
    row = asked(world, (f"{BY_SEX} HAVING n > 402", None))
    assert row.state is State.IN_REVIEW, reasons(world, row)
    page = signed_in(make_desk(world), "stella").get(f"{PREFIX}requests/{row.name}").text
    assert "left out by HAVING" in page
    assert "1 row left out whole" in page
    released = let_out(world, (f"{BY_SEX} HAVING n > 402", None))
    assert table(world, released) == {"1": 403}
    with world.gate.store.read() as c:
        (before,) = releases.earlier(c, ["nafld/1"])
    assert before.sql.endswith('HAVING "n" > 402')
    assert before.suppressed == ()
    assert table(world, let_out(world, (BY_SEX, None))) == {"1": 403, "2": 400}


def test_what_a_reviewer_holds_back_neither_leaves_nor_is_paid_for(world: World) -> None:
    """Nothing of it is in the bundle, by name or by figures, and its budget is not spent; sent again, it is judged with what left."""
    row = asked(world, (BY_SEX, NOISE), (BY_AGE, NOISE))
    opinion = Opinion(ReviewVerdict.APPROVE, "One.", {"t2": ReviewVerdict.RETURN}, {"t2": "Why by age?"})
    row = review(world.gate, STEWARD, row.id, opinion, world.clock(), row.revision)
    held = prepare(world.gate, row.id, world.clock())
    assert held is not None
    out = dict(files(world, release(world.gate, held, world.clock())))
    assert {n for n in out if n.startswith("data/")} == {"data/t1.csv", "data/t1.parquet"}
    assert not [n for n, data in out.items() if b'"t2"' in data or b"t2." in data or b"GROUP BY age" in data]
    assert spent(world) == 0.5
    again = let_out(world, (BY_AGE, NOISE))
    assert again.state is State.RELEASED
    assert spent(world) == 1.0
