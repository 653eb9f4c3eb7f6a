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
    "connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
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

    def __init__(
        self, app: ASGIApp, limit: Callable[[Scope], int], bucket: Bucket, sender: Callable[[Scope], str]
    ) -> None:
        self._app = app
        self._limit = limit
        self._bucket = bucket
        self._sender = sender

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope)
        fault = self._refusal(scope, limit)
        if fault is not None:
            await _answer(send, 429 if isinstance(fault, TooMany) else 413, fault)
            return
        await _bounded(self._app, limit, scope, receive, send)

    def _refusal(self, scope: Scope, limit: int) -> Fault | None:
        if not self._bucket.take(self._sender(scope)):
            return TooMany("Too many requests.", why="Each sender has a rate.", do="Wait a few seconds and go on.")
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return _too_large(limit) if length.isdigit() and int(length) > limit else None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        "That is too large.",
        why=f"The gate takes at most {limit // 1024} KiB in one request here.",
        do="Send less at once; upload files separately.",
    )


async def _bounded(app: ASGIApp, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Run `app`; whatever it makes of a body that grew over `limit`, the answer is that it was too large."""
    seen, started, over = 0, False, False

    async def counted() -> Message:
        nonlocal seen, over
        message = await receive()
        seen += len(message.get("body", b""))
        over = over or seen > limit
        if over:
            raise _too_large(limit)
        return message

    async def dressed(message: Message) -> None:
        nonlocal started
        if over and not started:
            return
        if message["type"] == "http.response.start":
            started = True
            _dress(MutableHeaders(scope=message), scope["path"])
        await send(message)

    try:
        await app(scope, counted, dressed)
    except TooLarge:
        if started:
            raise
    if over and not started:
        await _answer(send, 413, _too_large(limit))


def _dress(headers: MutableHeaders, path: str) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if not path.endswith((".css", ".js", ".svg")):
        headers.setdefault("cache-control", "no-store")


async def _answer(send: Send, status: int, fault: Fault) -> None:
    body = json.dumps(fault.public()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(k.encode(), v.encode()) for k, v in HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
