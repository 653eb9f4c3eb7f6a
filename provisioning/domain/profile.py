"""What a table looks like in figures, and how two versions of it differ; for admins and stewards, not for analysts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ColumnProfile:
    """``low``, ``high`` and ``mean`` are text, None for what has no order; ``different`` is an estimate."""

    name: str
    type: str
    missing: int
    different: int
    low: str | None = None
    high: str | None = None
    mean: str | None = None

    def facts(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class TableProfile:
    name: str
    rows: int
    people: int | None
    columns: tuple[ColumnProfile, ...]

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "rows": self.rows,
            "people": self.people,
            "columns": [c.facts() for c in self.columns],
        }


def differences(
    before: Mapping[str, TableProfile], after: Mapping[str, TableProfile], *, shift_percent: int = 10
) -> list[str]:
    """Sentences about what changed between two versions; empty when nothing worth a sentence did."""
    said = [f"Table {name} is gone." for name in sorted(set(before) - set(after))]
    said += [f"Table {name} is new, with {after[name].rows:,} rows." for name in sorted(set(after) - set(before))]
    for name in sorted(set(before) & set(after)):
        said += _of_table(before[name], after[name], shift_percent)
    return said


def _of_table(old: TableProfile, new: TableProfile, shift: int) -> list[str]:
    said = []
    if old.rows != new.rows:
        said.append(f"{new.name}: {old.rows:,} → {new.rows:,} rows ({_change(old.rows, new.rows)}).")
    if old.people is not None and new.people is not None and old.people != new.people:
        said.append(f"{new.name}: {old.people:,} → {new.people:,} people ({_change(old.people, new.people)}).")
    was, now = ({column.name: column for column in table.columns} for table in (old, new))
    said += [f"{new.name}: column {column} is gone." for column in was if column not in now]
    said += [f"{new.name}: column {column} is new ({now[column].type})." for column in now if column not in was]
    for column in (column for column in now if column in was):
        said += [
            f"{new.name}.{column}: {words}" for words in _of_column(was[column], now[column], old.rows, new.rows, shift)
        ]
    return said


def _of_column(old: ColumnProfile, new: ColumnProfile, rows_old: int, rows_new: int, shift: int) -> list[str]:
    if old.type != new.type:
        return [f"type {old.type} → {new.type}."]
    said = []
    missing = (100 * old.missing / max(rows_old, 1), 100 * new.missing / max(rows_new, 1))
    if abs(missing[1] - missing[0]) >= 1:
        said.append(f"missing {missing[0]:.1f} % → {missing[1]:.1f} %.")
    if (old.low, old.high) != (new.low, new.high):
        said.append(f"from {old.low} … {old.high} to {new.low} … {new.high}.")
    if old.mean is not None and new.mean is not None and _apart(float(old.mean), float(new.mean), shift):
        said.append(f"mean {float(old.mean):.6g} → {float(new.mean):.6g}.")
    if _apart(old.different, new.different, 2 * shift):
        said.append(f"about {old.different:,} → {new.different:,} different values.")
    return said


def _apart(old: float, new: float, percent: int) -> bool:
    return abs(new - old) * 100 > percent * max(abs(old), abs(new))


def _change(old: int, new: int) -> str:
    return f"{100 * (new - old) / old:+.1f} %" if old else "before: none"
