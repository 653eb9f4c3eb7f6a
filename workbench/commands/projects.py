"""`glovebox project` and `glovebox grant`."""

from __future__ import annotations

import typer

app = typer.Typer(help="Projects, their members and purpose.", no_args_is_help=True)
grant = typer.Typer(help="A steward's consent to the use of a dataset version.", no_args_is_help=True)
