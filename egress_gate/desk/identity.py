"""Who is signed in: asked of the hub through its OAuth. We write no login.

`Identity` is the port; `HubIdentity` the real one, over JupyterHub's own client (state, PKCE, token check, scopes).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from jupyterhub.services.auth import HubOAuth, check_scopes
from jupyterhub.utils import url_path_join
from tornado.httputil import url_concat
from tornado.web import HTTPError

from egress_gate.policy.facts import Person
from installation.fault import Fault

log = logging.getLogger("glovebox.gate.identity")


class HubAway(Fault):
    code = "hub-away"


@dataclass(frozen=True)
class Challenge:
    """What to send the browser to the hub with, and what to remember until it comes back."""

    url: str
    verifier: str


class Identity(Protocol):
    def challenge(self, state: str) -> Challenge: ...

    def token_for(self, code: str, verifier: str) -> str:
        """The access token for an authorisation code. Raises HubAway."""
        ...

    def person_for(self, token: str, session_id: str = "") -> Person | None:
        """Who holds the token, or None when the hub does not know it or it may not use this service."""
        ...


class HubIdentity:
    """JupyterHub as the identity provider, from the environment that the hub gives its services."""

    def __init__(self, **options: Any) -> None:
        self._hub = HubOAuth(cache_max_age=30, **options)

    def challenge(self, state: str) -> Challenge:
        verifier, challenge, method = self._hub.generate_pkce_code_challenge()
        more = {"state": state, "code_challenge": challenge, "code_challenge_method": method}
        return Challenge(url_concat(self._hub.login_url, more), verifier)

    def token_for(self, code: str, verifier: str) -> str:
        try:
            return str(self._hub.token_for_code(code, code_verifier=verifier))
        except (HTTPError, OSError) as away:
            raise _away(away) from away

    def person_for(self, token: str, session_id: str = "") -> Person | None:
        try:
            model = self._hub.user_for_token(token, session_id=session_id)
        except (HTTPError, OSError) as away:
            raise _away(away) from away
        if not model or model.get("kind") != "user":
            return None
        if not check_scopes(self._hub.access_scopes, set(model.get("scopes", []))):
            return None
        return Person(str(model["name"]), frozenset(str(g) for g in model.get("groups", [])))

    @property
    def prefix(self) -> str:
        return str(url_path_join(str(self._hub.base_url), "/"))


def _away(cause: Exception) -> HubAway:
    log.warning("the hub did not answer: %r", cause)
    return HubAway(
        "Nobody can be signed in at the moment.",
        why="The hub, which knows the accounts, did not answer.",
        do="Try again in a minute; if it stays so, tell an administrator.",
        private=repr(cause),
    )
