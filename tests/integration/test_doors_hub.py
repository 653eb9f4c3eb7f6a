"""The door's client of the hub against a real JupyterHub: sign-in by OAuth with PKCE, logout, activity.

The public proxy is left out (the hub's own proxy class is replaced by one that does nothing); the test sends each path
where the proxy would. That also holds `tests.unit.doors.fakes.FakeHub` to the real thing.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
from aiohttp import web
from cryptography.fernet import Fernet

from egress_gate.doors import sign_in as signing
from egress_gate.doors.errors import HubAway
from egress_gate.doors.hub import HubAddress, JupyterHub
from egress_gate.doors.sandboxes import Sandbox
from egress_gate.doors.session_door import SessionDoor
from egress_gate.doors.sign_in import COOKIE, SignIn
from egress_gate.doors.trail import Trail
from installation.settings import SettingsFault
from store.clock import now
from tests.unit.doors.fakes import (
    SERVICE,
    FakeBook,
    FakePorter,
    FakeStandings,
    free_port,
    make_sandbox,
    make_settings,
    notebook_server,
)

CONFIG = """
from jupyterhub.proxy import Proxy
from traitlets import Bool

class NoProxy(Proxy):
    should_start = Bool(False)
    async def add_route(self, routespec, target, data): return None
    async def delete_route(self, routespec): return None
    async def get_all_routes(self): return {{}}

c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "demo"
c.Authenticator.allow_all = True
c.JupyterHub.hub_port = {port}
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite:///{home}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{home}/cookie_secret"
c.JupyterHub.services = [{{
    "name": "session-door", "api_token": "{token}", "oauth_client_id": "service-session-door", "oauth_no_confirm": True,
    "oauth_redirect_uri": "/services/session-door/oauth_callback", "url": "http://127.0.0.1:1",
}}]
c.JupyterHub.load_roles = [
    {{"name": "door", "services": ["session-door"], "scopes": ["users:activity", "read:users:name"]}},
    {{"name": "user", "scopes": ["self", "access:services!service=session-door"]}},
]
"""


@dataclass
class Site:
    """A hub and a door as one address, as the public proxy would make them."""

    hub_url: str
    door_url: str
    door: SessionDoor
    hub: JupyterHub
    address: HubAddress
    ana: Sandbox

    def at(self, path: str) -> str:
        return (self.hub_url if path.startswith("/hub/") else self.door_url) + path

    async def walk(self, browser: aiohttp.ClientSession, path: str) -> aiohttp.ClientResponse:
        """Follow redirects as a browser does."""
        for _ in range(12):
            answer = await browser.get(self.at(path), allow_redirects=False, headers={"Accept": "text/html"})
            if answer.status not in (301, 302, 303):
                return answer
            target = urlsplit(urljoin(path, answer.headers["Location"]))
            path = target.path + (f"?{target.query}" if target.query else "")
        raise AssertionError("redirects without end")

    async def log_in(self, browser: aiohttp.ClientSession, person: str) -> None:
        async with browser.get(self.at("/hub/login")) as form:
            xsrf = re.search(r'name="_xsrf"\s+value="([^"]+)"', await form.text())
        fields = {"username": person, "password": "demo", "_xsrf": xsrf[1] if xsrf else ""}
        async with browser.post(self.at("/hub/login"), data=fields, allow_redirects=False) as done:
            assert done.status == 302, await done.text()


async def _hub(home: Path, port: int, token: str) -> asyncio.subprocess.Process:
    config = home / "hub_config.py"
    config.write_text(CONFIG.format(port=port, home=home, token=token))
    with (home / "hub.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "jupyterhub", "-f", str(config), cwd=home, stdout=log, stderr=log, env={**os.environ}
        )
    async with aiohttp.ClientSession() as probe:
        for _ in range(300):
            try:
                async with probe.get(f"http://127.0.0.1:{port}/hub/api/") as answer:
                    if answer.status == 200:
                        return process
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    raise AssertionError((home / "hub.log").read_text()[-3000:])


async def _lab(_: web.Request) -> web.Response:
    return web.Response(text="<p>lab</p>", content_type="text/html")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    port, token, settings = free_port(), secrets.token_hex(16), make_settings(tmp_path)
    process = await _hub(tmp_path, port, token)
    address = HubAddress(f"http://127.0.0.1:{port}/hub/api", token, "service-session-door", SERVICE, "/")
    hub = JupyterHub(address)
    door_url = f"http://127.0.0.1:{settings.ports.doors}"
    sign_in = SignIn(hub, FakePorter(), Fernet(Fernet.generate_key()))
    door = SessionDoor(sign_in, Trail(FakeBook()), FakeStandings(), url=door_url, service=SERVICE)
    runner = web.ServerRunner(web.Server(door.handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", settings.ports.doors).start()
    ana = make_sandbox(settings)
    await door.open(ana)
    application = web.Application()
    application.router.add_get("/user/ana/lab", _lab)
    try:
        async with notebook_server(ana, application):
            yield Site(f"http://127.0.0.1:{port}", door_url, door, hub, address, ana)
    finally:
        await door.close(ana.id)
        await runner.cleanup()
        await hub.close()
        process.terminate()
        await process.wait()


async def test_sign_in_activity_and_logout_with_the_real_hub(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        await site.log_in(browser, "ana")
        page = await site.walk(browser, "/user/ana/lab")
        assert (page.status, await page.text()) == (200, "<p>lab</p>")
        assert COOKIE in {cookie.key for cookie in browser.cookie_jar}

        await site.hub.report_activity(site.ana, now())
        with pytest.raises(HubAway):
            await site.hub.report_activity(make_other(site.ana), now())

        async with browser.get(site.at("/hub/logout")) as out:
            assert out.status == 200
        monkeypatch.setattr(signing, "RECHECK", 0.0)
        async with browser.get(site.at("/user/ana/lab"), headers={"Accept": "application/json"}) as closed:
            assert closed.status == 403
            assert "ended this session" in (await closed.json())["why"]


async def test_another_person_signs_in_and_is_refused(site: Site) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        await site.log_in(browser, "bob")
        page = await site.walk(browser, "/user/ana/lab")
        assert page.status == 403
        assert "not yours" in await page.text()


async def test_a_token_that_is_none_and_a_code_that_is_none(site: Site) -> None:
    assert await site.hub.person_of("nobody") is None
    assert await site.hub.person_of(site.address.api_token) is None  # a service is no person
    with pytest.raises(HubAway):
        await site.hub.token_for_code("invented", "x" * 43)


def make_other(ana: Sandbox) -> Sandbox:
    from dataclasses import replace

    return replace(ana, person="nobody-here")


async def test_without_a_hub_it_says_so() -> None:
    hub = JupyterHub(HubAddress(f"http://127.0.0.1:{free_port()}/hub/api", "t", "c", SERVICE, "/"))
    with pytest.raises(HubAway):
        await hub.person_of("x")
    await hub.close()


def test_the_doors_do_not_start_without_a_hub() -> None:
    with pytest.raises(SettingsFault, match="JUPYTERHUB_API_TOKEN"):
        HubAddress.of({"JUPYTERHUB_API_URL": "x"})
