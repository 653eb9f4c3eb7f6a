"""One HTTP request through the session door: into the sandbox, and what may come back to the browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from egress_gate.doors import headers as rules
from egress_gate.doors import own
from egress_gate.doors.errors import DoorFault, ImportRefused, TooLarge, misbehaved, sandbox_away
from egress_gate.doors.routes import CONTENT_TYPES, Route, Shape
from egress_gate.doors.trail import Trail
from egress_gate.doors.upstream import Upstream
from egress_gate.doors.viewer import Viewer

CHUNK = 2**17
IN_THREAD = 2**18  # a body above this is parsed beside the event loop, so that it delays nobody else
CHANGES = ("POST", "PUT", "PATCH")


class Cut(DoorFault):
    """The answer had begun when it broke a rule: the connection is cut, there is no page to show."""

    code = "cut"
    status = 502


@dataclass(frozen=True)
class Passage:
    """One request on its way. ``relative`` is the raw path after the prefix; ``sent`` are the door's own headers."""

    request: web.BaseRequest
    route: Route
    relative: str
    query: str
    sent: dict[str, str]
    upstream: Upstream
    viewer: Viewer


def too_large(most: int) -> TooLarge:
    return TooLarge(
        "That was not shown.",
        why=f"It is larger than the {most // 1024} KiB that one answer on this route may have.",
        do="Show less of it (a summary, fewer rows, a smaller file). To take a result out, ask for a release.",
    )


def import_too_large(most: int) -> ImportRefused:
    return ImportRefused(
        "The upload was not taken.",
        why=f"It is larger than the {max(most // 1024, 1)} KiB that this route takes.",
        do="Bring large inputs in as a dataset: ask a steward to register it.",
    )


async def read_body(request: web.BaseRequest, most: int) -> bytes:
    """The browser's body. Raises ImportRefused as soon as it is larger than ``most``."""
    if request.method not in CHANGES or not request.body_exists:
        return b""
    if (request.content_length or 0) > most:
        raise import_too_large(most)
    pieces: list[bytes] = []
    size = 0
    async for piece in request.content.iter_chunked(CHUNK):
        size += len(piece)
        if size > most:
            raise import_too_large(most)
        pieces.append(piece)
    return b"".join(pieces)


class Relay:
    """Carries one route's requests. Holds no state of its own."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    async def pass_on(self, way: Passage) -> web.StreamResponse:
        """Answer from the door's own, or ask the sandbox. Raises DoorFault."""
        request, route, viewer = way.request, way.route, way.viewer
        body = await read_body(request, route.most_in)
        found = viewer.own(route, request.method, way.relative, body)
        if found is not None:
            return self._own(way, found)
        method, relative = request.method, way.relative
        body = await _beside(len(body), viewer.inward, route, method, relative, body)
        inward = rules.inward(request.headers, way.upstream.sandbox.token)
        path = way.upstream.sandbox.prefix + viewer.path(relative)
        url = URL(way.upstream.url(path, way.query), encoded=True)
        try:
            async with way.upstream.session.request(
                method, url, headers=inward, data=body if method in CHANGES else None, allow_redirects=False
            ) as answer:
                return await self._answer(way, path, answer)
        except aiohttp.ClientConnectorError as error:
            raise sandbox_away(str(error)) from error
        except TimeoutError as error:
            raise sandbox_away("timed out") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise misbehaved("it is not proper HTTP", str(error)[:300]) from error

    def _own(self, way: Passage, found: own.Answer) -> web.StreamResponse:
        headers = {**way.sent, "Cache-Control": "no-store"}
        sandbox, name = way.upstream.sandbox, way.route.name
        if found.file is not None:
            headers["Cache-Control"] = "private, max-age=3600"
            headers["Content-Type"] = rules.asset_type(way.relative)
            self._trail.shown(sandbox, name, found.file.stat().st_size, image=True)
            return web.FileResponse(found.file, headers=headers)
        if found.page is not None:
            self._trail.shown(sandbox, name, len(found.page), image=True)
            return web.Response(text=found.page, content_type="text/html", headers=headers)
        if found.status == 204:
            return web.Response(status=204, headers=headers)
        answer = web.json_response(found.json, headers=headers)
        self._trail.shown(sandbox, name, len(answer.text or ""))
        return answer

    async def _answer(self, way: Passage, path: str, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        route, sent = way.route, way.sent
        if answer.status in rules.REDIRECTS:
            target = rules.location(answer.headers.get("Location", ""), way.upstream.sandbox.prefix, path)
            if way.viewer.sandbox.view != "open":
                raise misbehaved("it redirects, which nothing in this view needs", target[:200])
            return web.Response(status=302, headers={**sent, "Location": target, "Cache-Control": "no-store"})
        if answer.status not in rules.STATUSES:
            raise misbehaved("its status is not one of a notebook server", str(answer.status))
        rules.refuse_encoding(answer.headers)
        status = way.viewer.answered(way.request.method, way.relative, answer.status)
        headers = rules.outward(route, answer.headers)
        headers.update(sent)
        if answer.status in (204, 304):
            return web.Response(status=status, headers=headers)
        if answer.status >= 400 and rules.media_type(answer.headers) not in CONTENT_TYPES[route.shape]:
            return self._plain_error(way, answer, status)
        if (answer.content_length or 0) > route.most_out:
            raise too_large(route.most_out)
        headers["Content-Type"] = rules.content_type(route, path, answer.headers)
        if way.request.method == "HEAD":
            return web.Response(status=status, headers=headers)
        if route.shape is Shape.ASSET:
            return await self._stream(way, answer, headers)
        return await self._whole(way, answer, headers, status)

    async def _whole(
        self, way: Passage, answer: aiohttp.ClientResponse, headers: CIMultiDict[str], status: int
    ) -> web.Response:
        body = await read_bounded(way.upstream, answer, way.route.most_out)
        if way.route.shape is not Shape.PAGE:
            body = await _beside(
                len(body), way.viewer.outward, way.route, way.request.method, way.relative, answer.status, body
            )
        self._trail.shown(way.upstream.sandbox, way.route.name, len(body))
        return web.Response(status=status, body=body, headers=headers)

    async def _stream(
        self, way: Passage, answer: aiohttp.ClientResponse, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        out = web.StreamResponse(status=answer.status, headers=headers)
        out.content_length = answer.content_length
        await out.prepare(way.request)
        size = 0
        try:
            async for piece in answer.content.iter_any():
                size += len(piece)
                if size > way.route.most_out:
                    raise Cut("The answer was cut.", why="It grew past its limit.", do="Show less.")
                await way.upstream.bucket.take(len(piece))
                await out.write(piece)
            await out.write_eof()
        except (DoorFault, aiohttp.ClientError, TimeoutError):
            if way.request.transport is not None:
                way.request.transport.abort()
            raise Cut("The answer was cut.", why="The server broke it off or sent too much.", do="Reload.") from None
        finally:
            self._trail.shown(way.upstream.sandbox, way.route.name, size)
        return out

    def _plain_error(self, way: Passage, answer: aiohttp.ClientResponse, status: int) -> web.Response:
        """An error of the sandbox whose body is not of this route: the status passes, the body is ours."""
        answer.close()
        self._trail.shown(way.upstream.sandbox, way.route.name, 0)
        return web.json_response({"message": "The notebook server refused this."}, status=status, headers=way.sent)


async def read_bounded(upstream: Upstream, answer: aiohttp.ClientResponse, most: int) -> bytes:
    """A whole body of at most ``most`` bytes. Raises TooLarge."""
    pieces: list[bytes] = []
    size = 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > most:
            raise too_large(most)
        await upstream.bucket.take(len(piece))
        pieces.append(piece)
    return b"".join(pieces)


async def _beside(size: int, judge: Callable[..., bytes], *facts: object) -> bytes:
    """Call ``judge``, in a thread when there is much to parse."""
    return await asyncio.to_thread(judge, *facts) if size > IN_THREAD else judge(*facts)
