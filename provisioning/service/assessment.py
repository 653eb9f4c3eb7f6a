"""The checklist of a prior assessment: what policy asks for by the levels of a project's data, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from policy_engine import PolicyEngine
from provisioning.domain.errors import ProvisioningFault
from store import schema as s

ENTRY_POINT = "access/assessment"
LANGUAGES = ("en", "zh")


def levels_of(c: Connection, project: str) -> list[int]:
    """The levels of all data that was granted to the project and not revoked; lowest first."""
    grant, version, dataset = s.grant, s.dataset_version, s.dataset
    query = (
        select(dataset.c.classification)
        .join(version, version.c.dataset == dataset.c.name)
        .join(grant, grant.c.version == version.c.id)
        .where(grant.c.project == project, grant.c.revoked_at.is_(None))
    )
    return sorted(int(level) for level in c.execute(query.distinct()).scalars())


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
