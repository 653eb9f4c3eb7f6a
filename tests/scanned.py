"""A small register of people to look for in texts, with the verifier's own program called in this process."""

from __future__ import annotations

from pathlib import Path

import duckdb

from egress_gate.service.ports import ScanAnswer, ScanQuestion, SourceTable
from egress_gate.service.recompute import SealedRecomputer
from tests.conftest import make_installation
from tests.integration.cohort import SENSITIVE, SameProcess

COLUMNS = ("id", "name", "age", "weight", "born", "cost", "days")
FAMILY = ("Lindqvist", "Oyelaran", "Abernathy", "Kowalczyk", "Zhuravleva", "Tanizaki", "Mbeki")


def register(folder: Path) -> SourceTable:
    """Three thousand people; a person's record is `record`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "people.parquet"
    names = "[" + ", ".join(f"'{n}'" for n in FAMILY) + "]"
    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT 700000 + i * 13 AS id, {names}[1 + i % 7] || ' ' || i AS name, 18 + (i * 7) % 70 AS age, "
            "round(45 + ((i * 37) % 800) / 10.0, 1) AS weight, DATE '1930-01-01' + CAST((i * 29) % 25000 AS INTEGER) AS born, "
            "round(((i * 7919) % 900000) / 100.0, 2) AS cost, 100 + (i * 101) % 7000 AS days FROM range(1, 3001) t(i)) "
            f"TO '{path}' (FORMAT parquet)"
        )
    path.chmod(0o444)
    types = ("BIGINT", "VARCHAR", "BIGINT", "DOUBLE", "DATE", "DOUBLE", "BIGINT")
    columns = tuple({"name": n, "type": t, "meaning": ""} for n, t in zip(COLUMNS, types, strict=True))
    return SourceTable("clinic", "clinic/1", 3, ("stella",), "people", path, "e" * 64, "id", columns, 3000)


def record(table: SourceTable, number: int) -> dict[str, str]:
    with duckdb.connect() as con:
        row = con.execute(
            "SELECT * FROM read_parquet(?) WHERE id = ?", [str(table.path), 700000 + number * 13]
        ).fetchone()
    if row is None:
        raise LookupError(number)
    return {name: str(value) for name, value in zip(COLUMNS, row, strict=True)}


class Scanner:
    """Texts in, evidence out."""

    def __init__(self, folder: Path) -> None:
        self.table = register(folder / "data")
        self._recomputer = SealedRecomputer(make_installation(folder / "home"), SameProcess())

    def __call__(self, *texts: str) -> ScanAnswer:
        parts = tuple((str(n) if n else "", text) for n, text in enumerate(texts))
        return self._recomputer.scan(ScanQuestion(parts, (self.table,), SENSITIVE))

    def record(self, number: int) -> dict[str, str]:
        return record(self.table, number)
