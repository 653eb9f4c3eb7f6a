"""What was published, over the atoms of all releases together, and what the audit answers.

An **atom** is a class of the common refinement of all releases over one universe of records: no cell of any release tells two
points of an atom apart. Every cell of every release is a set of atoms, so every published figure is an equation over the
atoms' unknown figures. Empty atoms belong to the picture: the attacker does not know that they are empty.

Shapes: N atoms; a layer (one grouping set of one output) has C cells; `cell_of` has N entries, -1 for atoms outside the
layer (its WHERE leaves them out). All figures of a quantity share one unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from egress_gate.disclosure.linear import Bools, Floats, Ints

Cells = NDArray[np.int32]

COUNT = "count"


@dataclass(frozen=True, eq=False)
class Layer:
    """One grouping set. What the reader knows of cell c lies between `low[c]` and `high[c]`: equal for an exact figure, half
    a base either side for a rounded one, `-inf, inf` for a suppressed one. A group absent from the output has `0, 0`."""

    cell_of: Cells
    low: Floats
    high: Floats
    labels: Sequence[str] = ()

    @property
    def size(self) -> int:
        return len(self.low)

    @property
    def known(self) -> Bools:
        return np.asarray(np.isfinite(self.low) | np.isfinite(self.high))

    def label(self, cell: int) -> str:
        return str(self.labels[cell]) if cell < len(self.labels) else f"cell {cell}"


@dataclass(frozen=True, eq=False)
class PublishedTable:
    """One output: its layers for each quantity, COUNT or the name of a measure whose sum is known.

    A mean beside a count publishes the sum: give it as a layer of the measure (an interval if the mean is rounded).
    """

    name: str
    layers: Mapping[str, Sequence[Layer]]


@dataclass(frozen=True, eq=False)
class Measure:
    """One measure over the atoms: total, total of absolute contributions, the two largest absolute contributions by unit,
    and the units with a value. `low`: what the public knows each contribution to be at least (-inf: nothing)."""

    total: Floats
    total_abs: Floats
    top1: Floats
    top2: Floats
    contributors: Ints
    low: float = float("-inf")


@dataclass(frozen=True, eq=False)
class Atoms:
    """The truth: records counted (in the unit that the count layers publish) and distinct contributors of each atom.

    `describe(atoms)` says in words which set of atoms is meant; it must not print figures.
    """

    count: Floats
    contributors: Ints
    measures: Mapping[str, Measure] = field(default_factory=dict)
    describe: Callable[[Ints], str] = lambda atoms: f"{len(atoms)} groups"

    @property
    def size(self) -> int:
        return len(self.count)


@dataclass(frozen=True)
class AuditRules:
    """Parameters from policy. `threshold`: contributors; dominance `(n, k)` with n at most 2; `p`: share of p %.

    `whole_numbers`: counts are integers, so an interval that passes by less than one is looked at again as integers.
    """

    threshold: int
    dominance_n: int = 2
    dominance_k: float | None = None
    p_percent: float | None = None
    whole_numbers: bool = True
    max_findings: int = 50


class Kind(StrEnum):
    EXACT = "exact"
    NARROW = "narrow"


class Verdict(StrEnum):
    PROVEN_SAFE = "proven_safe"
    UNSAFE = "unsafe"
    NOT_PROVEN = "not_proven"


@dataclass(frozen=True, eq=False)
class AuditFinding:
    """An inference that needs the new table: of the set `atoms`, the quantity lies in `interval`.

    `collides_with`: positions in `earlier` of releases that the inference needs too; leaving any of them out undoes this
    proof. Empty: the new table gives it away alone. `already`: it can be made without the new table, from some of those named.
    """

    quantity: str
    target: str
    atoms: Ints
    interval: tuple[float, float]
    kind: Kind
    collides_with: tuple[int, ...]
    already: bool = False


@dataclass(frozen=True, eq=False)
class ImpliedSet:
    """A set of atoms whose figures follow exactly from what is published: `sum of plus - sum of minus`.

    Each entry is `(table, layer, cell)`; table -1 is the new one. Every primary rule applies to such a set as to a cell.
    """

    quantity: str
    atoms: Ints
    plus: tuple[tuple[int, int, int], ...]
    minus: tuple[tuple[int, int, int], ...]
    target: str


@dataclass(frozen=True)
class AuditAnswer:
    """`not_proven` means that a person must look, never that it may leave. `proof` says what was done, in numbers."""

    verdict: Verdict
    findings: tuple[AuditFinding, ...]
    implied: tuple[ImpliedSet, ...] = ()
    open_targets: int = 0
    proof: Mapping[str, float] = field(default_factory=dict)
