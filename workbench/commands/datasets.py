"""`glovebox dataset`: from a file to the catalogue."""

from __future__ import annotations

import typer

app = typer.Typer(help="The catalogue of datasets.", no_args_is_help=True)
