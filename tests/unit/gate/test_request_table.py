"""The transition table is the whole truth about a request's life, so the whole matrix is held against it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from egress_gate.domain.request import (
    FINAL,
    TRANSITIONS,
    Party,
    State,
    TransitionRefused,
    Verb,
    allowed,
    diagram,
    move,
    request_name,
    request_number,
)
from egress_gate.domain.review import parties_of

# Written out by hand, not derived: a change of the table must be made twice, once here, knowingly.
EXPECTED = {
    ("submitted", "checking"): {"gate"},
    ("submitted", "withdrawn"): {"author"},
    ("submitted", "expired"): {"gate"},
    ("checking", "submitted"): {"gate"},
    ("checking", "refused"): {"gate"},
    ("checking", "in_review"): {"gate"},
    ("checking", "approved"): {"gate"},
    ("checking", "withdrawn"): {"author"},
    ("in_review", "approved"): {"reviewer"},
    ("in_review", "returned"): {"reviewer"},
    ("in_review", "rejected"): {"reviewer"},
    ("in_review", "withdrawn"): {"author"},
    ("in_review", "expired"): {"gate"},
    ("returned", "submitted"): {"author"},
    ("returned", "withdrawn"): {"author"},
    ("returned", "expired"): {"gate"},
    ("approved", "releasing"): {"gate"},
    ("approved", "submitted"): {"gate"},
    ("approved", "withdrawn"): {"author"},
    ("approved", "returned"): {"reviewer"},
    ("approved", "rejected"): {"reviewer"},
    ("approved", "expired"): {"gate"},
    ("releasing", "released"): {"gate"},
    ("releasing", "submitted"): {"gate"},
    ("released", "revoked"): {"reviewer", "admin"},
}


@pytest.mark.parametrize(("source", "target", "party"), list(product(State, State, Party)))
def test_every_pair_of_states_and_every_party(source: State, target: State, party: Party) -> None:
    moved = set()
    for verb in Verb:
        try:
            if move(source, verb, [party]) is target:
                moved.add(verb)
        except TransitionRefused:
            continue
    assert bool(moved) == (party.value in EXPECTED.get((source.value, target.value), set()))


@pytest.mark.parametrize(("state", "verb"), list(product(State, Verb)))
def test_nobody_moves_nothing(state: State, verb: Verb) -> None:
    with pytest.raises(TransitionRefused):
        move(state, verb, [])


@pytest.mark.parametrize("state", sorted(FINAL))
def test_final_states_stay(state: State) -> None:
    for verb in Verb:
        with pytest.raises(TransitionRefused) as refused:
            move(state, verb, list(Party))
        assert refused.value.why
        assert refused.value.do


def test_final_states_are_the_ones_of_the_design() -> None:
    assert {s.value for s in FINAL} == {"refused", "rejected", "revoked", "withdrawn", "expired"}


def test_each_verb_has_one_target() -> None:
    assert len({e.verb for e in TRANSITIONS}) == len(TRANSITIONS) == len(Verb)


def test_an_author_is_never_a_reviewer_whatever_groups_they_are_in() -> None:
    parties = parties_of("ana", ["analysts", "stewards", "admins", "auditors"], "ana")
    assert Party.REVIEWER not in parties
    for verb in (Verb.APPROVE, Verb.RETURN, Verb.REJECT):
        assert verb not in allowed(State.IN_REVIEW, parties)


def test_a_stranger_is_no_party() -> None:
    assert parties_of("eve", ["analysts"], "ana") == frozenset()


@pytest.mark.parametrize("name", ["17", "R17", "R-", "R--1", "R-1.5", "r-1", "R-١٧", "R-9999999999999", "R-1\n"])
def test_request_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="not a request name"):
        request_number(name)


def test_request_names_round_trip() -> None:
    assert request_number(request_name(17)) == 17


def test_the_diagram_names_every_state() -> None:
    drawn = diagram()
    assert all(state.value in drawn for state in State)


def test_the_reference_page_shows_this_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "requests.md"
    assert diagram() in page.read_text("utf-8")
