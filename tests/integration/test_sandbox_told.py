"""Whoever meets a limit of the sandbox is told which one, in the cell that met it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import aiohttp
import docker
import pytest

from egress_gate.doors.kernel_protocol import KernelMessage, decode, encode
from provisioning.sandbox.keeper import Opened
from tests.unit.sandbox.rig import MIB, Rig, door_facts, served_socket

pytestmark = pytest.mark.docker
pytest_plugins = ["tests.unit.sandbox.fixtures"]

V1 = "v1.kernel.websocket.jupyter.org"  # what JupyterLab speaks


@pytest.fixture(scope="module")
def place(
    engine: docker.DockerClient, sandbox_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rig, Opened]]:
    made = Rig(tmp_path_factory.mktemp("told") / "home", engine, memory=600 * MIB, pids=100)
    try:
        yield made, asyncio.run(made.open())
    finally:
        made.close()


async def run(place: tuple[Rig, Opened], code: str, protocol: str | None = V1) -> list[KernelMessage]:
    """What a notebook is sent for one cell, until its reply or the end of its kernel."""
    rig, opened = place
    facts = door_facts(rig.settings, opened.sandbox_id)
    base = f"http://localhost{facts['prefix']}api/kernels"
    connector = aiohttp.UnixConnector(path=served_socket(rig.settings, opened.sandbox_id))
    headers = {"Authorization": f"token {facts['token']}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        async with session.post(base, json={"name": "python3"}) as made:
            kernel = (await made.json())["id"]
        protocols = (protocol,) if protocol else ()
        async with asyncio.timeout(60), session.ws_connect(f"{base}/{kernel}/channels", protocols=protocols) as channel:
            assert channel.protocol == protocol
            said = await _said(channel, code, protocol)
        async with session.delete(f"{base}/{kernel}"):
            return said


async def _said(channel: Any, code: str, protocol: str | None) -> list[KernelMessage]:
    mark = uuid.uuid4().hex
    header = {
        "msg_id": mark,
        "msg_type": "execute_request",
        "username": "",
        "session": "s",
        "version": "5.3",
        "date": "",
    }
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    kind, data = encode(KernelMessage("shell", header, {}, {}, content), protocol)
    await (channel.send_bytes if kind is aiohttp.WSMsgType.BINARY else channel.send_str)(
        data if kind is aiohttp.WSMsgType.BINARY else data.decode()
    )
    said: list[KernelMessage] = []
    async for frame in channel:
        data = frame.data if isinstance(frame.data, bytes) else frame.data.encode()
        message = decode(frame.type, data, protocol)
        ended = message.content.get("execution_state") in ("restarting", "dead")
        if message.parent_id == mark or ended:
            said.append(message)
        if ended or (message.kind == "execute_reply" and said):
            break
    return said


def told(messages: list[KernelMessage]) -> str:
    return "".join(str(each.content.get("text", "")) for each in messages if each.kind == "stream")


@pytest.mark.parametrize("protocol", [V1, None])
async def test_a_kernel_ended_by_the_memory_limit_says_so_in_the_cell(
    place: tuple[Rig, Opened], protocol: str | None
) -> None:
    messages = await run(place, "taken = [bytearray(b'x' * 2**24) for _ in range(64)]", protocol)
    (error,) = [each for each in messages if each.kind == "error"]
    assert error.content["ename"] == "MemoryLimitReached"
    for part in ("The kernel was ended", "memory limit of 600.0 MiB", "run the cells again"):
        assert part in error.content["evalue"]
    assert messages[-1].content["execution_state"] in ("restarting", "dead"), "the message comes before the end"


async def test_a_kernel_that_ends_itself_is_not_called_out_of_memory(place: tuple[Rig, Opened]) -> None:
    messages = await run(place, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert messages[-1].content["execution_state"] in ("restarting", "dead")
    assert not [each for each in messages if each.kind == "error"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("held = [open('/dev/null') for _ in range(5000)]", "may hold 4096 files open at once"),
        ("open('/home/analyst/big', 'wb').write(b'x' * 2**27)", "which is full"),
        (
            "import os\nos.mkdir('/tmp/many')\nfor n in range(20000): open(f'/tmp/many/{n}', 'w').close()",
            "holds its 16384 files, and no more",
        ),
        (
            "import subprocess\nheld = []\nfor n in range(200): held.append(subprocess.Popen(['sleep', '5']))",
            "may run 100 processes and threads at once",
        ),
    ],
)
async def test_an_error_that_a_limit_explains_names_the_limit(
    place: tuple[Rig, Opened], code: str, expected: str
) -> None:
    messages = await run(place, code)
    assert [each for each in messages if each.kind == "error"], "the error itself is shown as ever"
    assert expected in told(messages)
    rig, opened = place
    rig.inside(
        opened, "import os, shutil; shutil.rmtree('/tmp/many', True); os.path.exists('big') and os.remove('big')"
    )


async def test_an_ordinary_error_gets_no_word_more(place: tuple[Rig, Opened]) -> None:
    messages = await run(place, "open('/home/analyst/none')")
    assert [each for each in messages if each.kind == "error"]
    assert told(messages) == ""
