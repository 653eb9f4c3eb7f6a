"""pandas' parameters that no SQL of the gate stands for: refused by name, never passed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glovebox.errors import Mistake

_WHY = {
    "observed": ("Groups that nobody is in are not rows of a table.", "Leave it out; groups that exist are shown."),
    "normalize": ("Shares are of counts or sums.", 'Use aggfunc="count" or "sum", and normalize="index", "columns" or "all".'),
    "level": ("A table has columns and no index.", "Give the columns to group by as by=."),
    "axis": ("Records are grouped, never columns.", "Leave it out."),
    "ddof": ("The gate recomputes the sample's spread only, with ddof=1.", "Leave it out."),
    "min_count": ("The gate itself leaves out groups of few people.", "Leave it out."),
    "interpolation": ("The gate interpolates quantiles linearly.", "Leave it out."),
}  # fmt: skip
_DEFAULT = (
    "The gate's SQL has nothing that it stands for.",
    "Leave it out, or write the table as SQL: glovebox.sql, then glovebox.release.",
)


def refuse(call: str, name: str, value: Any) -> Mistake:
    """The refusal of one parameter."""
    why, do = _WHY.get(name, _DEFAULT)
    return Mistake(f"{call} with {name}={value!r} is not offered.", why, do)


def refuse_others(call: str, others: Mapping[str, Any]) -> None:
    """Raises Mistake for the first of the parameters that nobody knows here."""
    for name, value in others.items():
        raise refuse(call, name, value)


def flag(call: str, name: str, value: Any) -> bool:
    """A parameter that is True or False. Raises Mistake for anything else."""
    if not isinstance(value, bool):
        raise Mistake(f"{call} with {name}={value!r} is not offered.", "It is True or False.", f"Write {name}=True.")
    return value
