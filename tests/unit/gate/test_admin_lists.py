"""Lists of an installation with many people and projects: every page of them can be reached, and a name can be looked for."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import insert
from starlette.testclient import TestClient

from ledger.entry import Entry
from store import schema as s
from store.clock import stamp
from tests.unit.gate.desks import PREFIX, FakeAccounts, make_desk, signed_in
from tests.unit.gate.factory import START, World, make_world

MANY = 620  # more than any list once held
ROW = re.compile(r"<tr data-row>")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(tmp_path_factory.mktemp("lists") / "home")
    now = stamp(START)
    with made.database.transaction(START) as t:
        project = {"purpose": "p", "sponsor": "clinic", "state": "active", "created_at": now, "created_by": "adam"}
        names = [f"study{n:04}" for n in range(MANY)]
        rows = [{"name": p, "title": f"Title {p[-4:]}%_", "expires_at": now, **project} for p in names]
        t.execute(insert(s.project), rows)
        people = [f"p{n:04}" for n in range(MANY)]
        members = [{"project": p, "person": who, "added_at": now} for p, who in zip(names, people, strict=True)]
        t.execute(insert(s.project_member), members)
        box = {"server_name": "s", "container": "c", "image_digest": "i", "view": "open", "versions": "[]"}
        begun = {"project": "study0619", "started_at": now}
        t.execute(insert(s.sandbox), [{"id": f"b{n}", "person": people[n], **begun, **box} for n in range(60)])
        given = {"version": "nafld/1", "purpose": "p", "granted_by": "stella", "granted_at": now, "expires_at": now}
        t.execute(insert(s.grant), [{"project": "study0619", **given} for _ in range(60)])
        t.record(Entry("test.filled", "adam", {"project": "liver"}, {}))
    return made


@pytest.fixture
def adam(world: World) -> TestClient:
    return signed_in(make_desk(world), "adam")


def rows(page: str) -> int:
    return len(ROW.findall(page))


@pytest.mark.parametrize(("path", "last"), [("admin/projects", "study0619"), ("admin/people", "stella")])
def test_the_last_one_is_reached_by_turning_pages(adam: TestClient, path: str, last: str) -> None:
    first = adam.get(f"{PREFIX}{path}").text
    assert rows(first) == 50
    assert last not in first.partition("<main")[2]
    assert 'rel="next"' in first
    number = int(re.findall(r"page 1 of (\d+)", first)[0])
    end = adam.get(f"{PREFIX}{path}?page={number}").text
    assert last in end
    assert 'rel="next"' not in end


@pytest.mark.parametrize(
    ("path", "words", "found"),
    [
        ("admin/projects", "STUDY0617", 1),
        ("admin/projects", "title 0617", 1),
        ("admin/projects", "clinic", 50),
        ("admin/projects", "%", 50),
        ("admin/projects", "_", 50),
        ("admin/projects", "7_%", 0),
        ("admin/projects", "617%_", 1),
        ("admin/projects", "no such", 0),
        ("admin/people", "P0617", 1),
        ("admin/people", "%", 0),
        ("admin/people", "nora", 1),  # known to the hub alone
    ],
)
def test_words_find_what_holds_them_and_nothing_else(adam: TestClient, path: str, words: str, found: int) -> None:
    page = adam.get(f"{PREFIX}{path}", params={"q": words}).text
    assert rows(page) == found
    assert ("Nothing is found" in page) == (found == 0)


def test_turning_the_page_keeps_the_words_and_they_are_no_markup(adam: TestClient) -> None:
    page = adam.get(f"{PREFIX}admin/projects", params={"q": "clinic"}).text
    assert "admin/projects?q=clinic&amp;page=2" in page or "admin/projects?q=clinic&page=2" in page
    hostile = adam.get(f"{PREFIX}admin/projects", params={"q": '"><script>alert(1)</script>'}).text
    assert "<script>alert(1)" not in hostile
    assert adam.get(f"{PREFIX}admin/projects", params={"q": "x" * 101}).status_code == 422
    assert adam.get(f"{PREFIX}admin/projects?page=0").status_code == 422


def test_a_form_that_is_refused_comes_back_with_its_person(world: World) -> None:
    """They may stand on a page of the list that is not the first."""
    accounts = FakeAccounts()
    accounts.groups["zoe"] = ("analysts",)
    adam = signed_in(make_desk(world, accounts), "adam")
    answer = adam.post(f"{PREFIX}admin/people/zoe/disable", data={"reason": ""})
    assert answer.status_code == 422
    assert 'id="change-zoe-why"' in answer.text


def test_what_runs_and_what_is_granted_turn_their_pages_too(adam: TestClient) -> None:
    assert "page 1 of 2" in adam.get(f"{PREFIX}admin").text
    page = adam.get(f"{PREFIX}admin/projects/study0619").text
    assert page.count("page 1 of 2") == 2
    assert rows(page) == 100
    assert rows(adam.get(f"{PREFIX}admin/projects/study0619?grants=2&sandboxes=2").text) == 20


def test_releases_turn_their_pages(world: World, adam: TestClient) -> None:
    assert adam.get(f"{PREFIX}releases?page=2").status_code == 200
    assert adam.get(f"{PREFIX}api/v1/releases?page=2").json() == {"total": 0, "page": 2, "pages": 1, "releases": []}
