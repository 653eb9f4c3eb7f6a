"""The hub's REST API as the operator: accounts, groups, running servers, health."""

from __future__ import annotations

from typing import Any

import httpx

from installation.settings import Settings

PAGE = 100


class HubApi:
    """Raises httpx.HTTPError when the hub is away or refuses."""

    def __init__(self, settings: Settings) -> None:
        path = settings.secrets / "operator.token"
        token = path.read_text("utf-8").strip() if path.exists() else ""
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{settings.ports.hub}/hub/api",
            headers={"Authorization": f"token {token}"},
            timeout=30,
            trust_env=False,
        )

    def healthy(self) -> bool:
        try:
            return self._client.get("/health", timeout=3).status_code == 200
        except httpx.HTTPError:
            return False

    def users(self) -> list[dict[str, Any]]:
        """All of them: the hub answers with a page at a time."""
        found: list[dict[str, Any]] = []
        while True:
            asked = {"offset": len(found), "limit": PAGE}
            some: list[dict[str, Any]] = self._client.get("/users", params=asked).raise_for_status().json()
            found += some
            if len(some) < PAGE:
                return found

    def ensure_user(self, name: str, group: str, *, others: tuple[str, ...] = ()) -> None:
        """The person exists and is in ``group`` and in none of ``others``."""
        answer = self._client.post(f"/users/{name}")
        if answer.status_code not in (201, 409):
            answer.raise_for_status()
        self._client.post(f"/groups/{group}/users", json={"users": [name]}).raise_for_status()
        for other in others:
            self._client.request("DELETE", f"/groups/{other}/users", json={"users": [name]}).raise_for_status()

    def remove_user(self, name: str) -> None:
        """The account is gone with its tokens and sessions, and its server is stopped. Done already is done."""
        answer = self._client.delete(f"/users/{name}", timeout=120)
        if answer.status_code != 404:
            answer.raise_for_status()

    def running_servers(self) -> list[str]:
        """The owners of servers that run, start or stop."""
        return [
            user["name"] for user in self.users() if user.get("servers") or user.get("server") or user.get("pending")
        ]

    def stop_servers(self) -> list[str]:
        """Ask the hub to stop every running server; the names of their owners."""
        running = self.running_servers()
        for name in running:
            self._client.delete(f"/users/{name}/server").raise_for_status()
        return running

    def close(self) -> None:
        self._client.close()
