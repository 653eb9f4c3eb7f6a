"""Signing a browser in through the hub's OAuth, and the door's own session cookie.

The cookie is encrypted and authenticated (Fernet), lives under one server's prefix, and holds the hub's token for this
sign-in. At entry hub and policy are both asked, and again every `RECHECK` seconds: a logout or a revoked token ends the
session. Entry fails closed at once; a good session outlives a silent hub or policy engine by `GRACE` seconds at most.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography.fernet import Fernet, InvalidToken

from egress_gate.doors.errors import DoorFault, HubAway, NotYours, PolicyAway, SignedOut, SignInBroken
from egress_gate.doors.hub import Hub
from egress_gate.doors.sandboxes import Sandbox

COOKIE = "glovebox-session"
STATE_COOKIE = "glovebox-sign-in-"
LIFETIME = 12 * 3600
STATE_LIFETIME = 600
RECHECK = 30.0
GRACE = 120.0
MOST_REMEMBERED = 4096
log = logging.getLogger("glovebox.doors")


class Porter(Protocol):
    """Policy's answer to: may this person enter that person's server?"""

    async def may_enter(self, person: str, sandbox: Sandbox) -> str | None:
        """None when policy lets them in, else the reason in plain words. Raises PolicyAway when it cannot be asked."""


@dataclass(frozen=True)
class Visit:
    """One signed-in browser at one server."""

    person: str
    token: str
    prefix: str
    until: float

    @property
    def key(self) -> str:
        return hashlib.sha256(self.token.encode()).hexdigest()


def signed_out(why: str = "Nobody is signed in here.") -> SignedOut:
    return SignedOut("This page is closed.", why=why, do="Reload it and sign in again.")


def ensure_key(path: Path) -> Fernet:
    """The cookie key, made at the first start (0600)."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key())
    return Fernet(path.read_bytes())


class SignIn:
    """Begins and finishes sign-ins, and says of each request's cookie whether it still holds."""

    def __init__(self, hub: Hub, porter: Porter, key: Fernet, *, clock: Callable[[], float] = time.time) -> None:
        self._hub = hub
        self._porter = porter
        self._key = key
        self._clock = clock
        self._good: dict[tuple[str, str], float] = {}  # (token digest, sandbox id) → when hub and policy last agreed
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}

    # -- the way in ---------------------------------------------------------------------------------------------------
    def begin(self, target: str) -> tuple[str, str, str]:
        """Start a sign-in that ends at ``target``: (address at the hub, name and value of a short-lived cookie)."""
        state = secrets.token_urlsafe(24)
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        sealed = self._seal({"state": state, "verifier": verifier, "target": target})
        return self._hub.authorize_url(state, challenge), STATE_COOKIE + state[:8], sealed

    async def finish(self, state: str, code: str, cookies: dict[str, str]) -> tuple[str, str]:
        """(target, hub token) of the sign-in ``state`` belongs to. Raises SignInBroken for one this browser did not begin."""
        began = self._open(cookies.get(STATE_COOKIE + state[:8], ""), STATE_LIFETIME)
        if not state or not code or began is None or not secrets.compare_digest(str(began.get("state")), state):
            raise SignInBroken(
                "You were not signed in.",
                why="This sign-in did not begin in this browser, or it took longer than ten minutes.",
                do="Open your server from the hub's home page again.",
            )
        return str(began["target"]), await self._hub.token_for_code(code, str(began["verifier"]))

    async def admit(self, token: str, sandbox: Sandbox) -> tuple[Visit, str]:
        """A visit and its cookie for whom the hub says ``token`` is. Raises NotYours, HubAway, PolicyAway."""
        person = await self._hub.person_of(token)
        if person is None:
            raise signed_out("The hub does not know this sign-in.")
        visit = Visit(person, token, sandbox.prefix, self._clock() + LIFETIME)
        await self._ask_policy(visit, sandbox)
        self._remember(visit, sandbox)
        fields = {"person": person, "token": token, "prefix": sandbox.prefix, "until": visit.until}
        return visit, self._seal(fields)

    # -- every request ------------------------------------------------------------------------------------------------
    async def check(self, cookie: str, sandbox: Sandbox) -> Visit:
        """The visit that ``cookie`` stands for. Raises SignedOut, NotYours, HubAway or PolicyAway."""
        fields = self._open(cookie, LIFETIME) if cookie else None
        if fields is None or fields.get("prefix") != sandbox.prefix:
            raise signed_out()
        visit = Visit(str(fields["person"]), str(fields["token"]), sandbox.prefix, float(fields["until"]))
        await self.recheck(visit, sandbox)
        return visit

    async def recheck(self, visit: Visit, sandbox: Sandbox) -> None:
        """Returns while the visit holds; asks hub and policy when the last answer is older than `RECHECK`."""
        now = self._clock()
        if visit.until <= now:
            raise signed_out("The session was open for twelve hours.")
        known = (visit.key, sandbox.id)
        if now - self._good.get(known, 0.0) < RECHECK:
            return
        asking = self._asking.get(known)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(visit, sandbox))
            self._asking[known] = asking
            asking.add_done_callback(lambda _: self._asking.pop(known, None))
        await asyncio.shield(asking)

    async def _ask(self, visit: Visit, sandbox: Sandbox) -> None:
        known = (visit.key, sandbox.id)
        try:
            if await self._hub.person_of(visit.token) != visit.person:
                raise signed_out("The hub has ended this session.")
            await self._ask_policy(visit, sandbox)
        except (HubAway, PolicyAway) as fault:
            if self._clock() - self._good.get(known, 0.0) < GRACE:
                log.warning("kept a session of sandbox %s for now: %s", sandbox.id, fault.private or fault.what)
                return
            raise
        except DoorFault:
            self._good.pop(known, None)
            raise
        self._remember(visit, sandbox)

    async def _ask_policy(self, visit: Visit, sandbox: Sandbox) -> None:
        reason = await self._porter.may_enter(visit.person, sandbox)
        if reason is not None:
            raise NotYours(
                "This server is not yours to enter.",
                why=reason,
                do="Open your own server from the hub's home page.",
                private=f"{visit.person} at {sandbox.prefix}",
            )

    def _remember(self, visit: Visit, sandbox: Sandbox) -> None:
        while len(self._good) >= MOST_REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[visit.key, sandbox.id] = self._clock()

    def _seal(self, fields: dict[str, Any]) -> str:
        return self._key.encrypt_at_time(json.dumps(fields).encode(), int(self._clock())).decode()

    def _open(self, sealed: str, lifetime: int) -> dict[str, Any] | None:
        try:
            opened: dict[str, Any] = json.loads(
                self._key.decrypt_at_time(sealed.encode(), lifetime, int(self._clock()))
            )
        except InvalidToken:
            return None
        return opened
