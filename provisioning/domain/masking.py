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
    """The first ``length`` characters of a code: a level of its hierarchy (ICD, postal, administrative codes)."""

    length: int


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


Rule = Drop | Pseudonym | Bins | Truncate | Prefix | Clip | ShiftDates | Round | Noise | Redact


@dataclass(frozen=True)
class TableRecipe:
    """``quasi``: columns that together may point at somebody; ``sensitive``: what must not be learnt (both after masking)."""

    columns: Mapping[str, Rule] = field(default_factory=dict)
    quasi: tuple[str, ...] = ()
    sensitive: str | None = None


def parse(text: str) -> dict[str, TableRecipe]:
    """Raises RegistrationRefused for anything that is not a whole recipe."""
    try:
        raw = json.loads(text)
    except ValueError as broken:
        raise _refused("It is not JSON.", "Write it as JSON.") from broken
    if not isinstance(raw, dict) or not raw:
        raise _refused("It names no table.", "Name at least one table.")
    return {str(name): _table(str(name), body) for name, body in raw.items()}


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
                "Bins, clip, round and noise are for numbers; truncate and shift for dates; prefix and redact for text.",
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


_WORDS: dict[str, tuple[type[Any], Callable[[Mapping[str, Any]], Rule]]] = {
    "drop": (Drop, lambda body: Drop()),
    "pseudonym": (Pseudonym, lambda body: Pseudonym()),
    "bins": (Bins, lambda body: Bins(_edges(body["edges"]))),
    "truncate": (Truncate, lambda body: Truncate(_one_of(body["to"], PARTS))),
    "prefix": (Prefix, lambda body: Prefix(_whole(body["length"], 1, 100))),
    "clip": (Clip, lambda body: _clip(body.get("low"), body.get("high"))),
    "shift": (ShiftDates, lambda body: ShiftDates(_whole(body["days"], 1, 3660))),
    "round": (Round, lambda body: Round(_positive(body["base"]))),
    "noise": (Noise, lambda body: Noise(_positive(body["sd"]))),
    "redact": (Redact, lambda body: Redact()),
}
_PARTS_OF = {
    "bins": {"edges"},
    "truncate": {"to"},
    "prefix": {"length"},
    "clip": {"low", "high"},
    "shift": {"days"},
    "round": {"base"},
    "noise": {"sd"},
}


def _table(name: str, body: Any) -> TableRecipe:
    if not isinstance(body, dict) or set(body) - {"columns", "quasi", "sensitive"}:
        raise _refused(f"The part for table {name[:60]!a} has unknown words.", "Use columns, quasi and sensitive.")
    columns, quasi, sensitive = body.get("columns", {}), body.get("quasi", []), body.get("sensitive")
    if not isinstance(columns, dict) or not isinstance(quasi, list) or not isinstance(sensitive, str | None):
        raise _refused(f"The part for table {name[:60]!a} is malformed.", "See the page on masking.")
    rules = {str(column): _rule(str(column), rule) for column, rule in columns.items()}
    return TableRecipe(rules, tuple(str(column) for column in quasi), sensitive)


def _rule(column: str, body: Any) -> Rule:
    word = body.get("do") if isinstance(body, dict) else None
    if not isinstance(word, str) or word not in _WORDS or set(body) - {"do"} - _PARTS_OF.get(word, set()):
        raise _refused(f"The rule for {column[:60]!a} is not known.", f"Use one of: {', '.join(sorted(_WORDS))}.")
    try:
        return _WORDS[word][1](body)
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
        **{name: list(v) if isinstance(v, tuple) else v for name, v in vars(rule).items() if v is not None},
    }


def _fits(rule: Rule, kind: str) -> bool:
    number = kind in NUMBERS or kind.startswith("DECIMAL")
    if isinstance(rule, Bins | Clip | Round | Noise):
        return number
    if isinstance(rule, Truncate | ShiftDates):
        return kind in DATES
    if isinstance(rule, Prefix | Redact):
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


def _one_of(value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError("unknown word")
    return str(value)


def _refused(why: str, do: str) -> RegistrationRefused:
    return RegistrationRefused("The masking recipe was refused.", why=why, do=do)
