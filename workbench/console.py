"""What people see: a console on standard error for progress, standard output for answers, faults in three parts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from installation.fault import Fault
from ledger.errors import LedgerFault

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]
UNREADABLE = "[dim]not there[/]"

progress = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


def answer(value: Any) -> None:
    """The one JSON document of a command run with ``--json``."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(columns: list[str], rows: list[list[object]]) -> None:
    """Rows under small headings; every cell is text as it stands."""
    shown = Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for row in rows:
        shown.add_row(*(escape(str(value)) for value in row))
    out.print(shown, soft_wrap=False)


def tick(holds: bool) -> str:
    return "[green]✓[/]" if holds else "[red]✗[/]"


@contextmanager
def faults_in_three_parts(as_json: bool = False) -> Iterator[None]:
    """Turn a Fault into what, why and what to do, and exit code 1. Programming errors keep their traceback."""
    try:
        yield
    except (Fault, LedgerFault) as fault:
        if as_json:
            answer({"error": fault.public()})
        show(fault)
        raise SystemExit(1) from None
    except PermissionError as denied:
        refused = Fault(
            "The command did not finish.",
            why=f"Your account may not use {denied.filename}.",
            do="Run it as the account that made this installation, or as root.",
        )
        if as_json:
            answer({"error": refused.public()})
        show(refused)
        raise SystemExit(1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read our output has left
        raise SystemExit(1) from None


def show(fault: Fault | LedgerFault) -> None:
    progress.print(
        f"[bold red]✗[/] {escape(fault.what)}\n  [dim]why:[/] {escape(fault.why)}\n  [dim]do:[/]  {escape(fault.do)}"
    )


@contextmanager
def bar(verb: str) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar over steps, on standard error: call it with a step's name, its number from 0, and how many there are."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress) as shown:
        task = shown.add_task(verb, total=None)

        def step(name: str, number: int, of: int) -> None:
            shown.update(task, description=f"{verb} {name} ({number + 1}/{of})", completed=number, total=of)
            if not progress.is_terminal:
                say(f"{number + 1}/{of} {verb} {name}")

        yield step


def say(text: str) -> None:
    """A line of progress, as it stands."""
    progress.print(f"  {text}", markup=False)
