"""The session door beside configurable-http-proxy alone: the same files and notebook messages, from the same server.

    ./glovebox bench door

Both carry a browser's requests to one server that is written for speed, so that what is compared is the carrying: a proxy
that copies bytes, and a door that parses, judges, counts and records them. Clients and server share the machine with both.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import multiprocessing
import os
import secrets
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from egress_gate.doors.interface import Interface
from egress_gate.doors.kernel_protocol import KERNEL_V1, KernelMessage, encode
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.sign_in import COOKIE
from egress_gate.doors.view import Allowance
from installation.settings import Settings
from tests.benchmarks._load import Browser, files, latency, messages
from tests.unit.doors.fakes import free_port, house, make_sandbox, make_settings, notebook_server
from workbench.bench.frame import Benchmark, Measured, Pair
from workbench.setup.programs import proxy_command

FILE = b"/* part of the interface */ " * 4000  # 112 KB, about the median of JupyterLab's own parts
ANSWER = json.dumps({"name": "", "content": ["x" * 60] * 30}).encode()
ROOM = Allowance(0, 0, 0, 0, 200_000)


def _message(text: str) -> bytes:
    header = {
        "msg_id": secrets.token_hex(16),
        "msg_type": "stream",
        "username": "ana",
        "session": "s",
        "date": "2026-11-23T00:00:00Z",
        "version": "5.3",
    }
    parent = {**header, "msg_type": "execute_request", "msg_id": "asked"}
    return encode(KernelMessage("iopub", header, parent, {}, {"name": "stdout", "text": text}), KERNEL_V1)[1]


# -- the server behind both ---------------------------------------------------------------------------------------------
def application() -> web.Application:
    async def file(_: web.Request) -> web.Response:
        return web.Response(body=FILE, content_type="text/javascript")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=ANSWER, content_type="application/json")

    async def channels(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=[KERNEL_V1], compress=False)
        await socket.prepare(request)
        line = _message("a line of output as a cell prints it, eighty characters or so in all, then the end.\n")
        async for received in socket:
            if b'"burst"' not in received.data:
                await socket.send_bytes(line)
                continue
            for _ in range(int(received.data.rpartition(b'"burst":')[2].partition(b"}")[0])):
                await socket.send_bytes(line)
        return socket

    made = web.Application()
    made.router.add_get("/user/{name}/static/{tail:.*}", file)
    made.router.add_get("/user/{name}/api/kernels/{id}/channels", channels)
    made.router.add_get("/user/{name}/api/{tail:.*}", answer)
    return made


@dataclass(frozen=True)
class Plan:
    """What the processes are told."""

    home: Path
    views: tuple[tuple[str, str], ...]  # (person, view)
    port: int


def serve_notebooks(plan: Plan, ready: Any) -> None:
    """One process: the server on a TCP port for the proxy, and on each sandbox's socket for the door."""

    async def run() -> None:
        made = web.AppRunner(application(), access_log=None)
        await made.setup()
        await web.TCPSite(made, "127.0.0.1", plan.port).start()
        async with contextlib.AsyncExitStack() as open_:
            for folder in sorted((plan.home / "run" / "sandboxes").iterdir()):
                facts = json.loads((folder / "door.json").read_text())
                await open_.enter_async_context(notebook_server(Sandbox(folder=folder, **facts), application()))
            ready.set()
            await asyncio.Event().wait()

    asyncio.run(run())


def serve_door(plan: Plan, answers: Any) -> None:
    """One process: the door with all sandboxes; tells its port and each person's cookie."""

    async def run() -> None:
        _interface(plan.home / "interface")
        async with house(plan.home, allowance=ROOM) as doors:
            doors.door.install(Interface(plan.home / "interface"))
            cookies: dict[str, str] = {}
            for sandbox in doors.door.sandboxes:
                token = await doors.hub.token_for_code(doors.hub.sign_in(sandbox.person), "")
                cookies[sandbox.person] = (await doors.sign_in.admit(token, sandbox))[1]
            answers.put((doors.settings.ports.doors, cookies, os.getpid()))
            await asyncio.Event().wait()

    asyncio.run(run())


def _interface(folder: Path) -> None:
    """A captured interface with one part, as the door keeps it on the host."""
    (folder / "files").mkdir(parents=True, exist_ok=True)
    (folder / "files" / hashlib.sha256(b"static/lab/part.js").hexdigest()).write_bytes(FILE)
    (folder / "answers.json").write_text(json.dumps({"lab": "", "lab/api/settings": '{"settings": []}'}))
    (folder / "files.json").write_text(json.dumps({"static/lab/part.js": len(FILE)}))


# -- the frame ----------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def _processes(plan: Plan) -> Iterator[tuple[int, dict[str, str], int]]:
    spawn = multiprocessing.get_context("spawn")
    ready, answers = spawn.Event(), spawn.Queue()
    made = [
        spawn.Process(target=serve_notebooks, args=(plan, ready)),
        spawn.Process(target=serve_door, args=(plan, answers)),
    ]
    for process in made:
        process.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("the server did not start")
        yield answers.get(timeout=120)
    finally:
        for process in made:
            process.terminate()
            process.join()


@contextlib.contextmanager
def _proxy(settings: Settings, target: int) -> Iterator[int]:
    program = proxy_command(settings)
    port, api, token = free_port(), free_port(), secrets.token_hex(8)
    process = subprocess.Popen(
        [
            "node",
            str(program),
            "--ip=127.0.0.1",
            f"--port={port}",
            "--api-ip=127.0.0.1",
            f"--api-port={api}",
            "--log-level=error",
        ],
        env={**os.environ, "CONFIGPROXY_AUTH_TOKEN": token},
    )
    try:
        _route(api, token, target)
        yield port
    finally:
        process.terminate()
        process.wait()


def _route(api: int, token: str, target: int) -> None:
    body = json.dumps({"target": f"http://127.0.0.1:{target}"}).encode()
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    for _ in range(600):
        try:
            asked = urllib.request.Request(f"http://127.0.0.1:{api}/api/routes/user", body, headers, method="POST")
            with urllib.request.urlopen(asked, timeout=2):  # noqa: S310 - a loopback address made above
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the proxy did not start")


def _memory(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


@contextlib.contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    sessions = 20 if quick else 200
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        views = tuple((f"open{n}", "open") for n in range(sessions)) + tuple(
            (f"guarded{n}", "guarded") for n in range(8)
        )
        plan = Plan(home, views, free_port())
        bench = make_settings(home)
        for person, view in views:
            make_sandbox(bench, person, view=view)
        with _processes(plan) as (door_port, cookies, pid), _proxy(settings, plan.port) as proxy_port:
            through_door = Browser(door_port, cookies, COOKIE)
            through_proxy = Browser(proxy_port, cookies, COOKIE)
            yield _measures(through_door, through_proxy, sessions, pid, quick)


def _measures(door: Browser, proxy: Browser, sessions: int, pid: int, quick: bool) -> Iterator[Pair | Measured]:
    runs, many = (3, 4000) if quick else (7, 20_000)
    people = [f"open{n}" for n in range(8)]
    guarded = [f"guarded{n}" for n in range(8)]

    def day(browser: Browser, who: list[str]) -> float:
        """Files and messages in the proportion of a session: a page's files, then cells that print. Work units a second."""
        began = time.perf_counter()
        sent = files(browser, who, 400 if not quick else 100) + messages(
            browser, who, 4000 if not quick else 1000, burst=20
        )
        return sent / (time.perf_counter() - began)

    yield Pair("door_throughput_vs_proxy", lambda: day(door, people), lambda: day(proxy, people), runs, "units/s")
    yield Pair(
        "door_guarded_throughput_vs_proxy", lambda: day(door, guarded), lambda: day(proxy, guarded), runs, "units/s"
    )
    yield Pair(
        "door_files_vs_proxy",
        lambda: _rate(files, door, people, 800),
        lambda: _rate(files, proxy, people, 800),
        runs,
        "files/s",
    )
    yield Pair(
        "door_messages_vs_proxy",
        lambda: _rate(messages, door, people, many),
        lambda: _rate(messages, proxy, people, many),
        runs,
        "messages/s",
    )
    ours, theirs = latency(door, people[0], 300), latency(proxy, people[0], 300)
    yield Measured(
        "door_latency_ms", {"door": _median(ours), "proxy": _median(theirs), "added": _median(ours) - _median(theirs)}
    )
    yield Measured("door_sessions", _sessions(door, sessions, pid))


def _rate(work: Any, browser: Browser, who: list[str], amount: int) -> float:
    began = time.perf_counter()
    done: float = work(browser, who, amount)
    return done / (time.perf_counter() - began)


def _median(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 3)


def _sessions(door: Browser, sessions: int, pid: int) -> dict[str, Any]:
    """All sessions at once, each with an open kernel websocket that answers; memory of the one process."""
    before = _memory(pid)
    answered = door.hold([f"open{n}" for n in range(sessions)])
    after = _memory(pid)
    return {
        "held": answered,
        "process_mib": round(after / 2**20, 1),
        "kib_a_session": round((after - before) / 1024 / max(answered, 1), 1),
    }


BENCHMARKS = [Benchmark("door", "the session door beside the public proxy alone", prepare)]
