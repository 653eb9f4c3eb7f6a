"""Ways to carry figures out in an approved output, or past the eyes of whoever approves it."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from typing import Any

import pytest

from egress_gate.render.notebook import NotebookNotShown, Shown, ShownCell, page, policy, rendered
from egress_gate.service.notebooks import TEXT, Approved, cells_of, hidden_characters, revealed, written

SECRET = "the-secret-of-patient-17"


def output_of(raw: dict[str, Any]) -> Any:
    cell = {"cell_type": "code", "source": "x", "outputs": [raw]}
    (only,) = cells_of(json.dumps({"nbformat": 4, "cells": [cell]}).encode())
    return only.outputs[0]


@pytest.mark.parametrize(
    "text",
    [
        "n = 10\u200b0",  # zero-width space
        "n\u00a0= 100",  # another blank
        "n = 100\u202e",  # turns the reading direction
        "n = 100\U000e0041",  # tags
        "n = 100\ufe01",  # variation selectors, one byte each
        "n = 100\u3164",  # a letter that is blank
        "n = 100\x08\x08\x085",  # backspaces
        "e\u0301\u0301\u0301",  # marks piled up
        "\u2028",
        "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace") + "\ue000",  # private use
    ],
)
def test_characters_that_nobody_sees_are_found_and_shown_as_codes(text: str) -> None:
    assert hidden_characters(text)
    assert "⟨U+" in revealed(text) or text.startswith("e")


@pytest.mark.parametrize(
    "text", ["sex  n\nF\t9000", "Größe, naïve, 平均值 12.5%", "−0.3 ± 0.1 µg → ≤ 5", "Ελλάδα", "が", "한국"]
)
def test_ordinary_text_is_not_suspected(text: str) -> None:
    assert not hidden_characters(text)


def test_what_leaves_of_a_text_is_what_is_shown() -> None:
    """Colours, titles of terminals and blanks at the end of lines are gone before anybody looks; what overwrites stands beside it."""
    raw = {
        "output_type": "stream",
        "name": SECRET,
        "text": f"\x1b]0;{SECRET}\x07\x1b[38;5;17mn = 100\x1b[0m   \t \r\nhidden\rseen",
        "metadata": {"note": SECRET},
    }
    found = output_of(raw)
    assert (found.kind, found.text, found.stream) == (TEXT, "n = 100\nhidden\nseen", "stdout")


def test_a_picture_brings_none_of_its_companions_along() -> None:
    data = {"image/png": base64.b64encode(b"x").decode(), "text/plain": SECRET, "text/html": SECRET, SECRET: SECRET}
    found = output_of({"output_type": "display_data", "data": data, "metadata": {"image/png": {"alt": SECRET}}})
    cell = {"cell_type": "code", "source": "x", "metadata": {}, "outputs": []}
    made = written(cells_of(json.dumps({"nbformat": 4, "cells": [cell]}).encode()), [Approved(1, "", "stdout", b"png")])
    assert found.text == ""
    assert SECRET.encode() not in made


def test_an_approval_for_a_cell_that_is_not_there_writes_nothing() -> None:
    cells = cells_of(json.dumps({"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "x"}]}).encode())
    for cell in (0, 1, 2, -1):
        assert SECRET.encode() not in written(cells, [Approved(cell, SECRET, "stdout", b"")])


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![out](https://attacker.example/pixel.png)",
    "[link](https://attacker.example/)",
    "<style>@import url(https://attacker.example/x.css)</style>",
    "<iframe srcdoc='x'></iframe><form action=/x><button>b</button></form>",
    "```html\n<svg onload=alert(1)>\n```",
    "$\\href{javascript:alert(1)}{x}$",
    "<!--[if IE]><script>1</script><![endif]-->",
)


def test_nothing_that_an_author_wrote_is_markup_or_an_address_of_a_page() -> None:
    cells = [ShownCell("markdown", one) for one in HOSTILE] + [
        ShownCell("code", one, (Shown(text=one),)) for one in HOSTILE
    ]
    seen = Seen()
    seen.feed(rendered(cells).decode())
    assert seen.tags <= {"div", "span", "pre", "code", "p", "em", "h1", "br"}
    assert seen.attributes <= {"class"}
    assert not seen.other


class Seen(HTMLParser):
    """The tags and attributes that a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.other: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def handle_decl(self, decl: str) -> None:
        self.other.append(decl)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)


def test_the_page_is_under_a_policy_by_which_nothing_runs() -> None:
    assert "script-src" not in policy()
    assert policy().startswith("default-src 'none'")
    assert b"<title>&lt;b&gt;</title>" in page(b"", "<b>")


def test_a_notebook_that_keeps_the_renderer_busy_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egress_gate.render.notebook.SECONDS", 1)
    monkeypatch.setattr("egress_gate.render.notebook.MEMORY", 64 * 1024**2)
    with pytest.raises(NotebookNotShown):
        rendered([ShownCell("markdown", "x")])
