"""The order of the story, and who acts in it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from rich.console import Console

from installation.settings import Settings
from workbench.demo import chapters
from workbench.demo.browser import Browser, BrowserFault
from workbench.demo.story import Differs, Story


@dataclass(frozen=True)
class Cast:
    """The four demo accounts with the passwords that set-up made."""

    passwords: dict[str, str]

    @classmethod
    def read(cls, settings: Settings) -> Cast:
        accounts = json.loads((settings.secrets / "accounts.json").read_text("utf-8"))
        return cls({name: account["password"] for name, account in accounts.items()})


async def _play(settings: Settings, story: Story, cast: Cast) -> None:
    chapters.provision(settings, story)
    async with Browser(settings.url) as ana, Browser(settings.url) as stella, Browser(settings.url) as audrey:
        with story.chapter("Everyone signs in through the hub"):
            for browser, person in ((ana, "ana"), (stella, "stella"), (audrey, "audrey")):
                await browser.sign_in(person, cast.passwords[person])
                story.must(True, f"{person} signed in at {settings.url}")
        asked = await chapters.work(settings, story, ana, stella)
        await chapters.review(settings, story, ana, stella, asked)
        await chapters.remember(story, stella, asked)
        await chapters.prove(settings, story, audrey, asked)


def run(settings: Settings, console: Console | None = None) -> int:
    """Play the main job against a running workbench. Returns 0 when every step ended as it must, else 1."""
    story = Story(console or Console())
    cast = Cast.read(settings)
    try:
        asyncio.run(_play(settings, story, cast))
    except (Differs, BrowserFault, TimeoutError) as fault:
        story.console.print(
            f"\n[bold red]The demo stopped:[/] a step differed from what must happen.\n   {fault!s}", highlight=False
        )
        story.console.print(
            f"   Logs: {settings.logs}. Run the same command again after mending it; finished steps are kept."
        )
        return 1
    story.console.print(f"\n[bold green]{story.checks} facts checked, every one as it must be.[/]")
    return 0
