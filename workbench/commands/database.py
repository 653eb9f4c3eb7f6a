"""`glovebox database`: what is done to the record's database as a whole."""

from __future__ import annotations

import typer

from installation import settings as installation
from workbench import console
from workbench.commands.names import By
from workbench.console import Json
from workbench.errors import WorkbenchFault

app = typer.Typer(help="The database that state and ledger are in.", no_args_is_help=True)


@app.callback()
def database() -> None:
    """A group, although it has one command."""


@app.command("upgrade")
def upgrade(by: By, as_json: Json = False) -> None:
    """Bring the database of an earlier program to this one's schema, with the workbench stopped; the ledger says so.

    All of it happens or nothing. Of a SQLite file a copy is kept beside it; dump a PostgreSQL database before.
    """
    with console.faults_in_three_parts(as_json):
        from store.clock import now
        from store.upgrade import upgrade as run
        from workbench.runtime import hub_process

        settings = installation.load()
        if hub_process.running(settings) is not None:
            raise WorkbenchFault(
                "The database was not upgraded.", why="The workbench runs on it.", do="Stop it: ./glovebox down"
            )
        done = run(settings, by, now())
        if as_json:
            copy = str(done.copy) if done.copy else None
            console.answer({"from": done.before, "to": done.after, "entry": done.entry, "copy": copy})
        elif done.entry is None:
            console.out.print(f"The database has schema {done.after} already.")
        else:
            kept = f"; the one from before is {done.copy}" if done.copy else ""
            console.out.print(f"The database has schema {done.after}, entry {done.entry} says so{kept}", markup=False)
