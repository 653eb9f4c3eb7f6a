"""What may be a name: it becomes a folder, a mount point, a relation in SQL and a noun in the ledger."""

from __future__ import annotations

import re
import unicodedata

from provisioning.domain.errors import RegistrationRefused

_SLUG = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
MAX_COLUMN = 120
MAX_COLUMNS = 4000
MAX_TEXT = 4000


def slug(noun: str, name: str) -> str:
    """A dataset's or project's name. Raises RegistrationRefused."""
    return _matching(_SLUG, noun, name, "small letters, digits, - and _, beginning with a letter, at most 63")


def table(name: str) -> str:
    """A table's name: usable in SQL without quotes."""
    return _matching(_TABLE, "table", name, "small letters, digits and _, beginning with a letter, at most 63")


def person(name: str) -> str:
    return _matching(_PERSON, "person", name, "letters, digits, . _ @ and -, at most 100")


def text(noun: str, value: str) -> str:
    """Prose that people will read. Raises RegistrationRefused when empty, too long, or with control characters."""
    stripped = value.strip() if isinstance(value, str) else ""
    if (
        not stripped
        or len(stripped) > MAX_TEXT
        or any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in stripped)
    ):
        raise RegistrationRefused(
            f"The {noun} was not accepted.",
            why=f"It is empty, longer than {MAX_TEXT} characters, or holds control characters.",
            do=f"Write the {noun} in plain words.",
        )
    return stripped


def columns(table_name: str, names: list[str]) -> list[str]:
    """The header of a table, trimmed. Raises RegistrationRefused for empty, absurd or repeated names.

    Names that differ in case only count as repeated: SQL would not tell them apart.
    """
    if not 0 < len(names) <= MAX_COLUMNS:
        raise _header(
            table_name,
            f"It has {len(names)} columns; between 1 and {MAX_COLUMNS} are possible.",
            "Check the delimiter.",
        )
    trimmed = [unicodedata.normalize("NFC", n).strip() for n in names]
    seen: dict[str, int] = {}
    for position, name in enumerate(trimmed, start=1):
        if not name:
            raise _header(table_name, f"Column {position} has no name.", "Give every column a name in the first line.")
        if len(name) > MAX_COLUMN or any(_unfit(c) for c in name):
            raise _header(
                table_name,
                f"The name of column {position} is longer than {MAX_COLUMN} characters or holds quotes, control or invisible characters.",
                "Rename it; letters of any language, digits, spaces and . _ - ( ) / % are fine.",
            )
        if (first := seen.setdefault(name.casefold(), position)) != position:
            raise _header(table_name, f"Columns {first} and {position} are both named {name}.", "Rename one of them.")
    return trimmed


def _unfit(character: str) -> bool:
    return character in "\"'`;\\" or unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def _matching(pattern: re.Pattern[str], noun: str, name: str, allowed: str) -> str:
    if not isinstance(name, str) or not pattern.fullmatch(name):
        shown = ascii(str(name)[:40])
        raise RegistrationRefused(
            f"{shown} cannot be the name of a {noun}.",
            why="Names become folders, mounts and relations in SQL, so that they must be plain.",
            do=f"Use {allowed} characters.",
        )
    return name


def _header(table_name: str, why: str, do: str) -> RegistrationRefused:
    return RegistrationRefused(f"Table {table_name} was not registered: its header cannot be used.", why=why, do=do)
