"""A kernel and a server that lie, under guarded and blind: nothing reaches the browser beside what the view allows."""

from __future__ import annotations

import json
import random
import string
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import WSMsgType

import egress_gate.doors.memory as memory_module
from egress_gate.doors.answers import Answers
from egress_gate.doors.blind_judge import ANSWER_TYPE, BlindJudge
from egress_gate.doors.contents import blind, model_of, refuse_download
from egress_gate.doors.errors import DoorFault, ImportRefused, ShownWithheld
from egress_gate.doors.kernel_judge import OUTWARD, GuardedJudge, OpenJudge
from egress_gate.doors.kernel_protocol import KERNEL_V1, KernelMessage, decode, encode
from egress_gate.doors.known import Known, digest, whole
from egress_gate.doors.listings import Ids
from egress_gate.doors.listings import blind as blind_list
from egress_gate.doors.memory import KernelMemory
from egress_gate.doors.routes import ROUTES
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.terminal_judge import EventsJudge, TerminalJudge
from egress_gate.doors.trail import Trail
from egress_gate.doors.view import NOTHING, Allowance, Budget
from egress_gate.doors.viewer import Viewer
from tests.unit.doors.fakes import FakeBook, make_sandbox, make_settings

SECRET = "patient-4711"
CODE = "x = 1\nprint(secret)\nraise ValueError(secret)"
ROOM = Allowance(10**6, 10**7, 1000, 10, 2000)
KINDS = [(channel, kind) for channel, kinds in sorted(OUTWARD.items()) for kind in sorted(kinds)]


@pytest.fixture
def sandbox(tmp_path: Any) -> Sandbox:
    return make_sandbox(make_settings(tmp_path), view="blind")


@pytest.fixture
def trail() -> Trail:
    return Trail(FakeBook())


def request(kind: str = "execute_request", **content: Any) -> KernelMessage:
    header = {"msg_id": "cell-1", "msg_type": kind, "username": "", "session": "browser", "date": "", "version": "5.3"}
    return KernelMessage("shell", header, {}, {}, {"code": CODE, "silent": False, **content})


def everywhere(kind: str, channel: str, parent: str = "cell-1") -> KernelMessage:
    """A message with the secret in every place a kernel can fill."""
    text = {"text/plain": SECRET, "text/html": f"<b>{SECRET}</b>", "application/x-own": SECRET, "image/png": SECRET}
    header = {
        "msg_id": SECRET,
        "msg_type": kind,
        "username": SECRET,
        "session": SECRET,
        "date": SECRET,
        "version": SECRET,
        SECRET: 1,
    }
    content: dict[str, Any] = {
        "text": SECRET, "name": SECRET, "data": text, "metadata": {SECRET: SECRET}, "transient": {"display_id": SECRET},
        "ename": SECRET, "evalue": SECRET, "traceback": [f"line 2 {SECRET}"], "status": "error", "execution_state": SECRET,
        "execution_count": 4711, "code": SECRET, "matches": [SECRET], "history": [[1, 2, SECRET]], "found": True,
        "comms": {SECRET: {}}, "comm_id": SECRET, "target_name": SECRET, "banner": SECRET, "prompt": SECRET,
        "user_expressions": {"a": {"status": "ok", "data": text}}, "payload": [{"source": "page", "data": text}],
        "indent": SECRET, "wait": SECRET, "restart": SECRET, "body": {"variables": [SECRET]}, SECRET: SECRET,
    }  # fmt: skip
    return KernelMessage(
        channel,
        header,
        {"msg_id": parent, "msg_type": SECRET, SECRET: SECRET},
        {SECRET: SECRET},
        content,
        [SECRET.encode()],
    )


def _blind(sandbox: Sandbox, trail: Trail, answers: Answers | None = None, room: Allowance = ROOM) -> BlindJudge:
    judge = BlindJudge(
        KernelMemory(sandbox, trail), KERNEL_V1, "ana", lambda code, what: None, Budget(room), answers or Answers()
    )
    judge.inward(*encode(request(), KERNEL_V1))
    return judge


@pytest.mark.parametrize(("channel", "kind"), KINDS)
@pytest.mark.parametrize("parent", ["cell-1", "never-asked"])
def test_blind_shows_nothing_that_a_kernel_wrote(
    sandbox: Sandbox, trail: Trail, channel: str, kind: str, parent: str
) -> None:
    judge = _blind(sandbox, trail)
    for kind_out, data in judge.outward(*encode(everywhere(kind, channel, parent), KERNEL_V1)):
        assert kind_out is WSMsgType.BINARY
        assert SECRET.encode() not in data
        assert b"4711" not in data


@pytest.mark.parametrize("name", ["Leak_patient4711", "valueerror", "", None, "ValueError ", "ValueError\nx"])
def test_blind_errors_are_a_listed_type(sandbox: Sandbox, trail: Trail, name: Any) -> None:
    message = everywhere("error", "iopub")
    message.content["ename"] = name
    ((_, data),) = _blind(sandbox, trail).outward(*encode(message, KERNEL_V1))
    assert decode(WSMsgType.BINARY, data, KERNEL_V1).content["ename"] == "Exception"


@pytest.mark.parametrize(
    ("said", "line"), [("line 3", 3), ("line 99", 0), ("line 0", 0), ("line 4711", 0), ("Cell In[1], line 2", 2)]
)
def test_blind_errors_name_a_line_of_the_cell_only(sandbox: Sandbox, trail: Trail, said: str, line: int) -> None:
    message = everywhere("error", "iopub")
    message.content |= {"ename": "ValueError", "traceback": [said]}
    ((_, data),) = _blind(sandbox, trail).outward(*encode(message, KERNEL_V1))
    content = decode(WSMsgType.BINARY, data, KERNEL_V1).content
    assert content["ename"] == "ValueError"
    assert content["evalue"] == (f"line {line}" if line else "somewhere in this cell")


def test_blind_shows_the_gates_answer_from_the_gates_bytes(sandbox: Sandbox, trail: Trail) -> None:
    answers = Answers()
    body = json.dumps(
        {"id": "R-17", "state": "in_review", "title": SECRET, "items": [{"sql": SECRET, "findings": []}]}
    ).encode()
    answers.keep(body)
    import hashlib

    message = everywhere("display_data", "iopub")
    message.content["data"] = {ANSWER_TYPE: {"digest": hashlib.sha256(body).hexdigest()}, "text/plain": SECRET}
    ((_, data),) = _blind(sandbox, trail, answers).outward(*encode(message, KERNEL_V1))
    assert decode(WSMsgType.BINARY, data, KERNEL_V1).content["data"]["text/plain"] == "R-17: in_review"
    assert SECRET.encode() not in data


def test_blind_shows_no_answer_that_the_gate_never_gave(sandbox: Sandbox, trail: Trail) -> None:
    message = everywhere("display_data", "iopub")
    message.content["data"] = {ANSWER_TYPE: {"digest": "0" * 64, "text": SECRET}}
    ((_, data),) = _blind(sandbox, trail).outward(*encode(message, KERNEL_V1))
    assert b"withheld" in data
    assert SECRET.encode() not in data


# -- guarded ------------------------------------------------------------------------------------------------------------
def _guarded(sandbox: Sandbox, trail: Trail, room: Allowance) -> GuardedJudge:
    judge = GuardedJudge(KernelMemory(sandbox, trail), KERNEL_V1, "ana", lambda code, what: None, Budget(room))
    judge.inward(*encode(request(), KERNEL_V1))
    return judge


@pytest.mark.parametrize(("channel", "kind"), KINDS)
def test_guarded_with_no_budget_left_shows_nothing(sandbox: Sandbox, trail: Trail, channel: str, kind: str) -> None:
    judge = _guarded(sandbox, trail, NOTHING)
    for _ in range(5):
        for _, data in judge.outward(*encode(everywhere(kind, channel), KERNEL_V1)):
            assert SECRET.encode() not in data


@pytest.mark.parametrize(("channel", "kind"), KINDS)
def test_guarded_withholds_what_is_larger_than_one_output(
    sandbox: Sandbox, trail: Trail, channel: str, kind: str
) -> None:
    message = everywhere(kind, channel)
    noise = "".join(random.Random(1).choices(string.ascii_letters, k=5000))
    message.content |= {
        "text": noise,
        "data": {"text/plain": noise},
        "traceback": [noise],
        "matches": [noise],
        "history": [noise],
    }
    for _, data in _guarded(sandbox, trail, ROOM).outward(*encode(message, KERNEL_V1)):
        assert noise.encode() not in data


def test_guarded_says_what_was_withheld_once_a_cell(sandbox: Sandbox, trail: Trail) -> None:
    judge = _guarded(sandbox, trail, ROOM)
    message = everywhere("stream", "iopub")
    message.content = {"name": "stdout", "text": "x" * 600}
    shown = [
        decode(*sent, KERNEL_V1).content["text"]
        for _ in range(10)
        for sent in judge.outward(*encode(message, KERNEL_V1))
    ]
    assert shown[:3] == ["x" * 600] * 3
    assert len(shown) == 4
    assert "withheld" in shown[3]
    assert "glovebox.release" in shown[3]


def test_guarded_counts_images_and_outputs(sandbox: Sandbox, trail: Trail) -> None:
    judge = _guarded(sandbox, trail, Allowance(10**6, 10**7, 1000, 2, 2000))
    message = everywhere("display_data", "iopub")
    message.content = {"data": {"image/png": "aGk="}, "metadata": {}}
    shown = [
        decode(*sent, KERNEL_V1).content["data"]
        for _ in range(4)
        for sent in judge.outward(*encode(message, KERNEL_V1))
    ]
    assert ["image/png" in data for data in shown] == [True, True, False, False]
    assert "budget of images" in shown[3]["text/plain"]


def test_guarded_drops_types_that_are_a_way_out(sandbox: Sandbox, trail: Trail) -> None:
    message = everywhere("display_data", "iopub")
    message.content = {
        "data": {"application/pdf": SECRET, "application/octet-stream": SECRET, "application/javascript": SECRET}
    }
    ((_, data),) = _guarded(sandbox, trail, ROOM).outward(*encode(message, KERNEL_V1))
    assert SECRET.encode() not in data


# -- every view -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", SECRET.encode(), b'{"channel":"iopub","header":{"msg_id":"a","msg_type":"own_kind"},"content":{}}'],
)
@pytest.mark.parametrize("kind", [WSMsgType.TEXT, WSMsgType.BINARY])
def test_what_cannot_be_parsed_passes_in_no_view(sandbox: Sandbox, trail: Trail, raw: bytes, kind: WSMsgType) -> None:
    told: list[str] = []
    memory = KernelMemory(sandbox, trail)
    opened = OpenJudge(memory, None, "ana", lambda code, what: told.append(code))
    for judge in (
        opened,
        _blind(sandbox, trail),
        _guarded(sandbox, trail, ROOM),
    ):
        assert judge.outward(kind, raw) == []
        assert judge.inward(kind, raw) == []
    assert told


async def test_a_cell_is_recorded_with_its_code_and_what_it_showed(sandbox: Sandbox) -> None:
    book = FakeBook()
    trail = Trail(book)
    judge = OpenJudge(KernelMemory(sandbox, trail), KERNEL_V1, "ana", lambda code, what: None)
    judge.inward(*encode(request(), KERNEL_V1))
    idle = everywhere("status", "iopub")
    idle.content["execution_state"] = "idle"
    for message in (everywhere("execute_reply", "shell"), everywhere("stream", "iopub"), idle):
        judge.outward(*encode(message, KERNEL_V1))
    await trail.flush()
    (cell,) = book.of("cell")
    assert cell.blob == CODE.encode()
    assert cell.digest == digest(CODE)
    assert cell.facts["who"] == "ana"
    assert cell.size == cell.facts["shown_bytes"] > 0
    assert SECRET not in json.dumps(cell.facts)


async def test_a_cell_that_never_ends_is_recorded_while_it_runs(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that its analyst wrote never says that it is idle: its cells are not to wait for that."""
    monkeypatch.setattr(memory_module, "RUNNING_AFTER", timedelta(0))
    book = FakeBook()
    trail = Trail(book)
    memory = KernelMemory(sandbox, trail)
    trail.before.append(memory.note_running)
    judge = OpenJudge(memory, KERNEL_V1, "ana", lambda code, what: None)
    judge.inward(*encode(request(), KERNEL_V1))
    for _ in range(3):
        judge.outward(*encode(everywhere("stream", "iopub"), KERNEL_V1))
        await trail.flush()
    (cell,) = book.of("cell")
    assert cell.blob == CODE.encode()
    assert cell.facts["running"] is True
    memory.close()
    await trail.flush()
    assert [each.facts.get("running") for each in book.of("cell")] == [True, None], "and once more when it is over"


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"x",
        b'["evil", "patient-4711"]',
        b'["stdout", {"a": "patient-4711"}]',
        b'["stdout", "a", "patient-4711"]',
    ],
)
def test_a_terminal_speaks_its_protocol_or_not_at_all(raw: bytes) -> None:
    judge = TerminalJudge(lambda code, what: None, Budget(ROOM))
    assert judge.outward(WSMsgType.TEXT, raw) == []
    assert judge.outward(WSMsgType.BINARY, raw) == []


def test_a_terminal_is_an_output_with_a_size() -> None:
    judge = TerminalJudge(lambda code, what: None, Budget(ROOM))
    text = json.dumps(["stdout", "x" * 1500]).encode()
    shown = [json.loads(data)[1] for _ in range(5) for _, data in judge.outward(WSMsgType.TEXT, text)]
    assert len(shown) == 2
    assert "withheld" in shown[1]


def test_blind_events_are_silent() -> None:
    judge = EventsJudge(lambda code, what: None, Budget(ROOM), blind=True)
    assert judge.outward(WSMsgType.TEXT, json.dumps({"a": SECRET}).encode()) == []


# -- files and lists --------------------------------------------------------------------------------------------------------
def _file(**changes: Any) -> bytes:
    model = {"name": SECRET, "path": SECRET, "type": "file", "format": "text", "content": SECRET, "mimetype": SECRET,
             "last_modified": SECRET, "created": SECRET, "size": 4711, "writable": True, SECRET: SECRET}  # fmt: skip
    return json.dumps({**model, **changes}).encode()


def test_blind_files_show_only_text_that_came_in() -> None:
    known = Known()
    with pytest.raises(ShownWithheld):
        blind(model_of(_file()), known, "a.txt")
    known.came_in("a.txt", "file", digest("mine"))
    with pytest.raises(ShownWithheld):
        blind(model_of(_file()), known, "a.txt")
    shown = blind(model_of(_file(content="mine")), known, "a.txt")
    assert shown["content"] == "mine"
    assert SECRET not in json.dumps(shown)


def test_blind_text_is_shown_at_the_path_at_which_it_came_in() -> None:
    """Else one of a hundred uploaded texts, shown at another path, says which."""
    known = Known()
    for n in range(100):
        known.came_in(f"{n}.txt", "file", digest(str(n)))
    with pytest.raises(ShownWithheld):
        blind(model_of(_file(content="7")), known, "8.txt")


def test_a_blind_listing_is_the_doors_own() -> None:
    """Not even which of the known names it holds is the sandbox's to say."""
    known = Known()
    known.came_in("work/a.ipynb", "notebook")
    known.came_in("work/b.txt")
    for names in ([], ["a.ipynb", SECRET, "../x", "work/a.ipynb"], ["b.txt"]):
        inside = [json.loads(_file(name=name, content=None)) for name in names]
        shown = blind(model_of(_file(type="directory", content=inside)), known, "work")
        assert [(one["path"], one["type"]) for one in shown["content"]] == [
            ("work/a.ipynb", "notebook"),
            ("work/b.txt", "file"),
        ]
        assert SECRET not in json.dumps(shown)


def _notebook(*texts: str) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "source": text, "outputs": [{"text": SECRET}], "metadata": {SECRET: 1}} for text in texts
    ]
    return {"cells": cells, "metadata": {SECRET: SECRET, "kernelspec": {"name": SECRET}}, "nbformat": 4}


def test_a_blind_notebook_is_shown_as_it_came_in_and_nothing_beside_its_cells() -> None:
    known = Known()
    known.came_in("a.ipynb", "notebook", whole(_notebook("x = 1", "y = 2")))
    shown = blind(
        model_of(_file(type="notebook", format="json", content=_notebook("x = 1", "y = 2"))), known, "a.ipynb"
    )
    assert SECRET not in json.dumps(shown)
    assert [cell["source"] for cell in shown["content"]["cells"]] == ["x = 1", "y = 2"]
    assert shown["content"]["cells"][0]["outputs"] == []


@pytest.mark.parametrize("texts", [("y = 2", "x = 1"), ("x = 1",), ("x = 1", "y = 2", "y = 2"), ("x = 1", SECRET)])
def test_known_cells_are_no_alphabet(texts: tuple[str, ...]) -> None:
    """Cells that came in, put together otherwise, would spell anything: a notebook passes whole or not at all."""
    known = Known()
    known.came_in("a.ipynb", "notebook", whole(_notebook("x = 1", "y = 2")))
    with pytest.raises(ShownWithheld):
        blind(model_of(_file(type="notebook", format="json", content=_notebook(*texts))), known, "a.ipynb")


def test_a_new_blind_notebook_is_empty() -> None:
    known = Known()
    known.came_in("Untitled.ipynb", "notebook")
    model = model_of(_file(type="notebook", format="json", content=_notebook()))
    assert blind(model, known, "Untitled.ipynb")["content"]["cells"] == []


def test_blind_names_follow_what_the_browser_does() -> None:
    known = Known()
    known.came_in("work/a.ipynb", "notebook", "v")
    known.moved("work", "done")
    assert known.inside("") == [("done", "directory")]
    assert known.inside("done") == [("done/a.ipynb", "notebook")]
    known.removed("done/a.ipynb")
    assert known.inside("done") == []


def _kernel(name: str = "patient-4711") -> dict[str, Any]:
    return {"id": name, "name": SECRET, "last_activity": SECRET, "execution_state": "busy", "connections": 4711}


def test_blind_lists_hold_what_a_browser_began_and_use_the_doors_own_ids() -> None:
    ids, known = Ids(), Known()
    for n in range(20):
        known.came_in(f"{n}.ipynb", "notebook")
    began = {"id": "patient-4711", "path": "7.ipynb", "name": SECRET, "type": "notebook", "kernel": _kernel("k-4711")}
    ids.bind(began, known)
    lies = [{**began, "path": f"{n}.ipynb"} for n in range(20)]  # one known path after the other would spell something
    others = [{**began, "id": f"new-{n}", "kernel": _kernel(f"new-kernel-{n}")} for n in range(20)]
    for answer in ([began], lies, [*others, began], [*lies, *others][:25]):
        (shown,) = blind_list(answer, ids)
        assert shown["path"] == "7.ipynb"
        assert shown["kernel"]["execution_state"] == "idle"
        assert SECRET not in json.dumps(shown)
        assert "4711" not in json.dumps(shown).replace(shown["id"], "").replace(shown["kernel"]["id"], "")
    assert ids.path(f"api/kernels/{shown['kernel']['id']}/channels") == "api/kernels/k-4711/channels"
    for stranger in ("patient-4711", "new-kernel-1"):
        with pytest.raises(DoorFault):
            ids.path(f"api/kernels/{stranger}/channels")


@pytest.mark.parametrize("status", [200, 404, 409, 500])
def test_under_blind_a_status_costs_and_few_are_told_apart(sandbox: Sandbox, trail: Trail, status: int) -> None:
    viewer = Viewer(sandbox, trail, Budget(Allowance(3000, 10**6, 0, 0, 2000)), Known(), None)
    got = {viewer.answered("GET", "api/contents/a", status) for _ in range(2)}
    assert got <= {200, 404, 400}
    with pytest.raises(ShownWithheld):
        viewer.answered("GET", "api/contents/a", status)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "data.parquet"},
        {"name": "a.zip"},
        {"name": "a.png", "content": "A" * (6 * 1024**2)},
        {"name": "png"},
        {"name": "a.png", "content": None},
    ],
)
def test_a_base64_file_is_a_download_in_every_view(changes: dict[str, Any]) -> None:
    with pytest.raises(ShownWithheld):
        refuse_download(model_of(_file(format="base64", **changes)))


def _route(name: str) -> Any:
    return next(route for route in ROUTES if route.name == name)


@pytest.mark.parametrize("view", ["open", "guarded", "blind"])
@pytest.mark.parametrize(
    ("path", "body"),
    [("api/contents/a.exe", b'{"type": "file", "format": "base64", "content": "AA=="}'), ("api/contents/a.txt", b"[]"),
     ("api/contents/a.txt", b"\xff"), ("api/contents/a.txt", b'{"content": 7}'), ("api/contents/a.txt", b'{"content": ["x"]}')],
)  # fmt: skip
def test_the_import_rule_holds_in_every_view(sandbox: Sandbox, trail: Trail, view: str, path: str, body: bytes) -> None:
    from dataclasses import replace

    viewer = Viewer(replace(sandbox, view=view), trail, Budget(ROOM), Known(), None)
    with pytest.raises(ImportRefused):
        viewer.inward(_route("contents"), "PUT", path, body)


async def test_an_upload_is_recorded_by_digest(sandbox: Sandbox) -> None:
    book = FakeBook()
    trail = Trail(book)
    viewer = Viewer(sandbox, trail, Budget(ROOM), Known(), None)
    body = json.dumps({"type": "file", "format": "text", "content": SECRET}).encode()
    assert viewer.inward(_route("contents"), "PUT", "api/contents/a%20b.txt", body) == body
    await trail.flush()
    (event,) = book.of("upload")
    assert (event.digest, event.size, event.facts["path"]) == (digest(SECRET), len(SECRET), "a b.txt")


@pytest.mark.parametrize("name", ["kernels", "sessions", "terminals", "checkpoints", "contents"])
@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("answer", [{"message": SECRET}, [{"id": SECRET}], SECRET, {"kernel": SECRET, "id": "a"}, []])
def test_blind_answers_hold_nothing_of_the_servers(
    sandbox: Sandbox, trail: Trail, name: str, status: int, answer: Any
) -> None:
    viewer = Viewer(sandbox, trail, Budget(ROOM), Known(), None)
    try:
        shown = viewer.outward(_route(name), "GET", "api/x", status, json.dumps(answer).encode())
    except DoorFault as refused:
        shown = json.dumps(refused.public()).encode()
    assert SECRET.encode() not in shown
