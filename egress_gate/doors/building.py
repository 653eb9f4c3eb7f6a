"""The whole building: session door, inner doors, admin socket and the clockwork, opened and closed together."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from aiohttp import web

from egress_gate.doors.connection import listen
from egress_gate.doors.errors import DoorFault, HubAway, NoSandbox
from egress_gate.doors.hub import Hub
from egress_gate.doors.inner_door import Gate, InnerDoor
from egress_gate.doors.pages import refusal
from egress_gate.doors.sandboxes import read
from egress_gate.doors.session_door import SessionDoor
from egress_gate.doors.trail import Trail
from installation.settings import Settings

ACTIVITY_PERIOD = 60.0
QUOTA_PERIOD = 20.0
log = logging.getLogger("glovebox.doors")


class Building:
    """Opens and closes sandboxes on the spawner's word, and all of ``run/sandboxes`` at its own start."""

    def __init__(self, settings: Settings, door: SessionDoor, trail: Trail, hub: Hub, gate: Gate) -> None:
        self._settings = settings
        self._door = door
        self._trail = trail
        self._hub = hub
        self._gate = gate
        self._inner: dict[str, InnerDoor] = {}
        self._runners: list[web.BaseRunner] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._changing = asyncio.Lock()

    # -- start and stop -----------------------------------------------------------------------------------------------
    async def start(self) -> None:
        await self._reopen()
        await self._serve_admin()
        await self._serve_public()
        self._tasks = [asyncio.ensure_future(self._trail.keep()), asyncio.ensure_future(self._tell_hub())]
        self._tasks.append(asyncio.ensure_future(self._renew_quotas()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        for sandbox in self._door.sandboxes:
            await self.close(sandbox.id)
        await self._gate.close()
        await self._hub.close()
        await self._trail.flush()

    async def _serve_public(self) -> None:
        runner = web.ServerRunner(web.Server(self._door.handle, access_log=None), shutdown_timeout=2)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", self._settings.ports.doors, backlog=512).start()

    async def _serve_admin(self) -> None:
        application = web.Application()
        application.add_routes([
            web.get("/sandboxes", self._list),
            web.put("/sandboxes/{id}", self._put),
            web.delete("/sandboxes/{id}", self._delete),
            web.get("/sandboxes/{id}/health", self._health),
            web.post("/sandboxes/{id}/warnings", self._warn),
        ])  # fmt: skip
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=2)
        await runner.setup()
        self._runners.append(runner)
        place = self._settings.doors_socket
        await web.SockSite(runner, listen(place.parent, place.name, 0o600)).start()

    async def _reopen(self) -> None:
        """After a restart everything that ran is open again; what cannot be read is named and left closed."""
        folder: Path = self._settings.sandboxes
        for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
            if not (entry / "door.json").exists():
                continue
            try:
                await self.open(entry.name)
            except (DoorFault, OSError) as error:
                log.warning("sandbox %s stays closed: %s", entry.name, error)

    # -- sandboxes ----------------------------------------------------------------------------------------------------
    async def open(self, sandbox_id: str) -> None:
        """Open both doors of a sandbox; a second time it re-reads ``door.json``. Raises NoSandbox."""
        sandbox = read(self._settings.sandboxes, sandbox_id)
        async with self._changing:
            await self._close(sandbox_id)
            viewer = await self._door.open(sandbox)
            inner = InnerDoor(sandbox, self._gate, viewer.answers.keep)
            self._inner[sandbox_id] = inner
            await inner.open()

    async def close(self, sandbox_id: str, reason: str = "") -> bool:
        async with self._changing:
            return await self._close(sandbox_id, reason)

    async def _close(self, sandbox_id: str, reason: str = "") -> bool:
        inner = self._inner.pop(sandbox_id, None)
        if inner is not None:
            await inner.close()
        return await self._door.close(sandbox_id, reason)

    async def _renew_quotas(self) -> None:
        """Every now and then for ever; a failure is logged, and the last answers stand."""
        while True:
            await asyncio.sleep(QUOTA_PERIOD)
            try:
                await self._door.renew_quotas()
            except Exception:
                log.exception("what is left of quotas could not be asked; the last answers stand")

    async def _tell_hub(self) -> None:
        while True:
            await asyncio.sleep(ACTIVITY_PERIOD)
            active, self._door.active = self._door.active, {}
            for sandbox_id, at in active.items():
                sandbox = self._door.sandboxes.get(sandbox_id)
                if sandbox is None:
                    continue
                try:
                    await self._hub.report_activity(sandbox, at)
                except HubAway as fault:
                    log.warning("the hub was not told of activity: %s", fault.private)

    # -- the admin socket ---------------------------------------------------------------------------------------------
    async def _list(self, request: web.Request) -> web.Response:
        listed = [
            {"id": s.id, "person": s.person, "prefix": s.prefix, "project": s.project, "view": s.view}
            for s in self._door.sandboxes
        ]
        return web.json_response({"sandboxes": listed})

    async def _put(self, request: web.Request) -> web.Response:
        try:
            await self.open(request.match_info["id"])
        except DoorFault as fault:
            return refusal(fault, page=False)
        return web.json_response({"id": request.match_info["id"], "open": True})

    async def _delete(self, request: web.Request) -> web.Response:
        said = await request.json() if request.can_read_body else {}
        was_open = await self.close(request.match_info["id"], str(said.get("reason", ""))[:500])
        await self._trail.flush()
        return web.json_response({"id": request.match_info["id"], "open": False, "was_open": was_open})

    async def _warn(self, request: web.Request) -> web.Response:
        said = (await request.json()).get("warnings", [])
        if not self._door.warn(request.match_info["id"], tuple(str(text)[:500] for text in said[:10])):
            return refusal(_unknown(), page=False)
        return web.json_response({"id": request.match_info["id"]})

    async def _health(self, request: web.Request) -> web.Response:
        sandbox_id = request.match_info["id"]
        if self._door.sandboxes.get(sandbox_id) is None:
            return refusal(_unknown(), page=False)
        healthy = await self._door.answers(sandbox_id)
        return web.json_response({"id": sandbox_id, "answers": healthy}, status=200 if healthy else 503)


def _unknown() -> NoSandbox:
    return NoSandbox(
        "The doors do not know that sandbox.",
        why="It was not opened, or was closed.",
        do="Open it with PUT /sandboxes/{id} after writing its door.json.",
    )
