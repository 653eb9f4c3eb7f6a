"""What the desk's handlers share, and who is visiting. A handler never reads a cookie itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from egress_gate.desk.i18n import Voice, choose
from egress_gate.desk.identity import Identity
from egress_gate.desk.replaying import Replays
from egress_gate.desk.session import LANGUAGE, THEME, Cookies, Session
from egress_gate.policy.facts import Person
from egress_gate.service.accounts import Accounts, no_accounts
from egress_gate.service.errors import Forged, SignedOut
from egress_gate.service.gate import Gate
from egress_gate.service.hands import Provisioning, no_provisioning
from egress_gate.service.intake import Intake, no_intake

MOST_FIELDS = 10_000
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = re.compile(r"(?:token|bearer)\s+(\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Desk:
    """`prefix` is where the hub's proxy sends the desk's requests, with a slash at both ends.

    `provisioning`, `accounts`, `intake`: what an administrator's buttons call. A desk without them shows everything and changes nothing.
    """

    gate: Gate
    identity: Identity
    cookies: Cookies
    prefix: str
    clock: Callable[[], datetime]
    hub_home: str = "/hub/home"
    hub_logout: str = "/hub/logout"
    provisioning: Provisioning = field(default_factory=no_provisioning)
    accounts: Accounts = field(default_factory=no_accounts)
    intake: Intake = field(default_factory=no_intake)
    metrics_people: bool = False
    replays: Replays = field(default_factory=Replays)


@dataclass(frozen=True)
class Visitor:
    """A signed-in person. `session` is None when they came with an API token instead of a browser."""

    person: Person
    session: Session | None
    voice: Voice
    theme: str

    @property
    def csrf(self) -> str:
        return self.session.csrf if self.session else ""

    def is_one_of(self, *groups: str) -> bool:
        return bool(self.person.groups & set(groups))


def desk_of(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


def voice_of(request: Request) -> Voice:
    return Voice(choose(request.cookies.get(LANGUAGE), request.headers.get("accept-language")))


def theme_of(request: Request) -> str:
    chosen = request.cookies.get(THEME, "auto")
    return chosen if chosen in ("light", "dark") else "auto"


async def visitor(request: Request) -> Visitor:
    """The signed-in person. Raises SignedOut, or Forged for an unsafe request that no page of ours made."""
    desk = desk_of(request)
    bearer = _BEARER.fullmatch(request.headers.get("authorization", ""))
    session = None if bearer else desk.cookies.session(request)
    token = bearer.group(1) if bearer else session.token if session else None
    if token is None:
        raise signed_out()
    person = await run_in_threadpool(desk.identity.person_for, token, hub_session(request))
    if person is None:
        raise signed_out()
    if session is not None and request.method not in SAFE_METHODS:
        await _require_own_form(request, session)
    return Visitor(person, session, voice_of(request), theme_of(request))


def hub_session(request: Request) -> str:
    """The sign-in at the hub that the browser is in; who signs out there loses it, and with it what is remembered of them here."""
    return request.cookies.get("jupyterhub-session-id", "")


def signed_out() -> SignedOut:
    return SignedOut(
        "You are not signed in.",
        why="The desk shows requests only to people it knows.",
        do="Sign in through the hub, then try again.",
    )


async def _require_own_form(request: Request, session: Session) -> None:
    """A cookie alone never changes anything: the page's secret must come along, and the browser must say it is ours."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise forged()
    sent = request.headers.get("x-csrf-token") or request.headers.get("x-xsrftoken")
    if sent is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        async with request.form(max_fields=MOST_FIELDS) as form:
            field = form.get("csrf")
        sent = field if isinstance(field, str) else None
    if not sent or not session.owns(sent):
        raise forged()


def forged() -> Forged:
    return Forged(
        "The form did not come from a page of this desk.",
        why="It lacks the secret that every page of yours carries, so another site may have sent it.",
        do="Reload the page and send the form again.",
    )


SignedIn = Annotated[Visitor, Depends(visitor)]
TheDesk = Annotated[Desk, Depends(desk_of)]
