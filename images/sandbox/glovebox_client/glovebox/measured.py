"""What is measured: pandas' names of functions, the SQL that the gate recomputes, and where pandas would put the column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from glovebox.errors import Mistake
from glovebox.tables import tables

FUNCTIONS = {
    "count": "count",
    "size": "count",
    "nunique": "count",
    "sum": "sum",
    "mean": "avg",
    "avg": "avg",
    "min": "min",
    "max": "max",
    "std": "stddev_samp",
    "var": "var_samp",
    "median": "median",
    "quantile": "quantile_cont",
}
COUNTS = ("count", "size", "nunique")
Aggfunc: TypeAlias = "str | Sequence[str] | Mapping[str, str | Sequence[str]]"
Names: TypeAlias = "str | Sequence[str]"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Measure:
    """One column of numbers. ``label`` is its heading as pandas has it; ``name`` is what it is called in the file that leaves."""

    sql: str
    name: str
    label: tuple[str, ...]
    function: str


def quoted(name: Any) -> str:
    """A column's name as SQL. Raises Mistake."""
    if not isinstance(name, str) or "\0" in name or not name:
        raise Mistake(f"{name!r} is not a column.", "Columns are named by text.", "Give the column's name.")
    return '"' + name.replace('"', '""') + '"'


def table_name(name: str) -> str:
    """``table`` or ``dataset.table`` as SQL. Raises Mistake."""
    parts = name.split(".") if isinstance(name, str) else []
    if not 1 <= len(parts) <= 2 or not all(_NAME.fullmatch(part) for part in parts):
        raise Mistake(f"{name!r} is not a table.", "A table is named table or dataset.table.", "See glovebox.tables().")
    return ".".join(quoted(part) for part in parts)


def listed(names: Names | None) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def measure(
    table: str, function: Any, column: str | None, label: Sequence[str], *, name: str = "", q: float = 0.5
) -> Measure:
    """``function`` of ``column``. Raises Mistake for a function that the gate would not recompute."""
    if not isinstance(function, str) or function not in FUNCTIONS:
        what = function if isinstance(function, str) else getattr(function, "__name__", repr(function))
        raise Mistake(
            f"{what} is not offered.",
            "The gate recomputes only some functions, by their names; a Python function cannot be asked for.",
            f"Use one of: {', '.join(FUNCTIONS)}; for another quantile, glovebox.groupby(…)[column].quantile(q).",
        )
    if (column is None and FUNCTIONS[function] != "count") or (column is None and function == "nunique"):
        raise Mistake(f"{function} of what?", "It needs a column.", 'Give values="column".')
    said = f"{function}_{column}" if column is not None and function != "size" else "n"
    return Measure(_call(table, function, column, q), name or said, tuple(label), function)


def rows(keys: Sequence[str]) -> Measure:
    """How many rows there are, called n unless a key is."""
    name = "n" if "n" not in {str(key).casefold() for key in keys} else "rows"
    return Measure("count(*)", name, ("size",), "size")


def _call(table: str, function: str, column: str | None, q: float) -> str:
    if function == "nunique":
        _must_be_unit(table, str(column))
        return f"count(DISTINCT {quoted(column)})"
    if function == "quantile":
        return f"quantile_cont({quoted(column)}, {_fraction(q)})"
    return f"{FUNCTIONS[function]}({'*' if column is None or function == 'size' else quoted(column)})"


def _must_be_unit(table: str, column: str) -> None:
    unit = tables()[table].unit
    if column != unit:
        raise Mistake(
            f"nunique of {column} is not offered.",
            "How many different values there are tells a single person's value, one question at a time.",
            f"nunique of {unit or 'the privacy unit'} counts people; group by {column} to see its values.",
        )


def _fraction(q: Any) -> str:
    if isinstance(q, bool) or not isinstance(q, (int, float)) or not 0 < q < 1:
        raise Mistake(
            f"The quantile {q!r} is not offered.",
            "It is one number between 0 and 1; 0 and 1 themselves are one person's value.",
            "Write quantile(0.25), and once for each other one.",
        )
    return f"{q:.12f}".rstrip("0")


def measures(table: str, aggfunc: Any, values: Names | None) -> list[Measure]:
    """One or several functions of one or several columns, labelled as pandas' ``agg`` labels them: (column,) or (column, function)."""
    columns = listed(values)
    if isinstance(aggfunc, Mapping):
        _must_be_among(aggfunc, columns)
        several = any(not isinstance(one, str) and isinstance(one, Iterable) for one in aggfunc.values())
        pairs = [(column, one) for column, asked in aggfunc.items() for one in _functions(asked)]
        return [measure(table, f, column, (column, str(f)) if several else (column,)) for column, f in pairs]
    several = not isinstance(aggfunc, str) and isinstance(aggfunc, Iterable)
    if not columns:
        raise Mistake(f"{aggfunc} of what?", "It needs a column.", 'Give values="column", or a list of columns.')
    pairs = [(column, one) for column in columns for one in _functions(aggfunc)]
    return [measure(table, f, column, (column, str(f)) if several else (column,)) for column, f in pairs]


def _functions(asked: Any) -> list[Any]:
    found = list(asked) if not isinstance(asked, str) and isinstance(asked, Iterable) else [asked]
    if not found:
        raise Mistake("No function was given.", "A table needs at least one.", 'Write aggfunc="mean".')
    return found


def _must_be_among(aggfunc: Mapping[str, Any], columns: Sequence[str]) -> None:
    if not aggfunc or (columns and set(aggfunc) - set(columns)):
        raise Mistake(
            "The functions do not fit the values.",
            f"They are given for {', '.join(map(str, aggfunc)) or 'nothing'}; the values are {', '.join(columns) or 'none'}.",
            "Name the same columns in both, or leave values out.",
        )
