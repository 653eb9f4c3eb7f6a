"""Full tables as witnesses: each has every published figure, and no target counts as reached without one that reaches it."""

from __future__ import annotations

import numpy as np
import pytest

from egress_gate.disclosure.audit import AuditRules
from egress_gate.disclosure.audit.centre import Centre, feasible, find_centre
from egress_gate.disclosure.audit.filling import fill
from egress_gate.disclosure.audit.published import COUNT, Layer
from egress_gate.disclosure.audit.system import Source, assemble
from egress_gate.disclosure.audit.targets import Reached, count_targets
from egress_gate.disclosure.linear import Floats, forever
from tests.benchmarks.audit import case


class _Watched(Reached):
    """Keeps every table that it is shown."""

    def __init__(self, of: Reached, truth: Floats) -> None:
        super().__init__(of.targets, truth)
        self.tables: list[Floats] = []

    def note(self, witness: Floats) -> None:
        self.tables.append(witness)
        super().note(witness)


def _setting(kind: str, rows: int) -> tuple[Centre, _Watched]:
    made = case(8, kind, rows=rows, seed=3)
    sources = [Source(t, n, layer) for t, e in enumerate(made.tables) for n, layer in enumerate(e.layers[COUNT])]
    system = assemble(made.atoms.count, 0.0, sources)
    targets = count_targets(system, made.atoms, AuditRules(10))
    return find_centre(system, forever), _Watched(Reached(targets, system.truth), system.truth)


@pytest.mark.parametrize("kind", ["aligned", "arbitrary"])
def test_full_tables_have_the_published_figures_and_reach_most_targets(kind: str) -> None:
    centre, reached = _setting(kind, 20_000)
    before = len(reached.open())
    made = fill(centre, reached, forever)
    assert before > 1_000
    assert 0 < made < before / 20
    assert len(reached.open()) < before / 2
    assert all(feasible(centre.system, table) for table in reached.tables)
    best = np.max([reached.targets.sets @ table for table in reached.tables], axis=0)
    closed = ~reached.open_high()
    assert np.all(best[closed] >= reached.targets.high[closed] - 1e-4)


def test_nothing_is_reached_where_the_figures_leave_no_room() -> None:
    """Each cell of the finest table is out: every atom is known, and no table but the true one is possible."""
    truth = np.array([4.0, 6.0, 40.0, 50.0])
    alone = Layer(np.arange(4, dtype=np.int32), truth, truth)
    system = assemble(truth, 0.0, [Source(0, 0, alone)])
    made = case(1, "aligned", rows=200)
    targets = count_targets(system, type(made.atoms)(truth, truth.astype(np.int64)), AuditRules(10))
    reached = _Watched(Reached(targets, system.truth), system.truth)
    fill(find_centre(system, forever), reached, forever)
    assert len(reached.open()) == 2
    assert all(np.allclose(table, truth, atol=1e-5) for table in reached.tables)


def test_no_time_makes_no_table() -> None:
    centre, reached = _setting("aligned", 5_000)
    assert fill(centre, reached, lambda: 0.0) == 0
    assert reached.tables == []


@pytest.mark.parametrize("seed", range(12))
def test_an_equation_is_left_out_only_when_it_is_a_union_of_exact_cells(seed: int) -> None:
    """What `assemble` keeps spans all that was published: rank and row space are those of every exact cell."""
    rng = np.random.default_rng(seed)
    atoms = 40
    truth = rng.integers(1, 30, atoms).astype(float)
    sources = []
    coarse = rng.integers(-1, 3, atoms)
    for number in range(5):
        cell = (
            rng.integers(0, 6, atoms)
            if number % 2
            else np.where(coarse < 0, -1, coarse * 2 + rng.integers(0, 2, atoms))
        )
        if number == 4:
            cell = coarse
        size = int(cell.max()) + 1
        value = np.bincount(cell[cell >= 0], weights=truth[cell >= 0], minlength=size)
        hidden = rng.random(size) < 0.2
        low, high = np.where(hidden, -np.inf, value), np.where(hidden, np.inf, value)
        sources.append(Source(number, 0, Layer(cell.astype(np.int32), low, high)))
    system = assemble(truth, 0.0, sources)
    everything = np.vstack(
        [(s.layer.cell_of == c).astype(float) for s in sources for c in np.flatnonzero(s.layer.low == s.layer.high)]
    )
    kept = np.asarray(system.matrix.todense())[:, : system.atoms]
    whole = everything[:, system.columns]
    assert (
        np.linalg.matrix_rank(kept) == np.linalg.matrix_rank(whole) == np.linalg.matrix_rank(np.vstack([kept, whole]))
    )
