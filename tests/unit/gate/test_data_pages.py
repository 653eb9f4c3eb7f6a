"""A dataset's page and the package shelf: who sees which part, and that all of it is shown as text."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from egress_gate.policy.facts import Person
from egress_gate.service.delegate import lend
from egress_gate.service.deliver import revoke
from egress_gate.service.errors import NotAllowed, NotFound
from egress_gate.service.packages import shelf_for
from egress_gate.service.sheets import Turned, dataset_page, datasets_for
from ledger.entry import Entry
from store import schema as s
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ADAM, AMIR, ANA, AUDREY, NOBODY, SMALL, STELLA, World
from tests.unit.gate.registered import CERTIFICATE, ENDED, SCRIPT, masked_and_twinned, shelved

SVEN = Person("sven", frozenset({"stewards"}))


@pytest.fixture
def described(world: World) -> World:
    masked_and_twinned(world)
    return world


@pytest.fixture
def shelf_world(world: World) -> World:
    shelved(world)
    return world


def page(world: World, name: str, path: str, language: str = "en") -> str:
    client = signed_in(make_desk(world), name)
    answer = client.get(PREFIX + path, headers={"accept-language": language})
    assert answer.status_code == 200, answer.text[:300]
    return answer.text


@pytest.mark.parametrize("person", [ANA, AMIR, SVEN, NOBODY, Person("stella", frozenset({"analysts"}))])
def test_a_dataset_is_not_for_others(described: World, person: Person) -> None:
    """Not for analysts of a project that it is granted to, nor for a steward of other data, nor by a name without the role."""
    with pytest.raises(NotFound) as hidden:
        dataset_page(described.gate, person, "nafld", described.clock())
    with pytest.raises(NotFound) as missing:
        dataset_page(described.gate, person, "never", described.clock())
    assert hidden.value.public() == missing.value.public()


def test_how_close_a_twin_came_is_for_stewards_and_administrators_alone(described: World) -> None:
    seen = {
        p.name: bool(dataset_page(described.gate, p, "nafld", described.clock()).twins) for p in (STELLA, ADAM, AUDREY)
    }
    assert seen == {"stella": True, "adam": True, "audrey": False}
    assert "11.9 %" in page(described, "stella", "data/nafld")
    audited = page(described, "audrey", "data/nafld")
    assert "11.9" not in audited
    assert "ε" not in audited


def test_a_lent_vote_shows_the_page_but_not_the_twins_report(described: World) -> None:
    now = described.clock()
    lend(described.gate, STELLA, "nafld", "sven", now + timedelta(days=30), now)
    found = dataset_page(described.gate, SVEN, "nafld", described.clock())
    assert found.sheet.name == "nafld"
    assert found.twins == ()
    assert [line.name for line in datasets_for(described.gate, SVEN, described.clock()).rows] == ["nafld", "sheep"]
    described.clock.skip(days=60)
    with pytest.raises(NotFound):
        dataset_page(described.gate, SVEN, "nafld", described.clock())


def test_the_list_has_what_one_looks_after(described: World) -> None:
    def names(person: Person) -> list[str]:
        return [line.name for line in datasets_for(described.gate, person, described.clock()).rows]

    assert names(SVEN) == ["sheep"]
    assert names(STELLA) == ["nafld", "nafld-twin"]
    assert names(ADAM) == names(AUDREY) == ["nafld", "nafld-twin", "sheep"]
    for person in (ANA, NOBODY):
        with pytest.raises(NotAllowed):
            names(person)


def test_each_version_says_where_it_came_from_and_what_became_of_it(described: World) -> None:
    found = dataset_page(described.gate, AUDREY, "nafld", described.clock())
    second, first = found.sheet.versions
    assert found.shown == first  # the newest is destroyed
    assert (second.masked_from, second.masked_for, second.state) == ("nafld/1", "liver", "destroyed")
    assert second.born is not None
    assert (second.born.kind, second.born.certificate) == ("dataset.masked", None)
    assert second.ended is not None
    assert (second.ended.certificate, second.ended.reason) == (ENDED, "Consent ended.")
    assert first.born is not None
    assert (first.born.kind, first.born.certificate, first.ended) == ("dataset.registered", CERTIFICATE, None)
    assert first.twin == "nafld-twin/1"
    (twin,) = dataset_page(described.gate, STELLA, "nafld-twin", described.clock()).sheet.versions
    assert twin.twin_of == "nafld/1"
    assert twin.born is not None
    assert twin.born.kind == "dataset.twinned"


def test_the_page_tells_columns_units_and_confirmed_identifiers_of_the_chosen_version(described: World) -> None:
    text = page(described, "stella", "data/nafld")
    for shown in (
        "Olmsted County",
        "2036-12-31",
        "direct identifier",
        "quasi-identifier",
        "kg",
        "nafld1.age",
        CERTIFICATE,
    ):
        assert shown in text, shown
    assert "Masked for project liver" in text
    assert "direct identifier" not in page(described, "stella", "data/nafld?version=2")  # it has no tables here
    client = signed_in(make_desk(described), "stella")
    assert client.get(f"{PREFIX}data/nafld?version=9").status_code == 404
    assert client.get(f"{PREFIX}data/nafld?version=x").status_code in (400, 422)


def test_grants_and_releases_are_there_and_a_revoked_one_says_so(described: World) -> None:
    described.released(SMALL)
    found = dataset_page(described.gate, ADAM, "nafld", described.clock())
    (left,) = found.releases.rows
    assert (left.request, left.project, left.revoked_at) == ("R-1", "liver", None)
    assert [g.project for g in found.grants.rows] == ["liver"]
    assert dataset_page(described.gate, ADAM, "nafld-twin", described.clock()).releases.rows == ()
    revoke(described.gate, STELLA, left.release, "A mistake was found.", described.clock())
    assert dataset_page(described.gate, ADAM, "nafld", described.clock()).releases.rows[0].revoked_at is not None


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_what_people_wrote_is_shown_as_text(described: World, language: str) -> None:
    shelved(described)
    for name, path in (("stella", "data/nafld"), ("adam", "shelf"), ("ana", "shelf")):
        text = page(described, name, path, language)
        assert "&lt;script&gt;alert(1)" in text
        assert SCRIPT not in text


def test_navigation_leads_there(described: World) -> None:
    assert f'href="{PREFIX}data/nafld"' in page(described, "stella", "data")
    assert f'href="{PREFIX}data/nafld"' in page(described, "audrey", "admin/data")
    steward, analyst, auditor = (page(described, name, "notices") for name in ("stella", "ana", "audrey"))
    assert [f'href="{PREFIX}data"' in p for p in (steward, analyst)] == [True, False]
    assert [f'href="{PREFIX}shelf"' in p for p in (analyst, steward, auditor)] == [True, False, False]


@pytest.mark.parametrize("person", [STELLA, AUDREY, NOBODY])
def test_the_shelf_is_not_for_others(shelf_world: World, person: Person) -> None:
    with pytest.raises(NotAllowed):
        shelf_for(shelf_world.gate, person, shelf_world.clock())


def test_an_analyst_sees_the_newest_edition_and_the_requests_of_their_own_projects(shelf_world: World) -> None:
    found = shelf_for(shelf_world.gate, ANA, shelf_world.clock())
    assert found.edition is not None
    assert (found.edition.number, [p["name"] for p in found.edition.packages]) == (2, ["aard", "zebra"])
    assert [r.name for r in found.waiting.rows] == ["lifelines"]
    assert [r.answer for r in found.answered.rows] == ["The standard library pads."]
    text = page(shelf_world, "ana", "shelf")
    assert "secretive" not in text
    assert "./glovebox package" not in text
    assert "glovebox.ask_for_package" in text


def test_who_left_a_project_sees_only_what_they_asked_for_themselves(shelf_world: World) -> None:
    with shelf_world.database.transaction(shelf_world.clock()) as t:
        t.execute(update(s.project_member).values(removed_at=t.at))
        t.execute(update(s.package_request).where(s.package_request.c.name == "leftpad").values(person="amir"))
        t.record(Entry("member.removed", "adam", {"project": "liver", "person": "ana"}, {}))
    found = shelf_for(shelf_world.gate, ANA, shelf_world.clock())
    assert [r.name for r in (*found.waiting.rows, *found.answered.rows)] == ["lifelines"]


def test_an_administrator_sees_all_requests_and_the_commands_that_answer_them(shelf_world: World) -> None:
    found = shelf_for(shelf_world.gate, ADAM, shelf_world.clock())
    assert [r.name for r in found.waiting.rows] == ["lifelines", "secretive"]
    text = page(shelf_world, "adam", "shelf")
    assert "./glovebox package approve LOCK --by adam" in text
    assert "./glovebox package refuse NUMBER --by adam --reason" in text


def test_an_empty_shelf_says_so(world: World) -> None:
    assert "The shelf is empty" in page(world, "ana", "shelf")


def many_datasets(world: World, count: int) -> None:
    """Other people's, before and behind nafld in the order of names."""
    with world.database.transaction(world.clock()) as t:
        made = {"title": "T", "description": "", "provider": "p", "classification": 1, "registered_by": "adam"}
        names = [f"{'a' if n % 2 else 'z'}{n:04d}" for n in range(count)]
        t.execute(insert(s.dataset), [{"name": name, "registered_at": t.at, **made} for name in names])
        t.execute(insert(s.dataset_steward), [{"dataset": name, "person": "sven"} for name in names])
        t.record(Entry("dataset.registered", "adam", {"dataset": "many"}, {}))


def test_a_steward_finds_their_data_among_however_much_there_is(world: World) -> None:
    many_datasets(world, 1200)
    mine = datasets_for(world.gate, STELLA, world.clock())
    assert ([line.name for line in mine.rows], mine.total, mine.last) == (["nafld"], 1, 1)
    everything = datasets_for(world.gate, ADAM, world.clock(), 25)
    assert (everything.total, everything.last, len(everything.rows)) == (1201, 25, 1)
    first = page(world, "adam", "data")
    assert "page 1 of 25" in first
    assert f'href="{PREFIX}data?page=2"' in first
    assert "page 25 of 25" in page(world, "adam", "admin/data?datasets=25")
    assert signed_in(make_desk(world), "adam").get(f"{PREFIX}data?page=0").status_code in (400, 422)


def test_the_grants_and_releases_of_a_dataset_turn_on_their_own_and_keep_the_version(described: World) -> None:
    with described.database.transaction(described.clock()) as t:
        given = {"project": "liver", "version": "nafld/2", "purpose": "Survival", "granted_by": "stella"}
        t.execute(insert(s.grant), [{"granted_at": t.at, "expires_at": t.at, **given} for _ in range(60)])
        t.record(Entry("grant.given", "stella", {"dataset": "nafld"}, {}))
    text = page(described, "stella", "data/nafld?version=2")
    assert "61 in all" in text
    assert f'href="{PREFIX}data/nafld?version=2&amp;grants=2#grants"' in text
    second = dataset_page(described.gate, STELLA, "nafld", described.clock(), Turned(grants=2))
    assert [g.id for g in second.grants.rows] == list(range(11, 0, -1))


def test_the_shelf_turns_its_packages_and_what_was_answered(shelf_world: World) -> None:
    packages = [{"name": f"p{n:03d}", "version": "1", "sha256": "0" * 64, "file": "x"} for n in range(120)]
    with shelf_world.database.transaction(shelf_world.clock()) as t:
        t.execute(update(s.shelf_edition).values(packages=json.dumps(packages)))
        row = {"person": "ana", "project": "liver", "reason": "To try.", "state": "refused", "asked_at": t.at}
        done = {"decided_by": "adam", "decided_at": t.at, "answer": "No."}
        t.execute(insert(s.package_request), [{"name": f"q{n}", **row, **done} for n in range(60)])
        t.record(Entry("shelf.approved", "adam", {"edition": "3"}, {}))
    text = page(shelf_world, "ana", "shelf?packages=3")
    assert "page 3 of 3" in text
    assert "p119" in text
    assert "p099" not in text
    assert "61 in all" in text
    assert 'shelf?answered=2"' in text


def test_the_page_and_its_csv_say_what_each_version_was_used_for(described: World) -> None:
    with described.database.transaction(described.clock()) as t:
        t.execute(
            update(s.sandbox)
            .where(s.sandbox.c.id == "5a")
            .values(used=json.dumps({"processor_ms": 61_000, "read_bytes": 4321}))
        )
        for kind, size in (("cell", 0), ("cell", 0), ("shown", 777)):
            t.execute(insert(s.session_event).values(
                **{c.name: "" for c in s.session_event.c if not c.nullable and c.name not in ("id", "kind", "bytes", "sandbox", "time")}
                | {"sandbox": "5a", "kind": kind, "bytes": size, "time": t.at}))  # fmt: skip
        t.record(Entry("cells.recorded", "door", {"sandbox": "5a"}, {}))
    described.released()
    used = {line.name: line.used for line in dataset_page(described.gate, STELLA, "nafld", described.clock()).used}
    assert set(used) == {"nafld/1"}
    mine = used["nafld/1"]
    assert (mine.sessions, mine.processor_seconds, mine.read_bytes, mine.cells, mine.shown_bytes) == (
        2,
        61,
        4321,
        2,
        777,
    )
    assert (mine.requests, mine.releases) == (1, 1)
    shown = page(described, "stella", "data/nafld").partition('id="usage"')[2].partition("</section>")[0]
    for figure in ("61", "4,321", "777"):
        assert f">{figure}<" in shown
    client = signed_in(make_desk(described), "stella")
    answer = client.get(f"{PREFIX}data/nafld/usage.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    header, line = answer.text.splitlines()
    row = dict(zip(header.split(","), line.split(","), strict=True))
    assert (row["version"], row["cells"], row["shown_bytes"], row["read_bytes"]) == ("nafld/1", "2", "777", "4321")
    assert "Nobody has worked on it yet." in page(described, "adam", "data/sheep")


def test_data_that_is_kept_too_long_says_so(described: World) -> None:
    late = "The time for which this data may be kept is over"
    assert late not in page(described, "stella", "data/nafld")
    yesterday = (described.clock() - timedelta(days=1)).date().isoformat()
    with described.database.transaction(described.clock()) as t:
        t.execute(
            update(s.dataset)
            .where(s.dataset.c.name == "nafld")
            .values(datasheet=json.dumps({"retention_until": yesterday}))
        )
        t.record(Entry("dataset.described", "stella", {"dataset": "nafld"}, {}))
    assert f"{late} since {yesterday}" in page(described, "stella", "data/nafld")
    assert "保存期限已于" in page(described, "stella", "data/nafld", "zh-CN")
