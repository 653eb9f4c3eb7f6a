"""A column as a short list of levels: common values, or equal bins of a range that many people share; and back again.

What is too rare to be learnt privately has no level, so that it cannot come back: a rare category, an outlier's value, free text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provisioning.domain.masking import DATES, NUMBERS
from provisioning.twin.mechanisms import Floats, Ints

BINS = 16
MOST_VALUES = 24
_PER_OCTAVE = 4
_COVER = 0.95  # of the noisy rows that values must stand for, so that whole numbers are taken for codes
_DAY = 86_400.0


class Draws(Protocol):
    def counts(self, values: Ints, sensitivity: int, epsilon: float, /) -> Ints: ...

    def keys(self, found: dict[str, int], sensitivity: int, epsilon: float, delta: float, /) -> dict[str, int]: ...


@dataclass(frozen=True)
class Budget:
    sensitivity: int
    epsilon: float
    delta: float


@dataclass(frozen=True)
class Levels:
    """Level 0 is "missing". ``values``: one text for each further level; or ``edges``: bins, one fewer than edges."""

    kind: str
    values: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        return 1 + (len(self.values) or max(len(self.edges) - 1, 0))


def is_number(kind: str) -> bool:
    return kind in NUMBERS or kind.startswith("DECIMAL")


def learn(column: pa.ChunkedArray, kind: str, draws: Draws, budget: Budget) -> Levels:
    """Levels of a column within a budget; a column that nothing can be said of has "missing" only."""
    if kind in DATES:
        return _range(_numbers(column, kind), kind, draws, budget)
    if not is_number(kind):
        return Levels(kind, values=tuple(sorted(_common(column, draws, budget))))
    part = Budget(budget.sensitivity, budget.epsilon * 0.45, budget.delta / 2)
    found = _common(column, draws, part)
    given = np.array([len(column) - column.null_count], dtype=np.int64)
    rows = int(draws.counts(given, budget.sensitivity, budget.epsilon * 0.1)[0])
    if found and sum(found.values()) >= _COVER * rows:
        return Levels(kind, values=tuple(sorted(found)))
    return _range(_numbers(column, kind), kind, draws, part)


def _common(column: pa.ChunkedArray, draws: Draws, budget: Budget) -> dict[str, int]:
    counted = pc.value_counts(pc.cast(column.drop_null(), pa.string())).to_pylist()
    found = draws.keys({c["values"]: c["counts"] for c in counted}, budget.sensitivity, budget.epsilon, budget.delta)
    kept = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_VALUES]
    return dict(kept)


def _range(values: Floats, kind: str, draws: Draws, budget: Budget) -> Levels:
    """Bins between the outermost cells of a fixed grid that hold many rows: quarter octaves, or years."""
    values = values[np.isfinite(values)]
    cells = np.floor(values / (365.25 * _DAY)) if kind in DATES else _octave(values)
    numbers, counts = np.unique(cells.astype(np.int64), return_counts=True)
    found = draws.keys(
        {str(n): int(c) for n, c in zip(numbers, counts, strict=True)}, budget.sensitivity, budget.epsilon, budget.delta
    )
    if not found:
        return Levels(kind)
    lowest, highest = min(map(int, found)), max(map(int, found))
    if kind in DATES:
        low, high = lowest * 365.25 * _DAY, (highest + 1) * 365.25 * _DAY
    else:
        low, high = min(_octave_edges(lowest)), max(_octave_edges(highest))
    return Levels(kind, edges=tuple(np.linspace(low, high, BINS + 1).tolist()))


def _octave(values: Floats) -> Ints:
    """Numbers of cells on a grid that is the same for everybody: sign and quarter octave; 0 for what is nearly nothing."""
    size = np.abs(values)
    with np.errstate(divide="ignore"):
        step = np.where(size < 1e-9, 0, np.floor(np.log2(np.maximum(size, 1e-9)) * _PER_OCTAVE) + 200)
    return np.asarray(np.sign(values) * step, dtype=np.int64)


def _octave_edges(cell: int) -> tuple[float, float]:
    if cell == 0:
        return 0.0, 0.0
    first = 2.0 ** ((abs(cell) - 200) / _PER_OCTAVE)
    last = 2.0 ** ((abs(cell) - 199) / _PER_OCTAVE)
    sign = 1.0 if cell > 0 else -1.0
    return sign * first, sign * last


def encode(column: pa.ChunkedArray, levels: Levels) -> Ints:
    """A level for each row. A value without one, and what lies outside the range, goes where most alike goes: missing, or an end."""
    if levels.edges:
        values = _numbers(column, levels.kind)
        inner = np.asarray(levels.edges[1:-1])
        return np.where(np.isfinite(values), np.searchsorted(inner, values, side="right") + 1, 0).astype(np.int64)
    texts = pc.cast(column, pa.string())
    found = pc.index_in(texts, value_set=pa.array(levels.values, pa.string()), skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1).to_numpy(), dtype=np.int64) + 1


def decode(codes: Ints, levels: Levels, rng: np.random.Generator) -> pa.Array:
    """Values for levels, as text that casts to the column's type; within a bin any value is as likely."""
    if not levels.edges:
        return pa.array((None, *levels.values), pa.string()).take(pa.array(codes))
    edges = np.asarray(levels.edges)
    at = np.maximum(codes - 1, 0)
    values = edges[at] + rng.random(len(codes)) * (edges[at + 1] - edges[at])
    return pa.array(_texts(values, codes > 0, levels.kind), pa.string())


def _texts(values: Floats, given: np.ndarray, kind: str) -> Sequence[str | None]:
    return [_text(float(v), kind) if g else None for v, g in zip(values, given, strict=True)]


def _text(value: float, kind: str) -> str:
    if kind in DATES:
        moment = np.datetime64(int(value), "s")
        return str(moment.astype("datetime64[D]")) if kind == "DATE" else str(moment).replace("T", " ")
    if kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL"):
        return f"{value:.6g}"
    return str(int(np.floor(value)))


def _numbers(column: pa.ChunkedArray, kind: str) -> Floats:
    if kind in DATES:
        seconds = pc.cast(pc.cast(column, pa.timestamp("s"), safe=False), pa.int64())
        return np.asarray(pc.cast(seconds, pa.float64()).fill_null(float("nan")).to_numpy(), dtype=np.float64)
    return np.asarray(pc.cast(column, pa.float64(), safe=False).fill_null(float("nan")).to_numpy(), dtype=np.float64)
