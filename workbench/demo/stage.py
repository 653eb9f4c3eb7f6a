"""Set-up, start, the story, and what is printed at the end."""

from __future__ import annotations

import time

from installation.settings import Settings, load
from workbench import console
from workbench.demo.run import run
from workbench.runtime import process
from workbench.setup import prepare, secrets


def play(settings: Settings, *, once: bool) -> int:
    """Play the demo; 0 when every step ended as it must. ``once`` stops the workbench at the end."""
    begun = time.monotonic()
    console.out.print("[bold]Glovebox[/]: set up what is missing, start the workbench, play the whole loop.\n")
    prepare(settings, console.progress)
    settings = load(settings.home)
    process.up(settings, console.progress.print)
    console.out.print(f"The workbench runs at [bold]{settings.url}[/]")
    outcome = run(settings, console.out)
    if once:
        process.down(settings, console.progress.print)
        console.out.print("The workbench is stopped; ./glovebox up starts it again.")
    elif outcome == 0:
        _accounts(settings)
    console.out.print(f"[dim]{time.monotonic() - begun:.0f} s in all[/]")
    return outcome


def _accounts(settings: Settings) -> None:
    console.out.print(f"\nOpen [bold]{settings.url}[/] and sign in as one of:")
    for name, account in secrets.accounts(settings).items():
        console.out.print(f"  {account['group'][:-1]:8} {name:8} {account['password']}", markup=False)
    console.out.print("Then: docs/tutorials/first-release.md. Stop with ./glovebox down.")
