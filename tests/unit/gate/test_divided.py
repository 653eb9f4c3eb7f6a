"""A request approved in part: what all approved leaves, what one of them held back goes on by itself."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import select

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State, request_number
from egress_gate.domain.review import ReviewRefused, ReviewVerdict
from egress_gate.policy.facts import Person
from egress_gate.service.check import check, claim
from egress_gate.service.release import prepare, release
from egress_gate.service.review import Opinion, review
from egress_gate.service.submit import Draft, resubmit, submit
from egress_gate.store import releases, requests
from egress_gate.store.requests import RequestRow
from installation.fault import Fault
from store import schema as s
from store.usage import usage
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ANA, SAFE, SMALL, STEFAN, STELLA, World, make_world

RETURN, REJECT, APPROVE = ReviewVerdict.RETURN, ReviewVerdict.REJECT, ReviewVerdict.APPROVE
TABLES = tuple(Item(name, Kind.TABLE, sql=SMALL) for name in ("a", "b", "c"))


def three(world: World) -> RequestRow:
    """A request with three tables, in review."""
    return judged(world, submit(world.gate, world.ana, Draft("Three", "A paper", "Adults", TABLES), world.clock()))


def judged(world: World, row: RequestRow) -> RequestRow:
    held = claim(world.gate, row.id, world.clock())
    assert held is not None
    return check(world.gate, held, world.clock())


def said(world: World, row: RequestRow, by: Person, **items: ReviewVerdict) -> RequestRow:
    notes = {name: f"Why {name}?" for name, verdict in items.items() if verdict is not APPROVE}
    opinion = Opinion(APPROVE, "The rest is fine.", items, notes)
    return review(world.gate, by, row.id, opinion, world.clock(), row.revision)


def left(world: World, row: RequestRow) -> RequestRow:
    held = prepare(world.gate, row.id, world.clock())
    assert held is not None
    return release(world.gate, held, world.clock())


def goes_on(world: World, row: RequestRow) -> dict[str, RequestRow]:
    with world.gate.store.read() as c:
        return {h.item: world.row(request_number(h.goes_on_as)) for h in requests.held(c, row.id)}


def bundle_of(world: World, row: RequestRow) -> zipfile.ZipFile:
    with world.gate.store.read() as c:
        found = releases.of_request(c, row.id)
    assert found is not None
    return zipfile.ZipFile(io.BytesIO(world.gate.blobs.read(found.bundle)))


# -- what is refused --------------------------------------------------------------------------------------------------
def test_nothing_is_approved_of_which_everything_is_held_back(world: World) -> None:
    row = three(world)
    with pytest.raises(ReviewRefused, match="none of its outputs"):
        said(world, row, STELLA, a=RETURN, b=REJECT, c=RETURN)
    assert world.row(row.id).state is State.IN_REVIEW


def test_an_output_is_held_back_with_words_only(world: World) -> None:
    row = three(world)
    opinion = Opinion(APPROVE, "Fine.", {"b": RETURN}, {"b": " "})
    with pytest.raises(ReviewRefused):
        review(world.gate, STELLA, row.id, opinion, world.clock(), 1)


def test_policy_is_told_what_is_held_back_and_is_obeyed(world: World) -> None:
    row = three(world)
    asked: list[dict[str, object]] = []

    def answer(facts: dict[str, object]) -> dict[str, object]:
        asked.append(facts)
        return {"allow": not facts["held"], "complete": True, "reasons": []}

    world.engine.overrides["release/review"] = answer
    with pytest.raises(Fault):
        said(world, row, STELLA, b=RETURN)
    assert asked[-1]["held"] == ["b"]
    assert asked[-1]["request"]["classifications"] == [3]  # type: ignore[index]
    assert said(world, row, STELLA).state is State.APPROVED


# -- what leaves ------------------------------------------------------------------------------------------------------
def test_the_rest_leaves_without_what_is_held_back(world: World) -> None:
    row = said(world, three(world), STELLA, b=RETURN)
    assert row.state is State.APPROVED
    assert left(world, row).state is State.RELEASED
    made = bundle_of(world, row)
    names = " ".join(made.namelist())
    assert "a.csv" in names
    assert "c.csv" in names
    assert "b.csv" not in names
    facts = next(json.loads(made.read(n)) for n in made.namelist() if n.endswith("certificate.json"))
    assert '"item":"b"' not in json.dumps(facts, separators=(",", ":")).replace(" ", "")
    with world.gate.store.read() as c:
        assert {t.item for t in releases.earlier(c, ["nafld/1"])} == {"a", "c"}


def test_what_is_held_back_goes_on_as_a_request_with_the_words_said_of_it(world: World) -> None:
    row = said(world, three(world), STELLA, b=RETURN, c=REJECT)
    found = goes_on(world, row)
    assert {name: r.state for name, r in found.items()} == {"b": State.RETURNED, "c": State.REJECTED}
    with world.gate.store.read() as c:
        assert [i.name for i in requests.items(c, found["b"].id, 1)] == ["b"]
        given = requests.reviews(c, found["b"].id, 1)
        words = requests.item_verdicts(c, [r.id for r in given])
        assert requests.divided_from(c, found["b"].id) == row.name
    assert [v["b"].reason for v in words.values()] == ["Why b?"]
    again = Draft("Three", "A paper", "Adults", (Item("b", Kind.TABLE, sql=SAFE),))
    sent = resubmit(world.gate, ANA, found["b"].id, again, world.clock())
    assert judged(world, sent).state is State.IN_REVIEW
    with pytest.raises(Fault):
        resubmit(world.gate, ANA, found["c"].id, again, world.clock())


def test_one_objection_of_two_reviewers_is_enough(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", approvals=2)
    row = three(world)
    assert said(world, row, STELLA, b=RETURN).state is State.IN_REVIEW
    assert goes_on(world, row) == {}
    assert said(world, row, STEFAN, c=REJECT, b=APPROVE).state is State.APPROVED
    assert {n: r.state for n, r in goes_on(world, row).items()} == {"b": State.RETURNED, "c": State.REJECTED}
    left(world, row)
    with world.gate.store.read() as c:
        assert {t.item for t in releases.earlier(c, ["nafld/1"])} == {"a"}


def test_reviewers_who_leave_nothing_between_them_return_the_whole(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", approvals=2)
    row = three(world)
    said(world, row, STELLA, a=RETURN, b=REJECT)
    assert said(world, row, STEFAN, c=REJECT).state is State.RETURNED
    assert goes_on(world, row) == {}


def test_a_double_click_divides_once(world: World) -> None:
    row = three(world)
    said(world, row, STELLA, b=RETURN)
    said(world, row, STELLA, b=RETURN)
    assert len(world.entries("request.divided")) == 1
    with world.gate.store.read() as c:
        assert len(c.execute(select(s.release_request)).all()) == 2


def test_a_crash_while_dividing_leaves_nothing_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = three(world)
    before = len(world.entries())
    with monkeypatch.context() as broken:
        broken.setattr(requests, "insert_held", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            said(world, row, STELLA, b=RETURN)
    with world.gate.store.read() as c:
        assert requests.reviews(c, row.id) == ()
        assert len(c.execute(select(s.release_request)).all()) == 1
    assert (world.row(row.id).state, len(world.entries())) == (State.IN_REVIEW, before)
    assert said(world, row, STELLA, b=RETURN).state is State.APPROVED
    assert len(world.entries("request.divided")) == 1


def test_an_objection_before_it_leaves_returns_the_rest_without_what_went_its_own_way(world: World) -> None:
    row = said(world, three(world), STELLA, b=RETURN)
    opinion = Opinion(RETURN, "Wait.")
    again = review(world.gate, STEFAN, row.id, opinion, world.clock(), 1, State.APPROVED)
    assert again.state is State.RETURNED
    form = signed_in(make_desk(world), "ana").get(f"{PREFIX}requests/{row.name}/revise").text
    assert 'value="a"' in form
    assert 'value="b"' not in form


def test_a_request_that_is_judged_again_stays_without_what_was_held_back(world: World) -> None:
    row = said(world, three(world), STELLA, b=RETURN)
    other = world.released()  # something else left meanwhile
    assert other.state is State.RELEASED
    again = left(world, row)
    assert again.state is not State.RELEASED
    assert again.revision == 2
    with world.gate.store.read() as c:
        assert [i.name for i in requests.items(c, row.id, 2)] == ["a", "c"]


def test_a_division_is_no_request_that_the_author_made(world: World) -> None:
    said(world, three(world), STELLA, b=RETURN)
    with world.gate.store.read() as c:
        assert usage(c, person="ana").requests == 1


# -- what is shown ----------------------------------------------------------------------------------------------------
def test_both_pages_lead_to_each_other(world: World) -> None:
    row = said(world, three(world), STELLA, b=RETURN)
    rest = goes_on(world, row)["b"]
    for who in ("ana", "stella", "audrey"):
        client = signed_in(make_desk(world), who)
        assert f"goes on as {rest.name}" in client.get(f"{PREFIX}requests/{row.name}").text
        page = client.get(f"{PREFIX}requests/{rest.name}").text
        assert "held these outputs back" in page
        assert "Why b?" in page
    left(world, row)
    with world.gate.store.read() as c:
        found = releases.of_request(c, row.id)
    assert found is not None
    trace = signed_in(make_desk(world), "audrey").get(f"{PREFIX}releases/{found.id}/trace").text
    assert f"goes on as {rest.name}" in trace


def test_programs_hold_outputs_back_too(world: World) -> None:
    row = three(world)
    client = signed_in(make_desk(world), "stella")
    body = {"reason": "Mostly.", "items": {"b": "return"}, "notes": {"b": "Which year?"}}
    made = client.post(f"{PREFIX}api/v1/requests/{row.name}/approve", json=body)
    assert made.json()["state"] == "approved"
    told = client.get(f"{PREFIX}api/v1/requests/{row.name}").json()
    assert told["held_back"] == [{"item": "b", "verdict": "return", "goes_on_as": goes_on(world, row)["b"].name}]
    assert told["reviews"][0]["items"] == {"b": {"verdict": "return", "reason": "Which year?"}}
    rest = client.get(f"{PREFIX}api/v1/requests/{goes_on(world, row)['b'].name}").json()
    assert rest["divided_from"] == row.name
