"""`glovebox ledger`, `verify`, `prove`, `assess`: what an auditor or a data owner runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from installation import settings as installation
from installation.settings import Settings
from ledger import export as ledger_export
from ledger import keys
from ledger.entry import decode
from ledger.verify import LogReader, Report, verify_log
from store.database import Database
from workbench import console
from workbench.errors import WorkbenchFault

ledger = typer.Typer(help="The append-only record.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]


def _log(settings: Settings, file: Path | None) -> LogReader:
    return ledger_export.ExportedLog(file) if file else Database.open(settings)


def _key(settings: Settings, key: Path | None) -> keys.Verifier:
    path = key or settings.home / "ledger.pub"
    if not path.exists():
        raise WorkbenchFault(
            "There is no public key to verify with.",
            why=f"{path.name} was not found.",
            do="Name it with --key; the installation that wrote the record has it as ledger.pub.",
        )
    return keys.public(path)


@ledger.command("verify")
def verify_ledger(
    file: Annotated[
        Path | None, typer.Argument(help="An exported ledger; this installation's own when left out.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The public key.")] = None,
    kept: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that somebody kept; the log must extend it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every entry, hash, signature and checkpoint. Names the first entry that does not hold and exits 1."""
    with console.faults_in_three_parts(as_json):
        settings = installation.load()
        remembered = [path.read_text("utf-8") for path in kept or []]
        report = verify_log(_log(settings, file), _key(settings, key), remembered)
        _print_report(report, as_json)
        raise SystemExit(0 if report.ok else 1)


def _print_report(report: Report, as_json: bool) -> None:
    if as_json:
        console.answer(
            {
                "ok": report.ok,
                "size": report.size,
                "first_bad": report.first_bad,
                "message": report.message,
                "root": report.root.hex(),
            }
        )
        return
    console.out.print(f"{'[green]✓[/]' if report.ok else '[red]✗[/]'} {report.message}")
    console.out.print(f"  root {report.root.hex()}")


@ledger.command("export")
def export_ledger(file: Annotated[Path, typer.Argument(help="Where to write it (JSON lines).")]) -> None:
    """Write the whole ledger to a file that anyone can verify with the public key."""
    with console.faults_in_three_parts():
        count = ledger_export.write(Database.open(installation.load()), file)
        console.out.print(f"{count} entries written to {file}")


@ledger.command("show")
def show_ledger(
    last: Annotated[int, typer.Option(help="How many of the newest entries.")] = 20,
    as_json: Json = False,
) -> None:
    """The newest entries, in plain words."""
    with console.faults_in_three_parts(as_json):
        leaves = list(Database.open(installation.load()).leaves())[-last:]
        shown = [decode(leaf.body) for leaf in leaves]
        if as_json:
            console.answer([json.loads(leaf.body) for leaf in leaves])
            return
        for one in shown:
            subject = " ".join(f"{noun} {name}" for noun, name in sorted(one.entry.subject.items()))
            console.out.print(
                f"{one.seq:6} {one.time[:19]} {one.entry.kind:24} {one.entry.actor:12} {subject}", markup=False
            )


@ledger.command("checkpoint")
def checkpoint() -> None:
    """The newest signed checkpoint. Keep it: a later log that does not extend it was rewritten."""
    with console.faults_in_three_parts():
        newest = ""
        for leaf in Database.open(installation.load()).leaves():
            newest = leaf.checkpoint
        console.out.print(newest, end="", markup=False)


def prove(settings: Settings, *, as_json: bool, baseline: bool, check_file: Path | None) -> int:
    """0 when every way out is blocked (or, with ``--check``, when the report's signature holds)."""
    from provisioning.sandbox import prove as prover

    return prover.command(settings, as_json=as_json, baseline=baseline, check_file=check_file)


def assess(case: Path) -> int:
    """0 when the case could be judged, whatever the judgement."""
    from egress_gate.service.assess import assess_file

    console.answer(assess_file(case))
    return 0


def verify(settings: Settings, file: Path, key: Path | None, *, as_json: bool) -> int:
    """0 when the release's zip, or the exported ledger, holds in every part."""
    if file.suffix == ".zip":
        from ledger.certificate import verify_bundle

        report = verify_bundle(file, _key(settings, key))
        if as_json:
            console.answer({"ok": report.ok, "message": report.message})
        else:
            console.out.print(f"{'[green]✓[/]' if report.ok else '[red]✗[/]'} {report.message}")
        return 0 if report.ok else 1
    checked = verify_log(_log(settings, file), _key(settings, key))
    _print_report(checked, as_json)
    return 0 if checked.ok else 1
