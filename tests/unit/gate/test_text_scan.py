"""A text that resembles the data: marked for the steward, and for its author no different from any other text."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from egress_gate.desk.authoring import request_view
from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.service.check import check, claim
from egress_gate.service.manual import is_model_file
from egress_gate.service.ports import ScanAnswer, ScanQuestion
from egress_gate.service.release import release
from egress_gate.service.submit import Draft, record_upload, submit
from egress_gate.store import releases, requests
from egress_gate.store.requests import RequestRow
from egress_gate.verifier.port import VerifierRefused
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World

MARKED = "Notes\n\nThe worst was person-17, of 54 years.\n"
CLEAN = "Notes\n\nThe worst was somebody, of many years.\n"


def submitted(world: World, text: str | bytes, name: str = "notes.md") -> RequestRow:
    data = text.encode() if isinstance(text, str) else text
    blob = world.gate.blobs.put(data)
    record_upload(world.gate, world.ana, blob, len(data), world.clock())
    draft = Draft("Notes", "A paper on livers", "Adults of 2019", (Item(name, Kind.FILE, blob=blob),))
    return submit(world.gate, world.ana, draft, world.clock())


def checked(world: World, text: str | bytes, name: str = "notes.md") -> RequestRow:
    held = claim(world.gate, submitted(world, text, name).id, world.clock())
    assert held is not None
    return check(world.gate, held, world.clock())


def rules(world: World, row: RequestRow) -> dict[str, Mapping[str, Any]]:
    with world.gate.store.read() as c:
        return {f.rule: f.figures for k in requests.checks(c, row.id, row.revision) for f in k.findings}


def notebook(*sources: str) -> str:
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": s} for s in sources
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def test_the_steward_sees_the_line_marked(world: World) -> None:
    row = checked(world, MARKED)
    page = signed_in(make_desk(world), "stella").get(f"{PREFIX}requests/{row.name}").text
    assert "<mark>person-17</mark>" in page
    assert "The worst was person-17, of 54 years." in page
    assert "nafld.nafld1: age, id" in page


def test_its_author_sees_what_the_author_of_a_clean_text_sees(world: World) -> None:
    """On the page, in the API, and in the certificate that leaves."""
    found, none = checked(world, MARKED), checked(world, CLEAN)
    assert found.state is none.state is State.IN_REVIEW
    ana = signed_in(make_desk(world), "ana")
    for made in (found, none):
        page = ana.get(f"{PREFIX}requests/{made.name}").text
        assert not {"resemblance", "record_match", "scanned", "nafld1: age"} & set(page.replace('"', " ").split())
        assert "<mark>" not in page
    pages = [ana.get(f"{PREFIX}api/v1/requests/{made.name}").text for made in (found, none)]
    assert "record_match" not in pages[0]
    assert "scanned" not in pages[0] + pages[1]
    items = [json.loads(page)["items"] for page in pages]
    assert items[0] == items[1]
    views = [request_view(world.gate, world.ana, made.id, world.clock()) for made in (found, none)]
    assert views[0]["items"] == views[1]["items"]
    assert [views[0][k] for k in ("outcome", "reasons", "may")] == [views[1][k] for k in ("outcome", "reasons", "may")]
    history = ana.get(f"{PREFIX}api/v1/requests/{found.name}/history").text
    assert "record_match" not in history


def test_the_certificate_does_not_tell_either(world: World) -> None:
    row = release(world.gate, world.prepared(world.reviewed(checked(world, MARKED))), world.clock())
    with world.gate.store.read() as c:
        left = releases.of_request(c, row.id)
    assert left is not None
    with zipfile.ZipFile(io.BytesIO(world.gate.blobs.read(left.bundle))) as bundle:
        told = b"".join(bundle.read(n) for n in bundle.namelist() if not n.endswith("notes.md"))
    assert b"not_recomputed" in told
    assert b"record_match" not in told


def test_what_left_before_is_counted_for_the_project(world: World) -> None:
    release(world.gate, world.prepared(world.reviewed(checked(world, MARKED))), world.clock())
    checked(world, MARKED)  # in review: it has not left
    assert rules(world, checked(world, MARKED))["record_match"]["earlier"] == 1


def test_each_cell_of_a_notebook_is_scanned(world: World) -> None:
    world.engine.overrides["release/parameters"] = lambda facts: {"min_contributors": 10, "files": ["ipynb"]}
    row = checked(world, notebook("1 + 1", "# person-17"), "story.ipynb")
    assert rules(world, row)["record_match"]["lines"][0]["where"] == "2"
    page = signed_in(make_desk(world), "stella").get(f"{PREFIX}requests/{row.name}").text
    assert "cell 2" in page


def test_what_policy_keeps_anyway_is_not_compared(world: World) -> None:
    assert "scanned" not in rules(world, checked(world, MARKED, "notes.exe"))


def test_a_scan_that_does_not_finish_leaves_the_text_to_a_person(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_: ScanQuestion) -> ScanAnswer:
        raise VerifierRefused("The scan took longer than its limit.", why="It is long.", do="Shorten it.")

    monkeypatch.setattr(world.recomputer, "scan", slow)
    row = checked(world, CLEAN)
    assert row.state is State.IN_REVIEW
    assert rules(world, row)["not_fully_scanned"]["share"] == 0
    assert (
        "Only 0 % of it was compared" in signed_in(make_desk(world), "stella").get(f"{PREFIX}requests/{row.name}").text
    )


def test_a_verifier_that_is_away_makes_the_request_wait(world: World) -> None:
    world.recomputer.away = True
    assert checked(world, CLEAN).state is State.SUBMITTED


# ---- stored models --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.pkl", b"anything"),
        ("model.JOBLIB", b"anything"),
        ("model.onnx", b"anything"),
        ("notes.md", b"\x80\x04\x95\x10"),
        ("notes.txt", b"\x89HDF\r\n"),
        ("weights.safetensors", b"{}"),
        ("trees.ubj", b"{}"),
    ],
)
def test_a_stored_model_is_refused_at_once_and_the_way_is_told(world: World, name: str, data: bytes) -> None:
    row = submitted(world, data, name)
    assert row.state is State.REFUSED
    with world.gate.store.read() as c:
        made = requests.decision(c, row.id, row.revision)
    assert made is not None
    (why,) = made.reasons
    assert why.code == "model-file"
    assert name in why.message
    assert "glovebox.logit" in why.remedy


def test_a_text_is_no_stored_model() -> None:
    assert not is_model_file("model.md", b"# The model")
    assert not is_model_file("model", b"")
