"""Who enters a notebook server, and what ends it: refusals first. The hub and policy are fakes of `tests.unit.doors.fakes`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from egress_gate.doors import sign_in as signing
from egress_gate.doors.sandboxes import Sandbox
from tests.unit.doors.fakes import SERVICE, House, house, make_sandbox, notebook_server

PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


async def _echo(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade"):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            await socket.send_str('["stdout", "hello"]')
        return socket
    if request.path.endswith("/lab"):
        return web.Response(text="<html>lab</html>", content_type="text/html")
    return web.json_response({"kernels": 0, "headers": dict(request.headers), "path": request.raw_path})


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


@pytest.fixture
async def ana(doors: House) -> AsyncIterator[Sandbox]:
    sandbox = make_sandbox(doors.settings)
    await doors.building.open(sandbox.id)
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", _echo)
    async with notebook_server(sandbox, application):
        yield sandbox


async def _sign_in(
    doors: House, browser: aiohttp.ClientSession, sandbox: Sandbox, person: str
) -> aiohttp.ClientResponse:
    """As a browser: to the server, to the hub, back with a code."""
    async with browser.get(f"{sandbox.prefix}lab", headers=PAGE, allow_redirects=False) as first:
        assert first.status == 302
        state = parse_qs(urlsplit(first.headers["Location"]).query)["state"][0]
    code = doors.hub.sign_in(person)
    return await browser.get(f"{SERVICE}oauth_callback?code={code}&state={state}", headers=PAGE, allow_redirects=False)


@pytest.fixture
async def browser(doors: House) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(doors.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as made:
        yield made


async def test_nobody_signed_in_gets_nothing(doors: House, ana: Sandbox, browser: aiohttp.ClientSession) -> None:
    for path in ("api/status", "api/contents", "static/a.js", "lab", "files/x"):
        async with browser.get(ana.prefix + path, headers={"Accept": "application/json"}) as answer:
            assert answer.status == 403
            assert (await answer.json())["code"] == "signed-out"


async def test_another_person_is_refused_even_an_admin(
    doors: House, ana: Sandbox, browser: aiohttp.ClientSession
) -> None:
    answer = await _sign_in(doors, browser, ana, "adam")
    assert answer.status == 403
    assert "not yours" in await answer.text()
    assert signing.COOKIE not in {cookie.key for cookie in browser.cookie_jar}


async def test_without_policy_nobody_enters(doors: House, ana: Sandbox, browser: aiohttp.ClientSession) -> None:
    doors.porter.silent = True
    answer = await _sign_in(doors, browser, ana, "ana")
    assert answer.status == 503
    assert "could not be let in" in await answer.text()


async def test_a_callback_that_another_browser_began_is_refused(
    doors: House, ana: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with aiohttp.ClientSession(doors.url) as other, other.get(
        f"{ana.prefix}lab", headers=PAGE, allow_redirects=False
    ) as first:  # fmt: skip
        state = parse_qs(urlsplit(first.headers["Location"]).query)["state"][0]
    code = doors.hub.sign_in("ana")
    for query in (f"code={code}&state={state}", f"code={code}", f"state={state}", "", f"code={code}&state=x"):
        async with browser.get(f"{SERVICE}oauth_callback?{query}", headers=PAGE) as answer:
            assert answer.status == 400
            assert "did not begin in this browser" in await answer.text()


async def test_the_owner_enters_and_the_cookie_is_narrow(
    doors: House, ana: Sandbox, browser: aiohttp.ClientSession
) -> None:
    answer = await _sign_in(doors, browser, ana, "ana")
    assert answer.status == 302
    assert answer.headers["Location"] == "/user/ana/lab"
    cookie = next(text for text in answer.headers.getall("Set-Cookie") if text.startswith(signing.COOKIE))
    for part in ("Path=/user/ana/", "HttpOnly", "SameSite=Lax", "Max-Age="):
        assert part in cookie
    async with browser.get("/user/ana/lab", headers=PAGE) as page:
        assert page.status == 200
    await doors.trail.flush()
    assert [event.kind for event in doors.book.of("sign_in")] == ["sign_in"]


async def test_the_sandbox_never_sees_cookies_or_the_hubs_token(doors: House, ana: Sandbox) -> None:
    async with doors.browser(ana) as browser, browser.get(f"{ana.prefix}api/status?token=x&a=1") as answer:
        seen = await answer.json()
    assert seen["headers"]["Authorization"] == "token inner-token"
    assert not {"Cookie", "Origin", "User-Agent", "Referer"} & set(seen["headers"])
    assert seen["path"] == "/user/ana/api/status?a=1"


async def test_a_cookie_of_one_server_opens_no_other(doors: House, ana: Sandbox) -> None:
    second = make_sandbox(doors.settings, server_name="second")
    await doors.building.open(second.id)
    async with doors.browser(ana) as browser, browser.get(f"{second.prefix}api/status") as answer:
        assert answer.status == 403
        assert (await answer.json())["code"] == "signed-out"


async def test_logout_at_the_hub_ends_the_session(doors: House, ana: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async with doors.browser(ana) as browser:
        async with browser.get(f"{ana.prefix}api/status") as answer:
            assert answer.status == 200
        doors.hub.people.clear()
        monkeypatch.setattr(signing, "RECHECK", 0.0)
        async with browser.get(f"{ana.prefix}api/status") as answer:
            assert answer.status == 403
            assert "ended this session" in (await answer.json())["why"]


async def test_a_silent_hub_keeps_a_session_for_a_while_only(
    doors: House, ana: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with doors.browser(ana) as browser:
        doors.hub.silent = True
        monkeypatch.setattr(signing, "RECHECK", 0.0)
        async with browser.get(f"{ana.prefix}api/status") as answer:
            assert answer.status == 200
        monkeypatch.setattr(signing, "GRACE", 0.0)
        async with browser.get(f"{ana.prefix}api/status") as answer:
            assert answer.status == 503
            assert (await answer.json())["code"] == "hub-away"


async def test_an_open_websocket_closes_when_the_session_ends(
    doors: House, ana: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egress_gate.doors.session_door.RECHECK", 0.05)
    monkeypatch.setattr(signing, "RECHECK", 0.0)
    async with doors.browser(ana) as browser, browser.ws_connect(f"{ana.prefix}terminals/websocket/1") as socket:
        await socket.send_str('["stdin", "x"]')
        assert (await socket.receive(5)).data == '["stdout", "hello"]'
        doors.hub.people.clear()
        closed = await socket.receive(5)
        assert closed.type is aiohttp.WSMsgType.CLOSE
        assert closed.data == aiohttp.WSCloseCode.POLICY_VIOLATION


FOREIGN = [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    {"Origin": "", "Sec-Fetch-Site": ""}, {"Sec-Fetch-Site": "none", "Origin": ""},
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_page_changes_nothing_in_this_persons_name(
    doors: House, ana: Sandbox, headers: dict[str, str]
) -> None:
    async with doors.browser(ana) as browser:
        for name in ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode"):
            browser.headers.popall(name, None)  # type: ignore[attr-defined]  # the session's own defaults
        sent = {name: value for name, value in headers.items() if value}
        async with browser.post(f"{ana.prefix}api/kernels", headers=sent) as answer:
            assert answer.status == 403
            assert (await answer.json())["code"] == "cross-site"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await browser.ws_connect(f"{ana.prefix}api/events/subscribe", headers=sent)


async def test_a_part_is_not_opened_on_its_own(doors: House, ana: Sandbox) -> None:
    async with doors.browser(ana) as browser:
        for headers in (
            PAGE,
            {"Sec-Fetch-Dest": "iframe"},
            {"Service-Worker": "script"},
            {"Sec-Fetch-Dest": "serviceworker"},
        ):
            async with browser.get(f"{ana.prefix}api/contents/a.csv", headers=headers) as answer:
                assert answer.status == 403


async def test_refusals_are_counted_in_the_trail(doors: House, ana: Sandbox) -> None:
    async with doors.browser(ana) as browser:
        for _ in range(3):
            async with browser.get(f"{ana.prefix}files/data.csv", headers=PAGE) as answer:
                assert answer.status == 403
                page = await answer.text()
                assert "was not downloaded" in page
                assert "glovebox.release" in page
    await doors.trail.flush()
    (event,) = doors.book.of("refused")
    assert event.facts["refused"] == [{"code": "download-refused", "what": "GET", "path": "files/data.csv", "times": 3}]


async def test_the_hubs_probe_answers_without_sign_in_and_says_nothing(
    doors: House, ana: Sandbox, browser: aiohttp.ClientSession
) -> None:
    async with browser.get(f"{ana.prefix}api") as answer:
        assert answer.status == 200
        assert await answer.json() == {"version": "glovebox"}


async def test_the_probe_says_no_when_the_notebook_does_not_answer(
    doors: House, browser: aiohttp.ClientSession
) -> None:
    bob = make_sandbox(doors.settings, "bob")
    await doors.building.open(bob.id)
    async with browser.get(f"{bob.prefix}api") as answer:
        assert answer.status == 503


async def test_a_stopped_server_has_a_page(doors: House, browser: aiohttp.ClientSession) -> None:
    async with browser.get("/user/nobody/lab", headers=PAGE) as answer:
        assert answer.status == 404
        assert "No notebook server runs" in await answer.text()


async def test_activity_is_remembered_for_the_hub(doors: House, ana: Sandbox) -> None:
    async with doors.browser(ana) as browser, browser.get(f"{ana.prefix}api/status"):
        assert set(doors.door.active) == {ana.id}


async def test_what_will_soon_be_over_is_for_the_owner_and_no_activity(
    doors: House, ana: Sandbox, browser: aiohttp.ClientSession
) -> None:
    address = f"{ana.prefix}glovebox/notices"
    assert doors.door.warn(ana.id, ("The grant of clinic/1 ends soon.",))
    async with browser.get(address) as refused:
        assert refused.status in (401, 403)
        assert "clinic" not in await refused.text()
    async with doors.browser(ana) as owner:
        async with owner.get(address) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            assert await answer.json() == {"warnings": ["The grant of clinic/1 ends soon."]}
        async with owner.post(address, headers={"Origin": doors.url}) as other:
            assert other.status == 403
    assert doors.door.active == {}
