"""A project's masking key, and which construction makes pseudonyms of it.

What a project began with stays for all its versions, so that they join; a version's record names it, so that years later a pseudonym
can be computed again. Versions recorded without a name are older than the second construction.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from provisioning.domain.masking import Pseudonym, TableRecipe

SECRET_BYTES = 32
_HEADER = b"glovebox-masking-key/2\n"


class Construction(StrEnum):
    """How a value becomes a pseudonym: the first 96 bits of what this names.

    ``HMAC``: HMAC-SHA-256(secret, "pseudonym:" || value). ``CHOPPED``: SHA-256(S || value) with S = HMAC-SHA-256(secret,
    "glovebox pseudonym/2"). The 160 bits that are never shown keep anyone from continuing a digest; see ADR 20.
    """

    HMAC = "hmac-sha256"
    CHOPPED = "sha256-chopped/2"


@dataclass(frozen=True)
class MaskingKey:
    """``secret`` is never shown, in a ``repr`` neither."""

    secret: bytes
    construction: Construction = Construction.CHOPPED

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise ValueError("a masking key has 32 bytes")

    def __repr__(self) -> str:
        return f"MaskingKey({self.construction})"

    @property
    def for_pseudonyms(self) -> bytes:
        """S of `Construction.CHOPPED`: used for nothing else, and always 32 bytes, so that where the value begins is fixed."""
        return hmac.digest(self.secret, b"glovebox pseudonym/2", "sha256")

    def stored(self) -> bytes:
        """As its file holds it. The first construction's keys were kept bare."""
        return self.secret if self.construction is Construction.HMAC else _HEADER + self.secret


def read_key(stored: bytes) -> MaskingKey:
    """Raises ValueError for what was cut short or is of a later format: never another key than the one that was kept."""
    if stored.startswith(_HEADER):
        return MaskingKey(stored.removeprefix(_HEADER), Construction.CHOPPED)
    if stored.startswith(_HEADER[:16]):
        raise ValueError("a masking key of another format")
    return MaskingKey(stored, Construction.HMAC)


def pseudonym_facts(recipes: Mapping[str, TableRecipe], key: MaskingKey) -> dict[str, str]:
    """For a version's record, where its recipe makes pseudonyms."""
    rules = [rule for recipe in recipes.values() for rule in recipe.columns.values()]
    return {"pseudonyms": str(key.construction)} if any(isinstance(rule, Pseudonym) for rule in rules) else {}
