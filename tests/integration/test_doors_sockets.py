"""Sockets that a sandbox can touch, the inner door, and the admin socket: refusals first."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from egress_gate.doors.connection import SocketConnector, connect, listen
from egress_gate.doors.sandboxes import Sandbox
from tests.unit.doors.fakes import House, house, make_sandbox


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


@pytest.fixture
async def ana(doors: House) -> Sandbox:
    sandbox = make_sandbox(doors.settings)
    await doors.building.open(sandbox.id)
    return sandbox


async def test_a_symlink_to_another_socket_of_the_host_is_not_followed(tmp_path: Path) -> None:
    serve, elsewhere = tmp_path / "serve", tmp_path / "host"
    serve.mkdir()
    elsewhere.mkdir()
    with listen(elsewhere, "docker.sock", 0o600):
        (serve / "jupyter.sock").symlink_to(elsewhere / "docker.sock")
        with pytest.raises(OSError, match=r"not a socket|symbolic links"):
            await connect(serve, "jupyter.sock")


async def test_a_folder_that_is_a_symlink_is_not_entered(tmp_path: Path) -> None:
    elsewhere = tmp_path / "host"
    elsewhere.mkdir()
    (tmp_path / "serve").symlink_to(elsewhere)
    with listen(elsewhere, "jupyter.sock", 0o600), pytest.raises(OSError, match=r"directory|symbolic"):
        await connect(tmp_path / "serve", "jupyter.sock")


@pytest.mark.parametrize("kind", ["file", "fifo", "folder", "missing"])
async def test_what_is_not_a_socket_is_not_opened(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "jupyter.sock"
    {"file": place.touch, "fifo": lambda: os.mkfifo(place), "folder": place.mkdir, "missing": lambda: None}[kind]()
    async with asyncio.timeout(2):
        with pytest.raises(OSError, match=r"not a socket|No such file"):
            await connect(tmp_path, "jupyter.sock")


async def test_a_full_backlog_is_waited_for_and_then_given_up(tmp_path: Path) -> None:
    with listen(tmp_path, "jupyter.sock", 0o600, backlog=0):
        first = await connect(tmp_path, "jupyter.sock")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await connect(tmp_path, "jupyter.sock")
        first.close()


async def test_paths_longer_than_a_socket_address_work(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    with listen(deep, "x.sock", 0o600):
        (await connect(deep, "x.sock")).close()


def _inner(sandbox: Sandbox) -> aiohttp.ClientSession:
    return aiohttp.ClientSession("http://gate", connector=SocketConnector(sandbox.inner, "door.sock"))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/"), ("GET", "/v1/openapi.json"), ("GET", "/services/gate/api/v1/requests"), ("DELETE", "/v1/requests"),
     ("GET", "/v1/requests/../session"), ("POST", "/v1/requests/R-1/../../x"), ("GET", "/v1/requests/R-1%2fx"), ("PUT", "/v1/tables"),
     ("GET", "//v1/session"), ("GET", "/v2/session"), ("CONNECT", "/v1/session"),
     ("POST", "/v1/requests/R-1/approve"), ("POST", "/v1/requests/R-1/release")],
)  # fmt: skip
async def test_the_inner_door_carries_the_analyst_api_only(ana: Sandbox, method: str, path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=await connect(ana.inner, "door.sock"))
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.0 400", b"HTTP/1.1 400")), answer[:80]


async def test_without_the_gate_it_says_so(ana: Sandbox) -> None:
    async with _inner(ana) as inside, inside.get("/v1/session") as answer:
        assert answer.status == 503
        body = await answer.json()
    assert body["code"] == "gate-away"
    assert all(body[part] for part in ("what", "why", "do"))


@pytest.fixture
async def gate(doors: House) -> AsyncIterator[list[web.Request]]:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        body = await request.read()
        return web.json_response({"size": len(body)}, headers={"Set-Cookie": "a=b", "X-Other": "1"})

    application = web.Application(client_max_size=64 * 1024**2)
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    place = doors.settings.gate_socket
    await web.SockSite(runner, listen(place.parent, place.name, 0o600)).start()
    yield asked
    await runner.cleanup()


async def test_the_caller_is_named_by_its_socket_not_by_itself(ana: Sandbox, gate: list[web.Request]) -> None:
    forged = {"X-Glovebox-Sandbox": "0" * 12, "Authorization": "token x", "Cookie": "a=b", "X-Forwarded-User": "stella"}
    async with _inner(ana) as inside, inside.get("/v1/requests/R-17", headers=forged) as answer:
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers
        assert "X-Other" not in answer.headers
    assert gate[0].headers.getall("X-Glovebox-Sandbox") == [ana.id]
    assert not {"Authorization", "Cookie", "X-Forwarded-User"} & set(gate[0].headers)


async def test_a_body_above_its_limit_is_refused_with_and_without_a_length(
    ana: Sandbox, gate: list[web.Request]
) -> None:
    big = b"x" * (2 * 1024**2 + 1)

    async def pieces() -> AsyncIterator[bytes]:
        yield big[: 1024**2]
        yield big[1024**2 :]

    for body in (io.BytesIO(big), pieces()):
        async with _inner(ana) as inside, inside.post("/v1/requests", data=body) as answer:
            assert answer.status == 413
            assert (await answer.json())["code"] == "too-large"


async def test_an_upload_of_its_full_size_passes(ana: Sandbox, gate: list[web.Request]) -> None:
    async with _inner(ana) as inside, inside.put("/v1/uploads", data=io.BytesIO(b"x" * (20 * 1024**2))) as answer:
        assert await answer.json() == {"size": 20 * 1024**2}


async def test_the_inner_socket_is_for_the_sandbox_and_admin_for_the_host(doors: House, ana: Sandbox) -> None:
    assert stat.S_IMODE((ana.inner / "door.sock").stat().st_mode) == 0o666
    assert stat.S_IMODE(doors.settings.doors_socket.stat().st_mode) == 0o600


def _admin(doors: House) -> aiohttp.ClientSession:
    place = doors.settings.doors_socket
    return aiohttp.ClientSession("http://doors", connector=SocketConnector(place.parent, place.name))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "00000000"},
        {"prefix": "/hub/"},
        {"prefix": "/user/ana"},
        {"view": "wide"},
        {"token": 1},
        {"person": None},
    ],
)
async def test_a_door_file_that_is_not_right_opens_nothing(doors: House, change: dict[str, object]) -> None:
    sandbox = make_sandbox(doors.settings)
    file = sandbox.folder / "door.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    async with _admin(doors) as admin, admin.put(f"/sandboxes/{sandbox.id}") as answer:
        assert answer.status == 404
        assert (await answer.json())["code"] == "no-sandbox"
    assert len(doors.door.sandboxes) == 0


@pytest.mark.parametrize("sandbox_id", ["..", "a", "%2e%2e", "x" * 12, "0" * 200])
async def test_a_bad_id_opens_nothing(doors: House, sandbox_id: str) -> None:
    async with _admin(doors) as admin, admin.put(f"/sandboxes/{sandbox_id}") as answer:
        assert answer.status == 404


async def test_opened_listed_closed(doors: House) -> None:
    sandbox = make_sandbox(doors.settings)
    async with _admin(doors) as admin:
        async with admin.put(f"/sandboxes/{sandbox.id}") as answer:
            assert answer.status == 200
        async with admin.get("/sandboxes") as answer:
            assert [s["id"] for s in (await answer.json())["sandboxes"]] == [sandbox.id]
        async with admin.get(f"/sandboxes/{sandbox.id}/health") as answer:
            assert answer.status == 503
        async with admin.delete(f"/sandboxes/{sandbox.id}") as answer:
            assert (await answer.json())["was_open"] is True
        async with admin.get(f"/sandboxes/{sandbox.id}/health") as answer:
            assert answer.status == 404


async def test_a_restart_opens_what_was_open(tmp_path: Path) -> None:
    async with house(tmp_path) as first:
        sandbox = make_sandbox(first.settings)
        (first.settings.sandboxes / "ffffffffffff").mkdir()
        await first.building.open(sandbox.id)
    async with house(tmp_path) as second:
        assert second.door.sandboxes.get(sandbox.id) is not None
        async with _inner(sandbox) as inside, inside.get("/v1/session") as answer:
            assert answer.status == 503


def test_listening_replaces_a_dead_socket_only_by_name(tmp_path: Path) -> None:
    listen(tmp_path, "a.sock", 0o600).close()
    with listen(tmp_path, "a.sock", 0o640) as again:
        assert again.family is socket.AF_UNIX
        assert stat.S_IMODE((tmp_path / "a.sock").stat().st_mode) == 0o640
