"""Websocket frames (RFC 6455) from a sandbox, read strictly and in bulk: many small messages cost one wake-up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import struct
from collections.abc import Sequence

from aiohttp import WSMsgType

from egress_gate.doors.connection import connect
from egress_gate.doors.errors import misbehaved, sandbox_away
from egress_gate.doors.upstream import NAME, Upstream

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TARGET = re.compile(r"/[\x21-\x7e]*")
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KINDS = {TEXT: WSMsgType.TEXT, BINARY: WSMsgType.BINARY}
CODES = {kind: code for code, kind in KINDS.items()}
MOST_FRAGMENTS = 4096
PIECE = 2**18
Message = tuple[WSMsgType, bytes]


class FrameFault(ValueError):
    """Not the websocket protocol, or larger than allowed: the connection ends."""


class FrameReader:
    """Bytes in, whole messages out. ``most`` is for one message, all its fragments together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rest: list[bytes] = []
        self._have = 0
        self._need = 2
        self._kind = 0
        self._fragments: list[bytes] = []
        self.pings: list[bytes] = []
        self.closed = False

    def feed(self, piece: bytes) -> list[Message]:
        """Raises FrameFault. After a close frame ``closed`` is set and the rest is ignored."""
        self._rest.append(piece)
        self._have += len(piece)
        if self._have < self._need:
            return []
        data = b"".join(self._rest)
        at, messages = self._frames(data)
        self._rest = [data[at:]]
        self._have = len(data) - at
        return messages

    def _frames(self, data: bytes) -> tuple[int, list[Message]]:
        messages: list[Message] = []
        at, end = 0, len(data)
        while not self.closed and end - at >= 2:
            first, second = data[at], data[at + 1]
            start, size = self._size(data, at, second)
            if start < 0 or end < start + size:
                self._need = 10 if start < 0 else start + size - at
                return at, messages
            made = self._frame(first, data[start : start + size])
            if made is not None:
                messages.append(made)
            at = start + size
        self._need = 2
        return at, messages

    def _size(self, data: bytes, at: int, second: int) -> tuple[int, int]:
        """Where the payload begins and how long it is; a negative beginning when that is not known yet."""
        if second & 0x80:
            raise FrameFault("a masked frame from a server")
        size, start = second & 0x7F, at + 2
        if size == 126:
            start += 2
            size = int.from_bytes(data[at + 2 : at + 4], "big") if len(data) >= start else -1
        elif size == 127:
            start += 8
            size = int.from_bytes(data[at + 2 : at + 10], "big") if len(data) >= start else -1
        if size > self._most:
            raise FrameFault("larger than allowed")
        return (start, size) if size >= 0 else (-1, 0)

    def _frame(self, first: int, payload: bytes) -> Message | None:
        code, final = first & 0x0F, bool(first & 0x80)
        if first & 0x70:
            raise FrameFault("an extension that was not agreed")
        if code >= CLOSE:
            self._control(code, final, payload)
            return None
        if code == CONTINUATION:
            if not self._kind:
                raise FrameFault("a continuation of nothing")
        elif code in KINDS and not self._kind:
            if final:
                return KINDS[code], payload
            self._kind = code
        else:
            raise FrameFault("a frame out of order")
        self._fragments.append(payload)
        if sum(map(len, self._fragments)) > self._most or len(self._fragments) > MOST_FRAGMENTS:
            raise FrameFault("larger than allowed")
        if not final:
            return None
        kind, self._kind, parts, self._fragments = self._kind, 0, self._fragments, []
        return KINDS[kind], b"".join(parts)

    def _control(self, code: int, final: bool, payload: bytes) -> None:
        if not final or len(payload) > 125 or code not in (CLOSE, PING, PONG):
            raise FrameFault("a control frame that is none")
        if code == CLOSE:
            self.closed = True
        elif code == PING:
            self.pings.append(payload)


def frame(code: int, payload: bytes, mask: bool = False) -> bytes:
    """One frame. ``mask`` as a client must; with a key of zeros, which on a unix socket protects nobody and costs nothing."""
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", 0x80 | code, bit | size)
    elif size < 2**16:
        head = struct.pack("!BBH", 0x80 | code, bit | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | code, bit | 127, size)
    return head + (b"\0\0\0\0" if mask else b"") + payload


class InsideSocket:
    """The door's end of a websocket into a sandbox."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: str | None, most: int
    ) -> None:
        self.protocol = protocol
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader(most)

    async def receive(self) -> list[Message] | None:
        """The next messages, as many as have come; None when the sandbox closed. Raises FrameFault."""
        while not self._frames.closed:
            piece = await self._reader.read(PIECE)
            if not piece:
                return None
            messages = self._frames.feed(piece)
            while self._frames.pings:
                self._writer.write(frame(PONG, self._frames.pings.pop(), mask=True))
            if messages:
                return messages
        return None

    async def send(self, kind: WSMsgType, data: bytes) -> None:
        self._writer.write(frame(CODES[kind], data, mask=True))
        await self._writer.drain()

    def close(self) -> None:
        self._writer.write(frame(CLOSE, struct.pack("!H", 1000), mask=True))
        self._writer.close()


async def dial(upstream: Upstream, target: str, protocols: Sequence[str], most: int) -> InsideSocket:
    """Open a websocket to the notebook server. Raises SandboxAway or SandboxMisbehaved."""
    if not TARGET.fullmatch(target):
        raise misbehaved("its address is not one")
    try:
        async with asyncio.timeout(upstream.limits.silence):
            return await _dial(upstream, target, protocols, most)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise misbehaved("it is not a proper websocket", type(error).__name__) from error
    except OSError as error:  # TimeoutError among them
        raise sandbox_away(str(error)) from error


async def _dial(upstream: Upstream, target: str, protocols: Sequence[str], most: int) -> InsideSocket:
    made = await connect(upstream.sandbox.serve, NAME)
    reader, writer = await asyncio.open_unix_connection(sock=made, limit=PIECE)
    key = base64.b64encode(os.urandom(16))
    lines = [
        f"GET {target} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key.decode()}", f"Authorization: token {upstream.sandbox.token}",
        *([f"Sec-WebSocket-Protocol: {', '.join(protocols)}"] if protocols else []),
    ]  # fmt: skip
    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = await reader.readuntil(b"\r\n\r\n")
        protocol = _agreed(head, key, protocols, upstream.limits.header_line)
    except BaseException:
        writer.close()
        raise
    return InsideSocket(reader, writer, protocol, most)


def _agreed(head: bytes, key: bytes, protocols: Sequence[str], most: int) -> str | None:
    """The subprotocol that the answer agrees to. Raises SandboxMisbehaved for anything but a plain agreement."""
    first, *lines = head.decode("latin-1").split("\r\n")
    named: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        named.setdefault(name.strip().lower(), []).append(value.strip())
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()  # noqa: S324 - as the protocol has it
    wanted = {"upgrade": "websocket", "sec-websocket-accept": accept}
    found = {name: named.get(name, [""])[0] for name in wanted}
    found["upgrade"] = found["upgrade"].lower()
    if (
        len(head) > most
        or not first.startswith("HTTP/1.1 101")
        or found != wanted
        or "sec-websocket-extensions" in named
    ):
        raise misbehaved("it did not open the connection", first[:100])
    chosen = named.get("sec-websocket-protocol", [])
    if len(chosen) > 1 or any(one not in protocols for one in chosen):
        raise misbehaved("it switched to a protocol nobody asked for", repr(chosen)[:80])
    return chosen[0] if chosen else None
