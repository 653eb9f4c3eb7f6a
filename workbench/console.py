"""What people see: a console on standard error for progress, standard output for answers, faults in three parts."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from installation.fault import Fault
from ledger.errors import LedgerFault

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on standard output.")]
UNFINISHED = "The command did not finish."
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
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who read our output has left
        raise SystemExit(1) from None
    except Exception as broken:
        if not of_the_machine(broken):
            raise
        refused = in_three_parts(broken)
        if as_json:
            answer({"error": refused.public()})
        show(refused)
        raise SystemExit(1) from None


def of_the_machine(broken: BaseException) -> bool:
    """Whether the machine refused something, rather than a program being wrong."""
    return isinstance(broken, OSError) or _of_docker(broken) or _of_the_store(broken)


def _of_docker(broken: BaseException) -> bool:
    return _is_one(broken, "docker.errors", "DockerException")


def _of_the_store(broken: BaseException) -> bool:
    """A server that is away, an address that is none, or (`DatabaseError` itself) a file that is no database any more."""
    away = _is_one(broken, "sqlalchemy.exc", "OperationalError", "ArgumentError", "NoSuchModuleError")
    return away or (_is_one(broken, "sqlalchemy.exc", "DatabaseError") and type(broken).__name__ == "DatabaseError")


def _is_one(broken: BaseException, module: str, *kinds: str) -> bool:
    """Asked only of what was loaded: these libraries are slow to load, and `--help` must not wait for them."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(broken, tuple(getattr(loaded, kind) for kind in kinds))


def in_three_parts(broken: BaseException) -> Fault:
    """What the machine refused, in words of ours: a file or folder, the disk, the container engine."""
    what = UNFINISHED
    if _of_docker(broken):  # before OSError: some of Docker's are both
        return Fault(
            what,
            why=f"The container engine (Docker) does not do its part: {first_line(broken)}",
            do="Run ./glovebox setup, which starts it; then run the same command again.",
        )
    if _of_the_store(broken):
        return Fault(
            what,
            why=f"The database cannot be used: {first_line(broken)}",
            do="Look whether DATABASE_URL (or database_url in settings.toml) is right and its server runs; a damaged file comes back "
            "from a backup (docs/how-to/operate.md). Then run the same command again.",
        )
    where, number = getattr(broken, "filename", None) or "what it needs", getattr(broken, "errno", None)
    if isinstance(broken, PermissionError):
        why, do = f"Your account may not use {where}.", "Run it as the account that made this installation, or as root."
    elif number in (errno.ENOSPC, errno.EDQUOT):
        why, do = "The disk is full.", "Make room, then run the same command again."
    elif number == errno.EROFS:
        why, do = f"{where} lies on a disk that cannot be written.", "Name a folder that can: GLOVEBOX_HOME=/path."
    else:
        why = f"{where} cannot be used: {getattr(broken, 'strerror', None) or first_line(broken)}."
        do = "Look at this path, and at GLOVEBOX_HOME if the state folder lies in it; then run the same command again."
    return Fault(what, why=why, do=do)


def first_line(broken: BaseException) -> str:
    return (str(broken).strip().splitlines() or ["no message"])[0][:300]


def show(fault: Fault | LedgerFault) -> None:
    progress.print(
        f"[bold red]✗[/] {escape(fault.what)}\n  [dim]why:[/] {escape(fault.why)}\n  [dim]do:[/]  {escape(fault.do)}"
    )


@contextmanager
def bar(verb: str) -> Iterator[Callable[[str, float, int], None]]:
    """A progress bar over steps, on standard error: call it with a step's name, how many are done, and how many there are.

    ``done`` counts from 0 and may hold a part of the present step. Where there is no terminal, each step is one line.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=progress) as shown:
        task = shown.add_task(verb, total=None)

        def step(name: str, done: float, of: int) -> None:
            number = int(done) + 1
            shown.update(task, description=f"{verb} {name} ({number}/{of})", completed=done, total=of)
            if not progress.is_terminal and done == int(done):
                say(f"{number}/{of} {verb} {name}")

        yield step


def say(text: str) -> None:
    """A line of progress, as it stands."""
    progress.print(f"  {text}", markup=False)
