"""The checklist of a prior assessment: what policy asks for by the levels of a project's data, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from policy_engine import PolicyEngine
from provisioning.domain.dataset import parse_version
from provisioning.domain.errors import ProvisioningFault
from provisioning.store import catalogue
from provisioning.store.projects import grants_of

ENTRY_POINT = "access/assessment"
LANGUAGES = ("en", "zh")


def levels_of(c: Connection, project: str) -> list[int]:
    """The levels of all data that was granted to the project and not revoked; lowest first."""
    found = set()
    for given in grants_of(c, project):
        known = catalogue.dataset(c, parse_version(given.version)[0])
        if given.revoked_at is None and known is not None:
            found.add(int(known.classification))
    return sorted(found)


def checklist(policies: PolicyEngine, *, levels: Sequence[int], assessed: Sequence[str]) -> dict[str, Any]:
    """``{"complete", "items": [{"item", "en", "zh", "law", "confirmed"}], "lacking", "unknown"}``.

    Raises PolicyUnavailable, or ProvisioningFault for an answer that is none.
    """
    told = policies.query(ENTRY_POINT, {"levels": list(levels), "assessed": list(assessed)}).result
    if not isinstance(told, dict) or set(told) != {"complete", "items", "lacking", "unknown"}:
        raise ProvisioningFault(
            "The checklist was not found.",
            why="Policy gives no answer about prior assessments.",
            do="Look at policies/access/assessment.",
        )
    return told
