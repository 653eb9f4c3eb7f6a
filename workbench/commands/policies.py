"""`glovebox policy`."""

from __future__ import annotations

import typer

app = typer.Typer(help="The rules.", no_args_is_help=True)
