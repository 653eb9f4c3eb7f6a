"""What the doors need of JupyterHub: an OAuth sign-in, who a token belongs to, and to be told of activity."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
from jupyterhub.httpclient import JupyterHubHTTPClient, fetch
from jupyterhub.services.auth import HubOAuth
from tornado.web import HTTPError

from egress_gate.doors.errors import HubAway
from egress_gate.doors.sandboxes import Sandbox
from installation.settings import SettingsFault
from store.clock import stamp


class Hub(Protocol):
    def authorize_url(self, state: str, challenge: str) -> str:
        """Where a browser goes to sign in."""

    async def token_for_code(self, code: str, verifier: str) -> str:
        """Exchange the code of one sign-in. Raises HubAway."""

    async def person_of(self, token: str) -> str | None:
        """Whose token it is, asked anew; None when the hub no longer knows it. Raises HubAway."""

    async def report_activity(self, sandbox: Sandbox, at: datetime) -> None:
        """Tell the hub that this server is in use. Raises HubAway."""

    async def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True)
class HubAddress:
    """What the hub gives a managed service in its environment."""

    api_url: str
    api_token: str
    client_id: str
    service_prefix: str
    base_url: str

    @property
    def callback(self) -> str:
        return f"{self.service_prefix}oauth_callback"

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> HubAddress:
        """Raises SettingsFault when the doors were not started by a hub."""
        names = (
            "JUPYTERHUB_API_URL",
            "JUPYTERHUB_API_TOKEN",
            "JUPYTERHUB_CLIENT_ID",
            "JUPYTERHUB_SERVICE_PREFIX",
            "JUPYTERHUB_BASE_URL",
        )
        missing = [name for name in names if not environ.get(name)]
        if missing:
            raise SettingsFault(
                f"The doors did not start: {', '.join(missing)} is not set.",
                why="The doors are a service of JupyterHub, which gives them these values.",
                do="Start the workbench with ./glovebox up, which starts the hub and the hub the doors.",
            )
        return cls(*(environ[name] for name in names))


def _away(private: str) -> HubAway:
    return HubAway(
        "You could not be signed in.",
        why="The hub that knows who you are does not answer.",
        do="Try again in a minute; if it stays so, tell the operator.",
        private=private,
    )


class JupyterHub:
    """The real hub, through its own client library; all calls are asynchronous and uncached."""

    def __init__(self, address: HubAddress) -> None:
        self._address = address
        self._oauth = HubOAuth(
            api_url=address.api_url,
            api_token=address.api_token,
            oauth_client_id=address.client_id,
            base_url=address.service_prefix,
            oauth_redirect_uri=address.callback,
        )

    def authorize_url(self, state: str, challenge: str) -> str:
        fields = {
            "client_id": self._address.client_id,
            "redirect_uri": self._address.callback,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._address.base_url}hub/api/oauth2/authorize?{urlencode(fields)}"

    async def token_for_code(self, code: str, verifier: str) -> str:
        try:
            token: str = await self._oauth.token_for_code(code, code_verifier=verifier, sync=False)
        except (HTTPError, ValueError, KeyError) as error:
            raise _away(str(error)) from error
        return token

    async def person_of(self, token: str) -> str | None:
        try:
            found: dict[str, Any] | None = await self._oauth.user_for_token(token, use_cache=False, sync=False)
        except (HTTPError, ValueError, KeyError) as error:
            raise _away(str(error)) from error
        if not found or found.get("kind") != "user":
            return None
        return str(found["name"])

    async def report_activity(self, sandbox: Sandbox, at: datetime) -> None:
        url = f"{self._address.api_url}/users/{quote(sandbox.person, safe='@~')}/activity"
        moment = stamp(at)
        body = {"last_activity": moment, "servers": {sandbox.server_name: {"last_activity": moment}}}
        headers = {"Authorization": f"token {self._address.api_token}"}
        try:
            answer = await fetch(url, method="POST", raise_for_status=False, headers=headers, json=body)
            answer.release()
        except (aiohttp.ClientError, OSError) as error:
            raise _away(str(error)) from error
        if answer.status >= 400:
            raise _away(f"activity: status {answer.status}")

    async def close(self) -> None:
        await JupyterHubHTTPClient.loop_instance().close()
