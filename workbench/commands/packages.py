"""`glovebox package`: the shelf of Python packages beside the sandbox image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from installation import settings as installation
from workbench import console
from workbench.commands.names import By
from workbench.console import Json

app = typer.Typer(help="The shelf of Python packages beside the sandbox image.", no_args_is_help=True)


@app.command()
def approve(
    lock: Annotated[
        Path, typer.Argument(help="A hash-locked requirements file: the whole shelf from now on.", exists=True)
    ],
    by: By,
    wheels: Annotated[
        Path | None, typer.Option(help="Take the wheels from this folder; no index is asked.", exists=True)
    ] = None,
) -> None:
    """Fetch the wheels of a lock, look into each, and put them on the shelf of every sandbox that starts from now on."""
    with console.faults_in_three_parts():
        from provisioning.sandbox.image import download
        from provisioning.service import shelf
        from store.clock import now

        settings = installation.load()
        text = lock.read_text("utf-8", "replace")
        made = shelf.approve(_db(), settings, lock=text, fetch=download, actor=by, at=now(), wheels=wheels)
        console.out.print(f"Edition {made.number} of the shelf has {len(made.packages)} packages: sha256:{made.digest}")


@app.command("list")
def list_packages(as_json: Json = False) -> None:
    """What lies on the shelf."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import shelf

        with _db().read() as c:
            found = shelf.current(c)
        if as_json:
            console.answer({"edition": vars(found) if found else None})
        elif found is None:
            console.out.print("The shelf is empty. Next: ./glovebox package approve --help")
        else:
            console.table(
                ["package", "version", "sha256"], [[p["name"], p["version"], p["sha256"]] for p in found.packages]
            )


@app.command()
def requests(as_json: Json = False) -> None:
    """Packages that analysts asked for and nobody has answered."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import shelf

        with _db().read() as c:
            found = shelf.requests(c)
        if as_json:
            console.answer({"requests": found})
        else:
            rows = [[r["id"], r["name"], r["person"], r["project"], r["reason"]] for r in found]
            console.table(["number", "package", "person", "project", "reason"], rows)


@app.command()
def refuse(
    number: Annotated[int, typer.Argument(help="The request's number.")],
    by: By,
    reason: Annotated[str, typer.Option("--reason", help="Why; the analyst reads it.")],
) -> None:
    """Answer a request with no."""
    with console.faults_in_three_parts():
        from provisioning.service import shelf
        from store.clock import now

        shelf.refuse_request(_db(), number=number, reason=reason, actor=by, at=now())
        console.out.print(f"Request {number} is refused.")


def _db() -> Any:
    from store.database import Database

    return Database.open(installation.load())
