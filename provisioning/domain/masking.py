"""Masking recipes: what happens to each column before an analyst sees it. Pure; `intake.masking` turns a recipe into SQL.

A recipe is written per table and column as JSON, for example
``{"people": {"columns": {"name": {"do": "drop"}, "id": {"do": "pseudonym"}, "born": {"do": "truncate", "to": "year"}},
"quasi": ["born", "sex"], "sensitive": "diagnosis"}}``. Unknown words are refused, never ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provisioning.domain.dataset import Column
from provisioning.domain.errors import RegistrationRefused
from provisioning.domain.hierarchy import CodeTable, read_codes

NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
)
DATES = ("DATE", "TIMESTAMP")
WHOLE = tuple(kind for kind in NUMBERS if kind.endswith("INT") or kind.endswith("INTEGER"))
REFUSE = "refuse"
PARTS = ("day", "week", "month", "quarter", "year", "decade")


@dataclass(frozen=True)
class Drop:
    """The column does not exist any more."""


@dataclass(frozen=True)
class Pseudonym:
    """A keyed name: the same value has the same pseudonym within a project, and another one in another project."""


@dataclass(frozen=True)
class Bins:
    """A number as the interval it lies in; ``edges`` rise."""

    edges: tuple[float, ...]


@dataclass(frozen=True)
class Truncate:
    """A date or time down to its day, week, month, quarter, year or decade."""

    to: str


@dataclass(frozen=True)
class Prefix:
    """The first ``length`` characters of a code: a level of its hierarchy (ICD, postal, administrative codes).

    ``fill`` stands in the place of each character taken away, so that a code stays a code: 110108 becomes 110000.
    """

    length: int
    fill: str | None = None


@dataclass(frozen=True)
class Hierarchy:
    """A code as its value on a coarser level of a table of codes, which is kept under its digest.

    ``length``: only the first characters are looked up, where the table ends at a coarser code than the data. ``missing``: what
    becomes of a code that the table does not have: ``refuse``, or the word that stands for all of them.
    """

    file: str
    to: str
    sha256: str
    missing: str = REFUSE
    length: int | None = None
    codes: CodeTable | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Clip:
    """Bottom and top code: values beyond a limit become the limit."""

    low: float | None
    high: float | None


@dataclass(frozen=True)
class ShiftDates:
    """All dates of one person move by the same number of days, at most ``days`` either way: distances stay."""

    days: int


@dataclass(frozen=True)
class Round:
    """To the nearest multiple of ``base``."""

    base: float


@dataclass(frozen=True)
class Noise:
    """Normal noise of standard deviation ``sd``, drawn from the project's key: the same row always gets the same.

    It blurs a number; by itself it proves nothing about privacy.
    """

    sd: float


@dataclass(frozen=True)
class Redact:
    """Telephone, identity and card numbers, plates and addresses of mail inside a text become ``[redacted]``."""


Rule = Drop | Pseudonym | Bins | Truncate | Prefix | Hierarchy | Clip | ShiftDates | Round | Noise | Redact


@dataclass(frozen=True)
class TableRecipe:
    """``quasi``: columns that together may point at somebody; ``sensitive``: what must not be learnt (both after masking)."""

    columns: Mapping[str, Rule] = field(default_factory=dict)
    quasi: tuple[str, ...] = ()
    sensitive: str | None = None


Files = Callable[[str], bytes]
Codes = Callable[[str], CodeTable]


def parse(text: str, files: Files | None = None) -> dict[str, TableRecipe]:
    """Raises RegistrationRefused for anything that is not a whole recipe. ``files`` reads a table of codes that a rule names."""
    try:
        raw = json.loads(text)
    except ValueError as broken:
        raise _refused("It is not JSON.", "Write it as JSON.") from broken
    if not isinstance(raw, dict) or not raw:
        raise _refused("It names no table.", "Name at least one table.")
    given = _once(files or _no_files)
    return {str(name): _table(str(name), body, given) for name, body in raw.items()}


def check(name: str, recipe: TableRecipe, columns: Sequence[Column], unit: str | None) -> None:
    """Raises RegistrationRefused when a rule does not fit the table."""
    types = {column.name: column.type for column in columns}
    for column, rule in recipe.columns.items():
        if column not in types:
            raise _refused(f"Table {name} has no column {column[:60]!a}.", f"Use one of: {', '.join(types)}.")
        if column == unit and not isinstance(rule, Pseudonym):
            raise _refused(
                f"Column {column} says whom the rows of {name} are about; only a pseudonym keeps people countable.",
                "Give it a pseudonym, or leave it.",
            )
        if not _fits(rule, types[column]):
            raise _refused(
                f"{type(rule).__name__} does not fit column {column} of {name}, which is {types[column].lower()}.",
                "Bins, clip, round and noise are for numbers; truncate and shift for dates; redact for text; prefix and hierarchy for "
                "text and whole numbers.",
            )
        if isinstance(rule, ShiftDates) and unit is None:
            raise _refused(f"Dates of {name} cannot be shifted per person: it has no privacy unit.", "Truncate them.")
    left = {column for column in types if not isinstance(recipe.columns.get(column), Drop)}
    for column in (*recipe.quasi, *([recipe.sensitive] if recipe.sensitive else [])):
        if column not in left:
            raise _refused(f"{column[:60]!a} is measured but not in {name} after masking.", "Name columns that stay.")


def check_tables(recipes: Mapping[str, TableRecipe], tables: Mapping[str, tuple[Sequence[Column], str | None]]) -> None:
    """Raises RegistrationRefused when a recipe is for no table, or does not fit its columns and unit."""
    for name, recipe in recipes.items():
        if name not in tables:
            raise _refused(f"The version has no table {name[:60]!a}.", f"Use one of: {', '.join(sorted(tables))}.")
        check(name, recipe, *tables[name])


def facts(recipes: Mapping[str, TableRecipe]) -> dict[str, Any]:
    """The recipe as JSON, as `parse` reads it."""
    return {name: _table_facts(recipe) for name, recipe in sorted(recipes.items())}


def code_tables(recipes: Mapping[str, TableRecipe]) -> dict[str, CodeTable]:
    """The tables of codes that recipes use, by digest."""
    rules = [rule for recipe in recipes.values() for rule in recipe.columns.values()]
    return {rule.sha256: rule.codes for rule in rules if isinstance(rule, Hierarchy) and rule.codes is not None}


_WORDS: dict[str, tuple[type[Any], Callable[[Mapping[str, Any], Codes], Rule]]] = {
    "drop": (Drop, lambda body, _: Drop()),
    "pseudonym": (Pseudonym, lambda body, _: Pseudonym()),
    "bins": (Bins, lambda body, _: Bins(_edges(body["edges"]))),
    "truncate": (Truncate, lambda body, _: Truncate(_one_of(body["to"], PARTS))),
    "prefix": (Prefix, lambda body, _: Prefix(_whole(body["length"], 1, 100), _one_sign(body.get("fill")))),
    "hierarchy": (Hierarchy, lambda body, codes: _hierarchy(body, codes)),
    "clip": (Clip, lambda body, _: _clip(body.get("low"), body.get("high"))),
    "shift": (ShiftDates, lambda body, _: ShiftDates(_whole(body["days"], 1, 3660))),
    "round": (Round, lambda body, _: Round(_positive(body["base"]))),
    "noise": (Noise, lambda body, _: Noise(_positive(body["sd"]))),
    "redact": (Redact, lambda body, _: Redact()),
}
_PARTS_OF = {
    "bins": {"edges"},
    "truncate": {"to"},
    "prefix": {"length", "fill"},
    "hierarchy": {"file", "to", "sha256", "missing", "length"},
    "clip": {"low", "high"},
    "shift": {"days"},
    "round": {"base"},
    "noise": {"sd"},
}


def _table(name: str, body: Any, codes: Codes) -> TableRecipe:
    if not isinstance(body, dict) or set(body) - {"columns", "quasi", "sensitive"}:
        raise _refused(f"The part for table {name[:60]!a} has unknown words.", "Use columns, quasi and sensitive.")
    columns, quasi, sensitive = body.get("columns", {}), body.get("quasi", []), body.get("sensitive")
    if not isinstance(columns, dict) or not isinstance(quasi, list) or not isinstance(sensitive, str | None):
        raise _refused(f"The part for table {name[:60]!a} is malformed.", "See the page on masking.")
    rules = {str(column): _rule(str(column), rule, codes) for column, rule in columns.items()}
    return TableRecipe(rules, tuple(str(column) for column in quasi), sensitive)


def _rule(column: str, body: Any, codes: Codes) -> Rule:
    word = body.get("do") if isinstance(body, dict) else None
    if not isinstance(word, str) or word not in _WORDS or set(body) - {"do"} - _PARTS_OF.get(word, set()):
        raise _refused(f"The rule for {column[:60]!a} is not known.", f"Use one of: {', '.join(sorted(_WORDS))}.")
    try:
        return _WORDS[word][1](body, codes)
    except (KeyError, TypeError, ValueError) as broken:
        raise _refused(
            f"The rule for {column[:60]!a} is incomplete or out of range.", "See the page on masking."
        ) from broken


def _table_facts(recipe: TableRecipe) -> dict[str, Any]:
    made: dict[str, Any] = {"columns": {column: _rule_facts(rule) for column, rule in sorted(recipe.columns.items())}}
    if recipe.quasi:
        made["quasi"] = list(recipe.quasi)
    if recipe.sensitive:
        made["sensitive"] = recipe.sensitive
    return made


def _rule_facts(rule: Rule) -> dict[str, Any]:
    word = next(word for word, (kind, _) in _WORDS.items() if isinstance(rule, kind))
    return {
        "do": word,
        **{
            name: list(v) if isinstance(v, tuple) else v
            for name, v in vars(rule).items()
            if v is not None and name != "codes"
        },
    }


def _hierarchy(body: Mapping[str, Any], codes: Codes) -> Hierarchy:
    file, to, missing = (_said(body[part]) for part in ("file", "to", "missing"))
    table = codes(file)
    if body.get("sha256", table.sha256) != table.sha256:
        raise _refused(
            f"{file[:60]!a} is not the table of codes that it names by digest.", "Give that file, or the new digest."
        )
    length = None if body.get("length") is None else _whole(body["length"], 1, 100)
    table.above(to)
    return Hierarchy(file, to, table.sha256, missing, length, table)


def _once(files: Files) -> Codes:
    """Each table of codes read once, however many columns name it."""
    read: dict[str, CodeTable] = {}

    def codes(file: str) -> CodeTable:
        if file not in read:
            read[file] = read_codes(file, files(file))
        return read[file]

    return codes


def _no_files(file: str) -> bytes:
    raise _refused(f"Its table of codes {file[:60]!a} was not given.", "Put it beside the recipe.")


def _fits(rule: Rule, kind: str) -> bool:
    number = kind in NUMBERS or kind.startswith("DECIMAL")
    if isinstance(rule, Bins | Clip | Round | Noise):
        return number
    if isinstance(rule, Truncate | ShiftDates):
        return kind in DATES
    if isinstance(rule, Prefix | Hierarchy):
        return kind == "VARCHAR" or kind in WHOLE
    if isinstance(rule, Redact):
        return kind == "VARCHAR"
    return True


def _edges(value: Any) -> tuple[float, ...]:
    edges = tuple(_number(edge) for edge in value)
    if not 1 <= len(edges) <= 200 or list(edges) != sorted(set(edges)):
        raise ValueError("edges must rise")
    return edges


def _clip(low: Any, high: Any) -> Clip:
    limits = (None if low is None else _number(low), None if high is None else _number(high))
    if limits == (None, None) or (limits[0] is not None and limits[1] is not None and limits[0] >= limits[1]):
        raise ValueError("limits must be given and rise")
    return Clip(*limits)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("not a number")
    return value


def _positive(value: Any) -> float:
    if _number(value) <= 0:
        raise ValueError("not positive")
    return float(value) if isinstance(value, float) else value


def _whole(value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError("out of range")
    return value


def _said(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise ValueError("not a text")
    return value


def _one_sign(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) != 1 or not value.isprintable()):
        raise ValueError("not one character")
    return value


def _one_of(value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError("unknown word")
    return str(value)


def _refused(why: str, do: str) -> RegistrationRefused:
    return RegistrationRefused("The masking recipe was refused.", why=why, do=do)
