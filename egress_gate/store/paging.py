"""A list a page at a time: how many there are in all, and the rows of one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

PAGE = 50


@dataclass(frozen=True)
class Paged:
    """`number` is the page shown, from 1; a page behind the last one is empty."""

    rows: tuple[Any, ...]
    total: int
    number: int
    size: int = PAGE

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))


def paged(
    c: Connection, query: Select[Any], number: int, made: Callable[[Any], Any] | None = None, size: int = PAGE
) -> Paged:
    """The rows of a page of an ordered query, each through ``made``."""
    total = int(c.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one())
    rows = c.execute(query.limit(size).offset(size * (number - 1)))
    return Paged(tuple(rows if made is None else map(made, rows)), total, number, size)


def sliced(rows: Sequence[Any], number: int, size: int = PAGE) -> Paged:
    """A page of what is in memory already."""
    begin = size * (number - 1)
    return Paged(tuple(rows[begin : begin + size]), len(rows), number, size)
