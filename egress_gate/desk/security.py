"""Headers on every answer, a bound on every body, and a brake on every sender."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from egress_gate.service.errors import TooLarge, TooMany
from installation.fault import Fault

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), clipboard-read=()",
}


@dataclass
class Bucket:
    """A token bucket for each key; the oldest keys are forgotten."""

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, key: str) -> bool:
        now = self.clock()
        level, last = self._levels.pop(key, (self.burst, now))
        level = min(self.burst, level + (now - last) * self.rate)
        allowed = level >= 1
        self._levels[key] = (level - 1 if allowed else level, now)
        while len(self._levels) > 10_000:
            self._levels.popitem(last=False)
        return allowed


class Guard:
    """ASGI middleware: adds the headers, refuses bodies over `limit` bytes as they stream, and slows each sender."""

    def __init__(self, app: ASGIApp, limit: int, bucket: Bucket, sender: Callable[[Scope], str]) -> None:
        self._app = app
        self._limit = limit
        self._bucket = bucket
        self._sender = sender

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fault = self._refusal(scope)
        if fault is not None:
            await _answer(send, 429 if isinstance(fault, TooMany) else 413, fault)
            return
        await self._bounded(scope, receive, send)

    def _refusal(self, scope: Scope) -> Fault | None:
        if not self._bucket.take(self._sender(scope)):
            return TooMany("Too many requests.", why="Each sender has a rate.", do="Wait a few seconds and go on.")
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return self._too_large() if length.isdigit() and int(length) > self._limit else None

    def _too_large(self) -> TooLarge:
        return TooLarge(
            "That is too large.",
            why=f"The gate takes at most {self._limit // 1024} KiB in one request.",
            do="Send less at once; upload files separately.",
        )

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen, started = 0, False

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise self._too_large()
            return message

        async def dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].endswith((".css", ".js", ".svg")):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._app(scope, counted, dressed)
        except TooLarge as fault:
            if started:
                raise
            await _answer(send, 413, fault)


async def _answer(send: Send, status: int, fault: Fault) -> None:
    body = json.dumps(fault.public()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(k.encode(), v.encode()) for k, v in HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
