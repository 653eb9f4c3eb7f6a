"""Rows of a query laid out as pandas lays them out: keys beside and above, totals last, shares. Nothing of this leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glovebox.errors import Mistake
from glovebox.measured import COUNTS
from glovebox.queried import MARK, Query


@dataclass(frozen=True)
class Layout:
    """How a table is shown in here."""

    total: str = "All"
    margins: bool = False
    fill: Any = None
    share: str = ""  # all, index or columns
    as_index: bool = True


def lay_out(frame: Any, query: Query, layout: Layout) -> Any:
    """A DataFrame with pandas' own index and columns."""
    names = [m.name for m in query.measures]
    for one in query.measures:
        if one.function == "sum":  # nothing adds up to 0 in pandas, and to NULL in SQL
            frame[one.name] = frame[one.name].fillna(0)
    if query.dropna and (query.across or query.totals):
        frame = frame.dropna(subset=names, how="all")
    rows, across = ([name for _, name in side] for side in (query.rows, query.across))
    if query.totals:
        frame = _with_totals(frame, (rows, across), layout.total)
    if rows and across:
        table = _crossed(frame, query, rows, across)
    else:
        table = _beside(frame, query, rows or across)
        table = table.T if across else table
    if layout.share:
        return _shares(table, layout)
    if layout.fill is not None:
        table = table.fillna(layout.fill)
        if layout.fill == 0 and all(m.function in COUNTS for m in query.measures):
            table = table.astype("int64")
    return table if layout.as_index else table.reset_index()


def _with_totals(frame: Any, sides: Sequence[list[str]], total: str) -> Any:
    """Totals named where they stand: the first key of a side says so, its others are empty."""
    for side in sides:
        for place, key in enumerate(side):
            of_all = frame[MARK + key] == 1
            if (frame.loc[~of_all, key] == total).any():
                raise Mistake(
                    f"{key} has the value {total}.",
                    "A total of this name could not be told from it.",
                    'Give another margins_name="…".',
                )
            frame[key] = frame[key].astype(object).mask(of_all, "" if place else total)
    return frame


def _headings(frame: Any, side: list[str]) -> tuple[Any, Any]:
    """The different headings of one side, in order with totals last, and for each row of ``frame`` which of them it is under."""
    import pandas as pd

    found = frame[[c for c in frame.columns if c in side or c in [MARK + key for key in side]]].drop_duplicates()
    marks = [MARK + side[0]] if MARK + side[0] in found else []
    for key in reversed(side):
        found = found.iloc[_order(found[key])]
    found = found.sort_values(marks, kind="stable") if marks else found
    heads = found[side].reset_index(drop=True)
    places = {_same(row): number for number, row in enumerate(heads.itertuples(index=False, name=None))}
    where = [places[_same(row)] for row in frame[side].itertuples(index=False, name=None)]
    index = pd.Index(heads[side[0]], name=side[0]) if len(side) == 1 else pd.MultiIndex.from_frame(heads)
    return index, where


def _order(column: Any) -> list[int]:
    """Places in ascending order, missing last; what cannot be compared (totals among numbers) by kind first."""
    found = list(column)
    return sorted(range(len(found)), key=lambda n: (_missing(found[n]), isinstance(found[n], str), *_key(found[n])))


def _key(value: Any) -> tuple[Any, ...]:
    return () if _missing(value) else (value,)


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _same(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(None if _missing(value) else value for value in row)


def _beside(frame: Any, query: Query, side: list[str]) -> Any:
    import pandas as pd

    table = frame[[m.name for m in query.measures]].copy()
    if side:
        index, where = _headings(frame, side)
        table.index = pd.Index(where)
        table = table.sort_index() if query.sort or query.totals else table
        table.index = index.take(table.index)
    table.columns = _labels([m.label for m in query.measures], [])
    return table


def _crossed(frame: Any, query: Query, rows: list[str], across: list[str]) -> Any:
    (index, down), (columns, along) = _headings(frame, rows), _headings(frame, across)
    names = [m.name for m in query.measures]
    table = frame[names].assign(__down=down, __along=along).pivot(index="__down", columns="__along", values=names)
    labels = {m.name: m.label for m in query.measures}
    heads = [head if isinstance(head, tuple) else (head,) for head in columns]
    made = [(*labels[name], *heads[place]) for name, place in table.columns]
    table.index = index.take(table.index)
    table.columns = _labels(made, across)
    return table.dropna(how="all", axis=1) if query.dropna else table


def _labels(made: list[tuple[Any, ...]], across: list[str]) -> Any:
    import pandas as pd

    width = len(made[0]) if made else 1
    names = [*[None] * (width - len(across)), *across]
    return (
        pd.Index([one[0] for one in made], name=names[0])
        if width == 1
        else pd.MultiIndex.from_tuples(made, names=names)
    )


def _shares(table: Any, layout: Layout) -> Any:
    """Counts or sums, with their totals, as shares. The totals of what is shared out are left out where pandas leaves them out."""
    table = table.fillna(0)
    whole = {"all": table.iloc[-1, -1], "index": table.iloc[:, -1], "columns": table.iloc[-1, :]}[layout.share]
    shares = table / whole if layout.share == "all" else table.div(whole, axis=0 if layout.share == "index" else 1)
    shares = shares if layout.margins and layout.share != "columns" else shares.iloc[:-1]
    return (shares if layout.margins and layout.share != "index" else shares.iloc[:, :-1]).fillna(0)
