"""How a running sandbox stands: whether its right to run is over, and what its analyst should be warned of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """``over``: why it must stop, in words for the person in it; None while it may run. ``warnings``: sentences for the same person."""

    over: str | None = None
    warnings: tuple[str, ...] = ()
