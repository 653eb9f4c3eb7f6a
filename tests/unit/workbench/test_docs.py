"""What the pages say is there: links lead somewhere, commands and settings exist, and no file names a registry or this machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from installation.settings import CHECKOUT
from workbench.checks import pages

COMMANDS = {words for words, _ in pages.commands()}
GROUPS = {words.split()[0] for words in COMMANDS if " " in words}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"\./glovebox ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")
# Put together here, so that this file does not hold what it looks for.
REGISTRIES = [".".join(name) for name in (
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("registry", "yarnpkg", "com"), ("docker", "io/"),
    ("ghcr", "io"), ("quay", "io"), ("proxy", "golang", "org"), ("deb", "debian", "org"), ("anaconda", "org"),
)]  # fmt: skip


def tracked() -> list[Path]:
    """Every file of ours in git that is text, or is about to be in it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    return [CHECKOUT / name for name in listed.split("\0") if name and (CHECKOUT / name).is_file()]


def markdown() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def texts(paths: list[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        try:
            yield str(path.relative_to(CHECKOUT)), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def anchors(page: Path) -> set[str]:
    """The headings of a page, as a browser is sent to them."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", markdown(), ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    wrong = []
    for target in LINK.findall(page.read_text("utf-8")):
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        there = (page.parent / place).resolve() if place else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            wrong.append(target)
    assert wrong == []


def test_every_page_of_the_documentation_can_be_found_from_its_first() -> None:
    found, waiting = set(), [CHECKOUT / "README.md", CHECKOUT / "docs" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in found:
            continue
        found.add(page)
        for target in LINK.findall(page.read_text("utf-8")):
            there = (page.parent / target.partition("#")[0]).resolve()
            if there.is_dir() and there != CHECKOUT:
                waiting += there.glob("*.md")  # a link to a folder shows its pages
            elif there.suffix == ".md" and there.exists():
                waiting.append(there)
    lost = {str(p.relative_to(CHECKOUT)) for p in markdown() if p.is_relative_to(CHECKOUT / "docs")} - {
        str(p.relative_to(CHECKOUT)) for p in found
    }
    assert lost == set()


def unknown(text: str) -> list[str]:
    """Commands that a text tells people to run and that there are not."""
    wrong = []
    for words in COMMAND.findall(text):
        first, _, _ = words.partition(" ")
        if first in GROUPS:
            if words not in COMMANDS and words != first:
                wrong.append(words)
        elif first not in COMMANDS:
            wrong.append(words)
    return wrong


def test_unknown_command_is_found() -> None:
    assert unknown("run ./glovebox project show NAME, ./glovebox fly, then ./glovebox grant give p1") == [
        "project show", "fly",
    ]  # fmt: skip


def test_every_command_that_a_page_or_a_message_names_exists() -> None:
    told = [
        CHECKOUT / "glovebox",
        *(p for p in tracked() if p.suffix in {".md", ".py", ".html", ".rego", ".json", ".po"}),
    ]
    told = [p for p in told if p != Path(__file__) and "tests" not in p.relative_to(CHECKOUT).parts]
    assert {name: wrong for name, text in texts(told) if (wrong := unknown(text))} == {}


def test_no_file_names_a_registry() -> None:
    wrong = {
        name: found for name, text in texts(tracked()) if (found := [one for one in REGISTRIES if one in text.lower()])
    }
    assert wrong == {}


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    places = [f"{CHECKOUT}/{path.name}" for path in CHECKOUT.iterdir()]
    assert {name: place for name, text in texts(tracked()) for place in places if place in text} == {}
