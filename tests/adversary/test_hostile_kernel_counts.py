"""A kernel that says what it must not by how often, in which order and for which request it says what it may."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import WSMsgType

from egress_gate.doors.answers import Answers
from egress_gate.doors.blind_judge import BlindJudge
from egress_gate.doors.kernel_judge import OUTWARD, GuardedJudge
from egress_gate.doors.kernel_protocol import KERNEL_V1, KernelMessage, decode, encode
from egress_gate.doors.memory import KernelMemory
from egress_gate.doors.terminal_judge import TerminalJudge
from egress_gate.doors.trail import Trail
from egress_gate.doors.view import Allowance, Budget
from tests.unit.doors.fakes import FakeBook, make_sandbox, make_settings

KINDS = [(channel, kind) for channel, kinds in sorted(OUTWARD.items()) for kind in sorted(kinds)]
STATES = ("busy", "idle", "starting", "restarting", "dead", "terminating", "autorestarting", "unknown")
SPENT = Allowance(100, 100, 3, 1, 50)
ROOM = Allowance(10**6, 10**7, 100, 10, 2000)


class Wire:
    """One judge with its kernel on the other side. ``say`` returns what a browser got."""

    def __init__(self, tmp_path: Any, view: str, room: Allowance) -> None:
        sandbox = make_sandbox(make_settings(tmp_path), view=view)
        facts: tuple[Any, ...] = (
            KernelMemory(sandbox, Trail(FakeBook())),
            KERNEL_V1,
            "ana",
            lambda *_: None,
            Budget(room),
        )
        self.judge = BlindJudge(*facts, Answers()) if view == "blind" else GuardedJudge(*facts)

    def ask(self, name: str, kind: str = "execute_request") -> None:
        header = {"msg_id": name, "msg_type": kind, "username": "", "session": "s", "date": "", "version": "5.3"}
        content = {"code": "x\n" * 200, "silent": False}
        self.judge.inward(*encode(KernelMessage("shell", header, {}, {}, content), KERNEL_V1))

    def say(self, kind: str, channel: str, parent: str = "a", **content: Any) -> list[dict[str, Any]]:
        header = {"msg_id": "m", "msg_type": kind, "username": "", "session": "", "date": "", "version": "5.3"}
        sent = self.judge.outward(
            *encode(KernelMessage(channel, header, {**header, "msg_id": parent}, {}, content), KERNEL_V1)
        )
        return [decode(*one, KERNEL_V1).content for one in sent]


@pytest.mark.parametrize("view", ["guarded", "blind"])
def test_states_of_a_kernel_are_no_alphabet(tmp_path: Any, view: str) -> None:
    """Eight states, as often as it likes, would be three bits a message beside every budget."""
    wire = Wire(tmp_path, view, SPENT)
    wire.ask("a")
    got = [each for n in range(400) for each in wire.say("status", "iopub", execution_state=STATES[n % 8])]
    assert len(got) <= 2 + 3, "busy and idle once, then as many as the budget has outputs"
    stray = [
        each for n in range(400) for each in wire.say("status", "iopub", f"never-{n}", execution_state=STATES[n % 2])
    ]
    assert len(stray) <= 3


@pytest.mark.parametrize("view", ["guarded", "blind"])
@pytest.mark.parametrize(("channel", "kind"), [(c, k) for c, k in KINDS if k != "status"])
@pytest.mark.parametrize("parents", [1, 400])
def test_no_kind_passes_without_end_once_the_budget_is_spent(
    tmp_path: Any, view: str, channel: str, kind: str, parents: int
) -> None:
    wire = Wire(tmp_path, view, SPENT)
    wire.ask("a")
    got = sum(
        len(wire.say(kind, channel, "a" if parents == 1 else f"never-{n}", execution_count=n, data={}, text="x" * 60))
        for n in range(400)
    )
    assert got <= 20, f"{got} of 400 {kind} passed"


@pytest.mark.parametrize("view", ["guarded", "blind"])
def test_a_cell_is_echoed_once(tmp_path: Any, view: str) -> None:
    """Its number is the kernel's to choose: twenty bits each time it is said."""
    wire = Wire(tmp_path, view, ROOM)
    wire.ask("a")
    assert sum(len(wire.say("execute_input", "iopub", execution_count=n)) for n in range(100)) == 1


def test_blind_tells_one_error_of_a_cell(tmp_path: Any) -> None:
    """Type and line of each of a thousand errors would be a message."""
    wire = Wire(tmp_path, "blind", ROOM)
    wire.ask("a")
    told = [
        each
        for n in range(100)
        for each in wire.say("error", "iopub", ename="KeyError", evalue="", traceback=[f"line {n + 1}"])
    ]
    assert [each["evalue"] for each in told] == ["line 1"]


def test_blind_says_the_same_of_every_cell_beyond_the_budget(tmp_path: Any) -> None:
    """A browser that its analyst wrote may send a cell a millisecond; then even "it worked" is a bit each."""
    wire = Wire(tmp_path, "blind", SPENT)
    seen = []
    for n in range(20):
        name = f"cell-{n}"
        wire.ask(name)
        said = wire.say("execute_input", "iopub", name, execution_count=n)
        if n % 2:
            said += wire.say("error", "iopub", name, ename="KeyError", traceback=["line 7"])
            said += wire.say("stream", "iopub", name, text="x", name="stdout")
        said += wire.say("execute_reply", "shell", name, status="error" if n % 2 else "ok")
        seen.append(str(said))
    assert len(set(seen[:3])) > 1, "within the budget it is told how a cell went"
    assert len(set(seen[3:])) == 1
    assert "budget" in seen[-1]


@pytest.mark.parametrize("status", ["complete", "incomplete", "invalid", "unknown"])
def test_blind_answers_no_question_with_the_kernels_choice(tmp_path: Any, status: str) -> None:
    wire = Wire(tmp_path, "blind", ROOM)
    wire.ask("q", "is_complete_request")
    (answer,) = wire.say("is_complete_reply", "shell", "q", status=status, indent="  ")
    assert answer == {"status": "unknown"}


def test_signals_of_a_terminal_are_no_alphabet() -> None:
    judge = TerminalJudge(lambda *_: None, Budget(SPENT))
    sent = [b'["setup", {}]' if n % 3 else b'["disconnect", 1]' for n in range(400)]
    assert sum(len(judge.outward(WSMsgType.TEXT, each)) for each in sent) <= 2 + 3
