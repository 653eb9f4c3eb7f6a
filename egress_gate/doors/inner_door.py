"""The inner door: per sandbox one unix socket, which forwards the gate's analyst API and nothing else.

Who is calling is known from the socket: the header naming the sandbox is ours, what the inside sends is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from egress_gate.doors.connection import SocketConnector, listen
from egress_gate.doors.errors import DoorFault, GateAway, InnerRefused, TooLarge
from egress_gate.doors.pages import refusal
from egress_gate.doors.sandboxes import Sandbox

KIB, MIB = 1024, 1024**2
SANDBOX_HEADER = "X-Glovebox-Sandbox"
SOCKET = "door.sock"
IN = ("Content-Type", "Accept", "Idempotency-Key", "Prefer")
OUT = ("Content-Type", "Location", "Retry-After")
MOST_ANSWER = 16 * MIB
MOST_AT_ONCE = 8
PATIENCE = 120.0
QUERY = re.compile(r"[A-Za-z0-9_.=&%+-]{0,512}")
log = logging.getLogger("glovebox.doors")


@dataclass(frozen=True)
class Call:
    """One line of the analyst API that the inside may call."""

    methods: frozenset[str]
    pattern: re.Pattern[str]
    most_in: int


CALLS: tuple[Call, ...] = (
    Call(frozenset({"GET"}), re.compile(r"/v1/(?:session|tables)"), 0),
    Call(frozenset({"GET", "POST"}), re.compile(r"/v1/requests"), 2 * MIB),
    Call(frozenset({"GET"}), re.compile(r"/v1/requests/R-\d{1,12}"), 0),
    Call(frozenset({"POST"}), re.compile(r"/v1/requests/R-\d{1,12}/(?:resubmit|withdraw)"), 256 * KIB),
    Call(frozenset({"GET", "POST"}), re.compile(r"/v1/packages"), 4 * KIB),
    Call(frozenset({"PUT"}), re.compile(r"/v1/uploads"), 20 * MIB),
    Call(frozenset({"POST"}), re.compile(r"/v1/preview"), 256 * KIB),
    Call(frozenset({"POST"}), re.compile(r"/v1/rehearsal"), 2 * MIB),
)


def call_for(method: str, path: str) -> Call:
    """Raises InnerRefused for anything but the analyst API."""
    for call in CALLS:
        if method in call.methods and call.pattern.fullmatch(path):
            return call
    raise _refused(f"{method} {path[:200]}")


def _refused(private: str) -> InnerRefused:
    return InnerRefused(
        "The gate was not asked.",
        why="The inner door carries the analyst API only.",
        do="Use the functions of `import glovebox`; `help(glovebox)` lists them.",
        private=private,
    )


def gate_away(private: str) -> GateAway:
    return GateAway(
        "The gate did not answer.",
        why="It is starting, busy or stopped. What it had acknowledged before is not lost.",
        do="Try again in a minute. If it stays so, tell the operator.",
        private=private,
    )


class Gate:
    """The way to the gate's socket, shared by all inner doors."""

    def __init__(self, gate_socket: Path) -> None:
        self.session = aiohttp.ClientSession(
            connector=SocketConnector(gate_socket.parent, gate_socket.name, limit=64),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=PATIENCE, sock_connect=5),
        )

    async def close(self) -> None:
        await self.session.close()


class InnerDoor:
    """Listens in one sandbox's ``inner/`` folder and forwards in that sandbox's name."""

    def __init__(self, sandbox: Sandbox, gate: Gate, keep: Callable[[bytes], None] = lambda body: None) -> None:
        self._sandbox = sandbox
        self._keep = keep
        self._gate = gate
        self._busy = asyncio.Semaphore(MOST_AT_ONCE)
        self._runner: web.ServerRunner | None = None

    async def open(self) -> None:
        # 0666 because the caller has its own uid; the host's folders above are closed to everyone else.
        made = listen(self._sandbox.inner, SOCKET, 0o666)
        server = web.Server(self._handle, access_log=None, keepalive_timeout=30)
        self._runner = web.ServerRunner(server, shutdown_timeout=2)
        await self._runner.setup()
        await web.SockSite(self._runner, made).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._forward(request)
        except DoorFault as fault:
            log.info("inner door of %s: %s (%s)", self._sandbox.id, fault.code, fault.private)
            return refusal(fault, page=False)

    async def _forward(self, request: web.BaseRequest) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        call = call_for(request.method, path)
        if not QUERY.fullmatch(query):
            raise _refused("query")
        headers = {name: request.headers[name] for name in IN if len(request.headers.get(name, "")) in range(1, 512)}
        headers[SANDBOX_HEADER] = self._sandbox.id
        url = URL("http://gate" + path + (f"?{query}" if query else ""), encoded=True)
        async with self._busy:
            try:
                async with self._gate.session.request(
                    request.method, url, headers=headers, data=self._body(request, call), allow_redirects=False
                ) as answer:
                    return await self._answer(answer)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if isinstance(error.__cause__, DoorFault):
                    raise error.__cause__ from None
                raise gate_away(str(error)[:300]) from error

    def _body(self, request: web.BaseRequest, call: Call) -> AsyncIterator[bytes] | None:
        if not request.body_exists:
            return None
        if (request.content_length or 0) > call.most_in:
            raise _too_large(call.most_in)
        return _bounded(request, call.most_in)

    async def _answer(self, answer: aiohttp.ClientResponse) -> web.Response:
        body = await answer.content.read(MOST_ANSWER + 1)
        while len(body) <= MOST_ANSWER and not answer.content.at_eof():
            body += await answer.content.read(MOST_ANSWER + 1 - len(body))
        if len(body) > MOST_ANSWER:
            raise gate_away("its answer was larger than expected")
        self._keep(body)
        headers = {name: answer.headers[name] for name in OUT if name in answer.headers}
        return web.Response(status=answer.status, body=body, headers=headers)


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        "The gate did not take that.",
        why=f"It is larger than the {most // KIB} KiB this call may carry.",
        do="Make it smaller: ask for fewer outputs at once, or a smaller file.",
    )


async def _bounded(request: web.BaseRequest, most: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in request.content.iter_chunked(2**16):
        size += len(piece)
        if size > most:
            raise _too_large(most)
        yield piece
