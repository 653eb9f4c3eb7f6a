"""Sequences of overlapping releases over one file of records, for `bench audit`: everything from a seed, sizes as arguments.

Records have age (15-89), region (10), sector (18, skewed), sex (2), size (5). A release counts records by one to three of these,
with ages in bands, some with a filter; groups under the threshold are left out, without secondary suppression. `aligned`: all
releases use five-year bands and filters on whole categories. `arbitrary`: each release cuts ages where it likes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egress_gate.disclosure.audit.published import COUNT, Atoms, Layer, PublishedTable
from installation.settings import Settings
from workbench.bench import Benchmark, Measured, Pair

SIZES = {"age": 75, "region": 10, "sector": 18, "sex": 2, "size": 5}
DIMENSIONS = tuple(SIZES)
THRESHOLD = 10
EARLIER = (5, 20, 100, 400)
SECONDS = 50.0


@dataclass(frozen=True, eq=False)
class Release:
    """Bands per dimension (code -> group, -1 outside the filter) and the dimensions grouped by."""

    codes: dict[str, NDArray[np.int32]]
    by: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """Atoms and one table per release; the last release is the new one."""

    atoms: Atoms
    tables: tuple[PublishedTable, ...]

    @property
    def cells(self) -> int:
        return sum(layer.size for t in self.tables for layer in t.layers[COUNT])


def records(count: int, seed: int) -> dict[str, NDArray[np.int32]]:
    rng = np.random.default_rng(seed)
    skew = {"region": 0.4, "sector": 0.9, "sex": 0.0, "size": 0.8}
    out = {"age": np.clip(rng.normal(48, 17, count).round() - 15, 0, 74).astype(np.int32)}
    for name, power in skew.items():
        weight = 1.0 / np.arange(1, SIZES[name] + 1) ** power
        out[name] = rng.choice(SIZES[name], count, p=weight / weight.sum()).astype(np.int32)
    return out


def releases(count: int, kind: str, seed: int) -> list[Release]:
    """`count` releases of kind `aligned` or `arbitrary`."""
    rng = np.random.default_rng(seed + 1)
    return [_release(rng, kind) for _ in range(count)]


def _release(rng: np.random.Generator, kind: str) -> Release:
    how_many = int(rng.choice([1, 2, 2, 2]))
    by = tuple(str(d) for d in rng.choice(DIMENSIONS, how_many, replace=False))
    codes: dict[str, NDArray[np.int32]] = {}
    if "age" in by:
        codes["age"] = _bands(rng, kind)
    if rng.random() < 0.5:
        name = str(
            rng.choice([d for d in DIMENSIONS if d not in by and (d != "age" or kind == "arbitrary")] or ["sex"])
        )
        codes[name] = _filter(rng, name, kind)
    for name in by:
        codes.setdefault(name, np.arange(SIZES[name], dtype=np.int32))
    return Release(codes, by)


def _bands(rng: np.random.Generator, kind: str) -> NDArray[np.int32]:
    ages = np.arange(SIZES["age"])
    if kind == "aligned":
        return (ages // int(rng.choice([5, 5, 10, 15]))).astype(np.int32)
    cuts = np.sort(rng.choice(np.arange(1, SIZES["age"]), int(rng.integers(3, 10)), replace=False))
    return np.searchsorted(cuts, ages, side="right").astype(np.int32)


def _filter(rng: np.random.Generator, name: str, kind: str) -> NDArray[np.int32]:
    """Only part of a dimension; what is left is one group unless the release groups by it."""
    size = SIZES[name]
    if name == "age":
        low, high = np.sort(rng.choice(size, 2, replace=False))
        return np.where((np.arange(size) >= low) & (np.arange(size) <= high), 0, -1).astype(np.int32)
    kept = rng.choice(size, max(1, size // 2), replace=False)
    return np.where(np.isin(np.arange(size), kept), 0, -1).astype(np.int32)


def case(count: int, kind: str, rows: int = 100_000, seed: int = 1) -> Case:
    """`count` earlier releases and a new one over `rows` records."""
    return build(records(rows, seed), releases(count + 1, kind, seed))


def build(data: dict[str, NDArray[np.int32]], made: Sequence[Release]) -> Case:
    """The common refinement of the releases, its true counts, and each release as a layer over it."""
    classes, first = zip(*(_classes(made, d) for d in DIMENSIONS), strict=True)
    shape = tuple(len(f) for f in first)
    points = np.unravel_index(np.arange(int(np.prod(shape))), shape)
    cell_of, cells = [], []
    for release in made:
        index, size = _cells(release, [f[p] for f, p in zip(first, points, strict=True)])
        cell_of.append(index)
        cells.append(size)
    signature = np.stack(cell_of, axis=1)
    _, where, atom = np.unique(_hash(signature), return_index=True, return_inverse=True)
    point = np.ravel_multi_index([c[data[d]] for c, d in zip(classes, DIMENSIONS, strict=True)], shape)
    truth = np.bincount(atom.reshape(-1)[point], minlength=len(where)).astype(float)
    tables = []
    for number, (index, size) in enumerate(zip(cell_of, cells, strict=True)):
        mine = index[where]
        value = np.bincount(mine[mine >= 0], weights=truth[mine >= 0], minlength=size)
        hidden = (value > 0) & (value < THRESHOLD)
        layer = Layer(mine, np.where(hidden, -np.inf, value), np.where(hidden, np.inf, value))
        tables.append(PublishedTable(f"release {number}", {COUNT: [layer]}))
    return Case(Atoms(truth, truth.astype(np.int64)), tuple(tables))


def _classes(made: Sequence[Release], dimension: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes of one dimension that no release tells apart: class of each code, and a code of each class."""
    seen = [r.codes[dimension] for r in made if dimension in r.codes]
    if not seen:
        return np.zeros(SIZES[dimension], dtype=np.int64), np.zeros(1, dtype=np.int64)
    _, first, inverse = np.unique(np.stack(seen, axis=1), axis=0, return_index=True, return_inverse=True)
    return inverse.reshape(-1), first


def _cells(release: Release, codes: list[NDArray[np.int64]]) -> tuple[NDArray[np.int32], int]:
    index = np.zeros(len(codes[0]), dtype=np.int64)
    inside = np.ones(len(codes[0]), dtype=bool)
    size = 1
    for dimension, code in zip(DIMENSIONS, codes, strict=True):
        if dimension not in release.codes:
            continue
        group = release.codes[dimension][code]
        inside &= group >= 0
        if dimension in release.by:
            width = int(release.codes[dimension].max()) + 1
            index = index * width + np.maximum(group, 0)
            size *= width
    return np.where(inside, index, -1).astype(np.int32), size


def _hash(signature: NDArray[np.int32]) -> NDArray[np.uint64]:
    """One 64-bit mark per row of cell numbers."""
    rng = np.random.default_rng(7)
    marks = np.zeros(len(signature), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in range(signature.shape[1]):
            factor = np.uint64(rng.integers(1, 2**63, dtype=np.uint64) | np.uint64(1))
            marks = (marks ^ (signature[:, column].astype(np.int64) + 2).astype(np.uint64)) * factor
            marks ^= marks >> np.uint64(31)
    return marks


@contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    yield _measured(EARLIER[:1] if quick else EARLIER, 100_000)


def _measured(sizes: Sequence[int], rows: int) -> Iterator[Pair | Measured]:
    for kind in ("aligned", "arbitrary"):
        for count in sizes:
            yield from _one(f"{kind}.{count}", case(count, kind, rows))


def _one(name: str, made: Case) -> Iterator[Measured]:
    """The audit of one new release, from the atoms on; building the atoms is the verifier's work and not timed here."""
    from egress_gate.disclosure.audit import AuditRules, audit

    begun = time.perf_counter()
    end = begun + SECONDS
    answer = audit(
        made.tables[-1], made.tables[:-1], made.atoms, AuditRules(THRESHOLD), left=lambda: end - time.perf_counter()
    )
    yield Measured(f"audit_seconds.{name}", round(time.perf_counter() - begun, 2))
    yield Measured(f"audit.{name}.verdict", answer.verdict.value)
    yield Measured(f"audit.{name}.cells", made.cells)
    yield Measured(f"audit.{name}.atoms", made.atoms.size)
    yield Measured(f"audit.{name}.findings", [sum(not f.already for f in answer.findings), len(answer.findings)])
    yield Measured(f"audit.{name}.open", answer.open_targets)


BENCHMARKS = [Benchmark("audit", "a new release beside 5 to 400 earlier ones over 100,000 records", prepare)]
