"""Which cell a written key means: releases from elsewhere write the same value in another way.

The same text is the same value. Where no cell has it, dates, numbers and truth values are compared by what they say, and the key means a
cell only if it is the only one. A key that lacks a column, names another, or fits no cell means none: nothing is guessed.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from egress_gate.disclosure.tabulation import MISSING

_TOTAL = ("total",)
_SEVERAL = -1


class Places:
    """Cells by their published keys (None: the total over that column)."""

    def __init__(self, names: Sequence[str], keys: Iterable[Mapping[str, Any]]) -> None:
        self._names = tuple(names)
        self._keys = tuple(tuple(key[name] for name in self._names) for key in keys)

    def find(self, key: Mapping[str, Any]) -> int | None:
        """The number of the cell that ``key`` means, None if it means none or could mean several."""
        if len(key) != len(self._names) or any(name not in key for name in self._names):
            return None
        values = [key[name] for name in self._names]
        at = self._by_text.get(tuple(map(_text, values)))
        if at is None:
            at = self._by_value.get(tuple(map(_value, values)))
        return None if at in (None, _SEVERAL) else at

    @cached_property
    def _by_text(self) -> dict[tuple[Any, ...], int]:
        return self._by(_text)

    @cached_property
    def _by_value(self) -> dict[tuple[Any, ...], int]:
        return self._by(_value)

    def _by(self, said: Callable[[Any], Any]) -> dict[tuple[Any, ...], int]:
        found: dict[tuple[Any, ...], int] = {}
        for number, key in enumerate(self._keys):
            place = tuple(map(said, key))
            found[place] = number if place not in found else _SEVERAL
        return found


def published(names: Sequence[str], shown: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The published key of a cell that shows the columns ``shown``, of all ``names``."""
    mine = dict(zip(shown, values, strict=True))
    return {n: (MISSING if mine[n] is None else mine[n]) if n in mine else None for n in names}


def _text(value: Any) -> str | tuple[str]:
    if value is None:
        return _TOTAL
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _value(value: Any) -> Any:
    if value is None:
        return _TOTAL
    text = str(value)
    if text.casefold() in ("true", "false"):
        return ("truth", text.casefold())
    return _moment(text) or _number(text) or text


def _moment(text: str) -> tuple[str, str] | None:
    if len(text) < 10 or text[4] != "-":
        return None
    try:
        return "moment", datetime.datetime.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _number(text: str) -> tuple[str, decimal.Decimal] | None:
    try:
        number = decimal.Decimal(text)
    except decimal.InvalidOperation:
        return None
    return ("number", number) if number.is_finite() else None
