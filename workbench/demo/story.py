"""The demo tells a story and keeps its own score: a step that differs from what must happen ends it with exit code 1."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Differs(Exception):
    """A step did not end as it must; the message says what was expected and what was seen."""


@dataclass
class Story:
    """Prints chapters and facts; `must` compares what happened with what has to happen."""

    console: Console
    chapter_number: int = 0
    checks: int = 0
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        self.chapter_number += 1
        begun = time.monotonic()
        self.console.print(f"\n[bold cyan]{self.chapter_number}. {escape(title)}[/]")
        yield
        self.console.print(f"   [dim]{time.monotonic() - begun:.1f} s[/]")

    def say(self, text: str) -> None:
        self.console.print(f"   {escape(text)}")

    def must(self, holds: bool, fact: str, seen: object = "") -> None:
        """Print ``fact`` with a tick, or stop the demo. ``seen`` is what was observed instead."""
        self.checks += 1
        if not holds:
            self.console.print(f"   [bold red]✗ {escape(fact)}[/]")
            raise Differs(f"Expected: {fact}. Seen: {seen!r}"[:2000])
        self.console.print(f"   [green]✓[/] {escape(fact)}")

    def table(self, columns: list[str], rows: list[list[object]]) -> None:
        shown = Table(*columns, box=None, padding=(0, 2), header_style="dim")
        for row in rows:
            shown.add_row(*(escape(str(value)) for value in row))
        self.console.print(shown)
