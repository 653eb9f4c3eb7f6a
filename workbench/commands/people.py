"""`glovebox user`: local accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from installation import settings as installation
from installation.settings import Settings
from workbench import console
from workbench.console import Json
from workbench.errors import ProcessFault, WorkbenchFault

if TYPE_CHECKING:
    from workbench.runtime.hub_api import HubApi

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
    role: Annotated[Role, typer.Option(help="What the person may do; replaces an earlier role.")],
    reset: Annotated[bool, typer.Option("--reset", help="Give an existing account a new password.")] = False,
) -> None:
    """Make an account with a random password, shown once; or give an existing one another role or password."""
    with console.faults_in_three_parts():
        from workbench.runtime.accounts import ensure_account
        from workbench.setup import secrets

        settings = installation.load()
        _require_name(name)
        with _hub(settings, f"{name} was not added.") as api:
            password = secrets.password()
            made = ensure_account(settings, name, password, replace=reset)
            others = tuple(sorted({each.group for each in Role} - {role.group}))
            api.ensure_user(name, role.group, others=others)
        kept = "the password stays as it was (--reset gives a new one)"
        console.out.print(f"{name} is in {role.group}; {f'password {password} (shown once)' if made else kept}")


@app.command("list")
def list_people(as_json: Json = False) -> None:
    """Who there is, and in which groups."""
    with console.faults_in_three_parts(as_json):
        with _hub(installation.load(), "People were not listed.") as api:
            found = [{"name": u["name"], "groups": sorted(u.get("groups", []))} for u in api.users()]
        if as_json:
            console.answer({"users": found})
        else:
            console.table(["name", "groups"], [[u["name"], ", ".join(u["groups"])] for u in found])


@contextmanager
def _hub(settings: Settings, what: str) -> Iterator[HubApi]:
    """The running hub as the operator. Raises ProcessFault when it is away or refuses, WorkbenchFault with OIDC."""
    import httpx

    from workbench.runtime import hub_process
    from workbench.runtime.hub_api import HubApi

    if settings.authenticator != "local":
        raise WorkbenchFault(
            what,
            why="This installation takes people and groups from an identity provider (authenticator = oidc).",
            do="Change people and groups there.",
        )
    if hub_process.running(settings) is None:
        raise ProcessFault(what, why="The hub, which keeps people, is not running.", do="Run ./glovebox up first.")
    api = HubApi(settings)
    try:
        yield api
    except httpx.HTTPError as refused:
        raise ProcessFault(what, why=f"The hub answered: {refused}.", do="Run the same command again.") from refused
    finally:
        api.close()


def _require_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9.-]{0,30}", name):
        raise WorkbenchFault(
            "The account was not made.",
            why="A name is 1 to 31 lower-case letters, digits, dots and dashes, and starts with a letter.",
            do="Choose another name.",
        )
