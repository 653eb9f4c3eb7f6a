"""pandas' tables that are SQL underneath, so that what is shown inside can be asked for outside.

by_sex = glovebox.groupby("nafld1", "male").agg(n="count", mean_age=("age", "mean"))
glovebox.crosstab("nafld1", "male", "status", margins=True)
glovebox.pivot_table("nafld1", values="age", index="male", columns="status", aggfunc=["mean", "std"])
by_sex.df(); by_sex.sql; by_sex.release(title="…", purpose="…")

The parameters are pandas', with pandas' defaults; a table is named where pandas has its data, and ``where`` is SQL. What the gate could
not compute again is refused by name. Two differences: totals are of the same records as the cells (pandas leaves records out of totals
where any other value is missing), and ``sort=False`` promises no order (pandas shows the records').
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from glovebox.compiled_table import Compiled
from glovebox.errors import Mistake
from glovebox.grouped import Grouped
from glovebox.laid_out import Layout
from glovebox.measured import Aggfunc, Measure, Names, listed, measures, rows
from glovebox.queried import Query, keys
from glovebox.refusals import flag, refuse, refuse_others

_SHARES = (
    "Shares are shown in here only. The gate protects counts and sums, so these and their totals are what is asked for; divide them after "
    "their release."
)


def groupby(
    table: str, by: Names | None = None, *, as_index: bool = True, sort: bool = True, observed: bool = True, dropna: bool = True,
    where: str = "", **others: Any,
) -> Grouped:  # fmt: skip
    """Groups of ``table`` by one or more columns.

    ``groupby("t", "sex").agg(total=("pay", "sum"))``, ``groupby("t", ["sex", "region"])["pay"].std()``.
    """
    refuse_others("groupby", others)
    _observed("groupby", observed)
    if not listed(by):
        raise Mistake("Grouped by what?", "Groups need a column.", 'Write glovebox.groupby("table", "column").')
    given = {"as_index": as_index, "sort": sort, "dropna": dropna}
    return Grouped(table, tuple(listed(by)), where, **{name: flag("groupby", name, v) for name, v in given.items()})


def crosstab(
    table: str, index: Names, columns: Names, values: str | None = None, rownames: Names | None = None, colnames: Names | None = None,
    aggfunc: str | list[str] | None = None, margins: bool = False, margins_name: str = "All", dropna: bool = True,
    normalize: bool | int | str = False, *, where: str = "", **others: Any,
) -> Compiled:  # fmt: skip
    """How often each pair occurs, or ``aggfunc`` of ``values``: ``crosstab("t", "sex", "region", margins=True)``.

    ``margins_name`` and ``normalize`` shape what is shown in here; the file that leaves has counts or sums, and their totals.
    """
    refuse_others("crosstab", others)
    beside, above = _side(index, rownames), _side(columns, colnames)
    found = _crossed(table, [name for _, name in (*beside, *above)], values, aggfunc)
    share = _share(normalize, found)
    query = Query(
        table, beside, above, tuple(found), where,
        totals=flag("crosstab", "margins", margins) or bool(share), dropna=flag("crosstab", "dropna", dropna),
    )  # fmt: skip
    fill = 0 if values is None else None
    return Compiled(query, Layout(_total(margins_name), margins, fill, share), _SHARES if share else "")


def pivot_table(
    table: str, values: Names | None = None, index: Names | None = None, columns: Names | None = None, aggfunc: Aggfunc = "mean",
    fill_value: Any = None, margins: bool = False, dropna: bool = True, margins_name: str = "All", observed: bool = True,
    sort: bool = True, *, where: str = "", **others: Any,
) -> Compiled:  # fmt: skip
    """``aggfunc`` of ``values`` by ``index`` and ``columns``; several of each as in pandas.

    ``pivot_table("t", index="sex", columns="region", aggfunc={"age": ["mean", "std"], "pay": "sum"})``.

    ``fill_value`` and ``margins_name`` shape what is shown in here.
    """
    refuse_others("pivot_table", others)
    _observed("pivot_table", observed)
    beside, above = listed(index), listed(columns)
    if not beside and not above:
        raise Mistake("Grouped by what?", "A table needs a key.", 'Give index="column", columns="column", or both.')
    found = _headed(measures(table, aggfunc, values), aggfunc, bare=isinstance(values, str) and bool(beside and above))
    query = Query(
        table, keys(beside), keys(above), tuple(found), where, totals=flag("pivot_table", "margins", margins),
        dropna=flag("pivot_table", "dropna", dropna), sort=flag("pivot_table", "sort", sort),
    )  # fmt: skip
    return Compiled(query, Layout(_total(margins_name), margins, fill_value))


def _headed(found: list[Measure], aggfunc: Any, *, bare: bool) -> list[Measure]:
    """Headings where ``pivot_table`` has them: the function above the value, and no value (``bare``) where only one was named and
    there are columns."""
    if isinstance(aggfunc, Mapping):
        return found
    if len(found[0].label) == 1:
        return [replace(m, label=()) for m in found] if bare else found
    order = list(dict.fromkeys(m.label[-1] for m in found))
    turned = sorted(found, key=lambda m: order.index(m.label[-1]))
    return [replace(m, label=m.label[-1:] if bare else m.label[::-1]) for m in turned]


def _crossed(table: str, keyed: list[str], values: str | None, aggfunc: Any) -> list[Measure]:
    if values is None:
        if aggfunc not in (None, "count", "size"):
            raise Mistake(f"{aggfunc} of what?", "It needs a column.", 'Give values="column".')
        return [replace(rows(keyed), label=())]
    if aggfunc is None or isinstance(aggfunc, Mapping) or not isinstance(values, str):
        raise Mistake(
            "values cannot be used like this.",
            "crosstab has one column of values and says which function of it.",
            'Give values="column" and aggfunc="mean", or use glovebox.pivot_table.',
        )
    return _headed(measures(table, aggfunc, values), aggfunc, bare=True)


def _share(normalize: Any, found: list[Measure]) -> str:
    """``all``, ``index``, ``columns``, or nothing."""
    if normalize is False:
        return ""
    share = "all" if normalize is True else {0: "index", 1: "columns"}.get(normalize, normalize)
    if share not in ("all", "index", "columns") or len(found) != 1 or found[0].function not in ("count", "size", "sum"):
        raise refuse("crosstab", "normalize", normalize)
    return str(share)


def _side(side: Names, names: Names | None) -> tuple[tuple[str, str], ...]:
    if not listed(side):
        raise Mistake("crosstab by what?", "It has keys beside and above.", "Give index and columns.")
    return keys(listed(side), None if names is None else listed(names))


def _observed(call: str, observed: Any) -> None:
    if observed is not True:
        raise refuse(call, "observed", observed)


def _total(name: Any) -> str:
    if not isinstance(name, str):
        raise Mistake("margins_name is not text.", "It is a heading.", 'Write margins_name="All".')
    return name


__all__ = ["Compiled", "crosstab", "groupby", "pivot_table"]
