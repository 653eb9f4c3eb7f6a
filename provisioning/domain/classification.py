"""The four levels of classification (分级分类). What follows from a level is policy data, not code."""

from __future__ import annotations

from enum import IntEnum

from provisioning.domain.errors import RegistrationRefused


class Classification(IntEnum):
    PUBLIC = 1
    INTERNAL = 2
    SENSITIVE = 3
    RESTRICTED = 4

    @property
    def word(self) -> str:
        return self.name.lower()


def classification(value: object) -> Classification:
    """By number or by word. Raises RegistrationRefused: an unknown level has no rules, so nothing may carry it."""
    words = {level.word: level for level in Classification} | {str(int(level)): level for level in Classification}
    found = None if isinstance(value, bool) else words.get(str(value).lower())
    if found is None:
        raise RegistrationRefused(
            "The classification is unknown.",
            why="Rules exist for four levels; data without rules may not enter.",
            do="Use 1 public, 2 internal, 3 sensitive or 4 restricted.",
        )
    return found
