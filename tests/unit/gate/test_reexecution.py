"""A notebook is run anew when a steward asks: in a queue that survives its workers, shown to no one but reviewers, never a release."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.domain.rerun import difference, normalised
from egress_gate.domain.review import ReviewVerdict
from egress_gate.policy.facts import Person
from egress_gate.service import reexecution
from egress_gate.service.check import check, claim
from egress_gate.service.errors import Conflict, NotAllowed, NotFound, NotReady
from egress_gate.service.reexecution import Reexecutions, ask
from egress_gate.service.release import release
from egress_gate.service.submit import Draft, record_upload, submit
from egress_gate.store import releases, reruns
from egress_gate.store.requests import RequestRow
from egress_gate.store.reruns import RerunRow, RerunState
from egress_gate.verifier.port import Rerun, TableFile, VerifierAway
from ledger.certificate import NAME
from ledger.entry import Entry
from store import schema as s
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ADAM, AMIR, ANA, AUDREY, STELLA, World, make_world

NAMED = "story.ipynb"
HIDDEN = "secret-of-the-run"


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


SENT = [printed("sex  n\n"), printed("F 9000\n")]


def notebook(*cells: list[dict[str, Any]]) -> bytes:
    made = [{"cell_type": "markdown", "metadata": {}, "source": "# Ages"}]
    made += [
        {"cell_type": "code", "metadata": {}, "execution_count": 7, "source": f"cell {n}", "outputs": outputs}
        for n, outputs in enumerate(cells)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}).encode()


@dataclass
class Played:
    """Answers as told, and keeps what it was asked."""

    cells: Sequence[Sequence[Mapping[str, Any]]] = ((printed("sex  n\nF 9000\n"),),)
    stopped: str | None = None
    away: bool = False
    asked: list[tuple[list[str], list[TableFile], float]] = field(default_factory=list)

    def rerun(self, sources: Sequence[str], tables: Sequence[TableFile], seconds: float) -> Rerun:
        self.asked.append((list(sources), list(tables), seconds))
        if self.away:
            raise VerifierAway("Away.", why="It ended.", do="Wait.")
        return Rerun(() if self.stopped else tuple(tuple(c) for c in self.cells), self.stopped, "sha256:i")


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def world(tmp_path: Path, played: Played) -> World:
    made = make_world(tmp_path / "home")
    made.gate = replace(made.gate, rerunner=played)
    return made


def asked(world: World, data: bytes = notebook(SENT), name: str = NAMED) -> RequestRow:
    digest = world.gate.blobs.put(data)
    record_upload(world.gate, world.ana, digest, len(data), world.clock())
    draft = Draft("Notebook", "How the table was made", "Appendix", (Item(name, Kind.FILE, blob=digest),))
    held = claim(world.gate, submit(world.gate, world.ana, draft, world.clock()).id, world.clock())
    assert held is not None
    return check(world.gate, held, world.clock())


def rerun(world: World, row: RequestRow, by: Person = STELLA) -> RerunRow:
    ask(world.gate, by, row.id, NAMED, world.clock(), row.revision)
    assert Reexecutions(world.gate, world.clock).round()
    return last(world, row)


def last(world: World, row: RequestRow) -> RerunRow:
    with world.gate.store.read() as c:
        return reruns.of_revision(c, row.id, row.revision, NAMED)[-1]


def certified(world: World, row: RequestRow) -> dict[str, Any]:
    """What the certificate of the released request says about the notebook."""
    done = release(world.gate, world.prepared(row), world.clock())
    with world.gate.store.read() as c:
        found = releases.of_request(c, done.id)
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(world.gate.blobs.read(found.bundle))) as bundle:
        statement = json.loads(bundle.read(NAME))
    found_checks = _find(statement, "checks")
    return dict(found_checks[0])


def _find(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value[key] if key in value else next((f for v in value.values() if (f := _find(v, key))), None)
    return None


# ---- who may, and when ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("person", "refusal"), [(ANA, NotAllowed), (AUDREY, NotAllowed), (ADAM, NotFound), (AMIR, NotFound)]
)
def test_only_a_steward_of_the_data_has_it_run(world: World, person: Person, refusal: type[Exception]) -> None:
    row = asked(world)
    with pytest.raises(refusal):
        ask(world.gate, person, row.id, NAMED, world.clock(), row.revision)
    assert not world.entries("notebook.rerun_asked")


def test_only_a_notebook_of_the_revision_that_was_read_is_run(world: World) -> None:
    row = asked(world)
    with pytest.raises(NotFound):
        ask(world.gate, STELLA, row.id, "other.ipynb", world.clock(), row.revision)
    with pytest.raises(Conflict):
        ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision + 1)
    text = asked(world, b"plain words", "words.md")
    with pytest.raises(NotFound):
        ask(world.gate, STELLA, text.id, "words.md", world.clock(), text.revision)


def test_not_twice_at_once_and_not_after_the_decision(world: World) -> None:
    row = asked(world)
    ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision)
    with pytest.raises(Conflict):
        ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision)
    world.reviewed(row)
    with pytest.raises(NotAllowed):
        ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision)


def test_a_gate_without_a_place_to_run_it_says_so(world: World) -> None:
    row = asked(world)
    world.gate = replace(world.gate, rerunner=None)
    with pytest.raises(NotReady):
        ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision)


# ---- what comes of it -----------------------------------------------------------------------------------------------
def test_it_runs_the_code_on_the_pinned_tables_and_agrees(world: World, played: Played) -> None:
    row = asked(world)
    done = rerun(world, row)
    ((sources, tables, seconds),) = played.asked
    assert sources == ["cell 0"]
    assert [(t.dataset, t.path.name) for t in tables] == [("nafld", "nafld1.parquet")]
    assert seconds == 600
    assert done.state is RerunState.DONE
    found = reexecution.result(world.gate, done)
    assert found["agrees"] is True
    assert found["versions"] == {"nafld/1": "d" * 64}
    assert world.row(row.id).state is State.IN_REVIEW


def test_what_differs_is_said_cell_by_cell(world: World, played: Played) -> None:
    row = asked(world, notebook(SENT, [printed("same")]))
    played.cells = ((printed("sex  n\nF 8999\n"),), (printed("same"),))
    found = reexecution.result(world.gate, rerun(world, row))
    assert found["agrees"] is False
    assert [(c["cell"], c["same"]) for c in found["cells"]] == [(2, False), (3, True)]
    assert [line for line in found["cells"][0]["lines"] if line[0] in "+-"] == ["-F 9000", "+F 8999"]


@pytest.mark.parametrize("stopped", ["time", "kernel", "size", "a word nobody knows"])
def test_what_did_not_come_to_its_end_says_nothing(world: World, played: Played, stopped: str) -> None:
    played.stopped = stopped
    row = asked(world)
    done = rerun(world, row)
    assert done.state is RerunState.FAILED
    assert reexecution.result(world.gate, done)["agrees"] is False
    assert certified(world, world.reviewed(row))["reexecution"] == "none"


def test_data_that_was_destroyed_is_not_replaced_by_nothing(world: World, played: Played) -> None:
    row = asked(world)
    ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision)
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(update(s.dataset_version).values(state="destroyed"))
        t.record(Entry("dataset.destroyed", "adam", {"dataset": "nafld"}, {}))
    Reexecutions(world.gate, world.clock).round()
    assert last(world, row).state is RerunState.FAILED
    assert not played.asked


def test_a_request_that_moved_on_is_not_run(world: World, played: Played) -> None:
    row = asked(world)
    ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision)
    world.reviewed(row, ReviewVerdict.RETURN)
    Reexecutions(world.gate, world.clock).round()
    assert last(world, row).state is RerunState.FAILED
    assert not played.asked


# ---- the queue survives ---------------------------------------------------------------------------------------------
def test_another_worker_takes_over_what_a_dead_one_held(world: World) -> None:
    row = asked(world)
    ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision)
    dead = reexecution.claim(world.gate, world.clock())
    assert dead is not None
    assert reexecution.claim(world.gate, world.clock()) is None
    world.clock.skip(minutes=20)
    taken = reexecution.claim(world.gate, world.clock())
    assert taken is not None
    assert (
        reexecution.execute(world.gate, dead, world.clock).state is RerunState.RUNNING
    )  # the dead one's answer is late
    assert reexecution.execute(world.gate, taken, world.clock).state is RerunState.DONE
    assert len(world.entries("notebook.rerun_ended")) == 1


def test_what_never_answers_ends_as_not_run(world: World, played: Played) -> None:
    played.away = True
    row = asked(world)
    ask(world.gate, STELLA, row.id, NAMED, world.clock(), row.revision)
    worker = Reexecutions(world.gate, world.clock)
    for _ in range(reexecution.ATTEMPTS + 1):
        worker.round()
        world.clock.skip(minutes=20)
    assert last(world, row).state is RerunState.FAILED
    assert len(played.asked) == reexecution.ATTEMPTS
    assert not worker.round()


# ---- what it means for the decision ---------------------------------------------------------------------------------
def test_restricted_data_wants_it_before_an_approval(world: World) -> None:
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(update(s.dataset).values(classification=4))
        t.record(Entry("dataset.registered", "adam", {"dataset": "nafld"}, {}))
    row = asked(world)
    with pytest.raises(NotAllowed):
        world.reviewed(row)
    rerun(world, row)
    assert world.reviewed(row).state is State.APPROVED


def test_the_certificate_says_whether_it_agreed_and_no_more(world: World, played: Played) -> None:
    assert certified(world, world.reviewed(asked(world)))["reexecution"] == "none"
    row = asked(world)
    played.cells = ((printed(HIDDEN),),)
    done = rerun(world, row)
    # another release left meanwhile, so that it was judged anew: `asked` came after it
    assert certified(world, world.reviewed(row))["reexecution"] == {"agrees": False, "result": done.result}


def test_the_record_is_alike_however_it_ended(world: World, played: Played) -> None:
    first, second = asked(world), asked(world)
    rerun(world, first)
    played.cells = ((printed(HIDDEN),),)
    rerun(world, second)
    shapes = {tuple(sorted(e["facts"])) for e in world.entries("notebook.rerun_ended")}  # type: ignore[call-overload]
    assert shapes == {("output", "result", "revision")}
    results = [e["facts"]["result"] for e in world.entries("notebook.rerun_ended")]  # type: ignore[index]
    assert len(set(results)) == 2
    assert HIDDEN not in json.dumps(world.entries())


def test_the_same_result_has_another_digest_each_time(world: World) -> None:
    row = asked(world)
    assert rerun(world, row).result != rerun(world, row).result


# ---- pages and programs ---------------------------------------------------------------------------------------------
def test_stewards_and_auditors_see_what_differs_and_the_author_does_not(world: World, played: Played) -> None:
    row = asked(world)
    desk = make_desk(world)
    stella, ana, audrey = (signed_in(desk, n) for n in ("stella", "ana", "audrey"))
    place = f"{PREFIX}requests/{row.name}"
    assert "Nobody has had this notebook run anew" in stella.get(place).text
    form = {"output": NAMED, "revision": "1"}
    assert ana.post(f"{place}/rerun", data=form).status_code == 403
    assert stella.post(f"{place}/rerun", data=form).status_code == 303
    assert "waits for its turn" in stella.get(place).text
    played.cells = ((printed(HIDDEN + "<script>alert(1)</script>\u202e\u200b"),),)
    Reexecutions(world.gate, world.clock).round()
    for reader in (stella, audrey):
        page = reader.get(place).text
        assert HIDDEN in page
        assert "<script>alert" not in page
        assert "⟨U+202E⟩⟨U+200B⟩" in page
    assert HIDDEN not in ana.get(place).text
    assert "reexecution" not in ana.get(f"{PREFIX}api/v1/requests/{row.name}").json()["items"][0]


def test_programs_have_it_run_too(world: World) -> None:
    row = asked(world)
    stella = signed_in(make_desk(world), "stella")
    place = f"{PREFIX}api/v1/requests/{row.name}"
    assert stella.get(place).json()["items"][0]["reexecution"]["state"] == "none"
    assert stella.post(f"{place}/rerun", json={"output": NAMED, "revision": 1}).json() == {"state": "waiting"}
    Reexecutions(world.gate, world.clock).round()
    found = stella.get(place).json()["items"][0]["reexecution"]
    assert (found["state"], found["agrees"]) == ("done", True)


# ---- what counts as different ---------------------------------------------------------------------------------------
def shown(count: int, **data: Any) -> dict[str, Any]:
    return {
        "output_type": "execute_result",
        "execution_count": count,
        "metadata": {"m": count},
        "data": {k.replace("__", "/"): v for k, v in data.items()},
    }


@pytest.mark.parametrize(
    ("sent", "came"),
    [
        ([printed("a"), printed("b")], [printed("ab")]),
        ([shown(7, text__plain=["x", "y"])], [shown(1, text__plain="xy")]),
        ([shown(1, text__plain="<Axes at 0x7f3a12345678>")], [shown(1, text__plain="<Axes at 0x55d0aaaabbbb>")]),
        ([printed("\x1b[31mred\x1b[0m")], [printed("red")]),
    ],
)
def test_what_does_not_count(sent: list[Any], came: list[Any]) -> None:
    assert difference(2, sent, came).same


@pytest.mark.parametrize(
    ("sent", "came"),
    [
        ([printed("a")], []),
        ([printed("a")], [{"output_type": "stream", "name": "stderr", "text": "a"}]),
        ([shown(1, text__plain="x")], [shown(1, text__plain="x", text__html="x")]),
        ([shown(1, image__png="AAAA")], [shown(1, image__png="AAAB")]),
        ([printed("n = 10")], [printed("n = 1\u200b0")]),
        ([printed("a")], ["nonsense"]),
        ([{"output_type": "display_data", "data": [1]}], [{"output_type": "display_data", "data": [2]}]),
    ],
)
def test_what_counts(sent: list[Any], came: list[Any]) -> None:
    found = difference(2, sent, came)
    assert not found.same
    assert found.lines


def test_a_long_difference_is_cut_and_says_so() -> None:
    found = difference(2, [printed("a\n" * 100_000)], [printed("b\n" * 100_000)])
    assert len(found.lines) <= 301
    assert found.lines[-1] == "…"
    assert normalised([printed("a")]) == (("stream stdout", "a"),)
