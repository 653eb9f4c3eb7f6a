"""`glovebox usage`: what was used, and how much of each quota."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from installation import settings as installation
from workbench import console
from workbench.console import Json
from workbench.errors import WorkbenchFault

app = typer.Typer(help="What was used: by project, person or dataset version.", no_args_is_help=True)


class By(StrEnum):
    PROJECT = "project"
    PERSON = "person"
    VERSION = "version"


@app.command()
def report(
    by: Annotated[By, typer.Option("--by", help="What each line is about.")] = By.PROJECT,
    project: Annotated[str | None, typer.Option(help="Count one project only.")] = None,
    since: Annotated[
        str, typer.Option(help="A date (2027-01-31) from which to count; from the beginning without.")
    ] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else on standard output.")] = False,
    as_json: Json = False,
) -> None:
    """Sessions, processor seconds, memory, bytes read, cells, bytes shown, requests, releases and what was in them."""
    with console.faults_in_three_parts(as_json):
        from store import usage_report

        with _db().read() as c:
            found = usage_report.lines(c, by.value, project=project, since=_since(since))
        if as_csv:
            sys.stdout.write(usage_report.as_csv(by.value, found))
        elif as_json:
            console.answer({"by": by.value, "usage": [{"name": line.name, **line.used.facts()} for line in found]})
        else:
            names = usage_report.MEASURES
            headings = [by.value, *(name.replace("_", " ") for name in names)]
            console.table(headings, [[line.name, *(line.used.facts()[name] for name in names)] for line in found])


@app.command()
def quotas(as_json: Json = False) -> None:
    """Every quota of every grant in force, and how much of it is used."""
    with console.faults_in_three_parts(as_json):
        from store import clock, usage_report

        with _db().read() as c:
            found = usage_report.quota_lines(c, clock.stamp(clock.now()))
        if as_json:
            console.answer({"quotas": [vars(line) for line in found]})
        else:
            headings = ["grant", "project", "version", "quota", "most", "used"]
            console.table(headings, [[q.grant, q.project, q.version, q.name, q.most, q.used] for q in found])


def _since(text: str) -> str:
    """A date's beginning as the store writes times. Raises WorkbenchFault."""
    from store.clock import stamp

    try:
        return stamp(datetime.fromisoformat(text).replace(tzinfo=UTC)) if text else ""
    except ValueError as unreadable:
        raise WorkbenchFault(
            f"{text[:40]!a} is no date.", why="It cannot be read.", do="Write 2027-01-31."
        ) from unreadable


def _db() -> Any:
    from store.database import Database

    return Database.open(installation.load())
