"""One aggregating SELECT: keys, measures, whose rows, which totals. The grammar is the gate's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glovebox.errors import Mistake
from glovebox.measured import Measure, quoted, table_name

MARK = "__total "


@dataclass(frozen=True)
class Query:
    """Groups of ``table``. ``rows`` and ``across`` are keys as (column, its name in the result)."""

    table: str
    rows: tuple[tuple[str, str], ...]
    across: tuple[tuple[str, str], ...]
    measures: tuple[Measure, ...]
    where: str = ""
    totals: bool = False
    dropna: bool = True
    sort: bool = True

    def __post_init__(self) -> None:
        names = [*(name for _, name in self.keys), *(m.name for m in self.measures)]
        folded = [str(name).casefold() for name in names]
        taken = {column.casefold() for column, name in self.keys if column != name and isinstance(column, str)}
        twice = [n for n, f in zip(names, folded, strict=True) if folded.count(f) > 1 or f in taken]
        if twice:
            raise Mistake(
                f"Two columns are called {twice[0]}.",
                "The file that leaves needs one name for each, and a key may not take another key's.",
                "Give one another name, as in agg(name=(column, function)) or rownames.",
            )
        own = [n for n in names if str(n).startswith("__")]
        if own:
            raise Mistake(f"{own[0]} cannot be a name.", "Names that start with __ are the gate's own.", "Rename it.")

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        return (*self.rows, *self.across)

    def text(self, *, marked: bool = False) -> str:
        """The SQL; ``marked`` with a column for each key that tells a total from a missing value. That form stays in here."""
        columns = [_as(quoted(column), column, name) for column, name in self.keys]
        columns += [f"{m.sql} AS {quoted(m.name)}" for m in self.measures]
        if marked and self.totals:
            columns += [f"grouping({quoted(column)}) AS {quoted(MARK + name)}" for column, name in self.keys]
        parts = [f"SELECT {', '.join(columns)}", f"FROM {table_name(self.table)}"]
        kept = [f"{quoted(column)} IS NOT NULL" for column, _ in self.keys] if self.dropna else []
        kept += [_bracketed(self.where) if kept else self.where] if self.where.strip() else []
        parts += [f"WHERE {' AND '.join(kept)}"] if kept else []
        parts += [f"GROUP BY {self._groups()}"] if self.keys else []
        parts += (
            [f"ORDER BY {', '.join(str(n) for n in range(1, len(self.keys) + 1))}"] if self.keys and self.sort else []
        )
        return "\n".join(parts)

    def _groups(self) -> str:
        sides = [[quoted(column) for column, _ in side] for side in (self.rows, self.across) if side]
        if not self.totals:
            return ", ".join(name for side in sides for name in side)
        return f"CUBE ({', '.join(side[0] if len(side) == 1 else _together(side) for side in sides)})"


def keys(columns: Sequence[str], names: Sequence[str] | None = None) -> tuple[tuple[str, str], ...]:
    """Keys by their own names, or by ``names``. Raises Mistake when these are not as many."""
    if names is not None and len(names) != len(columns):
        raise Mistake(
            f"{len(names)} names do not fit {len(columns)} keys.", "Each key has one.", "Give as many names as keys."
        )
    for name in (*columns, *(names or ())):
        quoted(name)
    return tuple(zip(columns, names or columns, strict=True))


def _as(sql: str, column: str, name: str) -> str:
    return sql if column == name else f"{sql} AS {quoted(name)}"


def _together(side: Sequence[str]) -> str:
    return f"({', '.join(side)})"


def _bracketed(where: str) -> str:
    return f"({where}\n)" if "--" in where else f"({where})"
