"""The desk's sign-in against a real JupyterHub: OAuth with PKCE, groups, tokens; the public proxy is left out."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography.fernet import Fernet

from egress_gate.desk.app import build_desk
from egress_gate.desk.context import Desk
from egress_gate.desk.identity import HubAway, HubIdentity
from egress_gate.desk.session import Cookies
from tests.unit.gate.factory import World, make_world

PREFIX = "/services/gate/"
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
c.JupyterHub.load_groups = {{"stewards": {{"users": ["stella"]}}, "analysts": {{"users": ["ana"]}}}}
c.JupyterHub.services = [{{
    "name": "gate", "api_token": "{token}", "oauth_client_id": "service-gate", "oauth_no_confirm": True,
    "oauth_redirect_uri": "/services/gate/oauth_callback", "url": "http://127.0.0.1:1",
    "oauth_client_allowed_scopes": ["read:users:name!user", "read:users:groups!user"],
}}]
c.JupyterHub.load_roles = [{{"name": "user", "scopes": ["self", "access:services!service=gate"]}}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """A hub and a desk as one address, as the public proxy would make them."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True)
        self.token = secrets.token_hex(16)
        self.hub_port, self.desk_port = free_port(), free_port()
        config = home / "hub_config.py"
        config.write_text(CONFIG.format(port=self.hub_port, home=home, token=self.token))
        command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
        environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
        with (home / "hub.log").open("ab") as log:
            self.hub = subprocess.Popen(command, cwd=home, stdout=log, stderr=log, env=environ)
        self.world: World = make_world(home / "gate")
        self.identity = HubIdentity(
            api_token=self.token,
            api_url=f"http://127.0.0.1:{self.hub_port}/hub/api",
            base_url=PREFIX,
            oauth_client_id="service-gate",
            oauth_redirect_uri=f"{PREFIX}oauth_callback",
            access_scopes={"access:services!service=gate"},
        )
        desk = Desk(
            self.world.gate, self.identity, Cookies(Fernet.generate_key(), PREFIX, False), PREFIX, self.world.clock
        )
        self.server = uvicorn.Server(uvicorn.Config(build_desk(desk), port=self.desk_port, log_config=None))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        self._wait(home / "hub.log")

    def _wait(self, log: Path) -> None:
        end = time.monotonic() + 90
        while time.monotonic() < end:
            with socket.socket() as probe:
                if self.server.started and probe.connect_ex(("127.0.0.1", self.hub_port)) == 0:
                    return
            time.sleep(0.2)
        raise AssertionError(log.read_text())

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.hub.terminate()
        self.hub.wait(30)

    def at(self, path: str) -> str:
        port = self.hub_port if path.startswith("/hub/") else self.desk_port
        return f"http://127.0.0.1:{port}{path}"


class Person:
    """A browser: cookies by name for the one address, redirects followed by hand across the two ports."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client = httpx.Client(timeout=30)

    def walk(self, path: str) -> httpx.Response:
        for _ in range(12):
            answer = self.client.get(self.site.at(path))
            if answer.status_code not in (301, 302, 303):
                return answer
            path = re.sub(r"^https?://[^/]+", "", answer.headers["location"])
        raise AssertionError(f"redirected without end, last to {path}")

    def sign_in(self, name: str) -> httpx.Response:
        form = self.walk(PREFIX + "requests")
        token = re.search(r'name="_xsrf"\s+value="([^"]+)"', form.text)
        assert token is not None, form.text[:500]
        target = str(form.url).partition(str(self.site.hub_port))[2]
        data = {"username": name, "password": "demo", "_xsrf": token.group(1)}
        answer = self.client.post(self.site.at(target), data=data)
        assert answer.status_code == 302, answer.text[:500]
        return self.walk(answer.headers["location"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site") / "home")
    yield made
    made.stop()


@pytest.fixture
def person(site: Site) -> Iterator[Person]:
    made = Person(site)
    yield made
    made.client.close()


def test_a_person_signs_in_at_the_hub_and_comes_back_with_their_groups(site: Site, person: Person) -> None:
    page = person.sign_in("stella")
    assert page.status_code == 200
    assert "Requests" in page.text
    who = person.client.get(site.at(PREFIX + "api/v1/session")).json()
    assert (who["name"], who["groups"]) == ("stella", ["stewards"])
    assert who["csrf"]


def test_a_signed_in_steward_decides_with_the_pages_secret(site: Site, person: Person) -> None:
    row = site.world.checked()
    person.sign_in("stella")
    address = site.at(f"{PREFIX}api/v1/requests/{row.name}/approve")
    assert person.client.post(address, json={"reason": "Fine."}).status_code == 403
    secret = {
        "X-XSRFToken": next(c.value or "" for c in person.client.cookies.jar if c.name == "_xsrf" and c.path == PREFIX)
    }
    assert person.client.post(address, json={"reason": "Fine."}, headers=secret).json()["state"] == "approved"


def test_who_signs_out_at_the_hub_is_signed_out_of_the_desk_at_once(site: Site, person: Person) -> None:
    person.sign_in("stella")
    assert person.client.get(site.at(PREFIX + "api/v1/session")).status_code == 200
    person.walk("/hub/logout")
    assert person.client.get(site.at(PREFIX + "api/v1/session")).status_code == 401


def test_a_made_up_token_is_nobody(site: Site, person: Person) -> None:
    answer = person.client.get(site.at(PREFIX + "api/v1/session"), headers={"authorization": "token 1234"})
    assert answer.status_code == 401
    assert site.identity.person_for("1234") is None


def test_the_services_own_token_is_no_person(site: Site) -> None:
    assert site.identity.person_for(site.token) is None


def test_a_hub_that_is_away_signs_nobody_in(site: Site) -> None:
    nowhere = HubIdentity(
        api_token="t",
        api_url=f"http://127.0.0.1:{free_port()}/hub/api",
        base_url=PREFIX,
        oauth_client_id="service-gate",
    )
    with pytest.raises(HubAway):
        nowhere.person_for("token")
