"""The command line. Each command parses, calls one function, prints its answer; nothing is decided here.

Modules with heavy imports are imported by the command that needs them, so that ``--help`` and ``status`` answer at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from installation import settings as installation
from workbench import console
from workbench.commands import backups, database, datasets, evidence, packages, people, policies, projects, usage
from workbench.console import Json

app = typer.Typer(
    name="glovebox",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Analyse other people's data in a sealed workbench; only approved aggregates leave.",
)


@app.command()
def demo(once: Annotated[bool, typer.Option("--once", help="Stop the workbench at the end.")] = False) -> None:
    """Set up what is missing, start the workbench, and play the whole loop on real data."""
    with console.faults_in_three_parts():
        from workbench.demo.stage import play

        raise SystemExit(play(installation.load(), once=once))


@app.command()
def setup() -> None:
    """Bring everything the workbench needs, without starting it."""
    with console.faults_in_three_parts():
        from workbench.setup import prepare

        prepare(installation.load(), console.progress)
        console.out.print("Everything is there. Next: ./glovebox up")


@app.command()
def up() -> None:
    """Start the workbench, setting up what is missing. Does nothing when it already runs."""
    with console.faults_in_three_parts():
        from workbench.runtime import process
        from workbench.setup import prepare

        prepare(installation.load(), console.progress)
        settings = installation.load()  # set-up may have had to choose another policy engine
        begun = process.up(settings, console.say)
        console.out.print(f"The workbench {'runs now' if begun else 'ran already'}: {settings.url}")


@app.command()
def down() -> None:
    """Stop every sandbox and the workbench. Data, homes, requests and the ledger stay."""
    with console.faults_in_three_parts():
        from workbench.runtime import process

        ran = process.down(installation.load(), console.say)
        console.out.print("The workbench is stopped." if ran else "The workbench was not running.")


@app.command()
def status(as_json: Json = False) -> None:
    """What runs, where, and whether each part answers.

    Exits 0 when every part answers, 1 when one does not, 3 when the workbench is not running.
    """
    with console.faults_in_three_parts(as_json):
        from workbench.runtime import health

        found = health.status(installation.load())
        if as_json:
            console.answer(found)
        else:
            health.show(found)
        raise SystemExit(3 if not found["running"] else 0 if all(p["answers"] for p in found["parts"]) else 1)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Find what a crash left (containers, mounts, records that nothing runs) and clear it; verify the ledger."""
    with console.faults_in_three_parts(as_json):
        from workbench.runtime.doctor import examine

        found = examine(installation.load())
        if as_json:
            console.answer(found)
        else:
            for finding in found["findings"]:
                console.out.print(f"{console.tick(finding['well'])} {finding['name']}: ", end="")
                console.out.print(finding["said"], markup=False)
        raise SystemExit(0 if found["well"] else 1)


@app.command()
def check(as_json: Json = False) -> None:
    """Lint, types, architecture, policies and generated pages, changing nothing. Exits 1 when one does not hold."""
    with console.faults_in_three_parts(as_json):
        from workbench.checks import run_checks

        raise SystemExit(run_checks(installation.load(), as_json=as_json))


@app.command()
def fix(
    lock: Annotated[bool, typer.Option("--lock", help="Also resolve the requirements anew (needs uv).")] = False,
) -> None:
    """Repair what a machine can: formatting, imports, policy layout, generated pages."""
    with console.faults_in_three_parts():
        from workbench.checks import run_fixes

        raise SystemExit(run_fixes(installation.load(), lock=lock))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run every test: unit, contract, integration, browser, adversary, the policies' own, and `check`.

    With arguments, only what they name: they go to pytest (`./glovebox test tests/unit -x`).
    """
    with console.faults_in_three_parts():
        from workbench.checks.tests import run_tests

        raise SystemExit(run_tests(installation.load(), context.args))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="One benchmark; all when left out.")] = "",
    as_json: Json = False,
    quick: Annotated[bool, typer.Option("--quick", help="Smallest sizes, for trying the frame.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Only say which benchmarks there are.")] = False,
) -> None:
    """Measure claims side by side, A B A B, as ratios pair by pair."""
    with console.faults_in_three_parts(as_json):
        from workbench.bench import list_benchmarks, run_benchmarks

        if listed:
            raise SystemExit(list_benchmarks(as_json=as_json))
        raise SystemExit(run_benchmarks(installation.load(), name, as_json=as_json, quick=quick))


app.command()(evidence.prove)
app.command()(evidence.assess)
app.command()(evidence.verify)
app.add_typer(evidence.ledger, name="ledger")
app.command()(backups.backup)
app.command()(backups.restore)
app.add_typer(database.app, name="database")
app.add_typer(datasets.app, name="dataset")
app.add_typer(projects.app, name="project")
app.add_typer(projects.grant, name="grant")
app.add_typer(packages.app, name="package")
app.add_typer(usage.app, name="usage")
app.add_typer(people.app, name="user")
app.add_typer(policies.app, name="policy")


def main() -> None:
    app(prog_name="glovebox")
