"""What a derivation may read: granted tables by name, their columns, and whose rows they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from egress_gate.disclosure.errors import UnknownTable

ROW = "__row"  # the hidden number of a row, where each row is its own privacy unit


@dataclass(frozen=True)
class TableSchema:
    """``dataset.name`` with its columns (name → SQL type) and its privacy unit's column; None: each row is its own unit."""

    dataset: str
    name: str
    columns: Mapping[str, str]
    unit: str | None

    @property
    def key(self) -> str:
        return f"{self.dataset}.{self.name}"

    @property
    def unit_column(self) -> str:
        return self.unit or ROW


def find_table(catalogue: Mapping[str, TableSchema], dataset: str, name: str) -> TableSchema:
    """``dataset`` may be empty when ``name`` is unambiguous. Raises UnknownTable."""
    wanted = name.casefold()
    found = [
        t
        for t in catalogue.values()
        if t.name.casefold() == wanted and (not dataset or t.dataset.casefold() == dataset.casefold())
    ]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(sorted(catalogue)) or "none"
    label = f"{dataset}.{name}" if dataset else name
    if found:
        raise UnknownTable(
            f"{label} could be several tables.",
            why="Two datasets of this project have a table of this name.",
            do=f"Write dataset.table; there are: {shown}.",
        )
    raise UnknownTable(
        f"There is no table {label} in this project.",
        why="Only granted tables can be used; files and system tables cannot.",
        do=f"Use one of: {shown}.",
    )
