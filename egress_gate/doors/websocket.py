"""A websocket through the session door, message by message: each counted and judged, none larger than allowed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from egress_gate.doors.errors import DoorFault, TooLarge, misbehaved
from egress_gate.doors.frames import CODES, FrameFault, InsideSocket, Message, dial, frame
from egress_gate.doors.kernel_protocol import KERNEL_V1
from egress_gate.doors.routes import Route, Shape
from egress_gate.doors.trail import Trail
from egress_gate.doors.upstream import Upstream

HEARTBEAT = 30.0
MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY)
MOST_WAITING = 4 * 1024**2  # bytes that a slow browser has not taken yet
MOST_PATIENCE = 60.0
log = logging.getLogger("glovebox.doors")

OutsideSocket = web.WebSocketResponse[Literal[False]]


class Judge(Protocol):
    """Decides message by message. One judge serves one websocket, so that it may remember."""

    def outward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        """What the browser gets for a message of the sandbox: it, something in its place, or nothing."""

    def inward(self, kind: WSMsgType, data: bytes) -> list[Message]:
        """What the sandbox gets for a message of the browser."""


def offered(request: web.BaseRequest, route: Route) -> tuple[str, ...]:
    """The subprotocols to offer the sandbox: of what the browser named, only the kernel protocol we know."""
    if route.shape is not Shape.KERNEL:
        return ()
    named = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return (KERNEL_V1,) if KERNEL_V1 in named else ()


class WebSocketRelay:
    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    async def pass_on(
        self, request: web.BaseRequest, upstream: Upstream, route: Route, target: str,
        judge: Callable[[str | None], Judge], still_welcome: Callable[[], Coroutine[Any, Any, None]],
    ) -> web.StreamResponse:  # fmt: skip
        """Connect both sides and carry messages until one, or the visit, ends. Raises DoorFault before it is open."""
        if len(upstream.sockets) >= upstream.limits.websockets:
            raise TooLarge(
                "The connection was not opened.",
                why="This server already has as many open connections as it may have.",
                do="Close other tabs, terminals or notebooks of this server, then reload.",
            )
        inside = await dial(upstream, target, offered(request, route), route.most_out)
        upstream.sockets.add(inside)
        try:
            outside: OutsideSocket = web.WebSocketResponse(
                protocols=[inside.protocol] if inside.protocol else [],
                max_msg_size=route.most_in, heartbeat=HEARTBEAT, compress=False, decode_text=False,
            )  # fmt: skip
            await outside.prepare(request)
            await self._carry(request, upstream, route, inside, outside, judge(inside.protocol), still_welcome)
            return outside
        finally:
            upstream.sockets.discard(inside)
            inside.close()

    async def _carry(
        self, request: web.BaseRequest, upstream: Upstream, route: Route, inside: InsideSocket, outside: OutsideSocket,
        judge: Judge, still_welcome: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:  # fmt: skip
        tasks = {
            asyncio.ensure_future(self._out(request, upstream, route, inside, outside, judge)),
            asyncio.ensure_future(self._in(inside, outside, judge)),
            asyncio.ensure_future(still_welcome()),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code, reason = _ending(done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await outside.close(code=code, message=reason.encode()[:120])

    async def _out(
        self, request: web.BaseRequest, upstream: Upstream, route: Route, inside: InsideSocket, outside: OutsideSocket,
        judge: Judge,
    ) -> None:  # fmt: skip
        """Whatever came together is judged one by one and written together."""
        transport, sandbox = request.transport, upstream.sandbox
        while (batch := await inside.receive()) is not None:
            wait = upstream.bucket.spend(sum(len(data) for _, data in batch))
            if wait > 0:
                await asyncio.sleep(wait)
            passed = [one for kind, data in batch for one in judge.outward(kind, data)]
            if not passed:
                continue
            if transport is None or transport.is_closing() or outside.closed:
                return
            self._trail.shown(sandbox, route.name, sum(len(data) for _, data in passed), len(passed))
            transport.write(b"".join(frame(CODES[kind], data) for kind, data in passed))
            if transport.get_write_buffer_size() > MOST_WAITING:
                await _taken(transport)

    async def _in(self, inside: InsideSocket, outside: OutsideSocket, judge: Judge) -> None:
        async for message in outside:
            if message.type not in MESSAGES:
                return
            for kind, passed in judge.inward(message.type, message.data):
                await inside.send(kind, passed)


async def _taken(transport: asyncio.WriteTransport) -> None:
    """Wait until a slow browser has taken half of what waits. Raises TooLarge when it takes too long."""
    until = time.monotonic() + MOST_PATIENCE
    while transport.get_write_buffer_size() > MOST_WAITING // 2:
        if time.monotonic() > until or transport.is_closing():
            raise TooLarge("The connection was closed.", why="The browser did not take what was shown.", do="Reload.")
        await asyncio.sleep(0.02)


def _ending(done: set[asyncio.Task[None]]) -> tuple[int, str]:
    for task in done:
        error = task.exception()
        if isinstance(error, FrameFault):
            error = misbehaved("it broke the websocket protocol", str(error))
        if isinstance(error, DoorFault):
            log.info("a websocket was closed: %s (%s)", error.what, error.private)
            return WSCloseCode.POLICY_VIOLATION, error.what
        if error is not None and not isinstance(error, ConnectionError):
            log.warning("a websocket ended by %r", error)
            return WSCloseCode.INTERNAL_ERROR, "The session door ended this connection."
    return WSCloseCode.GOING_AWAY, ""
