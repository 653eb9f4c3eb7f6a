"""Disclosure control: pure functions over measured tables. The suppression engine can be used alone:

    from egress_gate.disclosure import Hierarchy, TableCell, suppress

    answer = suppress(cells, hierarchies=[Hierarchy.flat("Total", regions), Hierarchy.flat("Total", activities)])
    answer.suppressed, answer["II", "C"].interval

See `suppression.instance` for shapes, units and sources, `suppression.formats` for readers of published instances.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egress_gate.disclosure.suppression import (
        CellAnswer,
        Effort,
        Hierarchy,
        Suppression,
        TableCell,
        read_correspondence,
        read_hrc,
        read_jj,
        suppress,
        write_jj,
    )

__all__ = [
    "CellAnswer",
    "Effort",
    "Hierarchy",
    "Suppression",
    "TableCell",
    "read_correspondence",
    "read_hrc",
    "read_jj",
    "suppress",
    "write_jj",
]


def __getattr__(name: str) -> Any:
    """The engine is loaded when it is first named: it brings the solvers, and most tables are judged without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("egress_gate.disclosure.suppression"), name)
