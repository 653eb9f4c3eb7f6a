"""A notebook server under its analyst's control: whatever it answers, a browser gets what the door allows, and others are served."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from egress_gate.doors.connection import listen
from egress_gate.doors.frames import GUID, TEXT, frame
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.upstream import Limits
from tests.unit.doors.fakes import House, house, make_sandbox, raw_server

LIMITS = Limits(connect=1, silence=0.6, whole_answer=3, probe=0.5, rate=64 * 1024**2, burst=256 * 1024**2)
SECRET = b"patient-4711"


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, limits=LIMITS) as made:
        yield made


@pytest.fixture
async def ana(doors: House) -> Sandbox:
    sandbox = make_sandbox(doors.settings)
    await doors.building.open(sandbox.id)
    return sandbox


async def _get(
    doors: House, sandbox: Sandbox, raw: bytes, path: str, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """What a browser gets for ``path`` when the server answers ``raw``. A cut connection is status 0."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    async with raw_server(sandbox, answer), doors.browser(sandbox) as browser:
        try:
            async with browser.get(sandbox.prefix + path, headers=headers, allow_redirects=False) as got:
                return got.status, dict(got.headers), await got.read()
        except aiohttp.ClientError:
            return 0, {}, b""


def http(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


WRONG_TYPES = ["text/csv", "application/octet-stream", "application/zip", "text/html", "application/pdf", "text/plain",
               "multipart/x-mixed-replace; boundary=a", "text/event-stream", "image/svg+xml", "application/xml", ""]  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_TYPES)
async def test_the_api_in_another_type_does_not_pass(doors: House, ana: Sandbox, kind: str) -> None:
    status, _, body = await _get(doors, ana, http(SECRET, f"Content-Type: {kind}"), "api/contents/a")
    assert status == 502
    assert SECRET not in body
    assert b"sandbox-misbehaved" in body


@pytest.mark.parametrize(
    "path", ["static/data.csv", "static/dump.zip", "static/a.html", "static/x", "lab/extensions/a.xlsx"]
)
async def test_a_file_to_save_does_not_pass_as_an_asset(doors: House, ana: Sandbox, path: str) -> None:
    status, _, body = await _get(doors, ana, http(SECRET, "Content-Type: application/octet-stream"), path)
    assert status == 502
    assert SECRET not in body


async def test_headers_of_the_server_do_not_pass(doors: House, ana: Sandbox) -> None:
    raw = http(
        b"{}", "Content-Type: application/json", "Set-Cookie: jupyterhub-session-id=x; Path=/", "Set-Cookie: _xsrf=y",
        'Content-Disposition: attachment; filename="a.csv"', "Refresh: 0;url=http://evil/", "Server: evil",
        "Content-Security-Policy: default-src *", "Access-Control-Allow-Origin: *", "Service-Worker-Allowed: /",
        "X-Leak: patient-4711", "Link: <http://evil/>; rel=preload", 'Clear-Site-Data: "*"',
    )  # fmt: skip
    status, headers, _ = await _get(doors, ana, raw, "api/status")
    assert status == 200
    assert not {"Set-Cookie", "Content-Disposition", "Refresh", "X-Leak", "Link", "Clear-Site-Data",
                "Access-Control-Allow-Origin", "Service-Worker-Allowed"} & set(headers)  # fmt: skip
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "Glovebox"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_compressed_bytes_do_not_pass(doors: House, ana: Sandbox, coding: str) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    raw = http(bomb, "Content-Type: application/json", f"Content-Encoding: {coding}")
    status, headers, body = await _get(doors, ana, raw, "api/contents/a")
    assert status == 502
    assert "Content-Encoding" not in headers
    assert bomb[:20] not in body


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/?patient-4711",
        "//evil.example/",
        "/hub/logout",
        "/user/bob/lab",
        "javascript:alert(1)",
        "\\\\evil",
    ],
)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 T", "308 P"])
async def test_a_redirect_elsewhere_does_not_pass(doors: House, ana: Sandbox, target: str, status: str) -> None:
    raw = http(b"", f"Location: {target}", status=status)
    got, headers, body = await _get(doors, ana, raw, "lab", Accept="text/html")
    assert got == 502
    assert "Location" not in headers
    assert b"evil" not in body


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 20\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2000\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Big: "
        + b"a" * 20_000
        + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(5000)) + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\npatient-4711",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3
        + b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial\r\nContent-Type: application/json\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 999 Odd\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/0.9\r\n\r\npatient-4711",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"patient-4711" * 1000,
        b"",
        b"\0" * 100_000,
    ],
)
async def test_what_is_not_proper_http_does_not_pass(doors: House, ana: Sandbox, raw: bytes) -> None:
    status, headers, body = await _get(doors, ana, raw, "api/contents/a")
    assert status in (0, 502, 503)
    assert SECRET not in body
    assert "Proxy-Authenticate" not in headers


async def test_a_hung_answer_ends(doors: House, ana: Sandbox) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        await asyncio.sleep(20)

    began = time.monotonic()
    async with raw_server(ana, hang), doors.browser(ana) as browser, browser.get(f"{ana.prefix}api/status") as got:
        assert got.status in (502, 503)
    assert time.monotonic() - began < 3


async def test_drops_that_never_end_are_ended_by_the_whole_time(doors: House, ana: Sandbox) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(200):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)

    began = time.monotonic()
    async with raw_server(ana, drip), doors.browser(ana) as browser, browser.get(f"{ana.prefix}api/status") as got:
        assert got.status in (502, 503)
    assert time.monotonic() - began < 6


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    piece = b"x" * 2**16
    while True:
        writer.write(piece)
        await writer.drain()


async def test_endless_output_is_cut_and_a_neighbour_is_served(doors: House, ana: Sandbox) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(b"{}", "Content-Type: application/json"))

    bob = make_sandbox(doors.settings, "bob")
    await doors.building.open(bob.id)
    async with (
        raw_server(ana, _endless),
        raw_server(bob, plain),
        doors.browser(ana) as loud,
        doors.browser(bob) as quiet,
    ):

        async def flood() -> None:
            async with loud.get(f"{ana.prefix}api/contents/a") as got:
                assert got.status == 413
                assert (await got.json())["code"] == "too-large"

        flooding = [asyncio.ensure_future(flood()) for _ in range(4)]
        for _ in range(10):
            async with asyncio.timeout(2), quiet.get(f"{bob.prefix}api/status") as got:
                assert got.status == 200
        await asyncio.gather(*flooding)


async def test_an_endless_asset_is_cut_at_its_cap(doors: House, ana: Sandbox) -> None:
    async def endless_js(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\n\r\n")
        while True:
            writer.write(b"x" * 2**18)
            await writer.drain()

    sizes: list[int] = []

    async def read(browser: aiohttp.ClientSession) -> None:
        async with browser.get(f"{ana.prefix}static/a.js") as got:
            async for piece in got.content.iter_any():
                sizes.append(len(piece))

    async with raw_server(ana, endless_js), doors.browser(ana) as browser:
        with pytest.raises(aiohttp.ClientError):
            await read(browser)
    assert sum(sizes) <= 64 * 1024**2
    await doors.trail.flush()
    assert doors.book.of("shown")[0].size > 0


@pytest.mark.parametrize(
    "handshake",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\npatient-4711",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\npatient-4711",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ws://evil/\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
async def test_a_websocket_that_is_none_does_not_open(doors: House, ana: Sandbox, handshake: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(handshake)
        await writer.drain()

    async with raw_server(ana, answer), doors.browser(ana) as browser:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(f"{ana.prefix}api/kernels/k/channels")
    assert refused.value.status in (502, 503)


async def test_the_probe_has_its_own_time(doors: House, ana: Sandbox) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(20)

    began = time.monotonic()
    async with raw_server(ana, silent), aiohttp.ClientSession(doors.url) as hub, hub.get(f"{ana.prefix}api") as got:
        assert got.status == 503
    assert time.monotonic() - began < 2


async def test_a_service_worker_is_not_served(doors: House, ana: Sandbox) -> None:
    raw = http(b"self.onfetch=1", "Content-Type: text/javascript", "Service-Worker-Allowed: /")
    status, _, body = await _get(doors, ana, raw, "static/sw.js", **{"Service-Worker": "script"})
    assert status == 403
    assert b"onfetch" not in body


async def _flood(doors: House, sandbox: Sandbox, sent: bytes, wanted: int) -> tuple[int, int | None]:
    """How many messages a browser got of a terminal that writes ``sent``, and the close code."""

    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            key = next(x.split(b": ")[1] for x in head.split(b"\r\n") if x.lower().startswith(b"sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest())  # noqa: S324 - as the protocol has it
            agreed = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            writer.write(agreed + accept + b"\r\n\r\n" + sent)
            await writer.drain()
            await reader.read()
        except ConnectionError:
            pass  # the door hung up on us, as it should
        finally:
            writer.close()
            done.set()

    server = await asyncio.start_unix_server(serve, sock=listen(sandbox.serve, "jupyter.sock", 0o666))
    got = 0
    async with (
        doors.browser(sandbox) as browser,
        browser.ws_connect(f"{sandbox.prefix}terminals/websocket/1") as socket,
    ):
        async for message in socket:
            got += message.type is aiohttp.WSMsgType.TEXT
            if got == wanted:
                break
        code = socket.close_code
    await done.wait()
    server.close()
    await asyncio.sleep(0)
    return got, code


async def test_a_hundred_thousand_messages_are_carried(doors: House, ana: Sandbox) -> None:
    got, _ = await _flood(doors, ana, frame(TEXT, b'["stdout", "x"]') * 100_000, 100_000)
    assert got == 100_000


@pytest.mark.parametrize(
    "broken", [b"\xc1\x01x", b"\x81\x81\0\0\0\0x", b"\x82\x7f" + b"\x7f" + b"\xff" * 7, b"\x83\x01x"]
)
async def test_broken_frames_close_the_connection(doors: House, ana: Sandbox, broken: bytes) -> None:
    got, code = await _flood(doors, ana, broken, 1)
    assert got == 0
    assert code == aiohttp.WSCloseCode.POLICY_VIOLATION
