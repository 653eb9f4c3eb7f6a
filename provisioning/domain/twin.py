"""What a synthetic twin is allowed to cost, and what is said about how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.domain.errors import ProvisioningFault

NEIGHBOURS = "all rows of one privacy unit in all tables, added or removed"
METHOD = "noisy spanning tree of two-way tables (McKenna, Miklau, Sheldon 2021), every draw by OpenDP"


@dataclass(frozen=True)
class TwinTerms:
    """From policy ``access/twin``. ``epsilon``, ``delta``: the whole twin's privacy loss; ``rows_per_unit``: the most rows of one
    unit that a table's figures are taken from; ``level``: the classification of what is made."""

    level: int
    epsilon: float
    delta: float
    rows_per_unit: int

    @classmethod
    def of(cls, answer: Any) -> TwinTerms:
        """Raises ProvisioningFault for an answer that allows nothing or makes no sense."""
        try:
            if answer["allow"] is not True:
                raise ValueError("policy allows no twin")
            made = cls(
                int(answer["level"]),
                float(answer["epsilon"]),
                float(answer["delta_per_million"]) / 1e6,
                int(answer["rows_per_unit"]),
            )
            if not (0 < made.epsilon <= 20 and 0 < made.delta < 1e-3 and 0 < made.rows_per_unit <= 1000):
                raise ValueError("numbers out of range")
        except (KeyError, TypeError, ValueError) as broken:
            raise ProvisioningFault(
                "The synthetic twin was not made.",
                why="Policy allows none for data of this classification, or its answer could not be understood.",
                do="Ask an administrator to look at the policy data for twins.",
                private=repr(broken),
            ) from broken
        return made

    def facts(self) -> dict[str, Any]:
        return {
            "method": METHOD,
            "neighbours": NEIGHBOURS,
            "epsilon": self.epsilon,
            "delta": self.delta,
            "rows_per_unit": self.rows_per_unit,
        }


def evidence(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the ledger, in which numbers with fractions have no place: their text does."""
    return {key: str(value) if isinstance(value, float) else value for key, value in facts.items()}
