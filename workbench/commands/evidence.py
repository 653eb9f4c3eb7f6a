"""`glovebox ledger`, `verify`, `prove`, `assess`: what an auditor or a data owner runs."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from installation import settings as installation
from installation.settings import Settings
from workbench import console
from workbench.console import Json
from workbench.errors import WorkbenchFault

if TYPE_CHECKING:
    from ledger.note import Verifier
    from ledger.verify import LogReader, Report

ledger = typer.Typer(help="The append-only record.", no_args_is_help=True)
CERTIFICATE_BEGINS = b'{"format":'
Key = Annotated[Path | None, typer.Option(help="The installation's ledger.pub; by default this installation's own.")]


@ledger.command("verify")
def verify_ledger(
    file: Annotated[
        Path | None, typer.Argument(help="An exported ledger; this installation's own when left out.")
    ] = None,
    key: Key = None,
    kept: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that somebody kept; the log must extend it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every entry, hash, signature and checkpoint. Names the first entry that does not hold and exits 1."""
    with console.faults_in_three_parts(as_json):
        settings = installation.load()
        remembered = [_text(path) for path in kept or []]
        raise SystemExit(_verify_log(settings, file, key, remembered, as_json))


@ledger.command("export")
def export_ledger(
    file: Annotated[Path, typer.Argument(help="Where to write it (JSON lines).")], as_json: Json = False
) -> None:
    """Write the whole ledger to a file that anyone can verify with the public key."""
    with console.faults_in_three_parts(as_json):
        from ledger import export

        count = export.write(_own(installation.load()), file)
        if as_json:
            console.answer({"entries": count, "file": str(file)})
        else:
            console.out.print(f"{count} entries written to {file}", markup=False)


@ledger.command("show")
def show_ledger(
    last: Annotated[int, typer.Option(min=1, help="How many of the newest entries.")] = 20,
    as_json: Json = False,
) -> None:
    """The newest entries, in plain words."""
    with console.faults_in_three_parts(as_json):
        from ledger.entry import decode

        leaves = list(_own(installation.load()).leaves())[-last:]
        if as_json:
            console.answer([json.loads(leaf.body) for leaf in leaves])
            return
        for one in [decode(leaf.body) for leaf in leaves]:
            subject = " ".join(f"{noun} {name}" for noun, name in sorted(one.entry.subject.items()))
            line = f"{one.seq:6} {one.time[:19]} {one.entry.kind:24} {one.entry.actor:12} {subject}"
            console.out.print(line, markup=False)


@ledger.command("checkpoint")
def checkpoint() -> None:
    """The newest signed checkpoint. Keep it: a later log that does not extend it was rewritten."""
    with console.faults_in_three_parts():
        newest = ""
        for leaf in _own(installation.load()).leaves():
            newest = leaf.checkpoint or newest
        if not newest:
            raise WorkbenchFault(
                "There is no checkpoint yet.",
                why="The ledger holds no entry: nothing has happened here so far.",
                do="Register a dataset or make a project, then ask again.",
            )
        sys.stdout.write(newest)


def verify(
    file: Annotated[Path, typer.Argument(help="A release (zip), a certificate (json) or an exported ledger (jsonl).")],
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Check a released file, a certificate of a dataset version or an exported ledger, offline, against the public key."""
    with console.faults_in_three_parts(as_json):
        settings = installation.load()
        _require_file(file)
        certified = _is_certificate(file)
        if file.suffix != ".zip" and not certified:
            raise SystemExit(_verify_log(settings, file, key, [], as_json))
        from ledger.certificate import MAX_CERTIFICATE, verify_bundle, verify_certificate

        trusted = _key(settings, key)
        if certified:
            with file.open("rb") as opened:
                report = verify_certificate(opened.read(MAX_CERTIFICATE + 1), trusted)
        else:
            report = verify_bundle(file, trusted)
        if as_json:
            console.answer(report.facts())
        else:
            console.out.print(f"{console.tick(report.ok)} ", end="")
            console.out.print(report.message, markup=False)
            for one in report.checks:
                console.out.print(f"  {console.tick(one.ok)} {one.name}: ", end="")
                console.out.print(one.message, markup=False)
        raise SystemExit(0 if report.ok else 1)


def _is_certificate(file: Path) -> bool:
    """By its first bytes: a line of a ledger begins otherwise."""
    with file.open("rb") as opened:
        return opened.read(len(CERTIFICATE_BEGINS)) == CERTIFICATE_BEGINS


def prove(
    as_json: Json = False,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Attack a plain container too, to see the difference.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for isolation.json and isolation.html.")] = None,
    check_file: Annotated[Path | None, typer.Option("--check", help="Check a report that was made earlier.")] = None,
    key: Key = None,
) -> None:
    """Attack a throw-away sandbox from inside, look at it from outside, and write a signed report.

    Exits 0 when every channel is closed, 1 when one is open, 2 when one could not be decided.
    """
    with console.faults_in_three_parts(as_json):
        from provisioning.sandbox import prove as isolation

        settings = installation.load()
        if check_file is not None:
            report = isolation.check(_text(check_file), str(_key(settings, key)) if key else None)
        else:
            from workbench.setup import prepare

            prepare(settings, console.progress)
            report = isolation.run(settings, baseline, lambda what, done: console.say(f"{done:3} {what}"))
            written = report.write(out or settings.home / "reports")
            console.say(f"written: {', '.join(str(path) for path in written)}")
        if as_json:
            console.answer(report.content)
        else:
            _show_proof(report)
        raise SystemExit(report.exit_code)


def _show_proof(report: Any) -> None:
    plain = {each["id"]: str(each["observed"]) for each in (report.content.get("baseline") or {}).get("attempts", [])}
    console.out.print(f"{'attempt':34}{'expected':10}{'observed':10}{'plain container' if plain else ''}", markup=False)
    for each in report.attempts:
        seen = f"{each['id']:34}{each['expected']:10}{each['observed']:10}{plain.get(each['id'], '')}"
        console.out.print(seen, markup=False)
    counted = report.counted()
    console.out.print(f"{counted['blocked']} attempts blocked, {counted['open']} open, {counted['error']} undecided.")
    for title, found in (("OPEN", report.failures), ("known and named", report.known), ("undecided", report.undecided)):
        if found:
            console.out.print(f"  {title}: {', '.join(found)}", markup=False)


def assess(
    case: Annotated[Path, typer.Argument(help="CASE.json: tables, parameters, earlier releases, the SQL.")],
    plain: Annotated[bool, typer.Option("--plain", help="A table and sentences to read, not JSON.")] = False,
) -> None:
    """Judge one table without a hub, Docker or database; prints JSON, exits 0 when it could judge."""
    with console.faults_in_three_parts(as_json=not plain):
        _require_file(case)
        answer = _room("egress_gate.service.assess").assess_file(case)
        if plain:
            typer.echo(_room("egress_gate.service.plainly").plainly(answer))
        else:
            console.answer(answer)


def _room(name: str) -> Any:
    """A room that lands later. Raises WorkbenchFault where it is not there, rather than seem to work."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as absent:
        if absent.name != name:
            raise
        raise WorkbenchFault(
            "This version cannot do that.", why=f"Its part {name} is not there yet.", do="Take a newer version."
        ) from absent


def _own(settings: Settings) -> Any:
    from store.database import Database

    return Database.open(settings)


def _verify_log(settings: Settings, file: Path | None, key: Path | None, kept: list[str], as_json: bool) -> int:
    from ledger.export import ExportedLog
    from ledger.verify import verify_log

    if file is not None:
        _require_file(file)
    log: LogReader = ExportedLog(file) if file else _own(settings)
    report = verify_log(log, _key(settings, key), kept)
    _print_report(report, as_json)
    return 0 if report.ok else 1


def _print_report(report: Report, as_json: bool) -> None:
    if as_json:
        shown = {"ok": report.ok, "size": report.size, "first_bad": report.first_bad, "message": report.message}
        console.answer({**shown, "root": report.root.hex()})
        return
    console.out.print(f"{console.tick(report.ok)} ", end="")
    console.out.print(report.message, markup=False)
    console.out.print(f"  root {report.root.hex()}")


def _key(settings: Settings, key: Path | None) -> Verifier:
    from ledger import keys

    path = key or settings.home / "ledger.pub"
    if not path.exists():
        raise WorkbenchFault(
            "There is no public key to verify with.",
            why=f"{path.name} was not found.",
            do="Name it with --key; the installation that wrote the record has it as ledger.pub.",
        )
    return keys.public(path)


def _require_file(file: Path) -> None:
    if not file.is_file():
        raise WorkbenchFault(
            f"{file} was not read.", why="There is no such file.", do="Look at its name and folder, then run again."
        )


def _text(path: Path) -> str:
    _require_file(path)
    return path.read_text("utf-8")
