"""A load that costs its own process little: raw sockets, HTTP/1.1 with lengths, websocket frames counted, not decoded."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from egress_gate.doors.kernel_protocol import KERNEL_V1, KernelMessage, encode


@dataclass
class Browser:
    """Browsers of several people at one port."""

    port: int
    cookies: dict[str, str]
    cookie_name: str

    def head(self, person: str, path: str, *more: str) -> bytes:
        lines = [
            f"GET /user/{person}/{path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Origin: http://127.0.0.1:{self.port}",
            "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", f"Cookie: {self.cookie_name}={self.cookies[person]}", *more,
        ]  # fmt: skip
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)

    def hold(self, people: list[str]) -> int:
        """Open a kernel websocket for everyone, let each answer once while all are open; how many did."""

        async def run() -> int:
            sockets = [await KernelSocket.open(self, person) for person in people]
            for socket in sockets:
                await socket.ask(1)
            for socket in sockets:
                await socket.count(1)
            for socket in sockets:
                socket.close()
            return len(sockets)

        return asyncio.run(run())


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer with a length; its status must be 200."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head[:300].decode("latin-1"))
    lines = {
        line.partition(b":")[0].strip().lower(): line.partition(b":")[2].strip() for line in head.split(b"\r\n")[1:]
    }
    if b"content-length" in lines:
        size = int(lines[b"content-length"])
        await reader.readexactly(size)
        return size
    size = 0
    while (length := int(await reader.readline(), 16)) > 0:
        await reader.readexactly(length + 2)
        size += length
    await reader.readline()
    return size


class KernelSocket:
    """A kernel websocket in the binary protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, browser: Browser, person: str) -> KernelSocket:
        reader, writer = await browser.open()
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            browser.head(
                person,
                "api/kernels/k/channels",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 13",
                f"Sec-WebSocket-Key: {key}",
                f"Sec-WebSocket-Protocol: {KERNEL_V1}",
            )
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(head[:300].decode("latin-1"))
        return cls(reader, writer)

    async def ask(self, burst: int) -> None:
        header = {
            "msg_id": "asked",
            "msg_type": "execute_request",
            "username": "",
            "session": "s",
            "date": "",
            "version": "5.3",
        }
        content = {"code": "print()", "burst": burst}
        _, data = encode(KernelMessage("shell", header, {}, {}, content), KERNEL_V1)
        mask = b"\0\0\0\0"  # a mask that changes nothing: allowed, and free
        size = (
            struct.pack("!BBH", 0x82, 0x80 | 126, len(data))
            if len(data) > 125
            else struct.pack("!BB", 0x82, 0x80 | len(data))
        )
        self._writer.write(size + mask + data)
        await self._writer.drain()

    async def count(self, wanted: int) -> None:
        """Read this many data frames."""
        read = self._reader.readexactly
        while wanted:
            first, second = await read(2)
            size = second & 127
            if size == 126:
                (size,) = struct.unpack("!H", await read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await read(8))
            data = await read(size)
            if first & 15 == 8:
                raise RuntimeError(f"closed: {data!r}")
            wanted -= first & 15 in (1, 2)

    def close(self) -> None:
        self._writer.close()


def _everyone(people: list[str], work: Callable[[str], Awaitable[int]]) -> int:
    async def run() -> int:
        return sum(await asyncio.gather(*(work(person) for person in people)))

    return asyncio.run(run())


def files(browser: Browser, people: list[str], wanted: int) -> int:
    """Fetch this many files, everyone on a connection of their own."""

    async def fetch(person: str) -> int:
        reader, writer = await browser.open()
        head = browser.head(person, "static/lab/part.js")
        for _ in range(wanted // len(people)):
            writer.write(head)
            await _answer(reader)
        writer.close()
        return wanted // len(people)

    return _everyone(people, fetch)


def messages(browser: Browser, people: list[str], wanted: int, burst: int = 50) -> int:
    """Receive this many kernel messages, in bursts as cells print them."""

    async def listen(person: str) -> int:
        socket = await KernelSocket.open(browser, person)
        for _ in range(wanted // len(people) // burst):
            await socket.ask(burst)
            await socket.count(burst)
        socket.close()
        return wanted // len(people) // burst * burst

    return _everyone(people, listen)


def latency(browser: Browser, person: str, times: int) -> list[float]:
    """Seconds from asking to the answering message, one at a time."""

    async def run() -> list[float]:
        socket = await KernelSocket.open(browser, person)
        taken: list[float] = []
        for _ in range(times):
            began = time.perf_counter()
            await socket.ask(1)
            await socket.count(1)
            taken.append(time.perf_counter() - began)
        socket.close()
        return taken

    return asyncio.run(run())
