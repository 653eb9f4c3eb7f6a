"""Local accounts as the running hub keeps them: for the command line and for the desk's page alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from egress_gate.service.accounts import Account
from installation.roles import Role
from installation.settings import Settings
from workbench.errors import ProcessFault, WorkbenchFault
from workbench.runtime import hub_process
from workbench.runtime.accounts import ensure_account
from workbench.runtime.hub_api import HubApi
from workbench.setup import secrets

_NAME = re.compile(r"[a-z][a-z0-9.-]{0,30}")


class HubAccounts:
    """`egress_gate.service.accounts.Accounts` over the running hub.

    Raises ProcessFault when the hub is away or refuses; WorkbenchFault for changes where people come from an identity provider.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def everybody(self) -> tuple[Account, ...]:
        with self._hub("People were not listed.") as api:
            found = api.users()
        listed = (Account(str(u["name"]), tuple(sorted(u.get("groups", [])))) for u in found)
        return tuple(sorted(listed, key=lambda one: one.name))

    def checked(self, name: str, /) -> str:
        if not _NAME.fullmatch(name):
            raise WorkbenchFault(
                "The account was not changed.",
                why="A name is 1 to 31 lower-case letters, digits, dots and dashes, and starts with a letter.",
                do="Choose another name.",
            )
        return name

    def give_role(self, name: str, role: Role, new_password: bool, /) -> str | None:
        what = f"{name} was not given a role."
        self._require_local(what)
        others = tuple(sorted({each.group for each in Role} - {role.group}))
        with self._hub(what) as api:
            password = secrets.password()
            made = ensure_account(self._settings, name, password, replace=new_password)
            api.ensure_user(name, role.group, others=others)
        return password if made else None

    def disable(self, name: str, /) -> None:
        """The hub deletes the account with its password, tokens and sessions, and stops its sandbox."""
        what = f"{name} was not disabled."
        self._require_local(what)
        with self._hub(what) as api:
            api.remove_user(name)

    def _require_local(self, what: str) -> None:
        if self._settings.authenticator != "local":
            raise WorkbenchFault(
                what,
                why="This installation takes people and groups from an identity provider (authenticator = oidc).",
                do="Change people and groups there.",
            )

    @contextmanager
    def _hub(self, what: str) -> Iterator[HubApi]:
        """The running hub as the operator."""
        if hub_process.running(self._settings) is None:
            raise ProcessFault(what, why="The hub, which keeps people, is not running.", do="Run ./glovebox up first.")
        api = HubApi(self._settings)
        try:
            yield api
        except httpx.HTTPError as refused:
            raise ProcessFault(what, why=f"The hub answered: {refused}.", do="Do the same once more.") from refused
        finally:
            api.close()
