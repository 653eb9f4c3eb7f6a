"""`glovebox backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from installation import settings as installation
from workbench import console
from workbench.console import Json


def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    keys: Annotated[
        Path | None, typer.Option("--keys", help="Also write the keys into this file (0600). Keep it elsewhere.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy state, ledger and evidence while the workbench runs; neither data nor homes, and keys only with --keys."""
    with console.faults_in_three_parts(as_json):
        from store.clock import now
        from workbench.runtime.backup import backup as make

        files = make(installation.load(), folder, keys, now())
        if as_json:
            console.answer({"files": files, "folder": str(folder)})
        else:
            console.out.print(f"{files} files in {folder}, signed", markup=False)


def restore(
    folder: Annotated[Path, typer.Argument(help="What ./glovebox backup wrote.")],
    keys: Annotated[Path, typer.Option("--keys", help="The file of keys that belongs to it.")],
    as_json: Json = False,
) -> None:
    """Bring a backup into an empty state folder, after its signature, every file and the whole ledger were verified."""
    with console.faults_in_three_parts(as_json):
        from workbench.runtime.backup import restore as bring

        done = bring(installation.load(), folder, keys)
        if as_json:
            console.answer({"files": done.files, "entries": done.entries, "head": done.head})
        else:
            console.out.print(f"{done.files} files, {done.entries} entries of the ledger hold. Its last checkpoint:")
            typer.echo(done.head)
