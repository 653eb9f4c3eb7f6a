"""Tables as linear algebra: cells, what each must be protected against, and the equations that tie them.

A published table is a vector `a` of cell values with relations `A a = 0`: each margin is the sum of its parts, each parent
code the sum of its children, and a cell that two tables share is one cell. Suppressing cells hides their values; the relations
stay true, and an attacker solves them. `LinearTable` is that picture and nothing else: where the figures come from, and
which rule made a cell primary, is the caller's business.

Units: `values`, protection levels and bounds of one table share one unit (persons, euros); `cost` is free.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from installation.fault import Fault

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Key = tuple[Hashable, ...]
SecondsLeft = Callable[[], float]


class TableInconsistent(Fault):
    """Cells and relations do not fit together; nothing can be protected on that ground."""

    code = "table-inconsistent"


def forever() -> float:
    """A clock that never runs out, for callers without a limit."""
    return float("inf")


@dataclass(frozen=True, eq=False)
class LinearTable:
    """n cells and m relations. Build it with the functions below; the constructor checks that `relations @ values` is 0.

    `lower_protection`, `upper_protection`: an attacker's interval of a primary cell must reach `value - lower` and
    `value + upper`; `sliding_protection`: and be at least that wide. Of other cells they are ignored. `lower_bound`,
    `upper_bound`: what the public knows beforehand of every cell. `fixed`: cells that must stay published. `contributors`: units
    behind each cell, where the line check and the lone-contributor check are wanted. `unseen`: cells that nobody publishes, as the
    finest groups behind several tables; they are hidden from the start and cost nothing. Raises TableInconsistent.
    """

    values: Floats
    cost: Floats
    primary: Bools
    lower_protection: Floats
    upper_protection: Floats
    lower_bound: Floats
    upper_bound: Floats
    relations: sparse.csr_matrix
    fixed: Bools
    labels: tuple[Key, ...] = ()
    contributors: Ints | None = None
    sliding_protection: Floats | None = None
    unseen: Bools | None = None

    def __post_init__(self) -> None:
        n = len(self.values)
        sized = [self.cost, self.lower_protection, self.upper_protection, self.lower_bound, self.upper_bound]
        sized.append(self.sliding)
        if (
            any(len(a) != n for a in sized)
            or len(self.primary) != n
            or len(self.fixed) != n
            or self.relations.shape[1] != n
        ):
            raise _inconsistent("The columns of the table differ in length.")
        if np.any(self.cost < 0) or not np.all(np.isfinite(self.values)):
            raise _inconsistent("A cell's cost is negative or its value is not a number.")
        off = np.abs(self.relations @ self.values)
        size = np.abs(self.relations) @ np.abs(self.values)
        if np.any(off > 1e-6 * np.maximum(1.0, size)):
            raise _inconsistent("A margin is not the sum of its parts.")
        slack = 1e-9 * np.maximum(1.0, np.abs(self.values))
        if np.any(self.values < self.lower_bound - slack) or np.any(self.values > self.upper_bound + slack):
            raise _inconsistent("A cell lies outside the bounds that the public is said to know.")
        if np.any(self.primary & self.fixed):
            raise _inconsistent("A cell is to be hidden and to be published at once.")

    @property
    def size(self) -> int:
        return len(self.values)

    @property
    def sliding(self) -> Floats:
        """Width that each primary cell's interval must have; zeros where none is asked for."""
        return np.zeros(len(self.values)) if self.sliding_protection is None else self.sliding_protection

    @property
    def hidden_anyway(self) -> Bools:
        """Primary and unseen cells: what every pattern hides."""
        return self.primary.copy() if self.unseen is None else self.primary | self.unseen


def _inconsistent(what: str) -> TableInconsistent:
    return TableInconsistent(
        what,
        why="Protection is computed from the equations between cells, and these do not hold.",
        do="Give every figure from one computation, unrounded, with each cell of a margin present.",
    )


@dataclass(frozen=True)
class Levels:
    """What each primary cell needs, and the cost of hiding each cell: one entry per cell, in the order of the values."""

    primary: Sequence[bool] | Bools
    lower: Sequence[float] | Floats
    upper: Sequence[float] | Floats
    cost: Sequence[float] | Floats | None = None
    lower_bound: Sequence[float] | Floats | float = 0.0
    upper_bound: Sequence[float] | Floats | float = float("inf")
    fixed: Sequence[bool] | Bools | None = None
    contributors: Sequence[int] | Ints | None = None
    sliding: Sequence[float] | Floats | None = None
    unseen: Sequence[bool] | Bools | None = None


def from_equations(
    values: Sequence[float] | Floats,
    equations: Iterable[Mapping[int, float]],
    levels: Levels,
    labels: Sequence[Key] = (),
) -> LinearTable:
    """A table from cell values and equations `sum(coefficient * cell) = 0`, for published instances of any shape."""
    a = np.asarray(values, dtype=float)
    n = len(a)
    return LinearTable(
        values=a,
        cost=np.sqrt(np.abs(a)) + 1 if levels.cost is None else np.asarray(levels.cost, dtype=float),
        primary=np.asarray(levels.primary, dtype=bool),
        lower_protection=np.asarray(levels.lower, dtype=float),
        upper_protection=np.asarray(levels.upper, dtype=float),
        lower_bound=np.broadcast_to(np.asarray(levels.lower_bound, dtype=float), (n,)).copy(),
        upper_bound=np.broadcast_to(np.asarray(levels.upper_bound, dtype=float), (n,)).copy(),
        relations=_matrix(equations, n),
        fixed=np.zeros(n, dtype=bool) if levels.fixed is None else np.asarray(levels.fixed, dtype=bool),
        labels=tuple(labels),
        contributors=None if levels.contributors is None else np.asarray(levels.contributors, dtype=np.int64),
        sliding_protection=None if levels.sliding is None else np.asarray(levels.sliding, dtype=float),
        unseen=None if levels.unseen is None else np.asarray(levels.unseen, dtype=bool),
    )


def _matrix(equations: Iterable[Mapping[int, float]], n: int) -> sparse.csr_matrix:
    rows: list[int] = []
    columns: list[int] = []
    entries: list[float] = []
    number = 0
    for equation in equations:
        for cell, coefficient in equation.items():
            rows.append(number)
            columns.append(cell)
            entries.append(float(coefficient))
        number += 1
    return sparse.csr_matrix((entries, (rows, columns)), shape=(number, n))


def from_grouping_sets(
    keys: Sequence[Key], values: Sequence[float] | Floats, levels: Levels, total: Hashable
) -> LinearTable:
    """A table whose cells come from GROUPING SETS, ROLLUP or CUBE over named dimensions.

    `keys[i]` has one value per dimension, `total` where the cell adds up over it. A cell equals the sum of the cells that
    refine it in every present grouping set next finer than its own. Groups that are not listed are known to be empty.
    """
    return from_equations(values, grouping_equations(keys, total), levels, keys)


def grouping_equations(keys: Sequence[Key], total: Hashable) -> list[dict[int, float]]:
    """The equations of `from_grouping_sets`, one per margin cell and next finer grouping set."""
    by_set: dict[frozenset[int], list[int]] = {}
    for index, key in enumerate(keys):
        detail = frozenset(d for d, value in enumerate(key) if value is not total and value != total)
        by_set.setdefault(detail, []).append(index)
    equations: list[dict[int, float]] = []
    for coarse, margins in by_set.items():
        for fine in _next_finer(coarse, by_set):
            equations += _sums(keys, margins, by_set[fine], sorted(coarse))
    return equations


def _next_finer(coarse: frozenset[int], sets: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    finer = sorted((s for s in sets if s > coarse), key=lambda s: (len(s), sorted(s)))
    return [s for s in finer if not any(coarse < other < s for other in finer)]


def _sums(keys: Sequence[Key], margins: list[int], parts: list[int], dimensions: list[int]) -> list[dict[int, float]]:
    wanted = {tuple(keys[m][d] for d in dimensions): {m: -1.0} for m in margins}
    for part in parts:
        equation = wanted.get(tuple(keys[part][d] for d in dimensions))
        if equation is not None:
            equation[part] = 1.0
    return list(wanted.values())


def from_hierarchies(
    keys: Sequence[Key],
    values: Sequence[float] | Floats,
    children: Sequence[Mapping[Hashable, Sequence[Hashable]]],
    levels: Levels,
) -> LinearTable:
    """A table in which each dimension's codes form a tree: `children[d][code]` are the parts of a code of dimension d.

    Cells that are not listed are known to be empty; a margin that is not listed gives no equation.
    """
    at = {key: index for index, key in enumerate(keys)}
    equations: list[dict[int, float]] = []
    for index, key in enumerate(keys):
        for d, code in enumerate(key):
            parts = children[d].get(code, ())
            found = [at[k] for k in ((*key[:d], part, *key[d + 1 :]) for part in parts) if k in at]
            if parts:
                equations.append({index: -1.0} | dict.fromkeys(found, 1.0))
    return from_equations(values, equations, levels, keys)


@dataclass(frozen=True)
class Join:
    """Cell `left_cell` of table `left` is the same set of records as `right_cell` of table `right`."""

    left: int
    left_cell: int
    right: int
    right_cell: int


@dataclass(frozen=True)
class Linked:
    """Several tables as one; `cells[t][i]` is where cell i of table t went."""

    table: LinearTable
    cells: tuple[Ints, ...] = field(default_factory=tuple)


def link(tables: Sequence[LinearTable], joins: Iterable[Join]) -> Linked:
    """One table from several that share cells. A shared cell takes the stricter of its two protections and bounds."""
    starts = np.concatenate([[0], np.cumsum([t.size for t in tables])]).astype(np.int64)
    n = int(starts[-1])
    pairs = [(int(starts[j.left]) + j.left_cell, int(starts[j.right]) + j.right_cell) for j in joins]
    graph = sparse.coo_matrix((np.ones(len(pairs)), tuple(zip(*pairs, strict=True)) or ([], [])), shape=(n, n))
    count, group = sparse.csgraph.connected_components(graph, directed=False)
    group = group.astype(np.int64)
    first = np.full(count, -1, dtype=np.int64)
    first[group[::-1]] = np.arange(n)[::-1]
    merge = sparse.csr_matrix((np.ones(n), (np.arange(n), group)), shape=(n, count))
    labels = [k for t in tables for k in (t.labels or [()] * t.size)]
    merged = LinearTable(
        values=np.concatenate([t.values for t in tables])[first],
        cost=_fold(np.maximum, [t.cost for t in tables], group, count),
        primary=_fold(np.maximum, [t.primary for t in tables], group, count).astype(bool),
        lower_protection=_fold(np.maximum, [t.lower_protection * t.primary for t in tables], group, count),
        upper_protection=_fold(np.maximum, [t.upper_protection * t.primary for t in tables], group, count),
        lower_bound=_fold(np.maximum, [t.lower_bound for t in tables], group, count, -np.inf),
        upper_bound=_fold(np.minimum, [t.upper_bound for t in tables], group, count, np.inf),
        relations=sparse.csr_matrix(sparse.block_diag([t.relations for t in tables], format="csr") @ merge),
        fixed=_fold(np.maximum, [t.fixed for t in tables], group, count).astype(bool),
        labels=tuple(labels[i] for i in first),
        contributors=_linked_contributors(tables, first),
        sliding_protection=_fold(np.maximum, [t.sliding * t.primary for t in tables], group, count),
        unseen=_fold(np.minimum, [t.hidden_anyway & ~t.primary for t in tables], group, count, 1.0).astype(bool),
    )
    return Linked(merged, tuple(group[starts[t] : starts[t + 1]] for t in range(len(tables))))


def _fold(how: np.ufunc, parts: Sequence[NDArray[np.generic]], group: Ints, count: int, start: float = 0.0) -> Floats:
    out = np.full(count, start, dtype=float)
    how.at(out, group, np.concatenate(parts).astype(float))
    return out


def _linked_contributors(tables: Sequence[LinearTable], first: Ints) -> Ints | None:
    known = [t.contributors for t in tables]
    if any(k is None for k in known):
        return None
    return np.concatenate([k for k in known if k is not None])[first]
