"""The command line. Each command parses, calls one function, prints its answer; nothing is decided here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from installation import settings as installation
from workbench import console
from workbench.commands import datasets, evidence, people, policies, projects

app = typer.Typer(
    name="glovebox",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Analyse other people's data in a sealed workbench; only approved aggregates leave.",
)
app.add_typer(evidence.ledger, name="ledger")
app.add_typer(datasets.app, name="dataset")
app.add_typer(projects.app, name="project")
app.add_typer(projects.grant, name="grant")
app.add_typer(people.app, name="user")
app.add_typer(policies.app, name="policy")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]


@app.command()
def demo(once: Annotated[bool, typer.Option("--once", help="Stop the workbench at the end.")] = False) -> None:
    """Set up what is missing, start the workbench, and play the whole loop on real data."""
    from workbench.demo.stage import play

    with console.faults_in_three_parts():
        raise SystemExit(play(installation.load(), once=once))


@app.command()
def setup() -> None:
    """Bring everything the workbench needs, without starting it."""
    from workbench.setup import prepare

    with console.faults_in_three_parts():
        prepare(installation.load(), console.progress)


@app.command()
def up() -> None:
    """Start the workbench, setting up what is missing. Does nothing when it already runs."""
    from workbench.runtime import process
    from workbench.setup import prepare

    with console.faults_in_three_parts():
        prepare(installation.load(), console.progress)
        settings = installation.load()  # set-up may have had to choose another policy engine
        process.up(settings, console.progress.print)
        console.out.print(f"The workbench runs at {settings.url}")


@app.command()
def down() -> None:
    """Stop every sandbox and the workbench. Data, homes, requests and the ledger stay."""
    from workbench.runtime import process

    with console.faults_in_three_parts():
        process.down(installation.load(), console.progress.print)
        console.out.print("The workbench is stopped.")


@app.command()
def status(as_json: Json = False) -> None:
    """What runs, where, and whether each part answers. Exits 1 when a part of a running workbench does not."""
    from workbench.runtime import process

    with console.faults_in_three_parts(as_json):
        settings = installation.load()
        found = process.status(settings)
        if as_json:
            console.answer(found)
        else:
            state = "runs" if found["running"] else "is not running (start it with ./glovebox up)"
            console.out.print(f"The workbench at {found['url']} {state}.")
            for part in found["parts"]:
                console.out.print(
                    f"  {'[green]✓[/]' if part['answers'] else '[red]✗[/]'} {part['name']} [dim]{part['address']}[/]"
                )
            console.out.print(f"  sandboxes running: {len(found['sandboxes'])}")
        raise SystemExit(1 if found["running"] and not all(p["answers"] for p in found["parts"]) else 0)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Find what a crash left (containers, mounts, records that nothing runs) and clear it; verify the ledger."""
    from workbench.runtime.doctor import examine

    with console.faults_in_three_parts(as_json):
        found = examine(installation.load())
        if as_json:
            console.answer(found)
        else:
            for line in found["said"]:
                console.out.print(line)
        raise SystemExit(0 if found["well"] else 1)


@app.command()
def check(as_json: Json = False) -> None:
    """Lint, types, architecture and policies, changing nothing. Exits 1 when something is not as it must be."""
    from workbench.checks import run_checks

    with console.faults_in_three_parts(as_json):
        raise SystemExit(run_checks(installation.load(), as_json=as_json))


@app.command()
def fix(
    lock: Annotated[bool, typer.Option("--lock", help="Also resolve the requirements anew (needs uv).")] = False,
) -> None:
    """Repair what a machine can: formatting, imports, policy layout, generated pages."""
    from workbench.checks import run_fixes

    with console.faults_in_three_parts():
        raise SystemExit(run_fixes(installation.load(), lock=lock))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Every test: unit, contract, integration, browser, adversary, the policies' own. Arguments go to pytest."""
    from workbench.checks.tests import run_tests

    with console.faults_in_three_parts():
        raise SystemExit(run_tests(installation.load(), context.args))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="One benchmark; all when left out.")] = "",
    as_json: Json = False,
    quick: Annotated[bool, typer.Option(help="Smallest sizes, for trying the frame.")] = False,
) -> None:
    """Measure claims side by side, A B A B, as ratios pair by pair."""
    from workbench.bench import run_benchmarks

    with console.faults_in_three_parts(as_json):
        raise SystemExit(run_benchmarks(installation.load(), name, as_json=as_json, quick=quick))


@app.command()
def prove(
    as_json: Json = False,
    baseline: Annotated[bool, typer.Option(help="Run against a plain container, to see the difference.")] = False,
    check_file: Annotated[Path | None, typer.Option("--check", help="Check a report that was made earlier.")] = None,
) -> None:
    """Attack a throw-away sandbox from inside and look at it from outside; write a signed report."""
    with console.faults_in_three_parts(as_json):
        raise SystemExit(evidence.prove(installation.load(), as_json=as_json, baseline=baseline, check_file=check_file))


@app.command()
def assess(
    case: Annotated[Path, typer.Argument(help="CASE.json: tables, parameters, earlier releases, the SQL.")],
) -> None:
    """Judge one table without a hub, Docker or database; prints JSON, exits 0 when it could judge."""
    with console.faults_in_three_parts(as_json=True):
        raise SystemExit(evidence.assess(case))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A release (zip) or an exported ledger (jsonl).")],
    key: Annotated[
        Path | None, typer.Option(help="The installation's ledger.pub; by default this installation's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a released file, offline, against the public key."""
    with console.faults_in_three_parts(as_json):
        raise SystemExit(evidence.verify(installation.load(), file, key, as_json=as_json))


def main() -> None:
    app(prog_name="glovebox")
