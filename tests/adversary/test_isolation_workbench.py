"""A whole workbench while one sandbox takes all it can: the neighbour, the hub and the gate keep answering, and so does the door."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import aiohttp
import docker
import pytest

from egress_gate.doors.kernel_protocol import KERNEL_V1, KernelMessage, encode
from tests.benchmarks._probes import WHO, Scene, scene
from tests.unit.sandbox.rig import IMAGE, door_facts, served_socket

pytestmark = [pytest.mark.docker, pytest.mark.opa, pytest.mark.timeout(300)]
pytest_plugins = ["tests.unit.sandbox.fixtures"]


@pytest.fixture(scope="module")
def standing(engine: docker.DockerClient, sandbox_image: str) -> Iterator[Scene]:
    with scene(IMAGE, engine) as made:
        yield made


@pytest.mark.parametrize(
    "attack",
    ["fork-bomb", "memory-bomb", "inode-fill-home", "descriptors", "log-flood"],
)
def test_neighbour_hub_and_gate_answer_each_time(standing: Scene, attack: str) -> None:
    """`Scene.ask` raises for an answer that does not come or is another; how long they take is `bench neighbours`."""
    with standing.under(attack, 3) as seen:
        medians = standing.medians(25)
    assert set(medians) == set(WHO)
    assert seen, "the attack was made"
    assert {attempt["observed"] for attempt in seen} == {"blocked"}


FLOOD = "import sys\nwhile True: sys.stdout.write('x' * 65536)"


async def _ask_on(standing: Scene, flooding: asyncio.Task[Any]) -> dict[str, list[float]]:
    answers: dict[str, list[float]] = {who: [] for who in WHO}
    while not flooding.done() or len(answers["hub"]) < 10:
        for who in WHO:
            answers[who].append(await asyncio.to_thread(standing.ask, who))
        await asyncio.sleep(0.06)
    return answers


def _request(code: str) -> bytes:
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": "execute_request",
        "username": "",
        "session": "s",
        "date": "",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    return encode(KernelMessage("shell", header, {}, {}, content), KERNEL_V1)[1]


async def _flooded(standing: Scene, code: str, sent: int) -> int:
    """Send ``sent`` messages to a kernel in the adversary's sandbox while it runs ``code``; how many came back in a few seconds."""
    name = standing.stage.adversary.sandbox_id
    facts = door_facts(standing.stage.settings, name)
    base = f"http://localhost{facts['prefix']}api/kernels"
    socket = served_socket(standing.stage.settings, name)
    headers = {"Authorization": f"token {facts['token']}"}

    def connected() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=socket), headers=headers, timeout=aiohttp.ClientTimeout(60)
        )

    got = 0
    async with connected() as session, session.post(base, json={"name": "python3"}) as made:
        kernel = (await made.json())["id"]
    async with connected() as session:
        soon = aiohttp.ClientWSTimeout(ws_close=1)
        channel = await session.ws_connect(
            f"{base}/{kernel}/channels", protocols=[KERNEL_V1], max_msg_size=0, timeout=soon
        )
        await channel.send_bytes(_request(code))
        for _ in range(sent):
            await channel.send_bytes(_request("1"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                async for _ in channel:
                    got += 1
    async with connected() as session, session.delete(f"{base}/{kernel}"):
        return got


@pytest.mark.parametrize(
    ("code", "sent"),
    [(FLOOD, 0), ("import time; time.sleep(2)", 100_000)],
    ids=["endless output", "100,000 websocket messages"],
)
async def test_floods_over_a_kernels_websocket_leave_everybody_answering(standing: Scene, code: str, sent: int) -> None:
    flooding = asyncio.create_task(_flooded(standing, code, sent))
    answers = await _ask_on(standing, flooding)
    assert await flooding > 0
    for who, times in answers.items():
        assert len(times) >= 10, who
    assert standing.stage.knocker.knock(standing.stage.adversary.sandbox_id, 60) is not None, (
        "the offender still answers"
    )
