"""Where HAVING is applied: once, on the judged and protected cells, to their figures as files write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from egress_gate.disclosure.derivation import Derivation
from egress_gate.disclosure.having import holds
from egress_gate.disclosure.judge import JudgedCell
from egress_gate.render.table import rounded


def left_out(
    derivation: Derivation, cells: Sequence[JudgedCell], released: Sequence[Mapping[str, Any] | None] = ()
) -> tuple[bool, ...]:
    """For each cell whether HAVING leaves its row out. `released`: as in `altered`, the figures that leave in place of the cell's own.

    Not asked of a row that is gone anyway: nothing that is hidden decides anything here.
    """
    condition = derivation.having
    if condition is None:
        return (False,) * len(cells)
    made = []
    for i, judged in enumerate(cells):
        figures = released[i] if released else judged.cell.values
        gone = judged.suppressed is not None or figures is None
        made.append(not gone and holds(condition, _as_written(judged, figures or {})) is not True)
    return tuple(made)


def _as_written(judged: JudgedCell, figures: Mapping[str, Any]) -> dict[str, Any]:
    return {**judged.cell.key, **{name: rounded(value) for name, value in figures.items()}}
