"""The granted tables: what they are, and DuckDB over them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import duckdb

from glovebox.door import call, mimebundle
from glovebox.errors import Mistake

_SYNTHETIC = "Synthetic twin: these rows are about nobody. What you ask to release is computed on the data."
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_connection: duckdb.DuckDBPyConnection | None = None


@dataclass(frozen=True)
class Table:
    """One granted table. ``unit`` is the column that names whom a row is about."""

    dataset: str
    version: str
    table: str
    path: str
    rows: int
    columns: tuple[str, ...]
    unit: str

    @property
    def name(self) -> str:
        return f"{self.dataset}.{self.table}"


class Tables(tuple[Table, ...]):
    """The list of tables, shown as a table."""

    told: Any = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return mimebundle(self.told)

    def __repr__(self) -> str:
        if not self:
            return "No dataset is granted to this project."
        note = [_SYNTHETIC] if self.synthetic else []
        lines = [f"{t.name:<32} {t.rows:>12,} rows  unit {t.unit:<12} {', '.join(t.columns)}" for t in self]
        return "\n".join([*note, *lines])

    @property
    def synthetic(self) -> bool:
        """Whether these rows are a synthetic twin's, about nobody."""
        return isinstance(self.told, dict) and self.told.get("works_on") == "twin"

    def _repr_html_(self) -> str:
        if not self:
            return "<p>No dataset is granted to this project.</p>"
        rows = "".join(
            f"<tr><td><code>{escape(t.name)}</code></td><td>{escape(t.version)}</td><td style='text-align:right'>{t.rows:,}</td>"
            f"<td>{escape(t.unit)}</td><td style='text-align:left'>{escape(', '.join(t.columns))}</td></tr>"
            for t in self
        )
        note = f"<p>{escape(_SYNTHETIC)}</p>" if self.synthetic else ""
        return note + (
            "<table><thead><tr><th>table</th><th>version</th><th>rows</th><th>privacy unit</th><th>columns</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            found = [t for t in self if key in (t.name, t.table)]
            if len(found) == 1:
                return found[0]
            raise Mistake(f"No single table is called {key!r}.", "", f"There are: {', '.join(t.name for t in self)}.")
        return super().__getitem__(key)


def tables() -> Tables:
    """The tables that are granted to this project, as the gate knows them. Raises GateUnreachable."""
    told = call("GET", "/v1/tables")
    listed = Tables(_table(raw) for raw in told["tables"])
    listed.told = told
    return listed


def _table(raw: dict[str, Any]) -> Table:
    columns = tuple(c if isinstance(c, str) else str(c.get("name")) for c in raw.get("columns", ()))
    return Table(
        str(raw["dataset"]), str(raw.get("version", "")), str(raw["table"]), str(raw["path"]),
        int(raw.get("rows") or 0), columns, str(raw.get("unit") or ""),
    )  # fmt: skip


def connection() -> duckdb.DuckDBPyConnection:
    """The DuckDB connection that `sql` uses: a view for each granted table, by ``dataset.table`` and, where clear, ``table``."""
    global _connection
    if _connection is None:
        made = duckdb.connect()
        _define(made, tables())
        _connection = made
    return _connection


def _define(made: duckdb.DuckDBPyConnection, known: Tables) -> None:
    for table in known:
        for part in (table.dataset, table.table):
            if not _NAME.fullmatch(part):
                raise Mistake(
                    f"The table {table.name} cannot be made a view.",
                    "Its name is not an identifier.",
                    "Tell the operator.",
                )
        path = str(Path(table.path)).replace("'", "''")
        source = f"SELECT * FROM read_parquet('{path}')"  # noqa: S608 - quoted; a view's text takes no parameters
        made.execute(f'CREATE SCHEMA IF NOT EXISTS "{table.dataset}"')
        made.execute(f'CREATE OR REPLACE VIEW "{table.dataset}"."{table.table}" AS {source}')
        if sum(t.table == table.table for t in known) == 1:
            made.execute(f'CREATE OR REPLACE VIEW "{table.table}" AS {source}')


def sql(query: str, **parameters: Any) -> duckdb.DuckDBPyRelation:
    """Run DuckDB SQL over the granted tables: ``.df()`` for pandas, ``.pl()`` for polars; shown as a table.

    Parameters are named: ``sql("SELECT * FROM nafld1 WHERE age > $least", least=60)``. Raises Mistake with DuckDB's words.
    """
    try:
        return connection().sql(query, params=parameters or None)
    except duckdb.Error as error:
        raise Mistake(
            "The query did not run.", str(error).strip(), "Correct it; `glovebox.tables()` lists tables and columns."
        ) from None


def forget() -> None:
    """Close the connection; the next query looks up the tables anew (after a new grant, say)."""
    global _connection
    if _connection is not None:
        _connection.close()
    _connection = None
