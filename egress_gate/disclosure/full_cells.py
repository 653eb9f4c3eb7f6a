"""Which hidden cells of a release are full, on the grid of all releases: what the joint audit must keep unknown of many people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from egress_gate.disclosure.atoms import Grid
from egress_gate.disclosure.audit.classes import Category
from egress_gate.disclosure.audit.published import COUNT, Cells, Layer
from egress_gate.disclosure.linear import Bools


def categories(grid: Grid, release: int, suppressed: Sequence[Mapping[str, Any]], least: int) -> list[Category]:
    """What hidden cells of at least `least` people would tell of everybody in them: sets of atoms with nobody in them, because all or
    none meet a condition of the release, or because all of a group have one key."""
    derivation = grid.plan.derivations[grid.plan.releases.index(release)]
    counts = [n for n, s in enumerate(grid.plan.slices) if s.release == release and s.quantity == COUNT]
    whole = max(counts, key=lambda n: int((grid.cell_of[n] >= 0).sum()))
    there = grid.cell_of[whole] >= 0
    halves = [grid.cell_of[n] >= 0 for n in counts if n != whole and grid.plan.slices[n].counts]
    made = []
    for chosen in derivation.grouping_sets if suppressed else ():
        layer = grid.layer(whole, derivation, chosen, suppressed, (None, False))
        for half in halves:
            made += _empty(grid, layer, there, half & there, least)
            made += _empty(grid, layer, there, ~half & there, least)
        for name in chosen:
            wider = grid.layer(whole, derivation, chosen - {name}, (), (None, False)).cell_of
            own = grid.layer(whole, derivation, frozenset({name}), (), (None, False)).cell_of
            made += _alone(grid, layer, wider, own, least)
    return made


def _empty(grid: Grid, layer: Layer, there: Bools, half: Bools, least: int) -> list[Category]:
    """Hidden cells without anybody in `half`, where there is somebody in it elsewhere."""
    held = np.bincount(layer.cell_of[half], weights=grid.atoms.count[half], minlength=layer.size)
    if not held.any():
        return []
    found = np.flatnonzero(_hidden_of(grid, layer, there, least) & (held == 0))
    sets = ((cell, np.flatnonzero((layer.cell_of == cell) & half)) for cell in found.tolist())
    return [Category(atoms, layer.label(cell)) for cell, atoms in sets if len(atoms)]


def _alone(grid: Grid, layer: Layer, wider: Cells, own: Cells, least: int) -> list[Category]:
    """Hidden cells that are all of the group around them, of several that there are."""
    made = []
    inside = np.flatnonzero(layer.cell_of >= 0)
    cell_of, count = layer.cell_of[inside], grid.atoms.count
    around = np.zeros(layer.size, dtype=np.int64)
    around[cell_of] = wider[inside]
    all_of_it = np.bincount(wider[inside], weights=count[inside])[around] == np.bincount(
        cell_of, weights=count[inside], minlength=layer.size
    )
    for cell in np.flatnonzero(_hidden_of(grid, layer, wider >= 0, least) & all_of_it).tolist():
        mine = layer.cell_of == cell
        rest = (wider == wider[mine][0]) & ~mine
        others = (own >= 0) & (own != own[mine][0])
        if rest.any() and not grid.atoms.count[rest].any() and grid.atoms.count[others].any():
            made.append(Category(np.flatnonzero(rest), layer.label(cell)))
    return made


def _hidden_of(grid: Grid, layer: Layer, there: Bools, least: int) -> Bools:
    people = np.bincount(layer.cell_of[there], weights=grid.atoms.contributors[there], minlength=layer.size)
    return np.asarray(np.isneginf(layer.low) & (people >= least))
