"""One lane for each kind of output: how it is refused at once, checked, and what leaves of it.

A new kind is a member of `domain.item.Kind`, a module here, a line in `LANES`, a block `desk/templates/items/<kind>.html`, and a
part of the policies. A kind without a lane cannot be stored: `lane_of` raises.
"""

from __future__ import annotations

from egress_gate.domain.item import Kind
from egress_gate.service.lanes.figure import FigureLane
from egress_gate.service.lanes.file import FileLane
from egress_gate.service.lanes.lane import Checked, Lane, LaneContext, Leaving
from egress_gate.service.lanes.regression import RegressionLane
from egress_gate.service.lanes.table import TableLane

LANES: dict[Kind, Lane] = {
    Kind.TABLE: TableLane(),
    Kind.FILE: FileLane(),
    Kind.REGRESSION: RegressionLane(),
    Kind.FIGURE: FigureLane(),
}

__all__ = ["LANES", "Checked", "Lane", "LaneContext", "Leaving", "lane_of"]


def lane_of(kind: Kind) -> Lane:
    """The lane of a kind. Raises KeyError for a kind that has none, so that it can never pass unchecked."""
    return LANES[kind]
