"""Delegation, replay, trace: the desk's deeper record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from egress_gate.desk.explain import overlap, sentence
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewVerdict
from egress_gate.policy.facts import Person
from egress_gate.service.delegate import lend, take_back
from egress_gate.service.errors import Malformed, NotAllowed, NotFound
from egress_gate.service.replay import replay
from egress_gate.service.review import Opinion, review
from egress_gate.service.trace import trace
from egress_gate.store import catalogue
from store.clock import stamp
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ADAM, ANA, AUDREY, SMALL, STELLA, World

SVEN = Person("sven", frozenset({"stewards"}))
APPROVE = Opinion(ReviewVerdict.APPROVE, "Fine.")


def lent(world: World, days: float = 7) -> int:
    return lend(world.gate, STELLA, "nafld", "sven", world.clock() + timedelta(days=days), world.clock())


def test_a_stranger_cannot_decide_and_a_delegate_can(world: World) -> None:
    row = world.checked()
    with pytest.raises((NotAllowed, NotFound)):
        review(world.gate, SVEN, row.id, APPROVE, world.clock(), 1)
    lent(world)
    assert review(world.gate, SVEN, row.id, APPROVE, world.clock(), 1).state is State.APPROVED


def test_a_delegation_ends_by_itself(world: World) -> None:
    row = world.checked()
    lent(world, days=1)
    world.clock.skip(days=2)
    with pytest.raises((NotAllowed, NotFound)):
        review(world.gate, SVEN, row.id, APPROVE, world.clock(), 1)


def test_a_delegation_taken_back_is_over_at_once(world: World) -> None:
    row = world.checked()
    number = lent(world)
    take_back(world.gate, STELLA, number, world.clock())
    take_back(world.gate, STELLA, number, world.clock())
    with pytest.raises((NotAllowed, NotFound)):
        review(world.gate, SVEN, row.id, APPROVE, world.clock(), 1)
    assert len(world.entries("delegation.ended")) == 1


def test_nobody_lends_what_is_not_theirs(world: World) -> None:
    until = world.clock() + timedelta(days=1)
    for person in (ANA, ADAM, SVEN):
        with pytest.raises(NotAllowed):
            lend(world.gate, person, "nafld", "amir", until, world.clock())
    with pytest.raises(NotFound):
        take_back(world.gate, SVEN, lent(world), world.clock())


@pytest.mark.parametrize(("delegate", "days"), [("stella", 1), ("", 1), ("sven", -1), ("sven", 400)])
def test_an_unsound_delegation_is_refused(world: World, delegate: str, days: int) -> None:
    with pytest.raises(Malformed):
        lend(world.gate, STELLA, "nafld", delegate, world.clock() + timedelta(days=days), world.clock())


def test_a_lent_vote_dies_with_the_lenders_own(world: World) -> None:
    lent(world)
    with world.gate.store.read() as c:
        found = catalogue.effective_stewards(c, ["nafld"], stamp(world.clock()))
    assert found["nafld"] == ("stefan", "stella", "sven")


def test_replay_of_the_same_policy_finds_nothing(world: World) -> None:
    world.checked()
    world.checked(SMALL)
    report = replay(world.gate, world.engine)
    assert (report.asked, report.differences) == (2, ())


def test_replay_lists_every_decision_that_would_differ_and_changes_nothing(world: World) -> None:
    safe, small = world.checked(), world.checked(SMALL)

    def stricter(facts: dict[str, Any]) -> dict[str, Any]:
        refused = any(i["findings"] for i in facts["items"])
        reasons = [{"code": "stricter" if refused else "steward", "message": "Because.", "remedy": ""}]
        obligations = {"approvals": 1, "stewards_of": ["nafld"], "protect": False}
        return {"outcome": "refuse" if refused else "review", "reasons": reasons, "obligations": obligations}

    before = len(world.entries())
    world.engine.overrides["release/decision"] = stricter
    report = replay(world.gate, world.engine)
    assert [d.request for d in report.differences] == [small.name]
    assert (report.differences[0].before.value, report.differences[0].facts()["after"]) == ("review", "refuse")
    assert len(world.entries()) == before
    assert world.row(safe.id).state is State.IN_REVIEW


def test_replay_says_when_a_policy_gives_no_answer(world: World) -> None:
    world.checked()
    world.engine.away = True
    report = replay(world.gate, world.engine)
    assert report.differences[0].problem == "The policy engine is away."


def test_a_release_is_traced_to_data_code_policy_and_people(world: World) -> None:
    number = world.release_of(world.released(SMALL))
    found = trace(world.gate, AUDREY, number, world.clock())
    assert found.versions == (("nafld/1", "d" * 64),)
    assert found.checks[0].canonical_sql == SMALL
    assert found.reviews[0].review.reviewer == "stella"
    assert found.decision is not None
    assert found.recorded is not None
    with pytest.raises(NotFound):
        trace(world.gate, ANA, number, world.clock())


def test_the_desk_shows_trace_votes_and_replay(world: World) -> None:
    number = world.release_of(world.released(SMALL))
    desk = make_desk(world)
    assert "d" * 64 in signed_in(desk, "audrey").get(f"{PREFIX}releases/{number}/trace").text
    stella = signed_in(desk, "stella")
    stella.post(PREFIX + "votes", data={"dataset": "nafld", "delegate": "sven", "until": "2026-12-01"})
    assert "sven" in stella.get(PREFIX + "votes").text
    assert "1 decision asked again" in signed_in(desk, "adam").post(PREFIX + "policy/replay").text


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "SELECT sex, count(*) AS n FROM nafld1 WHERE age > 40 GROUP BY sex",
            "Shows how many rows there are for each sex, from nafld1, where age > 40.",
        ),
        ("SELECT avg(age) AS a FROM nafld1", "Shows the average of age over everything, from nafld1."),
        ("SELECT count(DISTINCT id) AS n FROM t", "Shows how many different id there are over everything, from t."),
        ("DROP TABLE x", ""),
        ("not sql at all ((", ""),
        (None, ""),
    ],
)
def test_a_query_in_a_sentence(sql: str | None, said: str) -> None:
    assert sentence(sql) == said


def test_how_two_tables_overlap() -> None:
    found = overlap(
        "SELECT sex, age, count(*) FROM t GROUP BY 1, 2", "SELECT sex, bmi, count(*) FROM t WHERE x GROUP BY 1"
    )
    assert found is not None
    assert (found.shared, found.only_new, found.only_earlier, found.same_records) == (
        ("sex",),
        ("age",),
        ("bmi",),
        False,
    )
