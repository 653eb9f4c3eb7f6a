"""Disclosure control: pure functions over measured tables. The suppression engine can be used alone:

    from egress_gate.disclosure import Hierarchy, TableCell, suppress

    answer = suppress(cells, hierarchies=[Hierarchy.flat("Total", regions), Hierarchy.flat("Total", activities)])
    answer.suppressed, answer["II", "C"].interval

See `suppression.instance` for shapes, units and sources, `suppression.formats` for readers of published instances. The solvers
are loaded when one of these names is first used: most judgements need none.
"""

from __future__ import annotations

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
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module("egress_gate.disclosure.suppression"), name)
