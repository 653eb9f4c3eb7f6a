"""A desk with a fake hub behind the identity port, and a browser-like client for each role."""

from __future__ import annotations

import re

from cryptography.fernet import Fernet
from starlette.testclient import TestClient

from egress_gate.desk.app import build_desk
from egress_gate.desk.context import Desk
from egress_gate.desk.identity import Challenge, HubAway
from egress_gate.desk.session import Cookies
from egress_gate.policy.facts import Person
from egress_gate.service.accounts import Account
from egress_gate.service.errors import Malformed
from installation.roles import Role
from tests.unit.gate.factory import ADAM, AMIR, ANA, AUDREY, NOBODY, STEFAN, STELLA, World
from workbench.runtime.intake import IntakeFolder
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


class FakeAccounts:
    """The hub's people in memory; ``away`` makes every call fail as a hub does that does not answer."""

    def __init__(self) -> None:
        self.groups = {name: tuple(sorted(p.groups)) for name, p in PEOPLE.items()} | {"nora": ("analysts",)}
        self.away = False

    def everybody(self) -> tuple[Account, ...]:
        self._answer()
        return tuple(Account(name, groups) for name, groups in sorted(self.groups.items()))

    def checked(self, name: str, /) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9.-]{0,30}", name):
            raise Malformed("The account was not changed.", why="It cannot be a name.", do="Choose another name.")
        return name

    def give_role(self, name: str, role: Role, new_password: bool, /) -> str | None:
        self._answer()
        made = new_password or name not in self.groups
        self.groups[name] = (role.group,)
        return f"secret-of-{name}" if made else None

    def disable(self, name: str, /) -> None:
        self._answer()
        del self.groups[name]

    def _answer(self) -> None:
        if self.away:
            raise HubAway("People were not listed.", why="The hub did not answer.", do="Try again.")


def make_desk(world: World, accounts: FakeAccounts | None = None) -> Desk:
    cookies = Cookies(Fernet.generate_key(), PREFIX, secure=False)
    hands = ProvisioningHands(world.database)
    people = accounts or FakeAccounts()
    folder = IntakeFolder(world.settings)
    return Desk(world.gate, FakeHub(), cookies, PREFIX, world.clock, provisioning=hands, accounts=people, intake=folder)


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
