"""The trail in the real store: rows and ledger entries together, budgets and imports taken up again from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from egress_gate.doors.book import StoreBook
from egress_gate.doors.contents import digest
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.standing import StoreStandings
from egress_gate.doors.trail import Event, Trail
from egress_gate.doors.view import NOTHING, Allowance
from ledger.entry import Entry
from policy_engine import Answer, PolicyUnavailable
from store import schema
from store.blobs import Blobs
from store.clock import now, stamp
from store.database import Database
from tests.unit.doors.fakes import make_sandbox, make_settings

LIMITS = {"bytes_per_hour": 10, "bytes_per_day": 20, "cells_per_hour": 3, "images_per_hour": 4, "output_bytes": 5}


class Engine:
    """Answers ``session/view`` as told; ``None`` is silence."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.asked: list[Any] = []

    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        assert entry_point == "session/view"
        self.asked.append(facts)
        if self.result is None:
            raise PolicyUnavailable("No decision.", why="Away.", do="Wait.")
        return Answer(self.result, "test", "0")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database.open(make_settings(tmp_path))
    yield made
    made.close()


@pytest.fixture
def ana(tmp_path: Path, database: Database) -> Sandbox:
    """A sandbox with one sensitive and one internal dataset version mounted."""
    sandbox = make_sandbox(make_settings(tmp_path), view="guarded")
    at = stamp(now())
    with database.transaction(now()) as t:
        t.execute(insert(schema.person).values(name="ana", uid=20001))
        t.execute(
            insert(schema.project).values(
                name="liver",
                title="t",
                purpose="p",
                sponsor="x",
                created_at=at,
                created_by="adam",
                expires_at=at,
                state="active",
            )
        )
        for name, level in (("nafld", 3), ("codes", 2)):
            t.execute(
                insert(schema.dataset).values(
                    name=name,
                    title="t",
                    description="",
                    provider="x",
                    classification=level,
                    registered_at=at,
                    registered_by="adam",
                )
            )
            t.execute(
                insert(schema.dataset_version).values(
                    id=f"{name}/1",
                    dataset=name,
                    number=1,
                    digest="0",
                    state="available",
                    folder=name,
                    registered_at=at,
                    registered_by="adam",
                )
            )
        t.execute(
            insert(schema.sandbox).values(
                id=sandbox.id,
                person="ana",
                project="liver",
                server_name="",
                container="c",
                image_digest="0",
                view="guarded",
                versions=json.dumps(["nafld/1", "codes/1"]),
                started_at=at,
            )
        )
        t.record(Entry("sandbox.started", "ana", {"sandbox": sandbox.id}))
    return sandbox


@pytest.fixture
def book(tmp_path: Path, database: Database) -> StoreBook:
    return StoreBook(database, Blobs(tmp_path / "blobs"))


NO_ANSWERS = [
    None, {}, [], {"view": "wide", "limits": LIMITS}, {"view": "open"}, {"view": "open", "limits": {"output_bytes": 5}},
    {"view": "open", "limits": {**LIMITS, "output_bytes": -1}}, {"view": "open", "limits": {**LIMITS, "output_bytes": True}},
]  # fmt: skip


@pytest.mark.parametrize("result", NO_ANSWERS)
def test_without_a_proper_answer_of_policy_nothing_is_shown(database: Database, ana: Sandbox, result: Any) -> None:
    standing = StoreStandings(database, Engine(result)).of(ana)
    assert standing.allowance == NOTHING
    assert standing.view in ("guarded", "blind")


def test_an_open_door_file_does_not_open_without_policy(database: Database, ana: Sandbox) -> None:
    from dataclasses import replace

    standing = StoreStandings(database, Engine(None)).of(replace(ana, view="open"))
    assert (standing.view, standing.allowance) == ("guarded", NOTHING)


def test_the_stricter_of_policy_and_door_file_holds(database: Database, ana: Sandbox) -> None:
    engine = Engine({"view": "open", "limits": LIMITS})
    assert StoreStandings(database, engine).of(ana).view == "guarded"
    assert engine.asked == [{"classifications": [2, 3]}]
    assert StoreStandings(database, Engine({"view": "blind", "limits": LIMITS})).of(ana).view == "blind"


def test_limits_come_from_policy(database: Database, ana: Sandbox) -> None:
    assert StoreStandings(database, Engine({"view": "guarded", "limits": LIMITS})).of(ana).allowance == Allowance(
        10, 20, 3, 4, 5
    )


async def test_a_batch_is_rows_and_one_entry_a_sandbox(
    database: Database, ana: Sandbox, book: StoreBook, tmp_path: Path
) -> None:
    trail = Trail(book)
    for _ in range(1000):
        trail.shown(ana, "channels", 10)
    trail.refused(ana, "download-refused", "GET", "files/a.csv")
    code = b"print(1)"
    trail.happened(ana, Event("cell", digest("print(1)"), 3, {"who": "ana"}, now(), blob=code))
    await trail.flush()
    await trail.flush()
    with database.read() as c:
        rows = {row.kind: row for row in c.execute(select(schema.session_event))}
        kinds = [row.kind for row in c.execute(select(schema.ledger_entry).order_by(schema.ledger_entry.c.seq))]
    assert set(rows) == {"shown", "refused", "cell"}
    assert rows["shown"].bytes == 10_000
    assert json.loads(rows["shown"].facts)["answers"] == {"channels": 1000}
    assert kinds == ["sandbox.started", "session.recorded"]
    assert Blobs(tmp_path / "blobs").read(rows["cell"].digest) == code


async def test_refusals_alone_are_an_entry_of_their_own_kind(database: Database, ana: Sandbox, book: StoreBook) -> None:
    trail = Trail(book)
    trail.refused(ana, "download-refused", "GET", "files/a.csv")
    await trail.flush()
    with database.read() as c:
        assert c.execute(select(func.count()).where(schema.ledger_entry.c.kind == "session.refused")).scalar() == 1


async def test_budgets_and_imports_are_taken_up_after_a_restart(
    database: Database, ana: Sandbox, book: StoreBook
) -> None:
    from dataclasses import replace

    blind = replace(ana, view="blind")
    trail = Trail(book)
    trail.shown(blind, "channels", 99)
    trail.spent(blind, 70, 2, 1)
    for version in ("y = 1", "y = 2"):
        facts = {"path": "a.ipynb", "kind": "notebook", "version": digest(version)}
        trail.happened(blind, Event("upload", digest("x"), 1, facts, now()))
    await trail.flush()
    standing = StoreStandings(database, Engine({"view": "blind", "limits": LIMITS})).of(blind)
    assert [amounts[1:] for amounts in standing.spent] == [(70, 2, 1)]
    assert standing.uploads == tuple(("a.ipynb", "notebook", digest(version)) for version in ("y = 1", "y = 2"))
    later = StoreStandings(database, Engine({"view": "blind", "limits": LIMITS}), window=timedelta(seconds=-5)).of(
        blind
    )
    assert later.spent == ()


async def test_a_broken_store_loses_nothing(ana: Sandbox) -> None:
    from tests.unit.doors.fakes import FakeBook

    book = FakeBook(broken=True)
    trail = Trail(book)
    trail.shown(ana, "lab", 5)
    with pytest.raises(OSError, match="full"):
        await trail.flush()
    book.broken = False
    trail.shown(ana, "lab", 6)
    await trail.flush()
    assert [event.size for event in book.of("shown")] == [5, 6]
