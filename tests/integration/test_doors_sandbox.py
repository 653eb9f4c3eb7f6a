"""The doors with the real sandbox image: a sealed container, its Jupyter server, its kernel, the client library inside."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import docker
import pytest

from egress_gate.doors.interface import Interface, capture
from egress_gate.doors.kernel_protocol import KERNEL_V1, KernelMessage, decode, encode
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.view import OPEN, Allowance
from tests.conftest import IMAGE
from tests.unit.doors.fakes import House, house, make_sandbox

pytestmark = pytest.mark.docker
ROOM = {
    "open": OPEN,
    "guarded": Allowance(10**7, 10**8, 1000, 10, 3000),
    "blind": Allowance(10**6, 10**7, 1000, 0, 3000),
}


@pytest.fixture(scope="module")
def interface(built_image: str, tmp_path_factory: pytest.TempPathFactory) -> Interface:
    return capture(IMAGE, tmp_path_factory.mktemp("interface"))


@dataclass
class Lab:
    doors: House
    sandbox: Sandbox

    @property
    def prefix(self) -> str:
        return self.sandbox.prefix


def _start(sandbox: Sandbox) -> Any:
    (sandbox.folder / "home").mkdir()
    for folder in (sandbox.serve, sandbox.inner, sandbox.folder, sandbox.folder / "home"):
        folder.chmod(0o777)
    return docker.from_env().containers.run(
        IMAGE, name=f"glovebox-doortest-{sandbox.id}", detach=True, network_mode="none", read_only=True, user="20001:20001",
        tmpfs={"/tmp": "rw,mode=1777"},
        volumes={
            str(sandbox.serve): {"bind": "/run/glovebox/serve", "mode": "rw"},
            str(sandbox.folder / "home"): {"bind": "/home/analyst", "mode": "rw"},
            str(sandbox.inner): {"bind": "/run/glovebox/inner", "mode": "ro"},
        },
        environment={
            "JUPYTER_TOKEN": sandbox.token, "GLOVEBOX_PREFIX": sandbox.prefix, "GLOVEBOX_INNER": "/run/glovebox/inner/door.sock",
            "GLOVEBOX_PROJECT": sandbox.project,
        },
    )  # fmt: skip


@pytest.fixture(params=["open", "guarded", "blind"])
async def lab(tmp_path: Path, interface: Interface, request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    async with house(tmp_path, allowance=ROOM[request.param]) as doors:
        doors.door.install(interface)
        sandbox = make_sandbox(doors.settings, view=request.param)
        await doors.building.open(sandbox.id)
        container = await asyncio.to_thread(_start, sandbox)
        try:
            async with asyncio.timeout(60):
                while not await doors.door.answers(sandbox.id):
                    await asyncio.sleep(0.2)
            yield Lab(doors, sandbox)
        finally:
            await asyncio.to_thread(container.remove, force=True)


class Kernel:
    """A notebook's kernel as JupyterLab drives it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[Any]) -> None:
        self._socket = socket

    async def run(self, code: str, kind: str = "execute_request", **content: Any) -> list[KernelMessage]:
        """Everything that came for one request, to its reply and the idle status."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "username": "",
            "session": secrets.token_hex(4),
            "date": "",
            "version": "5.3",
        }
        asked = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            **content,
        }
        _, data = encode(KernelMessage("shell", header, {}, {}, asked), KERNEL_V1)
        await self._socket.send_bytes(data)
        got: list[KernelMessage] = []
        done: set[str] = set()
        async with asyncio.timeout(60):
            while done != {"reply", "idle"}:
                message = await self._socket.receive()
                found = decode(message.type, message.data, KERNEL_V1)
                if found.parent_id != header["msg_id"]:
                    continue
                got.append(found)
                if found.kind.endswith("_reply"):
                    done.add("reply")
                if found.kind == "status" and found.content["execution_state"] == "idle":
                    done.add("idle")
        return got


async def _kernel(lab: Lab, browser: aiohttp.ClientSession) -> Kernel:
    body = {"path": "a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    async with browser.post(f"{lab.prefix}api/sessions", json=body) as made:
        assert made.status == 201, await made.text()
        kernel = (await made.json())["kernel"]["id"]
    socket = await browser.ws_connect(f"{lab.prefix}api/kernels/{kernel}/channels?session_id=x", protocols=[KERNEL_V1])
    assert socket.protocol == KERNEL_V1
    return Kernel(socket)


def _text(messages: list[KernelMessage]) -> str:
    return json.dumps([message.content for message in messages])


async def _a_notebook_works_as_its_view_says(lab: Lab) -> None:
    view = lab.sandbox.view
    async with lab.doors.browser(lab.sandbox) as browser:
        kernel = await _kernel(lab, browser)
        shown = _text(await kernel.run("print('hello-' + str(40 + 2))"))
        assert ("hello-42" in shown) == (view != "blind")
        large = _text(await kernel.run("print('z' * 5000)"))
        assert ("z" * 5000 in large) == (view == "open")
        assert ("withheld" in large) == (view != "open")
        error = await kernel.run("secret = 'patient-4711'\nraise ValueError(secret)")
        raised = next(message.content for message in error if message.kind == "error")
        assert raised["ename"] == "ValueError"
        assert ("patient-4711" in _text(error).replace("secret = 'patient-4711'", "")) == (view != "blind")
        completed = await kernel.run("import os; os.getc", kind="complete_request", cursor_pos=18)
        assert ("getcwd" in _text(completed)) == (view != "blind")
        refused = await kernel.run("import glovebox; glovebox.tables()")
        assert "GateUnreachable" in _text(refused)
        assert ("could not be asked" in _text(refused) or "did not answer" in _text(refused)) == (view != "blind")
    await lab.doors.trail.flush()
    cells = lab.doors.book.of("cell")
    assert next(cell.blob for cell in cells if cell.blob) == b"print('hello-' + str(40 + 2))"
    assert len(cells) == 4


PARTS = ["lab", "lab/tree/a.ipynb", "lab/api/settings", "lab/api/translations/", "lab/api/workspaces", "api/kernelspecs", "api/me",
         "api/contents", "api/terminals", "api/kernels", "lab/api/plugins", "static/favicons/favicon.ico",
         "lab/api/themes/@jupyterlab/theme-light-extension/index.css", "kernelspecs/python3/logo-svg.svg"]  # fmt: skip


async def _jupyterlabs_parts_are_served(lab: Lab) -> None:
    async with lab.doors.browser(lab.sandbox) as browser:
        for part in PARTS:
            headers = (
                {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
                if part.startswith("lab/tree") or part == "lab"
                else {}
            )
            async with browser.get(lab.prefix + part, headers=headers) as answer:
                assert answer.status == 200, part
                assert b"glovebox-reference" not in await answer.read()
        async with browser.get(f"{lab.prefix}static/lab/not-of-the-image.js") as answer:
            assert answer.status == 403


async def _a_terminal_is_open_guarded_or_closed(lab: Lab) -> None:
    async with lab.doors.browser(lab.sandbox) as browser, browser.post(f"{lab.prefix}api/terminals") as made:
        if lab.sandbox.view == "blind":
            assert made.status == 403
            return
        name = (await made.json())["name"]
        async with browser.ws_connect(f"{lab.prefix}terminals/websocket/{name}") as terminal:
            await terminal.send_json(["stdin", "echo $((40+2))-ok\r"])
            text = ""
            async with asyncio.timeout(20):
                while "42-ok" not in text:
                    text += (await terminal.receive()).data
            await terminal.send_json(["stdin", "head -c 20000 /dev/zero | tr '\\0' y; echo\r"])
            async with asyncio.timeout(20):
                while "withheld" not in text and text.count("y") < 20000:
                    text += (await terminal.receive()).data
            assert ("withheld" in text) == (lab.sandbox.view == "guarded")


async def _a_notebook_is_saved_and_opened_again(lab: Lab) -> None:
    outputs = [{"output_type": "stream", "name": "stdout", "text": "patient-4711\n"}]
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "x = 1", "outputs": outputs, "execution_count": 1}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    async with lab.doors.browser(lab.sandbox) as browser:
        body = {"type": "notebook", "format": "json", "content": notebook}
        async with browser.put(f"{lab.prefix}api/contents/a.ipynb", json=body) as saved:
            assert saved.status == 201, await saved.text()
        async with browser.get(f"{lab.prefix}api/contents/a.ipynb?content=1&type=notebook") as opened:
            shown = (await opened.json())["content"]["cells"][0]
    assert shown["source"] == "x = 1"
    assert bool(shown["outputs"]) == (lab.sandbox.view != "blind")


async def test_jupyterlab_through_the_door_as_its_view_says(lab: Lab) -> None:
    """One container a view: starting it takes longer than all four."""
    await _jupyterlabs_parts_are_served(lab)
    await _a_notebook_works_as_its_view_says(lab)
    await _a_terminal_is_open_guarded_or_closed(lab)
    await _a_notebook_is_saved_and_opened_again(lab)


@pytest.fixture(scope="module", autouse=True)
def no_container_is_left() -> Iterator[None]:
    yield
    left = docker.from_env().containers.list(all=True, filters={"name": "glovebox-doortest-"})
    assert left == []
