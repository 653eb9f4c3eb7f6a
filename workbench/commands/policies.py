"""`glovebox policy`: what today's rules would have said."""

from __future__ import annotations

import typer

from installation import settings as installation
from workbench import console
from workbench.console import Json

app = typer.Typer(help="The rules.", no_args_is_help=True)


@app.command()
def replay(as_json: Json = False) -> None:
    """Ask today's policy again about every recorded decision, and list each one that would differ.

    Changes nothing. Exits 0 when none differs, 1 when one does. The policies run in-process from this checkout, so that a changed
    rule can be tried before the workbench is restarted with it.
    """
    with console.faults_in_three_parts(as_json):
        from egress_gate.service.replay import replay as ask_again
        from policy_engine.in_process import InProcess
        from store.blobs import Blobs
        from store.database import Database

        settings = installation.load()
        report = ask_again(Database.open(settings), Blobs(settings.blobs), InProcess())
        if as_json:
            console.answer(report.facts())
        else:
            console.out.print(f"{report.asked} decisions asked again, {len(report.differences)} would differ.")
            console.table(
                ["request", "revision", "was", "would be", "because"],
                [
                    [d.request, d.revision, d.before, d.after or "-", d.problem or ", ".join(d.reasons_after)]
                    for d in report.differences
                ],
            )
        raise SystemExit(1 if report.differences else 0)
