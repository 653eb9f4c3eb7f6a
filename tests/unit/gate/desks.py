"""A desk with a fake hub behind the identity port, and a browser-like client for each role."""

from __future__ import annotations

from cryptography.fernet import Fernet
from starlette.testclient import TestClient

from egress_gate.desk.app import build_desk
from egress_gate.desk.context import Desk
from egress_gate.desk.identity import Challenge
from egress_gate.desk.session import Cookies
from egress_gate.policy.facts import Person
from tests.unit.gate.factory import ADAM, AMIR, ANA, AUDREY, NOBODY, STEFAN, STELLA, World
from workbench.runtime.provisioning_hands import ProvisioningHands

PREFIX = "/services/gate/"
PEOPLE = {p.name: p for p in (ANA, AMIR, STELLA, STEFAN, ADAM, AUDREY, NOBODY)}


class FakeHub:
    """Knows people by token ``token-NAME`` and hands that out for code ``code-NAME``."""

    def challenge(self, state: str) -> Challenge:
        return Challenge(f"/hub/api/oauth2/authorize?state={state}", "verifier")

    def token_for(self, code: str, verifier: str) -> str:
        assert verifier == "verifier"
        return code.replace("code-", "token-")

    def person_for(self, token: str, session_id: str = "") -> Person | None:
        return PEOPLE.get(token.removeprefix("token-")) if token.startswith("token-") else None


def make_desk(world: World) -> Desk:
    cookies = Cookies(Fernet.generate_key(), PREFIX, secure=False)
    hands = ProvisioningHands(world.database)
    return Desk(world.gate, FakeHub(), cookies, PREFIX, world.clock, provisioning=hands)


def browser(desk: Desk) -> TestClient:
    return TestClient(build_desk(desk), base_url="http://testserver", follow_redirects=False)


def signed_in(desk: Desk, name: str) -> TestClient:
    """A client that went through the sign-in as `name`; its ``csrf`` header is set for unsafe requests."""
    client = browser(desk)
    sent = client.get(PREFIX + "login")
    state = sent.headers["location"].partition("state=")[2]
    back = client.get(f"{PREFIX}oauth_callback?code=code-{name}&state={state}")
    assert back.status_code == 302, back.text
    client.headers["x-csrf-token"] = client.get(f"{PREFIX}api/v1/session").json()["csrf"]
    return client


def token(desk: Desk, name: str) -> TestClient:
    client = browser(desk)
    client.headers["authorization"] = f"token token-{name}"
    return client
