"""The measured table: cells with their values and with who stands behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from egress_gate.disclosure.derivation import Derivation
from egress_gate.disclosure.errors import JudgementFault

TOTAL = None  # in the published form of a key, a total is null; `Cell.totals` tells it from a missing value


MISSING = "(missing)"  # the published form of a key without a value, which must not look like a total
FIGURES = 6  # of the plan, for each measure


@dataclass(frozen=True)
class MeasureStats:
    """What stands behind one value: units and rows with a value, Σ|contribution| over units, the two largest |contribution|,
    units whose contribution is not zero, and units that a condition inside the aggregate leaves out. ``rarer``: of a column that has two
    values, whatever they are, the units with the rarer one; of whole numbers, how many at most are not at an end
    of the table's range where that is fewer; 0 of any other. ``shared``: all have one value, the least or the
    greatest of the table."""

    units: int
    rows: int
    total: float
    top1: float
    top2: float
    nonzero: int = 0
    left_out: int = 0
    rarer: int = 0
    shared: bool = False


@dataclass(frozen=True)
class Cell:
    """``key`` by name (a total is None and named in ``totals``); ``stats`` for each value column; the worst kind of unit counts."""

    key: Mapping[str, Any]
    totals: frozenset[str]
    values: Mapping[str, Any]
    rows: int
    contributors: int
    stats: Mapping[str, MeasureStats] = field(default_factory=dict)

    @property
    def published_key(self) -> dict[str, Any]:
        """The key as releases record it: None is the total, MISSING a key without a value."""
        return {
            name: None if name in self.totals else MISSING if value is None else value
            for name, value in self.key.items()
        }

    @property
    def place(self) -> tuple[tuple[str, Any, bool], ...]:
        """What tells this cell from every other one of its table."""
        return tuple((name, self.key[name], name in self.totals) for name in self.key)


@dataclass(frozen=True)
class Tabulation:
    keys: tuple[str, ...]
    values: tuple[str, ...]
    cells: tuple[Cell, ...]


def tabulate(
    derivation: Derivation, values: Sequence[Sequence[Any]], statistics: Sequence[Sequence[Sequence[Any]]]
) -> Tabulation:
    """Put the verifier's rows together. Raises JudgementFault when they do not describe the same cells."""
    names = tuple(key.name for key in derivation.keys)
    width = len(names)
    measured: dict[tuple[Any, ...], list[Sequence[Any]]] = {}
    kinds = len(derivation.source.units())
    rarer = {_place(row, width): row[2 * width :] for table in statistics[kinds:] for row in table}
    statistics = statistics[:kinds]
    for table in statistics:
        for row in table:
            measured.setdefault(_place(row, width), []).append(row)
    cells = []
    for row in values:
        place = _place(row, width)
        behind = measured.get(place, [])
        if len(behind) != len(statistics) and not _empty(derivation, row, width):
            raise JudgementFault(
                "The table could not be judged.",
                why="A cell has no statistics.",
                do="Submit it again; if it stays so, tell an administrator.",
            )
        cells.append(_cell(derivation, names, row, behind, rarer.get(place, ())))
    cells.sort(
        key=lambda cell: tuple(
            (total, value is None, str(type(value)), _sortable(value)) for _, value, total in cell.place
        )
    )
    return Tabulation(names, tuple(a.name for a in derivation.aggregates), tuple(cells))


def _place(row: Sequence[Any], width: int) -> tuple[Any, ...]:
    return tuple(zip((_hashable(v) for v in row[:width]), row[width : 2 * width], strict=True))


def _hashable(value: Any) -> Any:
    return (type(value).__name__, value) if isinstance(value, bool) else value


def _sortable(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else str(value)


def _empty(derivation: Derivation, row: Sequence[Any], width: int) -> bool:
    """The grand total over no rows is a cell without statistics: nobody stands behind it."""
    return not derivation.keys or all(bit == 1 for bit in row[width : 2 * width])


def _cell(
    derivation: Derivation,
    names: tuple[str, ...],
    row: Sequence[Any],
    behind: Sequence[Sequence[Any]],
    rarer: Sequence[Any],
) -> Cell:
    width = len(names)
    totals = frozenset(name for name, bit in zip(names, row[width : 2 * width], strict=True) if bit == 1)
    stats = {}
    for number, one in enumerate(derivation.aggregates):
        at = 2 * width + 2 + FIGURES * number
        worst = _worst([_stats(found[at : at + FIGURES]) for found in behind])
        few = rarer[number] if rarer else None
        stats[one.name] = worst if few is None else replace(worst, rarer=int(few), shared=int(few) == 0)
    published = dict(zip((a.name for a in derivation.aggregates), row[2 * width :], strict=True))
    # A kind of unit that no row of the cell belongs to (a left join without a match) says nothing of who stands behind it.
    contributors = min((n for n in (int(found[2 * width + 1] or 0) for found in behind) if n), default=0)
    rows = max((int(found[2 * width] or 0) for found in behind), default=0)
    return Cell(dict(zip(names, row[:width], strict=True)), totals, published, rows, contributors, stats)


def _stats(part: Sequence[Any]) -> MeasureStats:
    """One kind of unit's figures. A total that is no finite number is as bad as one contributor alone."""
    units, rows, nonzero, left_out = (int(part[i] or 0) for i in (0, 1, 4, 5))
    tops = [x for x in (part[3] or []) if x is not None]
    if rows and (part[2] is None or len(tops) < len(part[3] or [])):
        return MeasureStats(units, rows, 1.0, 1.0, 0.0, nonzero, left_out)
    top1, top2 = [*(float(x) for x in tops), 0.0, 0.0][:2]
    return MeasureStats(units, rows, float(part[2] or 0.0), top1, top2, nonzero, left_out)


def _worst(found: Sequence[MeasureStats]) -> MeasureStats:
    """Over several kinds of unit: the fewest units, and the largest share of the top two."""
    if not found:
        return MeasureStats(0, 0, 0.0, 0.0, 0.0)
    if len(found) == 1:
        return found[0]
    top = max(found, key=lambda s: (s.top1 + s.top2) / s.total if s.total else 0.0)
    units = min((s.units for s in found if s.units), default=0)
    nonzero = min((s.nonzero for s in found if s.nonzero), default=0)
    left_out = min((s.left_out for s in found if s.left_out), default=0)
    rows = min(s.rows for s in found)
    return MeasureStats(units, rows, top.total, top.top1, top.top2, nonzero, left_out)
