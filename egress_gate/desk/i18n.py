"""Languages: gettext catalogues as ``.po`` files, read at start. A missing translation shows the English text.

English has a catalogue too: it turns the codes of rules and ledger entries into words.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_datetime, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations

from store.clock import moment

FOLDER = Path(__file__).parent / "locale"
LANGUAGES: Mapping[str, str] = {"en": "English", "zh_Hans": "中文"}
_ALIASES = {"zh": "zh_Hans", "zh_CN": "zh_Hans", "zh_SG": "zh_Hans", "zh_TW": "zh_Hans", "zh_Hans_CN": "zh_Hans"}

_GAP = re.compile(r"\\?\{\d\\?\}")
_NUMBERED = re.compile(r"\{(\d)\}")


@lru_cache(maxsize=len(LANGUAGES))
def translations(language: str) -> NullTranslations:
    path = FOLDER / language / "LC_MESSAGES" / "desk.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain="desk")


@lru_cache(maxsize=len(LANGUAGES))
def _filled_in(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Of the faults' texts with gaps: what they look like filled in, and the translation. The most words first."""
    gaps = [(text, said) for text, said in faults(language).items() if "{1}" in text]
    gaps.sort(key=lambda one: -len(_GAP.sub("", one[0])))
    return tuple((re.compile(_GAP.sub("(.+?)", re.escape(text)), re.DOTALL), said) for text, said in gaps)


@lru_cache(maxsize=len(LANGUAGES))
def faults(language: str) -> Mapping[str, str]:
    """What faults say, as their source has it with ``{1}`` for each gap, in `language`."""
    path = FOLDER / language / "LC_MESSAGES" / "faults.po"
    if not path.exists():
        return {}
    with path.open("rb") as source:
        return {str(one.id): str(one.string) for one in read_po(source, locale=language) if one.id and one.string}


def choose(wanted: str | None, accepted: str | None) -> str:
    """The remembered language, else the browser's best one, else English."""
    if wanted in LANGUAGES:
        return str(wanted)
    preferred = [part.split(";")[0].strip().replace("-", "_") for part in (accepted or "").split(",")]
    named = [_ALIASES.get(p, p) for p in preferred if p]
    return negotiate_locale(named, list(LANGUAGES)) or "en"


class Voice:
    """One reader's language: translated text, dates, numbers."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = Locale.parse(language)
        self._texts = translations(language)

    @property
    def html_lang(self) -> str:
        return self.language.replace("_", "-")

    def text(self, message: str, **values: object) -> str:
        """`message` translated; ``%(name)s`` parts are filled in."""
        translated: str = self._texts.gettext(message) if message else ""
        return translated % values if values else translated

    def told(self, said: str, depth: int = 2) -> str:
        """What a fault or a reason says, in the reader's language. What is filled in, a name or a figure, stays; a part of SQL that
        has words of its own is translated too. English where there is no translation."""
        known: str = self._texts.gettext(said) if said else ""
        if known != said or self.language == "en":
            return known
        found = faults(self.language).get(said)
        if found is not None:
            return found
        for pattern, translation in _filled_in(self.language):
            if (match := pattern.fullmatch(said)) is not None:
                parts = [self.told(part, depth - 1) if depth else part for part in match.groups()]
                return "".join(
                    parts[int(one) - 1] if n % 2 else one for n, one in enumerate(_NUMBERED.split(translation))
                )
        return said

    def plural(self, one: str, many: str, count: int) -> str:
        return str(self._texts.ngettext(one, many, count)) % {"n": self.number(count)}

    def when(self, stamp: str | None) -> str:
        return format_datetime(moment(stamp), "medium", locale=self.locale) if stamp else ""

    def day(self, stamp: str) -> str:
        return format_date(moment(stamp), "full", locale=self.locale)

    def age(self, stamp: str, now: datetime) -> str:
        return format_timedelta(now.astimezone(UTC) - moment(stamp), granularity="minute", locale=self.locale)

    def span(self, seconds: int) -> str:
        return format_timedelta(timedelta(seconds=seconds), granularity="minute", threshold=1.5, locale=self.locale)

    def number(self, value: float) -> str:
        return format_decimal(value, locale=self.locale)

    @property
    def translate(self) -> Callable[..., str]:
        return self.text
