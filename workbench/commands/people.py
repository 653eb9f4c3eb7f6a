"""`glovebox user`: local accounts."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import httpx
import typer

from installation import settings as installation
from workbench import console
from workbench.errors import ProcessFault
from workbench.runtime.accounts import ensure_account
from workbench.runtime.hub_api import HubApi
from workbench.setup import secrets

app = typer.Typer(help="Local accounts and their roles.", no_args_is_help=True)


class Role(StrEnum):
    ANALYST = "analyst"
    STEWARD = "steward"
    ADMIN = "admin"
    AUDITOR = "auditor"

    @property
    def group(self) -> str:
        return f"{self.value}s"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, dot, dash; starts with a letter.")],
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    reset: Annotated[bool, typer.Option(help="Give an existing account a new password.")] = False,
) -> None:
    """Make an account with a random password, shown once."""
    with console.faults_in_three_parts():
        from workbench.runtime import process  # starts with the engine's client, which no --help needs

        settings = installation.load()
        _require_name(name)
        if process.hub_pid(settings) is None:
            raise ProcessFault(
                f"{name} was not added.",
                why="The hub, which keeps people and groups, is not running.",
                do="Run ./glovebox up first.",
            )
        password = secrets.password()
        made = ensure_account(settings, name, password, replace=reset)
        api = HubApi(settings)
        try:
            api.ensure_user(name, role.group)
        except httpx.HTTPError as refused:
            raise ProcessFault(
                f"{name} has an account but no role.",
                why=f"The hub answered: {refused}.",
                do="Run the same command again.",
            ) from refused
        finally:
            api.close()
        shown = (
            f"password {password} (shown once)" if made else "the password stays as it was (--reset gives a new one)"
        )
        console.out.print(f"{name} is in {role.group}; {shown}")


@app.command("list")
def list_people() -> None:
    """Who there is, and in which groups."""
    with console.faults_in_three_parts():
        api = HubApi(installation.load())
        try:
            for user in api.users():
                console.out.print(f"{user['name']:20} {', '.join(sorted(user.get('groups', [])))}")
        except httpx.HTTPError as away:
            raise ProcessFault(
                "People were not listed.", why=f"The hub answered: {away}.", do="Run ./glovebox up first."
            ) from away
        finally:
            api.close()


def _require_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9.-]{0,30}", name):
        raise ProcessFault(
            "The account was not made.",
            why="A name is 1 to 31 lower-case letters, digits, dots and dashes, and starts with a letter.",
            do="Choose another name.",
        )
