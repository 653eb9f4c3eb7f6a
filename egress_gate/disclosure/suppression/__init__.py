"""Secondary suppression over linear relations.

`suppress` takes a ready table, `protect` a `LinearTable`; both find and audit a pattern. `audit`, `audit_pattern` judge a given one.
"""

from egress_gate.disclosure.suppression.formats import (
    InstanceUnreadable,
    read_correspondence,
    read_hrc,
    read_jj,
    write_jj,
)
from egress_gate.disclosure.suppression.instance import (
    CellAnswer,
    Hierarchy,
    Suppression,
    TableCell,
    audit,
    linear_table,
    suppress,
)
from egress_gate.disclosure.suppression.levels import (
    Level,
    count_level,
    dominance_level,
    p_percent_level,
    pq_level,
    strictest,
)
from egress_gate.disclosure.suppression.protect import Effort, Pattern, audit_pattern, protect

__all__ = [
    "CellAnswer",
    "Effort",
    "Hierarchy",
    "InstanceUnreadable",
    "Level",
    "Pattern",
    "Suppression",
    "TableCell",
    "audit",
    "audit_pattern",
    "count_level",
    "dominance_level",
    "linear_table",
    "p_percent_level",
    "pq_level",
    "protect",
    "read_correspondence",
    "read_hrc",
    "read_jj",
    "strictest",
    "suppress",
    "write_jj",
]
