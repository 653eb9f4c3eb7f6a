"""Outputs of a notebook leave one by one: only what every approving reviewer ticked, as the gate wrote it; by default nothing."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewRefused, ReviewVerdict
from egress_gate.policy.facts import Person
from egress_gate.service import cell_outputs
from egress_gate.service.check import check, claim
from egress_gate.service.release import release
from egress_gate.service.review import Opinion, review
from egress_gate.service.submit import Draft, record_upload, submit
from egress_gate.store import releases, requests
from egress_gate.store.requests import RequestRow
from ledger.certificate import NAME
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import STEFAN, STELLA, World, make_world

NAMED = "story.ipynb"
FIGURES = "sex  n\nF    9000\nM    8549"
RECORDS = "\n".join(["id,age", *(f"{n},{n}" for n in range(50))])


def png() -> str:
    made = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(made, "PNG")
    return base64.b64encode(made.getvalue()).decode()


def shown(**data: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {k.replace("__", "/"): v for k, v in data.items()}}


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def notebook(*outputs: dict[str, Any]) -> bytes:
    """A line of words, and a cell with the outputs."""
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Ages"},
        {"cell_type": "code", "metadata": {"a": 1}, "execution_count": 7, "source": "table", "outputs": list(outputs)},
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"w": 1}, "cells": cells}).encode()


def asked(world: World, data: bytes) -> RequestRow:
    digest = world.gate.blobs.put(data)
    record_upload(world.gate, world.ana, digest, len(data), world.clock())
    draft = Draft("Notebook", "How the table was made", "Appendix", (Item(NAMED, Kind.FILE, blob=digest),))
    held = claim(world.gate, submit(world.gate, world.ana, draft, world.clock()).id, world.clock())
    assert held is not None
    return check(world.gate, held, world.clock())


def approve(world: World, row: RequestRow, *outputs: str, by: Person = STELLA) -> RequestRow:
    opinion = Opinion(ReviewVerdict.APPROVE, "Looked at it.", cells={NAMED: frozenset(outputs)})
    return review(world.gate, by, row.id, opinion, world.clock(), row.revision)


def left(world: World, row: RequestRow) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The outputs of the code cell as they left, and what the certificate says of the notebook."""
    done = release(world.gate, world.prepared(row), world.clock())
    with world.gate.store.read() as c:
        found = releases.of_request(c, done.id)
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(world.gate.blobs.read(found.bundle))) as bundle:
        made = json.loads(bundle.read(f"data/{NAMED}"))
        statement = json.loads(bundle.read(NAME))
    assert made["metadata"] == {}
    assert [c["metadata"] for c in made["cells"]] == [{}, {}]
    assert made["cells"][1]["execution_count"] is None
    text = json.dumps(statement)
    inner = json.loads(base64.b64decode(statement["payload"])) if "payload" in statement else json.loads(text)
    return made["cells"][1]["outputs"], inner


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def test_by_default_every_output_is_stripped(world: World) -> None:
    outputs, _ = left(world, world.reviewed(asked(world, notebook(printed(FIGURES)))))
    assert outputs == []


def test_what_is_ticked_leaves_as_the_gate_wrote_it(world: World) -> None:
    row = asked(
        world,
        notebook(
            printed("\x1b[31m" + FIGURES + "\x1b[0m   \n"),
            shown(text__plain="not this"),
            shown(image__png=png(), text__html="<script>alert(1)</script>"),
        ),
    )
    outputs, certified = left(world, approve(world, row, "2.1", "2.3"))
    text, picture = outputs
    assert text == {"output_type": "stream", "name": "stdout", "text": FIGURES}
    assert list(picture["data"]) == ["image/png"]
    assert Image.open(io.BytesIO(base64.b64decode(picture["data"]["image/png"]))).size == (8, 6)
    assert picture["data"]["image/png"] != png()
    said = json.dumps(certified)
    assert '"approved": ["2.1", "2.3"]' in said
    assert '"stripped": 1' in said
    (entry,) = world.entries("review.given")
    assert entry["facts"]["outputs"] == {NAMED: ["2.1", "2.3"]}  # type: ignore[index]


def test_one_reviewer_who_did_not_tick_it_keeps_it(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", approvals=2)
    row = approve(world, asked(world, notebook(printed(FIGURES), printed_err())), "2.1", "2.2")
    row = approve(world, row, "2.2", by=STEFAN)
    assert row.state is State.APPROVED
    outputs, _ = left(world, row)
    assert [o["name"] for o in outputs] == ["stderr"]


def printed_err() -> dict[str, Any]:
    return {"output_type": "stream", "name": "stderr", "text": "converged"}


@pytest.mark.parametrize(
    ("output", "finding"),
    [
        (printed(RECORDS), "raw_records"),
        (shown(text__html="<table></table>"), "unreadable"),
        (shown(image__svg="<svg/>"), "unreadable"),
        (shown(image__png="AAAA"), "unreadable"),
        (printed("n = 1\u200b0"), "hidden_characters"),
        ({"output_type": "display_data", "data": [1]}, "unreadable"),
        ({"output_type": "movie"}, "unreadable"),
    ],
)
def test_what_the_machine_can_tell_cannot_be_approved(world: World, output: dict[str, Any], finding: str) -> None:
    row = asked(world, notebook(output))
    assert row.state is State.IN_REVIEW
    with world.gate.store.read() as c:
        (one,) = requests.checks(c, row.id, row.revision)
    found = cell_outputs.evidence(world.gate, one)
    assert found is not None
    assert finding in found.outputs[0].findings
    with pytest.raises(ReviewRefused, match=r"2\.1"):
        approve(world, row, "2.1")
    assert world.row(row.id).state is State.IN_REVIEW


def test_no_output_that_is_not_there_is_approved(world: World) -> None:
    row = asked(world, notebook(printed(FIGURES)))
    for name in ("2.2", "1.1", "", "*"):
        with pytest.raises(ReviewRefused):
            approve(world, row, name)
    opinion = Opinion(ReviewVerdict.APPROVE, "Fine.", cells={"other.ipynb": frozenset({"2.1"})})
    with pytest.raises(ReviewRefused):
        review(world.gate, STELLA, row.id, opinion, world.clock(), row.revision)


def test_policy_is_asked_again_when_it_leaves(world: World) -> None:
    row = approve(world, asked(world, notebook(printed(FIGURES))), "2.1")
    nothing = {"types": [], "approvals": [], "off": [], "leaves": []}
    world.engine.overrides["release/cells"] = lambda _: nothing
    outputs, _ = left(world, row)
    assert outputs == []


def test_approvals_of_an_earlier_revision_do_not_count(world: World) -> None:
    """Another release left meanwhile: the request is judged again, and the outputs are approved anew or not at all."""
    row = approve(world, asked(world, notebook(printed(FIGURES))), "2.1")
    world.released()
    again = release(world.gate, world.prepared(row), world.clock())
    assert again.state is State.SUBMITTED
    held = claim(world.gate, row.id, world.clock())
    assert held is not None
    outputs, _ = left(world, world.reviewed(check(world.gate, held, world.clock())))
    assert outputs == []


# ---- the page -------------------------------------------------------------------------------------------------------
def test_the_page_offers_each_output_and_says_why_not(world: World) -> None:
    row = asked(world, notebook(printed(FIGURES), printed_err(), shown(text__html="<b>x</b>")))
    stella = signed_in(make_desk(world), "stella")
    page = stella.get(f"{PREFIX}requests/{row.name}").text
    assert f'name="cell:{NAMED}" value="2.1" form="decide-form">' in page
    assert f'name="cell:{NAMED}" value="2.3" form="decide-form" disabled>' in page
    assert "Because of unreadable." in page
    form = {"verdict": "approve", "reason": "Fine.", "revision": "1", f"cell:{NAMED}": ["2.1", "2.2"]}
    assert stella.post(f"{PREFIX}requests/{row.name}/review", data=form, follow_redirects=False).status_code == 303
    outputs, _ = left(world, world.row(row.id))
    assert [o["name"] for o in outputs] == ["stdout", "stderr"]


def test_ticks_beside_a_rejection_are_dropped(world: World) -> None:
    row = asked(world, notebook(printed(FIGURES)))
    form = {"verdict": "return", "reason": "Why?", "revision": "1", f"cell:{NAMED}": "2.1"}
    stella = signed_in(make_desk(world), "stella")
    assert stella.post(f"{PREFIX}requests/{row.name}/review", data=form, follow_redirects=False).status_code == 303
    with world.gate.store.read() as c:
        given = requests.reviews(c, row.id)
        assert requests.cell_approvals(c, [r.id for r in given]) == {}


def test_programs_approve_outputs_too(world: World) -> None:
    row = asked(world, notebook(printed(FIGURES)))
    stella = signed_in(make_desk(world), "stella")
    seen = stella.get(f"{PREFIX}api/v1/requests/{row.name}").json()
    assert [o["id"] for o in seen["items"][0]["outputs"]] == ["2.1"]
    body = {"reason": "Fine.", "cells": {NAMED: ["2.1"]}}
    assert stella.post(f"{PREFIX}api/v1/requests/{row.name}/approve", json=body).status_code == 200
    outputs, _ = left(world, world.row(row.id))
    assert len(outputs) == 1
