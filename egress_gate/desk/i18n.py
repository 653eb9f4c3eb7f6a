"""Languages: gettext catalogues as ``.po`` files, read at start. A missing translation shows the English text.

English has a catalogue too: it turns the codes of rules and ledger entries into words.
"""

from __future__ import annotations

import io
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
