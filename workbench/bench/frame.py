"""The protocol of a benchmark: a module in ``tests/benchmarks`` with a list ``BENCHMARKS`` of these.

A `Benchmark` yields `Pair`s. Each pair runs ``ours`` and ``theirs`` in turn, as often as ``runs`` says, after one warm-up; each
callable returns what it measured (seconds by default, or any positive number: bytes of memory, messages a second). The ratio
ours/theirs is taken pair by pair, so that a machine that slows down slows both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from installation.settings import Settings


@dataclass(frozen=True)
class Pair:
    """``name`` is the ratio's name, for example ``spawn_vs_stock_dockerspawner``."""

    name: str
    ours: Callable[[], float | None]
    theirs: Callable[[], float | None]
    runs: int = 5
    unit: str = "s"


@dataclass(frozen=True)
class Measured:
    """A figure that has nothing to be compared with."""

    name: str
    value: Any


@dataclass(frozen=True)
class Benchmark:
    """``prepare(settings, quick)`` is a context manager that yields the pairs and figures, and cleans up after."""

    name: str
    about: str
    prepare: Callable[[Settings, bool], AbstractContextManager[Iterator[Pair | Measured]]]


@dataclass
class Ratios:
    name: str
    unit: str
    ratios: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        return {
            "min": min(self.ratios),
            "median": statistics.median(self.ratios),
            "max": max(self.ratios),
            "runs": len(self.ratios),
        }


def measure(pair: Pair) -> Ratios:
    """Warm both up once, then run them in turn. Raises ValueError when one measures nothing."""
    taken = Ratios(pair.name, pair.unit)
    _once(pair.ours)
    _once(pair.theirs)
    for _ in range(pair.runs):
        ours, theirs = _once(pair.ours), _once(pair.theirs)
        taken.ours.append(ours)
        taken.theirs.append(theirs)
        taken.ratios.append(ours / theirs)
    return taken


def _once(act: Callable[[], float | None]) -> float:
    begun = time.perf_counter()
    said = act()
    value = time.perf_counter() - begun if said is None else float(said)
    if value <= 0:
        raise ValueError("a run measured nothing")
    return value
