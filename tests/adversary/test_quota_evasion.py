"""Trying to use more than was granted: through several tabs, sandboxes and colleagues, between two batches, by odd messages."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType

from egress_gate.doors.allotment import CLOSED, Allotment, QuotaSpent
from egress_gate.doors.contents import Known
from egress_gate.doors.routes import ROUTES, Route, Shape
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.trail import Event, Trail
from egress_gate.doors.view import OPEN, Budget
from egress_gate.doors.viewer import Viewer

ANA = Sandbox("aa11aa11", "ana", "", "/user/ana/", "liver", "open", "t", Path("/nowhere"))
BO = replace(ANA, id="bb22bb22", person="bo", prefix="/user/bo/")
AT = datetime(2026, 11, 25, tzinfo=UTC)


class Book:
    """Keeps what is written; ``away`` as a store that cannot be reached."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.away = False

    def write(self, batches: list[tuple[Sandbox, list[Event]]], at: datetime) -> None:
        if self.away:
            raise OSError("the disk is full")
        self.events += [event for _, events in batches for event in events]

    def stored(self, kind: str) -> int:
        mine = [event for event in self.events if event.kind == kind]
        return len(mine) if kind == "cell" else sum(event.size for event in mine)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def trail(book: Book) -> Trail:
    return Trail(book)


def viewer(trail: Trail, sandbox: Sandbox = ANA, **left: int) -> Viewer:
    mark = trail.tally(sandbox.project).written.copy()
    return Viewer(sandbox, trail, Budget(OPEN), Known(), None, Allotment(trail.tally(sandbox.project), left, mark))


def route(shape: Shape) -> Route:
    return next(one for one in ROUTES if one.shape is shape)


def message(kind: str, channel: str, parent: dict[str, Any] | None = None, number: int = 0, **content: Any) -> bytes:
    header = {
        "msg_id": f"m{number}-{kind}",
        "msg_type": kind,
        "session": "s",
        "username": "u",
        "date": "",
        "version": "5.3",
    }
    body = {"header": header, "parent_header": parent or {}, "metadata": {}, "content": content, "channel": channel}
    return json.dumps({**body, "buffers": []}).encode()


def run_cell(judge: Any, code: str, number: int = 0) -> str:
    """What reaches the kernel when a browser asks for this cell."""
    asked = message("execute_request", "shell", number=number, code=code, silent=False)
    ((_, data),) = judge.inward(WSMsgType.TEXT, asked)
    return str(json.loads(data)["content"]["code"])


def kernel(seen: Viewer, name: str = "k1") -> Any:
    return seen.judge(route(Shape.KERNEL), f"api/kernels/{name}/channels", None, "ana")


def test_a_cell_too_many_is_not_run_and_says_why(trail: Trail) -> None:
    judge = kernel(viewer(trail, cells=2))
    assert [run_cell(judge, f"x = {n}", n) for n in range(2)] == ["x = 0", "x = 1"]
    refused = run_cell(judge, "steal()", 2)
    assert "steal" not in refused
    assert "used up" in refused


def test_tabs_kernels_sandboxes_and_colleagues_share_the_cells(trail: Trail) -> None:
    mine, hers = viewer(trail, cells=2), viewer(trail, BO, cells=2)
    assert run_cell(kernel(mine), "a") == "a"
    assert run_cell(kernel(hers), "b") == "b"
    for judge in (kernel(mine), kernel(mine, "k2"), kernel(hers)):
        assert "used up" in run_cell(judge, "c")


def test_another_project_keeps_its_own(trail: Trail) -> None:
    run_cell(kernel(viewer(trail, cells=1)), "a")
    other = viewer(trail, replace(BO, project="heart"), cells=1)
    assert run_cell(kernel(other), "b") == "b"


async def test_a_running_cell_is_not_forgotten_when_the_batch_is_written(trail: Trail, book: Book) -> None:
    seen = viewer(trail, cells=1)
    assert run_cell(kernel(seen), "while True: pass") == "while True: pass"
    await trail.flush()
    seen.allotment.renew({"cells": 1 - book.stored("cell")}, trail.tally("liver").written.copy())
    assert "used up" in run_cell(kernel(seen, "k2"), "more")


async def test_what_is_shown_between_two_batches_counts(trail: Trail, book: Book) -> None:
    seen = viewer(trail, shown_bytes=100)
    trail.shown(ANA, "channels", 60)
    await trail.flush()
    mark = trail.tally("liver").written.copy()
    trail.shown(BO, "channels", 40)
    seen.allotment.renew({"shown_bytes": 100 - book.stored("shown")}, mark)
    with pytest.raises(QuotaSpent):
        seen.admit(route(Shape.CONTENTS), "GET")


async def test_a_store_that_is_away_widens_nothing(trail: Trail, book: Book) -> None:
    seen = viewer(trail, shown_bytes=100)
    book.away = True
    trail.shown(ANA, "channels", 100)
    with pytest.raises(OSError, match="full"):
        await trail.flush()
    seen.allotment.renew({"shown_bytes": 100}, trail.tally("liver").written.copy())
    with pytest.raises(QuotaSpent):
        kernel(seen).outward(WSMsgType.TEXT, message("status", "iopub", execution_state="idle"))


def test_the_interface_s_own_files_are_not_metered(trail: Trail) -> None:
    seen = viewer(trail, shown_bytes=100)
    trail.shown(ANA, "static", 5_000_000, image=True)
    seen.admit(route(Shape.CONTENTS), "GET")
    trail.shown(ANA, "contents", 100)
    seen.admit(route(Shape.ASSET), "GET")
    for shape in (Shape.CONTENTS, Shape.PAGE, Shape.KERNEL):
        with pytest.raises(QuotaSpent):
            seen.admit(route(shape), "GET")


@pytest.mark.parametrize("shape", [Shape.TERMINAL, Shape.EVENTS])
def test_terminals_and_events_end_with_the_bytes_too(trail: Trail, shape: Shape) -> None:
    judge = viewer(trail, shown_bytes=0).judge(route(shape), "terminals/websocket/1", None, "ana")
    with pytest.raises(QuotaSpent):
        judge.outward(WSMsgType.TEXT, b'["stdout", "x"]')


@pytest.mark.parametrize("channel", ["control", "stdin"])
def test_a_cell_by_another_channel_is_not_run(trail: Trail, channel: str) -> None:
    judge = kernel(viewer(trail, cells=0))
    asked = message("execute_request", channel, code="steal()")
    assert judge.inward(WSMsgType.TEXT, asked) == []


def test_expressions_beside_the_code_are_not_run_either(trail: Trail) -> None:
    judge = kernel(viewer(trail, cells=0))
    asked = message("execute_request", "shell", code="", silent=True, user_expressions={"a": "steal()"})
    ((_, data),) = judge.inward(WSMsgType.TEXT, asked)
    assert "steal" not in data.decode()


def test_without_an_answer_of_policy_nothing_is_left() -> None:
    trail = Trail(Book())
    closed = Allotment(trail.tally("liver"), CLOSED, Counter())
    assert closed.spent("cells")
    assert closed.spent("shown_bytes")


def test_a_negative_rest_is_nothing() -> None:
    assert Allotment(Trail(Book()).tally("liver"), {"cells": -5}, Counter()).spent("cells")


def test_a_warning_stands_beside_the_next_cell_once(trail: Trail) -> None:
    seen = viewer(trail)
    judge = kernel(seen)
    seen.allotment.warnings = ("The grant of nafld/1 ends soon.",)
    run_cell(judge, "a")
    asked = {"msg_id": "m0-execute_request", "msg_type": "execute_request"}
    busy = message("status", "iopub", asked, execution_state="busy")
    passed = [json.loads(data) for _, data in judge.outward(WSMsgType.TEXT, busy)]
    assert [one["header"]["msg_type"] for one in passed] == ["status", "stream"]
    assert passed[1]["content"]["text"] == "[session door] The grant of nafld/1 ends soon.\n"
    assert passed[1]["parent_header"]["msg_id"] == "m0-execute_request"
    run_cell(judge, "b", 1)
    assert len(judge.outward(WSMsgType.TEXT, busy)) == 1
