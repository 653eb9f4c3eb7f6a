"""pandas-style tables that are SQL underneath, so that what is shown inside can be asked for outside.

by_sex = glovebox.groupby("nafld1", "male").agg(n="count", age="mean")
glovebox.crosstab("nafld1", "male", "status", margins=True)
by_sex.df(); by_sex.sql; by_sex.release(title="…", purpose="…")
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from glovebox.errors import Mistake
from glovebox.release import preview, release
from glovebox.tables import sql

FUNCTIONS = {
    "count": "count",
    "size": "count",
    "sum": "sum",
    "mean": "avg",
    "avg": "avg",
    "min": "min",
    "max": "max",
    "std": "stddev",
    "median": "median",
}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _quoted(name: Any) -> str:
    if not isinstance(name, str) or "\0" in name or not name:
        raise Mistake(f"{name!r} is not a column.", "Columns are named by text.", "Give the column's name.")
    return '"' + name.replace('"', '""') + '"'


def _table(name: str) -> str:
    parts = name.split(".") if isinstance(name, str) else []
    if not 1 <= len(parts) <= 2 or not all(NAME.fullmatch(part) for part in parts):
        raise Mistake(f"{name!r} is not a table.", "A table is named table or dataset.table.", "See glovebox.tables().")
    return ".".join(_quoted(part) for part in parts)


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _measure(function: str, column: str | None) -> str:
    if function not in FUNCTIONS:
        raise Mistake(
            f"{function} is not offered.",
            "The gate recomputes only some functions.",
            f"Use one of: {', '.join(FUNCTIONS)}.",
        )
    if column is None and FUNCTIONS[function] != "count":
        raise Mistake(f"{function} of what?", "It needs a column.", 'Give values="column".')
    return f"{FUNCTIONS[function]}({_quoted(column) if column is not None else '*'})"


class Compiled:
    """A table as SQL. ``release_sql`` is what `glovebox.release` sends."""

    def __init__(self, text: str, keys: Sequence[str], across: Sequence[str] = ()) -> None:
        self.sql = text
        self.release_sql = text
        self._keys = list(keys)
        self._across = list(across)

    def df(self) -> Any:
        """As pandas, computed here. What leaves is computed again by the gate."""
        frame = sql(self.sql).df()
        if not self._across:
            return frame.set_index(self._keys) if self._keys else frame
        values = [name for name in frame.columns if name not in (*self._keys, *self._across)]
        shown = frame.fillna({name: "All" for name in (*self._keys, *self._across) if frame[name].dtype == object})
        return shown.pivot(index=self._keys, columns=self._across, values=values[0] if len(values) == 1 else values)

    def preview(self) -> Any:
        return preview(self.sql)

    def release(self, **words: Any) -> Any:
        """`glovebox.release` of this table: title, purpose, context."""
        return release(self.sql, **words)

    def __repr__(self) -> str:
        return f"{self.df()!r}\n\n{self.sql}"

    def _repr_html_(self) -> str:
        html: str = self.df()._repr_html_()
        return html


class Grouped:
    """``groupby``: choose measures with ``agg``, or one at once."""

    def __init__(self, table: str, keys: Sequence[str], where: str) -> None:
        self._table = table
        self._keys = list(keys)
        self._where = where

    def agg(self, **measures: str | tuple[str, str]) -> Compiled:
        """``n="count"``, ``age="mean"`` (of the column of that name), or ``mean_age=("age", "mean")``."""
        made = []
        for name, asked in measures.items():
            column, function = (
                asked if isinstance(asked, tuple) else (None if asked in ("count", "size") else name, asked)
            )
            made.append(f"{_measure(function, column)} AS {_quoted(name)}")
        return Compiled(_select(self._table, self._keys, made, self._where, margins=False), self._keys)

    def size(self) -> Compiled:
        return self.agg(n="count")

    def mean(self, column: str) -> Compiled:
        return self.agg(n="count", **{f"mean_{column}": (column, "mean")})

    def sum(self, column: str) -> Compiled:
        return self.agg(n="count", **{f"sum_{column}": (column, "sum")})


def groupby(table: str, by: str | Sequence[str], *, where: str = "") -> Grouped:
    """Groups of ``table`` by one or more columns; ``where`` is SQL."""
    return Grouped(table, _listed(by), where)


def crosstab(
    table: str, index: str | Sequence[str], columns: str | Sequence[str], *, values: str | None = None, aggfunc: str = "count",
    margins: bool = False, where: str = "",
) -> Compiled:  # fmt: skip
    """How often (or which sum or mean) for each pair; ``margins`` adds the totals."""
    rows, across = _listed(index), _listed(columns)
    measure = f"{_measure(aggfunc, values)} AS {_quoted(_called(aggfunc, values))}"
    return Compiled(_select(table, [*rows, *across], [measure], where, margins=margins), rows, across)


def pivot_table(
    table: str, *, values: str, index: str | Sequence[str], columns: str | Sequence[str] = (), aggfunc: str = "mean",
    margins: bool = False, where: str = "",
) -> Compiled:  # fmt: skip
    """As pandas' ``pivot_table``: one measure of ``values`` by ``index`` and ``columns``."""
    if not columns:
        keys = _listed(index)
        measure = f"{_measure(aggfunc, values)} AS {_quoted(_called(aggfunc, values))}"
        return Compiled(_select(table, keys, [measure], where, margins=margins), keys)
    return crosstab(table, index, columns, values=values, aggfunc=aggfunc, margins=margins, where=where)


def _called(function: str, column: str | None) -> str:
    return "n" if column is None else f"{function}_{column}"


def _select(table: str, keys: Sequence[str], measures: Sequence[str], where: str, *, margins: bool) -> str:
    named = ", ".join(map(_quoted, keys))
    grouped = f"CUBE ({named})" if margins else named
    parts = [f"SELECT {', '.join([*map(_quoted, keys), *measures])}", f"FROM {_table(table)}"]
    parts += [f"WHERE {where}"] if where else []
    parts += [f"GROUP BY {grouped}"] if keys else []
    return "\n".join(parts)


__all__ = ["Compiled", "crosstab", "groupby", "pivot_table"]
