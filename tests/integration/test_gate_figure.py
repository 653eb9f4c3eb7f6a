"""A figure's whole way on the real cohort: its table recomputed in the sealed container, drawn by the gate, shown, released."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.service.deliver import download
from egress_gate.service.submit import Draft, submit
from egress_gate.service.worker import Worker
from egress_gate.store import requests
from ledger import bundle
from tests.unit.gate.desks import PREFIX, browser, make_desk, signed_in
from tests.unit.gate.factory import ANA, World

SEX = "SELECT male, count(*) AS n, avg(age) AS age FROM nafld1 GROUP BY male"
BANDS = """SELECT CASE WHEN age < 30 THEN 'under 30' WHEN age < 50 THEN '30-49' WHEN age < 70 THEN '50-69' ELSE '70 and over' END AS band,
  male, count(DISTINCT nafld3.id) AS people FROM nafld3 JOIN nafld1 ON nafld3.id = nafld1.id
  WHERE event = 'ang/isc' GROUP BY band, male"""
BARS: dict[str, Any] = {
    "title": "Angina by age",
    "mark": "bar",
    "encoding": {
        "x": {"field": "band", "type": "ordinal"},
        "y": {"field": "people", "type": "quantitative"},
        "color": {"field": "male", "type": "nominal"},
    },
}
TWO: dict[str, Any] = {
    "mark": "bar",
    "encoding": {"x": {"field": "male", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}},
}


def asked(world: World, spec: dict[str, Any], sql: str) -> requests.RequestRow:
    draft = Draft("t", "p", "c", (Item("fig", Kind.FIGURE, sql, None, {"spec": spec}),))
    row = submit(world.gate, world.ana, draft, world.clock())
    Worker(world.gate, world.clock).round()
    return world.row(row.id)


def files(world: World, row: requests.RequestRow) -> dict[str, bytes]:
    world.reviewed(row)
    Worker(world.gate, world.clock).round()
    assert world.row(row.id).state is State.RELEASED
    return bundle.unpack(download(world.gate, ANA, world.release_of(row), world.clock()).data)


@pytest.mark.docker
@pytest.mark.opa
def test_a_figure_is_drawn_from_the_protected_table_and_leaves_as_it_was_shown(sealed_world: World) -> None:
    world = sealed_world
    row = asked(world, BARS, BANDS)
    assert row.state is State.IN_REVIEW, row.trouble
    steward = signed_in(make_desk(world), "stella")
    shown = steward.get(f"{PREFIX}requests/{row.name}/figures/fig")
    assert shown.headers["content-type"] == "image/png"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    page = steward.get(f"{PREFIX}requests/{row.name}").text
    assert f"{PREFIX}requests/{row.name}/figures/fig" in page
    assert "Angina by age" in page
    out = files(world, row)
    assert out["data/fig.png"] == shown.content
    rows = list(csv.DictReader(io.StringIO(out["data/fig.csv"].decode())))
    spec = json.loads(out["data/fig.vl.json"])
    drawn = [(v["band"], v["male"], v["people"]) for v in spec["data"]["values"]]
    assert drawn == [(r["band"], int(r["male"]), int(r["people"])) for r in rows]
    assert all(people >= 10 for _, _, people in drawn)
    assert b"Angina by age" in out["data/fig.svg"]
    assert b"<script" not in out["data/fig.svg"]
    assert "Angina by age" in json.dumps(json.loads(out["certificate.json"]))


@pytest.mark.opa
def test_the_picture_is_for_those_who_see_the_evidence(world: World) -> None:
    row = asked(world, TWO, SEX)
    desk = make_desk(world)
    path = f"{PREFIX}requests/{row.name}/figures/fig"
    for name, status in (("stella", 200), ("audrey", 200), ("ana", 404), ("amir", 404), ("adam", 404), ("nobody", 404)):
        assert signed_in(desk, name).get(path).status_code == status, name
    assert browser(desk).get(path, follow_redirects=False).status_code == 302
    assert signed_in(desk, "stella").get(f"{PREFIX}requests/{row.name}/figures/other").status_code == 404


@pytest.mark.opa
def test_a_figure_is_remembered_by_the_joint_audit_as_its_table(world: World) -> None:
    files(world, asked(world, TWO, SEX))
    later = world.submitted("SELECT male, count(*) AS n FROM nafld1 WHERE age < 98 GROUP BY male")
    Worker(world.gate, world.clock).round()
    assert world.row(later.id).state is State.REFUSED


@pytest.mark.opa
@pytest.mark.parametrize(
    ("spec", "sql", "rule"),
    [
        ({**TWO, "title": "Ward 93"}, SEX, "text_digits"),
        ({**TWO, "encoding": {**TWO["encoding"], "color": {"field": "id", "type": "nominal"}}}, SEX, "spec_refused"),
    ],
)
def test_what_a_figure_says_is_a_finding(world: World, spec: dict[str, Any], sql: str, rule: str) -> None:
    row = asked(world, spec, sql)
    with world.gate.store.read() as c:
        (check,) = requests.checks(c, row.id, 1)
    assert rule in {f.rule for f in check.findings}
    assert row.state is (State.IN_REVIEW if rule == "text_digits" else State.REFUSED)
    assert (check.protected is None) == (rule == "spec_refused")
    assert signed_in(make_desk(world), "stella").get(f"{PREFIX}requests/{row.name}").status_code == 200


@pytest.mark.opa
@pytest.mark.parametrize(
    ("spec", "sql"),
    [
        ({**TWO, "data": {"url": "https://attacker.example/"}}, SEX),
        ({**TWO, "transform": [{"calculate": "datum.n", "as": "m"}]}, SEX),
        (TWO, "SELECT id, age FROM nafld1"),
    ],
)
def test_an_attempt_is_refused_at_once_and_recorded(world: World, spec: dict[str, Any], sql: str) -> None:
    assert asked(world, spec, sql).state is State.REFUSED
    assert world.entries("request.decided")
