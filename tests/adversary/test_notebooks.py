"""Ways to carry figures out in a notebook: outputs, attachments, metadata, and forms that two readers read differently."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.service.check import check, claim
from egress_gate.service.notebooks import NotebookUnreadable, is_notebook, sources, stripped
from egress_gate.service.release import release
from egress_gate.service.submit import Draft, record_upload, submit
from egress_gate.store import releases
from egress_gate.store.requests import RequestRow
from tests.unit.gate.factory import World, make_world

SECRET = "the-secret-of-patient-17"


def notebook(*cells: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **more}).encode()


def code(source: Any = "1 + 1", **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": 1, "outputs": [], "source": source, **more}


@pytest.mark.parametrize(
    "hidden",
    [
        notebook(code(outputs=[{"output_type": "stream", "name": "stdout", "text": SECRET}])),
        notebook(code(outputs=[{"output_type": "display_data", "data": {"text/html": SECRET}, "metadata": {}}])),
        notebook(code(metadata={"note": SECRET})),
        notebook(code(id=SECRET)),
        notebook(code(execution_count=SECRET)),
        notebook({"cell_type": "markdown", "source": "x", "attachments": {"a.png": {"image/png": SECRET}}}),
        notebook(code(), metadata={"widgets": SECRET}),
        notebook(code(), other=SECRET),
    ],
)
def test_only_sources_leave(hidden: bytes) -> None:
    assert SECRET.encode() not in stripped(hidden)


def test_the_same_sources_give_the_same_bytes() -> None:
    """Neither the order of keys nor the counts of executions nor the way lines are split can carry anything."""
    one = notebook(code(["a\n", "b"], execution_count=7))
    other = json.dumps(dict(reversed(list(json.loads(notebook(code("a\nb"))).items())))).encode()
    assert stripped(one) == stripped(other)
    assert stripped(stripped(one)) == stripped(one)


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        notebook({"cell_type": "movie", "source": "x"}),
        notebook(code({"a": 1})),
        notebook(code([1, 2])),
        notebook(nbformat=3),
        notebook(cells={"a": 1}),
        notebook(*[code()] * 1_001),
        b'{"nbformat": 4, "cells": [], "cells": [{"cell_type": "code", "source": "x"}]}',
    ],
)
def test_what_is_not_plainly_a_notebook_does_not_leave(odd: bytes) -> None:
    with pytest.raises(NotebookUnreadable):
        stripped(odd)


def test_the_words_and_code_are_kept() -> None:
    made = notebook({"cell_type": "markdown", "source": "# Ages"}, code("print(1)"))
    assert sources(stripped(made)) == (("markdown", "# Ages"), ("code", "print(1)"))


def test_no_spelling_of_the_ending_slips_by() -> None:
    assert is_notebook("a.IPYNB")
    assert not is_notebook("a.ipynb.txt")


def asked(world: World, data: bytes) -> RequestRow:
    who = world.ana
    digest = world.gate.blobs.put(data)
    record_upload(world.gate, who, digest, len(data), world.clock())
    draft = Draft("Notebook", "How the table was made", "Appendix", (Item("story.ipynb", Kind.FILE, blob=digest),))
    held = claim(world.gate, submit(world.gate, who, draft, world.clock()).id, world.clock())
    assert held is not None
    return check(world.gate, held, world.clock())


def test_an_approved_notebook_leaves_without_its_outputs(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home")
    output = {"output_type": "stream", "name": "stdout", "text": SECRET}
    row = release(
        world.gate, world.prepared(world.reviewed(asked(world, notebook(code(outputs=[output]))))), world.clock()
    )
    with world.gate.store.read() as c:
        found = releases.of_request(c, row.id)
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(world.gate.blobs.read(found.bundle))) as bundle:
        members = {name: bundle.read(name) for name in bundle.namelist()}
    (left,) = (data for name, data in members.items() if name.endswith("story.ipynb"))
    assert json.loads(left)["cells"][0]["outputs"] == []
    assert not any(SECRET.encode() in data for data in members.values())


@pytest.mark.parametrize("data", [b"{}", notebook(code("\n".join(["id,age", *(f"{n},{n}" for n in range(50))])))])
def test_records_in_a_cell_and_odd_notebooks_are_refused(tmp_path: Path, data: bytes) -> None:
    assert asked(make_world(tmp_path / "home"), data).state is State.REFUSED
