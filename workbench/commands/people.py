"""`glovebox user`: local accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from installation import settings as installation
from installation.roles import Role
from workbench import console
from workbench.console import Json

OPERATOR = "operator"  # who owns the installation's files; the desk's people go by their own names
By = Annotated[str, typer.Option("--by", help="Who does it, for the ledger.")]
app = typer.Typer(help="Local accounts and their roles.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, dot, dash; starts with a letter.")],
    role: Annotated[Role, typer.Option(help="What the person may do; replaces an earlier role.")],
    reset: Annotated[bool, typer.Option("--reset", help="Give an existing account a new password.")] = False,
    by: By = OPERATOR,
) -> None:
    """Make an account with a random password, shown once; or give an existing one another role or password."""
    with console.faults_in_three_parts():
        from egress_gate.service.accounts import role_given
        from store.clock import now
        from store.database import Database
        from workbench.runtime.people import HubAccounts

        settings = installation.load()
        accounts, db = HubAccounts(settings), Database.open(settings)
        password = role_given(db, accounts, name, role, by, now(), new_password=reset)
        kept = "the password stays as it was (--reset gives a new one)"
        console.out.print(f"{name} is in {role.group}; {f'password {password} (shown once)' if password else kept}")


@app.command()
def disable(
    name: Annotated[str, typer.Argument(help="The account's name.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the ledger.")],
    by: By = OPERATOR,
) -> None:
    """End an account with its password, sessions, tokens and running sandbox. `user add` makes it anew."""
    with console.faults_in_three_parts():
        from egress_gate.service.accounts import disabled
        from store.clock import now
        from store.database import Database
        from workbench.runtime.people import HubAccounts

        settings = installation.load()
        disabled(Database.open(settings), HubAccounts(settings), name, reason, by, now())
        console.out.print(f"{name} is disabled. Projects still name them; ./glovebox user add makes the account anew.")


@app.command("list")
def list_people(as_json: Json = False) -> None:
    """Who there is, and in which groups."""
    with console.faults_in_three_parts(as_json):
        from workbench.runtime.people import HubAccounts

        found = HubAccounts(installation.load()).everybody()
        if as_json:
            console.answer({"users": [{"name": one.name, "groups": list(one.groups)} for one in found]})
        else:
            console.table(["name", "groups"], [[one.name, ", ".join(one.groups)] for one in found])
