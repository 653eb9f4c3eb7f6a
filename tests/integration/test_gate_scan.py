"""A text's whole way on the real cohort: compared with the data in the sealed container, judged by the real policies."""

from __future__ import annotations

import pandas
import pytest

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewVerdict
from egress_gate.service.check import check, claim
from egress_gate.service.release import release
from egress_gate.service.submit import Draft, record_upload, submit
from egress_gate.store import requests
from egress_gate.store.requests import DecisionRow, RequestRow
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import STEFAN, STELLA, World


def sentences(world: World, first: int, many: int) -> str:
    """What an analyst could write about some people of the cohort."""
    frame = pandas.read_parquet(world.settings.datasets / "nafld-1" / "nafld1.parquet").dropna()
    return "\n\n".join(
        f"One of {p.age} years, {p.height:.0f} cm and {p.weight} kg, with an index of {p.bmi:.3f}, was seen for {p.futime} days."
        for p in frame.iloc[first : first + many].itertuples()
    )


def checked(world: World, text: str) -> RequestRow:
    data = text.encode()
    blob = world.gate.blobs.put(data)
    record_upload(world.gate, world.ana, blob, len(data), world.clock())
    draft = Draft("Notes", "A paper on livers", "Adults of 2019", (Item("notes.md", Kind.FILE, blob=blob),))
    held = claim(world.gate, submit(world.gate, world.ana, draft, world.clock()).id, world.clock())
    assert held is not None
    return check(world.gate, held, world.clock())


def decision(world: World, row: RequestRow) -> DecisionRow:
    with world.gate.store.read() as c:
        made = requests.decision(c, row.id, row.revision)
    assert made is not None
    return made


def released(world: World, row: RequestRow) -> RequestRow:
    world.reviewed(row, ReviewVerdict.APPROVE, STELLA)
    return release(world.gate, world.prepared(world.reviewed(row, ReviewVerdict.APPROVE, STEFAN)), world.clock())


@pytest.mark.docker
def test_a_record_is_marked_for_the_steward_alone(sealed_world: World) -> None:
    world = sealed_world
    row = checked(world, "# Livers\n\n" + sentences(world, 100, 1))
    assert row.state is State.IN_REVIEW
    desk = make_desk(world)
    page = signed_in(desk, "stella").get(f"{PREFIX}requests/{row.name}").text
    assert "nafld.nafld1: " in page
    assert "<mark>" in page
    assert "<mark>" not in signed_in(desk, "ana").get(f"{PREFIX}requests/{row.name}").text


def test_a_guess_gets_the_answer_that_every_text_gets(world: World) -> None:
    """Whether the record is in the data or not: the same outcome, reasons and approvals."""
    right = sentences(world, 100, 1)
    answers = [
        decision(world, checked(world, text)) for text in (right, right.replace("seen for ", "seen for 9"), "Nothing.")
    ]
    assert answers[0].outcome.value == "review"
    assert len({(a.outcome, tuple(a.reasons), a.obligations.approvals) for a in answers}) == 1


def test_many_records_are_refused_without_saying_which(world: World) -> None:
    row = checked(world, sentences(world, 100, 8))
    assert row.state is State.REFUSED
    assert [r.code for r in decision(world, row).reasons] == ["resembles_data"]
    assert "nafld1" not in "".join(r.message + r.remedy for r in decision(world, row).reasons)


def test_one_record_a_file_adds_up(world: World) -> None:
    for number in range(4):
        released(world, checked(world, sentences(world, 100 + number, 1)))
    assert checked(world, sentences(world, 200, 1)).state is State.REFUSED
    assert checked(world, "Nothing of the data.").state is State.IN_REVIEW
