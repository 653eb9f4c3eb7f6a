"""The host's side of each sandbox: one small connection pool over its socket, and how fast it may send."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import aiohttp

from egress_gate.doors.connection import SocketConnector
from egress_gate.doors.sandboxes import Sandbox

NAME = "jupyter.sock"
BASE = "http://sandbox"


@dataclass(frozen=True)
class Limits:
    """Caps against a server that hangs or sends without end. Seconds, bytes, bytes a second."""

    connect: float = 5.0
    silence: float = 60.0
    whole_answer: float = 600.0
    probe: float = 3.0
    header_line: int = 8190
    connections: int = 64
    websockets: int = 64
    rate: float = 64 * 1024**2
    burst: float = 256 * 1024**2


class Bucket:
    """A token bucket: `take` returns at once while there is credit, else waits until there is."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._credit = burst
        self._at = time.monotonic()

    def spend(self, size: int) -> float:
        """Take ``size`` and return how many seconds to wait first."""
        now = time.monotonic()
        self._credit = min(self._burst, self._credit + (now - self._at) * self._rate) - size
        self._at = now
        return -self._credit / self._rate if self._credit < 0 else 0.0

    async def take(self, size: int) -> None:
        wait = self.spend(size)
        if wait > 0:
            await asyncio.sleep(wait)


class Upstream:
    """Requests to one sandbox. Redirects, cookies and decompression are off; every time and size has an end."""

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        self.sandbox = sandbox
        self.limits = limits
        self.bucket = Bucket(limits.rate, limits.burst)
        self.sockets: set[object] = set()  # open websockets, counted against the limit
        self.session = aiohttp.ClientSession(
            connector=SocketConnector(sandbox.serve, NAME, limit=limits.connections + limits.websockets),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=limits.whole_answer, sock_connect=limits.connect, sock_read=limits.silence
            ),
            max_line_size=limits.header_line,
            max_field_size=limits.header_line,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=2**17,
        )

    def url(self, path: str, query: str = "") -> str:
        return f"{BASE}{path}" + (f"?{query}" if query else "")

    async def answers(self) -> bool:
        """Whether the notebook server says it lives, within a time of its own: it may be stuck, or lying."""
        timeout = aiohttp.ClientTimeout(total=self.limits.probe)
        headers = {"Authorization": f"token {self.sandbox.token}", "Host": "localhost"}
        try:
            async with self.session.get(
                self.url(self.sandbox.prefix + "api/status"), headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def close(self) -> None:
        await self.session.close()
