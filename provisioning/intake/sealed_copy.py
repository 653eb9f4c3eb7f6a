"""One COPY of DuckDB's through a pipe into the vault: the Parquet file is written once, never lies plain on a disk, and is not read back.

What the catalogue must know of the file comes from the COPY itself: its digest and size as they passed, its rows and the
columns' statistics as DuckDB returns them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from provisioning.domain.dataset import Column, RegisteredTable
from provisioning.domain.errors import FileRefused
from provisioning.intake.engine import literal, quoted
from vault.sealing import Sealed, SealedWriter

# Level 1 takes a fifth less processor time than DuckDB's own 3, for files that are no larger with the second version's encodings,
# which DuckDB also reads a third faster; pandas, Polars and Arrow read them too.
_PARQUET = (
    "(FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 122880, "
    "USE_TMP_FILE false, RETURN_STATS true)"
)


class SealedCopy:
    """Call it with a SELECT; it may be called again when that one failed. Then `table` says what was written."""

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        writer: SealedWriter,
        table: str,
        work: Path,
        through: Callable[[str, Sequence[Column]], str] | None = None,
    ) -> None:
        """``through`` turns the SELECT and its columns into the one that is written."""
        self._engine = engine
        self._writer = writer
        self._table = table
        self._work = work
        self._sealed: Sealed | None = None
        self._rows = 0
        self._columns: tuple[tuple[str, str], ...] = ()
        self._statistics: Mapping[str, Mapping[str, Any]] = {}
        self._through = through
        self.given = ""
        self.select = ""

    def __call__(self, select: str) -> None:
        """Raises duckdb.Error for the SELECT's faults, OSError for the disk's; then nothing of the file is left."""
        self.given = select
        self._columns = self._described(select)
        if self._through is not None:
            select = self._through(select, [Column(name, kind) for name, kind in self._columns])
            self._columns = self._described(select)
        self.select = select
        with self._writer.pipe(f"{self._table}.parquet", self._work) as pipe:
            try:
                made = self._engine.execute(f"COPY ({select}) TO {literal(str(pipe.path))} {_PARQUET}").fetchall()
            except duckdb.Error:
                if pipe.failure is not None:  # the engine only saw that its pipe broke
                    raise pipe.failure from None
                raise
            self._sealed = pipe.sealed()
        self._rows = int(made[0][1])
        self._statistics = made[0][4]

    def _described(self, select: str) -> tuple[tuple[str, str], ...]:
        rows = self._engine.execute(f"DESCRIBE {select}").fetchall()
        return tuple((str(row[0]), str(row[1])) for row in rows)

    def table(self, meanings: Mapping[str, str]) -> RegisteredTable:
        """The catalogue's facts about what was written. Raises FileRefused when it has no rows."""
        if self._rows == 0 or self._sealed is None:
            raise FileRefused(
                f"Table {self._table} was not registered: it has no rows.",
                why="There is a header and nothing below it.",
                do="Give the file with its rows.",
            )
        columns = tuple(Column(name, kind, str(meanings.get(name, ""))) for name, kind in self._columns)
        sealed = self._sealed
        file = f"{self._table}.parquet"
        return RegisteredTable(self._table, file, sealed.digest, self._rows, sealed.bytes, None, columns)

    def may_be_blank(self, column: str) -> bool:
        """False when the file's statistics prove that every row has a value that is not blank.

        A text of nothing but blanks sorts before every text that begins with a sign above the blank.
        """
        found = self._statistics.get(quoted(column))
        if found is None or "min" not in found or str(found.get("null_count")) != "0":
            return True
        kind = dict(self._columns)[column]
        return kind == "VARCHAR" and str(found["min"])[:1] <= " "
