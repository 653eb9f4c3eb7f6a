"""Small pictures for a steward: which breakdowns overlap, and how far a protected figure could be worked back. Geometry only; the
template draws it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egress_gate.desk.explain import Say, overlap, plainly, whom

MOST_ROWS, MOST_COLUMNS, LETTERS = 10, 8, 18
LEFT, STEP, TOP = 150, 74, 34


@dataclass(frozen=True)
class Row:
    label: str
    marks: tuple[bool, ...]
    same_records: bool
    y: int


@dataclass(frozen=True)
class Grid:
    """Tables by the columns they break down by: this one first, then the earlier ones that share most with it."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: int

    @property
    def width(self) -> int:
        return LEFT + STEP * len(self.columns) + 10

    @property
    def height(self) -> int:
        return TOP + 28 * len(self.rows) + 6


def grid(name: str, sql: str | None, earlier: Iterable[tuple[str, str]]) -> Grid | None:
    """None when this table's SQL cannot be read or nothing earlier can be compared."""
    found = []
    for label, other in earlier:
        seen = overlap(sql, other)
        if seen is not None:
            found.append((label, seen))
    if not found:
        return None
    mine = (*found[0][1].shared, *found[0][1].only_new)
    keys = overlap(sql, sql or "")
    mine = keys.shared if keys else mine
    found.sort(key=lambda one: (not one[1].same_records, -len(one[1].shared), len(one[1].only_earlier)))
    shown = found[:MOST_ROWS]
    columns = list(mine)
    for _, seen in shown:
        columns += [k for k in (*seen.shared, *seen.only_earlier) if k not in columns]
    columns = columns[:MOST_COLUMNS]
    rows = [Row(short(name), tuple(k in mine for k in columns), same_records=True, y=TOP)]
    for n, (label, seen) in enumerate(shown, 1):
        theirs = {*seen.shared, *seen.only_earlier}
        rows.append(Row(short(label), tuple(k in theirs for k in columns), seen.same_records, TOP + 28 * n))
    return Grid(tuple(short(k, 11) for k in columns), tuple(rows), len(found) - len(shown))


@dataclass(frozen=True)
class Bar:
    """What a reader of everything published would know of one cell: between `low` and `high`; x and width in the picture."""

    label: str
    low: str
    high: str
    x: float
    width: float
    exact: bool
    y: int


def bars(audit: Sequence[Mapping[str, Any]], say: Say = plainly) -> tuple[Bar, ...]:
    """The cells that could be worked back, on one scale. Open ends reach the edge."""
    read = [(a, _number(a["interval"][0]), _number(a["interval"][1])) for a in audit[:MOST_ROWS]]
    ends = [abs(n) for _, low, high in read for n in (low, high) if n is not None]
    most = max(ends, default=1.0) * 1.15 or 1.0
    made = []
    for n, (a, low, high) in enumerate(read):
        begin = max(0.0, min(1.0, (low or 0.0) / most))
        end = 1.0 if high is None else max(begin, min(1.0, high / most))
        width = max(300 * (end - begin), 4.0)
        made.append(
            Bar(
                short(whom(str(a["target"]), say), 26),
                "−∞" if low is None else f"{low:g}",
                "∞" if high is None else f"{high:g}",
                round(190 + 300 * begin, 1),
                round(width, 1),
                a["kind"] == "exact",
                8 + 26 * n,
            )
        )
    return tuple(made)


def short(text: str, most: int = LETTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _number(end: object) -> float | None:
    try:
        found = float(str(end))
    except ValueError:
        return None
    return None if found in (float("inf"), float("-inf")) or found != found else found
