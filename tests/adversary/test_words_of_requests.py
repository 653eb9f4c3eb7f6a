"""What an analyst writes beside the data is no way out: words from inside a sandbox are not read outside before a steward has spoken."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from egress_gate.desk.unseen import unseen
from egress_gate.domain.item import Item, Kind
from egress_gate.service.submit import Caller, Draft, submit
from egress_gate.store.views import Event
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World, make_world

RECORDS = "1,57,0,60.0,163.0 2,67,0,70.4,168.0"
SQL = f"SELECT sex, count(*) AS n FROM people WHERE note <> '{RECORDS}' GROUP BY sex"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def sent(world: World, *, outside: bool = False, view: str | None = None) -> Any:
    caller = world.ana
    if view is not None:
        caller = Caller(dataclasses.replace(caller.sandbox, view=view))
    draft = Draft(f"Title {RECORDS}", f"Purpose {RECORDS}", f"Context {RECORDS}", (Item("t", Kind.TABLE, sql=SQL),))
    return submit(world.gate, caller, draft, world.clock(), outside=outside)


def pages(world: World, row: Any, who: str) -> list[str]:
    client = signed_in(make_desk(world), who)
    paths = [f"requests/{row.name}", f"api/v1/requests/{row.name}", f"requests/{row.name}/live?seen=x"]
    return [client.get(PREFIX + path).text for path in paths]


def test_words_from_inside_are_not_on_the_authors_pages(world: World) -> None:
    row = sent(world)
    for text in pages(world, row, "ana"):
        body = text.replace(f"Title {RECORDS}", "")
        assert RECORDS not in body


def test_a_steward_reads_them(world: World) -> None:
    row = sent(world)
    page = pages(world, row, "stella")[0]
    assert f"Purpose {RECORDS}" in page
    assert "note" in page


def test_what_was_typed_on_the_desk_is_shown_to_who_typed_it(world: World) -> None:
    row = sent(world, outside=True)
    assert f"Purpose {RECORDS}" in pages(world, row, "ana")[0]


def test_under_blind_not_even_the_title_comes_out(world: World) -> None:
    row = sent(world, view="blind")
    client = signed_in(make_desk(world), "ana")
    shown = [
        *pages(world, row, "ana"),
        client.get(PREFIX + "requests").text,
        client.get(PREFIX + "api/v1/requests").text,
    ]
    assert all(RECORDS not in text for text in shown)
    assert f"Title {RECORDS}" in pages(world, row, "stella")[0]


@pytest.mark.parametrize("facts", [{}, {"outside": False}, {"outside": "yes"}, {"outside": 1}])
def test_what_is_not_known_to_be_from_outside_is_taken_for_inside(world: World, facts: dict[str, Any]) -> None:
    row = sent(world)
    event = Event(1, "request.submitted", "ana", "2026-11-26T00:00:00Z", {}, {"revision": row.revision, **facts})
    assert unseen(row, (), (event,))
    assert unseen(row, (), ())
    later = dataclasses.replace(row, revision=row.revision + 1)
    assert unseen(later, (), (dataclasses.replace(event, facts={"revision": row.revision, "outside": True}),))
