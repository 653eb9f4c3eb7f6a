"""One HTTP request through the session door: into the sandbox, and what may come back to the browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from egress_gate.doors import headers as rules
from egress_gate.doors.errors import DoorFault, ImportRefused, TooLarge, misbehaved, sandbox_away
from egress_gate.doors.routes import CONTENT_TYPES, Route, Shape
from egress_gate.doors.trail import Trail
from egress_gate.doors.upstream import Upstream

CHUNK = 2**17
BUFFERED = frozenset({Shape.PAGE, Shape.JSON, Shape.CONTENTS})


class Cut(DoorFault):
    """The answer had begun when it broke a rule: the connection is cut, there is no page to show."""

    code = "cut"
    status = 502


def too_large(most: int) -> TooLarge:
    return TooLarge(
        "That was not shown.",
        why=f"It is larger than the {most // 1024} KiB that one answer on this route may have.",
        do="Show less of it (a summary, fewer rows, a smaller file). To take a result out, ask for a release.",
    )


async def bounded_body(request: web.BaseRequest, most: int) -> AsyncIterator[bytes]:
    """The browser's body in pieces. Raises ImportRefused as soon as it is larger than ``most``."""
    size = 0
    async for piece in request.content.iter_chunked(CHUNK):
        size += len(piece)
        if size > most:
            raise import_too_large(most)
        yield piece


def import_too_large(most: int) -> ImportRefused:
    return ImportRefused(
        "The upload was not taken.",
        why=f"It is larger than the {max(most // 1024, 1)} KiB that this route takes.",
        do="Bring large inputs in as a dataset: ask a steward to register it.",
    )


def _body(request: web.BaseRequest, route: Route) -> AsyncIterator[bytes] | bytes | None:
    if request.method in ("GET", "HEAD") or not request.body_exists:
        return None
    if (request.content_length or 0) > route.most_in:
        raise import_too_large(route.most_in)
    return bounded_body(request, route.most_in)


class Relay:
    """Carries one route's requests. Holds no state of its own."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    async def pass_on(
        self, request: web.BaseRequest, upstream: Upstream, route: Route, path: str, query: str, sent: dict[str, str]
    ) -> web.StreamResponse:
        """Ask the sandbox and answer the browser. ``sent`` are the door's own headers. Raises DoorFault."""
        inward = rules.inward(request.headers, upstream.sandbox.token)
        try:
            async with upstream.session.request(
                request.method,
                URL(upstream.url(path, query), encoded=True),
                headers=inward,
                data=_body(request, route),
                allow_redirects=False,
            ) as answer:
                return await self._answer(request, upstream, route, path, answer, sent)
        except aiohttp.ClientConnectorError as error:
            raise sandbox_away(str(error)) from error
        except TimeoutError as error:
            raise sandbox_away("timed out") from error
        except (aiohttp.ClientError, ValueError) as error:
            if isinstance(error.__cause__, DoorFault):  # raised while the browser's body was being read
                raise error.__cause__ from None
            raise misbehaved("it is not proper HTTP", str(error)[:300]) from error

    async def _answer(
        self, request: web.BaseRequest, upstream: Upstream, route: Route, path: str,
        answer: aiohttp.ClientResponse, sent: dict[str, str],
    ) -> web.StreamResponse:  # fmt: skip
        if answer.status in rules.REDIRECTS:
            target = rules.location(answer.headers.get("Location", ""), upstream.sandbox.prefix, path)
            return web.Response(status=302, headers={**sent, "Location": target, "Cache-Control": "no-store"})
        if answer.status not in rules.STATUSES:
            raise misbehaved("its status is not one of a notebook server", str(answer.status))
        rules.refuse_encoding(answer.headers)
        headers = rules.outward(route, answer.headers)
        headers.update(sent)
        if answer.status in (204, 304):
            return web.Response(status=answer.status, headers=headers)
        if answer.status >= 400 and rules.media_type(answer.headers) not in CONTENT_TYPES[route.shape]:
            return await self._plain_error(upstream, route, answer, sent)
        if (answer.content_length or 0) > route.most_out:
            raise too_large(route.most_out)
        headers["Content-Type"] = rules.content_type(route, path, answer.headers)
        if request.method == "HEAD":
            return web.Response(status=answer.status, headers=headers)
        if route.shape in BUFFERED:
            return await self._whole(upstream, route, answer, headers)
        return await self._stream(request, upstream, route, answer, headers)

    async def _whole(
        self, upstream: Upstream, route: Route, answer: aiohttp.ClientResponse, headers: CIMultiDict[str]
    ) -> web.Response:
        body = await read_bounded(upstream, answer, route.most_out)
        self._trail.shown(upstream.sandbox, route.name, len(body))
        return web.Response(status=answer.status, body=body, headers=headers)

    async def _stream(
        self, request: web.BaseRequest, upstream: Upstream, route: Route,
        answer: aiohttp.ClientResponse, headers: CIMultiDict[str],
    ) -> web.StreamResponse:  # fmt: skip
        out = web.StreamResponse(status=answer.status, headers=headers)
        out.content_length = answer.content_length
        await out.prepare(request)
        size = 0
        try:
            async for piece in answer.content.iter_any():
                size += len(piece)
                if size > route.most_out:
                    raise Cut("The answer was cut.", why="It grew past its limit.", do="Show less.")
                await upstream.bucket.take(len(piece))
                await out.write(piece)
            await out.write_eof()
        except (DoorFault, aiohttp.ClientError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
            raise Cut(
                "The answer was cut.", why="The notebook server broke it off or sent too much.", do="Reload."
            ) from None
        finally:
            self._trail.shown(upstream.sandbox, route.name, size)
        return out

    async def _plain_error(
        self, upstream: Upstream, route: Route, answer: aiohttp.ClientResponse, sent: dict[str, str]
    ) -> web.Response:
        """An error of the sandbox whose body is not of this route: the status passes, the body is ours."""
        answer.close()
        self._trail.shown(upstream.sandbox, route.name, 0)
        return web.json_response({"message": "The notebook server refused this."}, status=answer.status, headers=sent)


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
