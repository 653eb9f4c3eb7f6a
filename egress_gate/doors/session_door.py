"""The session door: every request of a browser to a notebook server passes through `SessionDoor.handle`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jupyterhub
from aiohttp import web

from egress_gate.doors import headers as rules
from egress_gate.doors import pages, routes
from egress_gate.doors.allotment import CLOSED, Allotment
from egress_gate.doors.errors import CrossSite, DoorFault, NoSandbox, SignedOut
from egress_gate.doors.interface import Interface
from egress_gate.doors.known import Known
from egress_gate.doors.relay import Cut, Passage, Relay
from egress_gate.doors.routes import SOCKETS, Shape
from egress_gate.doors.sandboxes import Registry, Sandbox
from egress_gate.doors.sign_in import COOKIE, LIFETIME, RECHECK, STATE_COOKIE, STATE_LIFETIME, SignIn, Visit
from egress_gate.doors.standing import Standing, Standings
from egress_gate.doors.trail import Event, Trail, digest_of
from egress_gate.doors.upstream import Limits, Upstream
from egress_gate.doors.view import Budget
from egress_gate.doors.viewer import Viewer
from egress_gate.doors.websocket import Judge, WebSocketRelay
from store.clock import now

log = logging.getLogger("glovebox.doors")
SAFE_METHODS = ("GET", "HEAD")
NOTICES = "glovebox/notices"  # the door's own: nothing of it reaches the sandbox
MOST_ENDED = 1000


class SessionDoor:
    """Serves all sandboxes in the registry. ``url``: the public address; ``service``: the doors' prefix at the hub."""

    def __init__(
        self, sign_in: SignIn, trail: Trail, standings: Standings, *, url: str, service: str, base: str = "/",
        limits: Limits = Limits(), clock: Callable[[], datetime] = now,
    ) -> None:  # fmt: skip
        self.sandboxes = Registry()
        self.active: dict[str, datetime] = {}  # sandbox id → last use, since the hub was last told
        self._sign_in = sign_in
        self._trail = trail
        self._url = url
        self._service = service
        self._base = base
        self._limits = limits
        self._clock = clock
        self.interface: Interface | None = None
        self._standings = standings
        self._upstreams: dict[str, Upstream] = {}
        self._viewers: dict[str, Viewer] = {}
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._ended: dict[str, str] = {}  # prefix → why its last sandbox ended
        self._relay = Relay(trail)
        self._sockets = WebSocketRelay(trail)
        trail.before.append(self._note_running)

    # -- sandboxes come and go ----------------------------------------------------------------------------------------
    async def open(self, sandbox: Sandbox) -> Viewer:
        """Serve this sandbox under the view that policy gives it. Opened again, it starts afresh."""
        await self.close(sandbox.id)
        mark = self._trail.tally(sandbox.project).written.copy()
        standing = await asyncio.to_thread(self._standings.of, sandbox)
        sandbox = replace(sandbox, view=standing.view)
        left = CLOSED if standing.left is None else standing.left
        allotment = Allotment(self._trail.tally(sandbox.project), left, mark)
        budget = self._budget(sandbox, standing)
        viewer = Viewer(sandbox, self._trail, budget, known(standing), self.interface, allotment)
        self._ended.pop(sandbox.prefix, None)
        self.sandboxes.add(sandbox)
        self._upstreams[sandbox.id] = Upstream(sandbox, self._limits)
        self._viewers[sandbox.id] = viewer
        return viewer

    async def renew_quotas(self) -> None:
        """Ask anew what is left. When it cannot be asked, the last answer stands, less what was used since."""
        for sandbox in self.sandboxes:
            mark = self._trail.tally(sandbox.project).written.copy()
            standing = await asyncio.to_thread(self._standings.of, sandbox)
            viewer = self._viewers.get(sandbox.id)
            if viewer is not None and standing.left is not None:
                viewer.allotment.renew(standing.left, mark)

    def warn(self, sandbox_id: str, warnings: tuple[str, ...]) -> bool:
        """Show these sentences beside the next cell, and on the page. True when the sandbox is open."""
        viewer = self._viewers.get(sandbox_id)
        if viewer is not None:
            viewer.allotment.warnings = warnings
        return viewer is not None

    def _note_running(self) -> None:
        for viewer in self._viewers.values():
            viewer.note_running()

    def _budget(self, sandbox: Sandbox, standing: Standing) -> Budget:
        """One budget a person and project, so that a second server does not double it."""
        budget = self._budgets.get((sandbox.person, sandbox.project))
        if budget is None or budget.allowance != standing.allowance:
            budget = Budget(standing.allowance, spent=partial(self._trail.spent, sandbox))
            for at, size, outputs, images in standing.spent:
                budget.restore(at, size, cells=outputs, images=images)
            self._budgets[sandbox.person, sandbox.project] = budget
        return budget

    def install(self, interface: Interface) -> None:
        """From now on the page and its code are the image's own."""
        self.interface = interface
        for viewer in self._viewers.values():
            viewer.install(interface)

    async def close(self, sandbox_id: str, reason: str = "") -> bool:
        """Forget a sandbox and cut its connections. True when it was open. ``reason`` is shown where it was."""
        self.active.pop(sandbox_id, None)
        gone = self.sandboxes.remove(sandbox_id)
        if gone is not None and reason:
            self._ended[gone.prefix] = reason
            while len(self._ended) > MOST_ENDED:
                del self._ended[next(iter(self._ended))]
        viewer = self._viewers.pop(sandbox_id, None)
        if viewer is not None:
            viewer.close()
        upstream = self._upstreams.pop(sandbox_id, None)
        if upstream is not None:
            await upstream.close()
        return gone is not None

    async def answers(self, sandbox_id: str) -> bool:
        upstream = self._upstreams.get(sandbox_id)
        return upstream is not None and await upstream.answers()

    # -- every request ------------------------------------------------------------------------------------------------
    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of the public proxy. Never raises but for a cut answer and cancellation."""
        path, _, query = request.raw_path.partition("?")
        page = pages.wants_page(request.method, request.headers)
        sandbox = self.sandboxes.at(path)
        try:
            if path == f"{self._service}oauth_callback":
                return await self._callback(request, query)
            if sandbox is None:
                return self._elsewhere(path)
            return await self._at(sandbox, request, path, query, page)
        except Cut:
            return web.Response(status=502)  # the connection is gone already
        except DoorFault as fault:
            if fault.private:
                log.info("%s: %s (%s)", fault.code, fault.what, fault.private)
            if sandbox is not None and fault.status < 500 and not isinstance(fault, SignedOut):
                self._trail.refused(sandbox, fault.code, request.method, path.removeprefix(sandbox.prefix))
            back = f"{sandbox.prefix}lab" if sandbox else None
            lab = sandbox is not None and not page
            return pages.refusal(fault, page=page, back=back, lab=lab)

    def _elsewhere(self, path: str) -> web.StreamResponse:
        if self.sandboxes.at(path + "/") is not None:
            return _redirect(path + "/")
        raise NoSandbox(
            "No notebook server runs at this address.",
            why=self._why_gone(path),
            do="Start it from the hub's home page.",
        )

    def _why_gone(self, path: str) -> str:
        found = next((why for prefix, why in self._ended.items() if path.startswith(prefix)), "")
        return f"It was stopped: {found}" if found else "It was stopped, or was never started."

    async def _at(
        self, sandbox: Sandbox, request: web.BaseRequest, path: str, query: str, page: bool
    ) -> web.StreamResponse:
        relative = path.removeprefix(sandbox.prefix)
        if relative in ("api", "api/") and request.method in SAFE_METHODS:
            return await self._probe(sandbox)
        try:
            visit = await self._sign_in.check(request.cookies.get(COOKIE, ""), sandbox)
        except SignedOut:
            if page:
                return self._to_hub(request, sandbox, path + (f"?{query}" if query else ""))
            raise
        websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        origin = rules.origin(request.host, request.headers.get("X-Forwarded-Proto", ""), self._url)
        refuse_cross_site(request, origin, websocket=websocket)
        if relative in ("", "lab/index.html") and request.method == "GET":
            return _redirect(f"{sandbox.prefix}lab")
        if relative in ("logout", "login"):
            return self._leave(sandbox, relative)
        if relative == NOTICES and request.method == "GET":
            return self._notices(sandbox)
        route = routes.find(request.method, relative, query, websocket=websocket)
        refuse_wrong_destination(request, route)
        viewer, upstream = self._viewers[sandbox.id], self._upstreams[sandbox.id]
        viewer.admit(route, request.method)
        self.active[sandbox.id] = self._clock()
        if websocket:
            return await self._socket(request, upstream, viewer, route, relative, without_token(query), visit)
        sent = rules.policy(origin, sandbox.prefix, sandbox.view)
        return await self._relay.pass_on(
            Passage(request, route, relative, without_token(query), sent, upstream, viewer)
        )

    async def _socket(
        self, request: web.BaseRequest, upstream: Upstream, viewer: Viewer, route: routes.Route, relative: str, query: str,
        visit: Visit,
    ) -> web.StreamResponse:  # fmt: skip
        target = viewer.sandbox.prefix + viewer.path(relative) + (f"?{query}" if query else "")

        def judge(protocol: str | None) -> Judge:
            return viewer.judge(route, relative, protocol, visit.person)

        return await self._sockets.pass_on(request, upstream, route, target, judge, self._watch(visit, viewer.sandbox))

    async def _probe(self, sandbox: Sandbox) -> web.Response:
        """What the hub polls. Asks the sandbox within a short time and passes nothing of its answer on."""
        headers = {"X-JupyterHub-Version": jupyterhub.__version__, "Cache-Control": "no-store"}
        if await self.answers(sandbox.id):
            return web.json_response({"version": "glovebox"}, headers=headers)
        return web.json_response({"message": "not ready"}, status=503, headers=headers)

    def _notices(self, sandbox: Sandbox) -> web.Response:
        """What the page shows its analyst without being asked: what will soon be over. Looking at it is no activity."""
        said = list(self._viewers[sandbox.id].allotment.warnings)
        return web.json_response({"warnings": said}, headers={"Cache-Control": "no-store"})

    # -- signing in and out -------------------------------------------------------------------------------------------
    def _to_hub(self, request: web.BaseRequest, sandbox: Sandbox, target: str) -> web.Response:
        if not target.startswith(sandbox.prefix):
            target = sandbox.prefix
        address, name, sealed = self._sign_in.begin(target)
        answer = _redirect(address)
        answer.set_cookie(
            name,
            sealed,
            path=self._service,
            max_age=STATE_LIFETIME,
            httponly=True,
            samesite="Lax",
            secure=self._secure(request),
        )
        return answer

    async def _callback(self, request: web.BaseRequest, query: str) -> web.Response:
        fields = dict(parse_qsl(query))
        target, token = await self._sign_in.finish(
            fields.get("state", ""), fields.get("code", ""), dict(request.cookies)
        )
        sandbox = self.sandboxes.at(urlsplit(target).path)
        if sandbox is None:
            return self._elsewhere(target)  # type: ignore[return-value]  # raises: the server stopped meanwhile
        try:
            visit, sealed = await self._sign_in.admit(token, sandbox)
        except DoorFault as fault:
            self._trail.refused(sandbox, fault.code, "GET", "sign-in")
            raise
        facts = {"until": int(visit.until)}
        self._trail.happened(sandbox, Event("sign_in", digest_of(facts), 0, facts, self._clock()))
        answer = _redirect(target)
        answer.set_cookie(
            COOKIE,
            sealed,
            path=sandbox.prefix,
            max_age=LIFETIME,
            httponly=True,
            samesite="Lax",
            secure=self._secure(request),
        )
        answer.del_cookie(STATE_COOKIE + fields["state"][:8], path=self._service)
        return answer

    def _leave(self, sandbox: Sandbox, relative: str) -> web.Response:
        answer = _redirect(f"{self._base}hub/logout" if relative == "logout" else f"{sandbox.prefix}lab")
        if relative == "logout":
            answer.del_cookie(COOKIE, path=sandbox.prefix)
        return answer

    def _secure(self, request: web.BaseRequest) -> bool:
        return rules.origin(request.host, request.headers.get("X-Forwarded-Proto", ""), self._url).startswith("https:")

    def _watch(self, visit: Visit, sandbox: Sandbox) -> Callable[[], Any]:
        async def until_unwelcome() -> None:
            while True:
                await asyncio.sleep(RECHECK)
                await self._sign_in.recheck(visit, sandbox)

        return until_unwelcome


def _redirect(to: str) -> web.Response:
    headers = {**pages.PAGE_POLICY, "Location": to}
    return web.Response(status=302, headers=headers)


def refuse_cross_site(request: web.BaseRequest, origin: str, *, websocket: bool) -> None:
    """Refuse what another page does in this person's name. Reads by navigation from elsewhere are let through."""
    site, named = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    changes = websocket or request.method not in SAFE_METHODS
    foreign = (named is not None and named != origin) or site in ("cross-site", "same-site")
    navigates = not changes and request.headers.get("Sec-Fetch-Mode") == "navigate" and named is None
    nobody = changes and named is None and site != "same-origin"
    if (foreign and not navigates) or nobody:
        raise CrossSite(
            "That was not done.",
            why="The request did not come from this server's own page.",
            do="Use the JupyterLab page itself. A program must send this site's address in the Origin header.",
            private=f"origin {named!r} site {site!r} expected {origin!r}",
        )


def refuse_wrong_destination(request: web.BaseRequest, route: routes.Route) -> None:
    """Only pages are navigated to; nothing else is opened in a tab, framed, embedded, or run as a service worker."""
    destination = request.headers.get("Sec-Fetch-Dest", "")
    wrong = (
        destination in ("iframe", "frame", "object", "embed", "serviceworker") or "Service-Worker" in request.headers
    )
    if route.shape not in SOCKETS and route.shape is not Shape.PAGE:
        wrong = wrong or destination == "document" or request.headers.get("Sec-Fetch-Mode") == "navigate"
    if wrong:
        raise routes.only_inside()


def without_token(query: str) -> str:
    """The query without the notebook server's own token, which the door adds as a header."""
    if "token" not in query:
        return query
    return urlencode([(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "token"])


def known(standing: Standing) -> Known:
    """What came in through the door before."""
    made = Known()
    for path, kind, version in standing.uploads:
        made.came_in(path, kind, version)
    return made
