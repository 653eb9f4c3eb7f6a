"""Local accounts: NativeAuthenticator's accounts, hashes and lock-out, behind the hub's own login page.

NativeAuthenticator 1.3 brings a login page written for older hubs (it calls `statsd`, which JupyterHub 6 no longer has), and pages for
signing up that must not exist here. Only its checking of passwords is used.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers.login import LoginHandler
from nativeauthenticator import NativeAuthenticator


class LocalAuthenticator(NativeAuthenticator):  # type: ignore[misc]
    """Accounts that an operator made; nobody can make their own."""

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        """The hub's login page and nothing else."""
        return [("/login", LoginHandler)]
