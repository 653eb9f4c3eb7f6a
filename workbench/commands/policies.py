"""`glovebox policy`: what today's rules would have said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from installation import settings as installation
from workbench import console
from workbench.console import Json
from workbench.errors import WorkbenchFault

app = typer.Typer(help="The rules.", no_args_is_help=True)


@app.command()
def replay(
    policies: Annotated[
        Path | None, typer.Option(help="A folder with changed policies; by default those of this checkout.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a policy again about every recorded decision, and list each one that would differ.

    Changes nothing. Exits 0 when none differs, 1 when one does. The policies run in-process, so that a changed rule can be tried before
    the workbench is restarted with it. A decision whose checks would run with other numbers is marked: its request would be measured anew.
    """
    with console.faults_in_three_parts(as_json):
        from egress_gate.service.replay import replay as ask_again
        from policy_engine.in_process import InProcess
        from store.blobs import Blobs
        from store.database import Database

        settings = installation.load()
        engine = InProcess(_folder(policies)) if policies else InProcess()
        report = ask_again(Database.open(settings), Blobs(settings.blobs), engine)
        if as_json:
            console.answer(report.facts())
        else:
            console.out.print(f"{report.asked} decisions asked again, {len(report.differences)} would differ.")
            console.table(
                ["request", "revision", "was", "would be", "because", "numbers"],
                [
                    [
                        d.request,
                        d.revision,
                        d.before,
                        d.after or "-",
                        d.problem or ", ".join(d.reasons_after),
                        ", ".join(d.parameters_differ),
                    ]
                    for d in report.differences
                ],
            )
        raise SystemExit(1 if report.differences else 0)


def _folder(path: Path) -> Path:
    if not (path / "data").is_dir() or not any(path.rglob("*.rego")):
        raise WorkbenchFault(
            "No policy was asked.",
            why=f"{path} holds no rules (*.rego) or no numbers (data/*.json).",
            do="Copy the folder policies, change the copy, and name it.",
        )
    return path
