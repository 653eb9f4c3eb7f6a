"""The hub's pages in the reader's language: the hub has none of its own, so what its templates say is looked up after they are filled in.

Only whole texts between tags, and labels in attributes, that stand in ``workbench/locale/…/hub.po`` are exchanged; ``{1}`` in
one is a gap. The language is the one chosen on the review desk, else the browser's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from html import escape, unescape
from inspect import isawaitable
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from egress_gate.desk.i18n import Voice, choose
from egress_gate.desk.session import LANGUAGE
from policy_engine.bundle import POLICIES

FOLDER = Path(__file__).resolve().parents[1] / "locale"
_APART = re.compile(r"(<(?:script|style)\b.*?</(?:script|style)>)", re.DOTALL | re.IGNORECASE)
_TEXT = re.compile(r"(?:(?<=>)|\A)[^<>]+(?=<|\Z)")
_LABEL = re.compile(r"""(?<=\s)(value|title|aria-label)=(["'])([^"'<>]+)\2""")
_GAP = re.compile(r"\\\{\d\\\}")
_NUMBERED = re.compile(r"\{(\d)\}")
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z{])")


@lru_cache
def texts(language: str) -> Mapping[str, str]:
    """What the hub's pages say, and how it is said in `language`; empty for English."""
    path = FOLDER / language / "LC_MESSAGES" / "hub.po"
    if not path.exists():
        return {}
    with path.open("rb") as source:
        return {str(one.id): str(one.string) for one in read_po(source, locale=language) if one.id and one.string}


@lru_cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    gaps = [(text, said) for text, said in texts(language).items() if "{1}" in text]
    return tuple((re.compile(_GAP.sub("(.+?)", re.escape(text)), re.DOTALL), said) for text, said in gaps)


@lru_cache
def _reasons(language: str) -> Mapping[str, str]:
    """What policies say when they refuse, from the desk's catalogue, which has all of it."""
    every = json.loads((POLICIES / "data" / "messages.json").read_text("utf-8"))["messages"].values()
    voice = Voice(language)
    return {text: voice.text(text) for one in every for text in one.values()} if texts(language) else {}


def said(text: str, language: str) -> str:
    """One text, or itself where nobody has translated it. Of several sentences in one text, each is looked up."""
    plain = " ".join(text.split())
    whole = _said(plain, language)
    if whole is None:
        each = [_said(sentence, language) for sentence in _SENTENCE.split(plain)]
        whole = "".join(one for one in each if one) if None not in each else None
    return text if whole is None else whole


def _said(plain: str, language: str) -> str | None:
    known = texts(language).get(plain) or _reasons(language).get(plain)
    if known is not None:
        return known
    for pattern, translation in _patterns(language):
        found = pattern.fullmatch(plain)
        if found:
            parts = _NUMBERED.split(translation)
            return "".join(said(found[int(p)], language) if n % 2 else p for n, p in enumerate(parts))
    return None


def translated(page: str, language: str) -> str:
    """A piece of HTML with its texts and labels exchanged; scripts and styles stay as they are."""
    if not texts(language):
        return page
    return "".join(p if n % 2 else _exchanged(p, language) for n, p in enumerate(_APART.split(page)))


def _exchanged(page: str, language: str) -> str:
    page = _TEXT.sub(lambda found: _kept(found[0], language), page)
    return _LABEL.sub(lambda found: f'{found[1]}="{escape(said(unescape(found[3]), language))}"', page)


def _kept(text: str, language: str) -> str:
    """A text node with the white space around it."""
    inner = text.strip()
    if not inner:
        return text
    before, _, after = text.partition(inner)
    told = said(unescape(inner), language)
    return text if told == unescape(inner) else f"{before}{escape(told, quote=False)}{after}"


def language_of(context: Context) -> str:
    """Of the request that a page answers. The hub gives a template no request, but a method of its handler."""
    request = context["static_url"].__self__.request
    chosen = request.cookies.get(LANGUAGE)
    return choose(chosen.value if chosen else None, request.headers.get("Accept-Language"))


@pass_context
def told(context: Context, page: str = "", caller: Callable[[], Any] | None = None) -> Any:
    """``{% call told() %}…{% endcall %}`` around what a page says, or ``{{ told(super()) }}``.

    The hub fills in most pages asynchronously, where what is called around is still to come, and its error pages at once.
    """
    whole = caller() if caller else page
    reader = language_of(context)
    return _later(whole, reader) if isawaitable(whole) else _marked(whole, reader)


async def _later(whole: Awaitable[Any], reader: str) -> Markup:
    return _marked(await whole, reader)


def _marked(whole: object, reader: str) -> Markup:
    return Markup(translated(str(whole), reader))  # noqa: S704 - escaped by the templates


@pass_context
def language(context: Context) -> str:
    """For the page's ``lang``."""
    return language_of(context).replace("_", "-")


# the hub calls what can be called, with the user, and hands the answer to its templates
VARIABLES: Mapping[str, Callable[[object], Any]] = {"told": lambda _: told, "language": lambda _: language}
