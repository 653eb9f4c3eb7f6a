"""``groupby``, and what may be asked of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glovebox.compiled_table import Compiled
from glovebox.errors import Mistake
from glovebox.laid_out import Layout
from glovebox.measured import Aggfunc, Measure, Names, listed, measure, measures, rows
from glovebox.queried import Query, keys
from glovebox.refusals import refuse_others


class NotOffered(Mistake, AttributeError):
    """A method that pandas' groups have and these have not."""


@dataclass(frozen=True)
class Grouped:
    """Groups of a table: choose measures with ``agg``, or one at once; ``groups["age"]`` chooses the column as in pandas."""

    table: str
    by: tuple[str, ...]
    where: str = ""
    as_index: bool = True
    sort: bool = True
    dropna: bool = True
    chosen: str | tuple[str, ...] | None = None

    def __getitem__(self, columns: Names) -> Grouped:
        return replace(self, chosen=columns if isinstance(columns, str) else tuple(columns))

    def __getattr__(self, name: str) -> Any:
        raise NotOffered(
            f"{name} is not offered for groups.",
            "Only statistics that the gate can compute again are.",
            "Use agg, size, count, sum, mean, median, min, max, std, var, quantile or nunique.",
        )

    def agg(self, func: Aggfunc | None = None, **named: Any) -> Compiled:
        """As pandas' ``agg``: a name, a list of names or ``{column: name or list}``, or columns by name.

        ``total=("value", "sum")`` is pandas' named aggregation; shorter, ``n="count"`` counts rows, and ``age="mean"`` is of the
        column of that name (of the chosen column, where one was chosen). ``top=pd.NamedAgg("value", "quantile", q=0.9)`` is another
        quantile than the median; pandas itself would want a function there.
        """
        if func is not None and named:
            raise Mistake("agg was given both a function and named ones.", "It takes one of them.", "Leave one out.")
        if func is None:
            return self._made([self._named(name, asked) for name, asked in named.items()])
        if isinstance(func, Mapping):
            self._nothing_chosen()
            return self._made(measures(self.table, func, None))
        if self.chosen is None:
            raise Mistake(
                f"{func} of what?", "These groups have no column chosen.", 'Write groupby(…)["column"].agg(…).'
            )
        found = measures(self.table, func, self.chosen)
        one_of_several = isinstance(self.chosen, str) and not isinstance(func, str)
        return self._made([replace(m, label=m.label[-1:]) if one_of_several else m for m in found])

    aggregate = agg

    def size(self) -> Compiled:
        """Rows of each group."""
        return self._made([rows(self.by)])

    def count(self, column: str | None = None, **others: Any) -> Compiled:
        """Values that are there, of each group."""
        return self._one("count", column, others)

    def nunique(self, column: str | None = None, **others: Any) -> Compiled:
        """Different people of each group: of the privacy unit only."""
        return self._one("nunique", column, others)

    def sum(self, column: str | None = None, **others: Any) -> Compiled:
        return self._one("sum", column, others)

    def mean(self, column: str | None = None, **others: Any) -> Compiled:
        return self._one("mean", column, others)

    def median(self, column: str | None = None, **others: Any) -> Compiled:
        return self._one("median", column, others)

    def min(self, column: str | None = None, **others: Any) -> Compiled:
        return self._one("min", column, others)

    def max(self, column: str | None = None, **others: Any) -> Compiled:
        return self._one("max", column, others)

    def std(self, column: str | None = None, **others: Any) -> Compiled:
        return self._one("std", column, others)

    def var(self, column: str | None = None, **others: Any) -> Compiled:
        return self._one("var", column, others)

    def quantile(self, q: float = 0.5, **others: Any) -> Compiled:
        """One quantile, 0 < q < 1, of each chosen column, linearly interpolated."""
        refuse_others("quantile", others)
        columns = listed(self.chosen)
        if not columns:
            raise Mistake("A quantile of what?", "No column is chosen.", 'Write groupby(…)["column"].quantile(0.25).')
        return self._made([measure(self.table, "quantile", column, (column,), q=q) for column in columns])

    def _one(self, function: str, column: str | None, others: Mapping[str, Any]) -> Compiled:
        """Of the chosen columns; or of ``column``, with how many rows there are."""
        refuse_others(function, others)
        if column is None:
            return self.agg(function)
        return self.agg(n="count", **{f"{function}_{column}": (column, function)})

    def _named(self, name: str, asked: Any) -> Measure:
        if isinstance(self.chosen, str) and isinstance(asked, str):
            return measure(self.table, asked, self.chosen, (name,), name=name)
        self._nothing_chosen()
        column, function, q = _read(name, asked)
        return measure(self.table, function, column, (name,), name=name, q=q)

    def _nothing_chosen(self) -> None:
        if self.chosen is not None:
            raise Mistake(
                "agg cannot name columns here.",
                f"{self.chosen} was chosen already.",
                "Leave [column] out, as in pandas.",
            )

    def _made(self, found: Sequence[Measure]) -> Compiled:
        if not found:
            raise Mistake("agg was given nothing.", "A table needs a number.", 'Write agg(n="count").')
        query = Query(self.table, keys(self.by), (), tuple(found), self.where, dropna=self.dropna, sort=self.sort)
        return Compiled(query, Layout(as_index=self.as_index))


def _read(name: str, asked: Any) -> tuple[str | None, Any, Any]:
    """Column, function and quantile of a named aggregation: a word, a pair, or pandas' NamedAgg."""
    if isinstance(asked, str):
        return (None if asked in ("count", "size") else name), asked, 0.5
    more = dict(getattr(asked, "kwargs", {}))
    if hasattr(asked, "aggfunc"):
        pair: Any = (asked.column, asked.aggfunc)
        more.update({"q": asked.args[0]} if asked.aggfunc == "quantile" and asked.args else {})
    else:
        pair = asked if isinstance(asked, tuple) else ()
    if len(pair) != 2:
        raise Mistake(f"{name} cannot be made of {asked!r}.", "It is (column, function).", f'{name}=("column", "sum")')
    q = more.pop("q", 0.5) if pair[1] == "quantile" else 0.5
    refuse_others(f"{name}", more)
    return pair[0], pair[1], q
