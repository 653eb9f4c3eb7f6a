"""What people see: a console on standard error for progress, standard output for answers, faults in three parts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from installation.fault import Fault
from ledger.errors import LedgerFault

progress = Console(stderr=True, highlight=False)
out = Console(highlight=False)


def answer(value: Any) -> None:
    """The one JSON document of a command run with ``--json``."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


@contextmanager
def faults_in_three_parts(as_json: bool = False) -> Iterator[None]:
    """Turn a Fault into what, why and what to do, and exit code 1. Programming errors keep their traceback."""
    try:
        yield
    except (Fault, LedgerFault) as fault:
        if as_json:
            answer({"error": fault.public()})
        progress.print(
            f"[bold red]✗[/] {_plain(fault.what)}\n  [dim]why:[/] {_plain(fault.why)}\n  [dim]do:[/]  {_plain(fault.do)}"
        )
        raise SystemExit(1) from None


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
