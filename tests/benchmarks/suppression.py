"""`bench suppression`: counts with all margins, a tenth of the inner cells small; optimum within 10 s, and the heuristic beside it.

Each inner cell is drawn from a skewed count (Poisson around a log-normal mean whose scale is set so that a tenth is in 1..9).
Small cells are primary: their interval must reach 10 upwards and one unit downwards. Hiding a cell costs sqrt(n) + 1.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from installation.settings import Settings
from workbench.bench import Benchmark, Measured, Pair

SIZES = ((10, 10), (100, 20), (50, 50), (200, 50), (20, 10, 5))
QUICK = ((10, 10), (6, 5, 4))
SEEDS = (1, 2, 3)
THRESHOLD = 10
SECONDS = 10.0


def counts(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Cells of one table; the same numbers for the same seed."""
    rng = np.random.default_rng(seed)
    means = rng.lognormal(0.0, 1.0, shape)
    scale = 10.0 / np.quantile(means, 0.1)
    return rng.poisson(means * scale)


def linear_table(inner: np.ndarray) -> object:
    """The table with every margin, as the engine takes it."""
    from egress_gate.disclosure.linear import Levels, from_grouping_sets
    from egress_gate.disclosure.suppression import count_level

    keys, values = [], []
    for key in itertools.product(*[(*range(n), None) for n in inner.shape]):
        part = inner[tuple(slice(None) if k is None else k for k in key)]
        keys.append(tuple("T" if k is None else k for k in key))
        values.append(int(np.sum(part)))
    primary = [0 < v < THRESHOLD and "T" not in k for v, k in zip(values, keys, strict=True)]
    levels = [count_level(v, THRESHOLD) for v in values]
    made = Levels(primary, [x.lower for x in levels], [x.upper for x in levels], cost=[v**0.5 + 1 for v in values])
    return from_grouping_sets(keys, values, made, "T")


@contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    yield _measured(quick)


def _measured(quick: bool) -> Iterator[Pair | Measured]:
    for shape in QUICK if quick else SIZES:
        name = "x".join(map(str, shape))
        for seed in SEEDS[:1] if quick else SEEDS:
            yield from _one(f"{name}.{seed}", shape, seed)


def _one(name: str, shape: tuple[int, ...], seed: int) -> Iterator[Measured]:
    """Heuristic alone, then the search for the optimum within its time; both are audited."""
    from egress_gate.disclosure.linear import LinearTable
    from egress_gate.disclosure.suppression import Effort, protect

    table = linear_table(counts(shape, seed))
    if not isinstance(table, LinearTable):
        raise TypeError(table)
    begun = time.perf_counter()
    quick = protect(table, Effort(search=False, exact_intervals=False))
    heuristic_seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    end = begun + SECONDS
    best = protect(table, Effort(left=lambda: end - time.perf_counter(), exact_intervals=False))
    search_seconds = time.perf_counter() - begun
    if not (quick.safe and best.safe):
        raise ValueError(f"{name}: a pattern that does not protect")
    primaries = float(table.cost[table.primary].sum())
    yield Measured(f"suppression.{name}.cells", table.size)
    yield Measured(f"suppression.{name}.primaries", int(table.primary.sum()))
    yield Measured(f"suppression.{name}.optimal", best.optimal)
    yield Measured(f"suppression.{name}.heuristic_seconds", round(heuristic_seconds, 2))
    yield Measured(f"suppression.{name}.search_seconds", round(search_seconds, 2))
    yield Measured(f"suppression.{name}.secondaries", [int(quick.secondary.sum()), int(best.secondary.sum())])
    bound = max(best.bound, primaries)
    yield Measured(f"suppression_heuristic_vs_bound.{name}", round(quick.cost / bound, 4))
    yield Measured(f"suppression_answer_vs_bound.{name}", round(best.cost / bound, 4))


BENCHMARKS = [
    Benchmark("suppression", "the cheapest protecting pattern in 10 s, and how far the heuristic is from it", prepare)
]
