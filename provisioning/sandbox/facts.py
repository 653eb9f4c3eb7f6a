"""One thing that must be so, and what was seen of it. `isolation.py` and `gvisor.py` gather them, a proof is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fact:
    """One thing that must be so: its name, what the profile says, what was observed."""

    name: str
    expected: str
    observed: str

    @property
    def holds(self) -> bool:
        return self.expected == self.observed

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "expected": self.expected, "observed": self.observed, "holds": self.holds}


def listed(values: Iterable[Any]) -> str:
    """Values in order, or ``none``."""
    return ",".join(sorted(str(value) for value in values)) or "none"
