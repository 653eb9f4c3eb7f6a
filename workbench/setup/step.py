"""One set-up step, and how its progress is shown: what it does, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

from installation.fault import Fault
from installation.settings import Settings
from workbench.console import UNFINISHED, in_three_parts, of_the_machine
from workbench.errors import SetupFault

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """``ensure`` makes it so and says in a word what is there; doing it twice changes nothing."""

    name: str
    ensure: Callable[[Settings, Progress], str]


def run_steps(settings: Settings, steps: Sequence[Step], console: Console) -> None:
    """Run the steps in order. Raises SetupFault naming the step that failed."""
    for number, step in enumerate(steps, 1):
        begun = time.monotonic()
        label = f"{number}/{len(steps)} {step.name}"
        with console.status(label) as status:

            def progress(text: str, label: str = label) -> None:
                if console.is_terminal:
                    status.update(f"{label}: {text}")
                else:
                    console.print(f"  {label}: {text}", highlight=False, markup=False)

            try:
                found = step.ensure(settings, progress)
            except Fault as fault:
                raise _named(step, fault) from fault
            except Exception as broken:
                if not of_the_machine(broken):
                    raise
                raise _named(step, in_three_parts(broken)) from broken
        took = time.monotonic() - begun
        console.print(f"  [green]✓[/] {label} [dim]{found} · {took:.1f} s[/]", highlight=False)


def _named(step: Step, fault: Fault) -> SetupFault:
    """The fault with the name of the step before it, so that nobody has to guess how far set-up came."""
    what = "" if fault.what == UNFINISHED else f" {fault.what}"
    return SetupFault(f"Set-up step “{step.name}” failed.{what}", why=fault.why, do=fault.do)
