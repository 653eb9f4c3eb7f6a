"""A file from an administrator's browser into the intake folder: the body is the file, written as it comes, never held whole."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from egress_gate.desk.context import Desk, SignedIn, TheDesk, Visitor
from egress_gate.desk.faults import status_of
from egress_gate.service import intake
from egress_gate.service.errors import Malformed
from egress_gate.service.intake import Arriving, IntakeFile
from installation.fault import Fault

uploads = APIRouter(prefix="/api/v1/intake", include_in_schema=False)
FILE_BODY = "application/octet-stream"
PIECE = 2 * 1024**2
STANDS_STILL = 60  # seconds


@uploads.post("/files")
async def upload(
    request: Request, visitor: SignedIn, desk: TheDesk, name: Annotated[str, Query(max_length=400)]
) -> Response:
    """Answers with the file's digest; a refusal is in the reader's language, because the page shows it as it is."""
    try:
        found = await _take(request, visitor, desk, name)
    except Fault as fault:
        said = {part: visitor.voice.text(text) if part != "code" else text for part, text in fault.public().items()}
        return JSONResponse(said, status_of(fault))
    return JSONResponse({"name": found.name, "bytes": found.bytes, "sha256": found.sha256}, 201)


async def _take(request: Request, visitor: Visitor, desk: Desk, name: str) -> IntakeFile:
    """Who may not is refused before a byte is read; what does not come whole leaves nothing."""
    await run_in_threadpool(intake.may_register, desk.gate, visitor.person, desk.clock())
    size = _announced(request)
    try:
        arriving = await run_in_threadpool(desk.intake.receive, name, size)
    except Fault:
        await _read_past(request, size, desk.intake.most_bytes)
        raise
    try:
        await _write(request, arriving)
        return await run_in_threadpool(intake.keep, arriving, visitor.person)
    finally:
        arriving.end()


def body_limit(base: str, otherwise: int) -> Callable[[Scope], int]:
    """What a body may hold. A file for the intake folder has no bound here: its route keeps the setting's, once it knows who sends it."""
    path, header = f"{base}{uploads.prefix}/files", (b"content-type", FILE_BODY.encode())
    return lambda scope: sys.maxsize if scope["path"] == path and header in scope["headers"] else otherwise


async def _read_past(request: Request, size: int, most: int) -> None:
    """A browser that is still sending does not read the refusal; what is far too large is not worth it."""
    if size <= most:
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(STANDS_STILL):
                async for _ in request.stream():
                    pass


async def _write(request: Request, arriving: Arriving) -> None:
    """Raises Malformed for a sender that leaves, or stands still."""
    held: list[bytes] = []
    size, stream = 0, aiter(request.stream())
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), STANDS_STILL)
        except StopAsyncIteration:
            break
        except (TimeoutError, ClientDisconnect) as gone:
            raise Malformed("The file was not taken.", why="It stopped coming.", do="Send it again.") from gone
        held.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            await run_in_threadpool(arriving.write, b"".join(held))
            held, size = [], 0
    await run_in_threadpool(arriving.write, b"".join(held))


def _announced(request: Request) -> int:
    """How long the body will be: a file of unknown length is not begun."""
    length = request.headers.get("content-length", "")
    if request.headers.get("content-type", "") != FILE_BODY or not (length.isascii() and length.isdigit()):
        raise Malformed(
            "The file was not taken.",
            why="Its length is not said, or it does not come as plain bytes.",
            do="Send it from the desk's page, or as application/octet-stream with its length.",
        )
    return int(length)
