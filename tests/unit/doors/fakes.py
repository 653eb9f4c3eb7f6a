"""Stand-ins for what surrounds the doors: a hub, a policy answer, a book, and a house to try them in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography.fernet import Fernet

from egress_gate.doors.building import Building
from egress_gate.doors.connection import listen
from egress_gate.doors.errors import HubAway, PolicyAway
from egress_gate.doors.inner_door import Gate
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.session_door import SessionDoor
from egress_gate.doors.sign_in import COOKIE, SignIn
from egress_gate.doors.standing import Standing
from egress_gate.doors.trail import Event, Trail
from egress_gate.doors.upstream import Limits
from egress_gate.doors.view import OPEN, Allowance
from installation.settings import Ports, Settings

SERVICE = "/services/session-door/"


@dataclass
class FakeHub:
    """The hub's three answers. ``silent`` makes it unreachable. Held to the real client by tests/integration/test_doors_hub.py."""

    people: dict[str, str] = field(default_factory=dict)  # token → person
    codes: dict[str, str] = field(default_factory=dict)  # code → token
    told: list[tuple[str, datetime]] = field(default_factory=list)
    silent: bool = False
    asked: int = 0

    def authorize_url(self, state: str, challenge: str) -> str:
        return f"/hub/api/oauth2/authorize?state={state}&code_challenge={challenge}"

    def sign_in(self, person: str) -> str:
        """A code as the hub would hand it to the callback."""
        token, code = secrets.token_hex(8), secrets.token_hex(8)
        self.people[token], self.codes[code] = person, token
        return code

    async def token_for_code(self, code: str, verifier: str) -> str:
        self._answer()
        if code not in self.codes:
            raise HubAway("You could not be signed in.", why="The hub refused the code.", do="Try again.")
        return self.codes.pop(code)

    async def person_of(self, token: str) -> str | None:
        self._answer()
        return self.people.get(token)

    async def report_activity(self, sandbox: Sandbox, at: datetime) -> None:
        self._answer()
        self.told.append((sandbox.person, at))

    async def close(self) -> None:
        self.silent = True

    def _answer(self) -> None:
        self.asked += 1
        if self.silent:
            raise HubAway("You could not be signed in.", why="The hub does not answer.", do="Try again.")


@dataclass
class FakePorter:
    """Policy's answer: the owner enters. ``silent`` makes the engine unreachable."""

    silent: bool = False

    async def may_enter(self, person: str, sandbox: Sandbox) -> str | None:
        if self.silent:
            raise PolicyAway("You could not be let in.", why="The policy engine does not answer.", do="Try again.")
        return None if person == sandbox.person else "Only the owner of a server may enter it."


@dataclass
class FakeBook:
    """Keeps what was written; ``broken`` makes the store fail."""

    written: list[tuple[str, Event]] = field(default_factory=list)
    broken: bool = False

    def write(self, batches: list[tuple[Sandbox, list[Event]]], at: datetime) -> None:
        if self.broken:
            raise OSError("the disk is full")
        self.written += [(sandbox.id, event) for sandbox, events in batches for event in events]

    def of(self, kind: str) -> list[Event]:
        return [event for _, event in self.written if event.kind == kind]


@dataclass
class FakeStandings:
    """Policy's view: what door.json says, with ``allowance`` as its budgets, and nothing seen before."""

    allowance: Allowance = OPEN

    def of(self, sandbox: Sandbox) -> Standing:
        return Standing(sandbox.view, self.allowance)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_settings(home: Path) -> Settings:
    settings = Settings(home=home, ports=Ports(doors=free_port()))
    for folder in (settings.run, settings.sandboxes, settings.secrets):
        folder.mkdir(parents=True, exist_ok=True)
    return settings


def make_sandbox(settings: Settings, person: str = "ana", *, view: str = "open", server_name: str = "") -> Sandbox:
    """The folder and door.json that a spawner leaves."""
    sandbox_id = secrets.token_hex(6)
    folder = settings.sandboxes / sandbox_id
    for name in ("serve", "inner"):
        (folder / name).mkdir(parents=True)
    prefix = f"/user/{person}/" + (f"{server_name}/" if server_name else "")
    facts = {
        "id": sandbox_id, "person": person, "server_name": server_name, "prefix": prefix,
        "project": "liver", "view": view, "token": "inner-token",
    }  # fmt: skip
    (folder / "door.json").write_text(json.dumps(facts))
    return Sandbox(folder=folder, **facts)


@dataclass
class House:
    """The doors over fakes, on a real port, with a person's browser."""

    settings: Settings
    hub: FakeHub
    porter: FakePorter
    book: FakeBook
    trail: Trail
    door: SessionDoor
    building: Building
    sign_in: SignIn

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.ports.doors}"

    @contextlib.asynccontextmanager
    async def browser(self, sandbox: Sandbox, person: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
        """A signed-in browser's session, with the headers that a script of JupyterLab's page would send."""
        code = self.hub.sign_in(person or sandbox.person)
        token = await self.hub.token_for_code(code, "")
        _, sealed = await self.sign_in.admit(token, sandbox)
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
        async with aiohttp.ClientSession(self.url, cookies={COOKIE: sealed}, headers=headers) as session:
            yield session


@contextlib.asynccontextmanager
async def house(home: Path, *, limits: Limits = Limits(), allowance: Allowance = OPEN) -> AsyncIterator[House]:
    settings = make_settings(home)
    hub, porter, book = FakeHub(), FakePorter(), FakeBook()
    sign_in = SignIn(hub, porter, Fernet(Fernet.generate_key()))
    trail = Trail(book)
    url = f"http://127.0.0.1:{settings.ports.doors}"
    door = SessionDoor(sign_in, trail, FakeStandings(allowance), url=url, service=SERVICE, limits=limits)
    building = Building(settings, door, trail, hub, Gate(settings.gate_socket))
    await building.start()
    try:
        yield House(settings, hub, porter, book, trail, door, building, sign_in)
    finally:
        await building.stop()


@contextlib.asynccontextmanager
async def notebook_server(sandbox: Sandbox, application: web.Application) -> AsyncIterator[None]:
    """Serve ``application`` where the sandbox's Jupyter would."""
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listen(sandbox.serve, "jupyter.sock", 0o666)).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def raw_server(sandbox: Sandbox, answer: Any) -> AsyncIterator[None]:
    """A server that speaks whatever bytes ``answer(reader, writer)`` writes: HTTP need not be involved."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, sock=listen(sandbox.serve, "jupyter.sock", 0o666))
    try:
        yield
    finally:
        server.close()
