"""A websocket through the session door, message by message: each counted and judged, none larger than allowed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Literal, Protocol

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web
from yarl import URL

from egress_gate.doors.errors import DoorFault, TooLarge, misbehaved, sandbox_away
from egress_gate.doors.kernel_protocol import KERNEL_V1
from egress_gate.doors.routes import Route, Shape
from egress_gate.doors.trail import Trail
from egress_gate.doors.upstream import Upstream

HEARTBEAT = 30.0
MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY)
log = logging.getLogger("glovebox.doors")

Message = tuple[WSMsgType, bytes]
InsideSocket = aiohttp.ClientWebSocketResponse[Literal[False]]
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
        self, request: web.BaseRequest, upstream: Upstream, route: Route, path: str, query: str,
        judge: Callable[[str | None], Judge], still_welcome: Callable[[], asyncio.Future[None]],
    ) -> web.StreamResponse:  # fmt: skip
        """Connect both sides and carry messages until one, or the visit, ends. Raises DoorFault before it is open."""
        if len(upstream.sockets) >= upstream.limits.websockets:
            raise TooLarge(
                "The connection was not opened.",
                why="This server already has as many open connections as it may have.",
                do="Close other tabs, terminals or notebooks of this server, then reload.",
            )
        protocols = offered(request, route)
        inside = await self._connect(upstream, route, path, query, protocols)
        upstream.sockets.add(inside)
        try:
            if inside.protocol is not None and inside.protocol not in protocols:
                raise misbehaved("it switched to a protocol nobody asked for", repr(inside.protocol)[:80])
            outside: OutsideSocket = web.WebSocketResponse(
                protocols=[inside.protocol] if inside.protocol else [],
                max_msg_size=route.most_in, heartbeat=HEARTBEAT, compress=False, decode_text=False,
            )  # fmt: skip
            await outside.prepare(request)
            await self._carry(upstream, route, inside, outside, judge(inside.protocol), still_welcome)
            return outside
        finally:
            upstream.sockets.discard(inside)
            await inside.close()

    async def _connect(
        self, upstream: Upstream, route: Route, path: str, query: str, protocols: tuple[str, ...]
    ) -> InsideSocket:
        headers = {"Authorization": f"token {upstream.sandbox.token}", "Host": "localhost"}
        try:
            async with asyncio.timeout(upstream.limits.silence):
                return await upstream.session.ws_connect(
                    URL(upstream.url(path, query), encoded=True), headers=headers, protocols=protocols,
                    max_msg_size=route.most_out, compress=0, autoping=True, decode_text=False,
                )  # fmt: skip
        except aiohttp.WSServerHandshakeError as error:
            raise misbehaved("it did not open the connection", f"{error.status} {error.message}"[:200]) from error
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            raise sandbox_away(str(error)) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise misbehaved("it is not a proper websocket", str(error)[:200]) from error

    async def _carry(
        self, upstream: Upstream, route: Route, inside: InsideSocket, outside: OutsideSocket,
        judge: Judge, still_welcome: Callable[[], asyncio.Future[None]],
    ) -> None:  # fmt: skip
        tasks = {
            asyncio.ensure_future(self._out(upstream, route, inside, outside, judge)),
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
        self, upstream: Upstream, route: Route, inside: InsideSocket,
        outside: OutsideSocket, judge: Judge,
    ) -> None:  # fmt: skip
        async for message in inside:
            if message.type not in MESSAGES:
                return
            data: bytes = message.data
            wait = upstream.bucket.spend(len(data))
            if wait > 0:
                await asyncio.sleep(wait)
            for kind, passed in judge.outward(message.type, data):
                self._trail.shown(upstream.sandbox, route.name, len(passed))
                await outside.send_frame(passed, kind)

    async def _in(self, inside: InsideSocket, outside: OutsideSocket, judge: Judge) -> None:
        async for message in outside:
            if message.type not in MESSAGES:
                return
            for kind, passed in judge.inward(message.type, message.data):
                await inside.send_frame(passed, kind)


def _ending(done: set[asyncio.Future[None]]) -> tuple[int, str]:
    for task in done:
        error = task.exception()
        if isinstance(error, DoorFault):
            return WSCloseCode.POLICY_VIOLATION, error.what
        if error is not None and not isinstance(error, ConnectionError):
            log.warning("a websocket ended by %r", error)
            return WSCloseCode.INTERNAL_ERROR, "The session door ended this connection."
    return WSCloseCode.GOING_AWAY, ""
