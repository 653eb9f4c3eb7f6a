"""Whether a request or a release still fits the quotas of its data's grants (``usage/quota``): facts are read here, policy judges.

What policy judged must still be so when it is written down: two that ask at once for the last of a quota do not both get it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from egress_gate.policy.ask import Permission, permission_from
from egress_gate.service.gate import Gate
from store.clock import stamp
from store.database import Transaction
from store.usage import grants_in_force

ENTRY_POINT = "usage/quota"


@dataclass(frozen=True)
class Judged:
    """Policy's answer, and the facts it was given."""

    permission: Permission
    grants: tuple[Mapping[str, Any], ...]
    project: str
    versions: tuple[str, ...]

    def still(self, t: Transaction, at: datetime) -> bool:
        """Whether nothing was used since it was judged."""
        return _grants(t, self.project, self.versions, at) == self.grants


def judge(
    gate: Gate, project: str, versions: Iterable[str], stage: str, adds: Mapping[str, int], at: datetime
) -> Judged:
    """Raises PolicyUnavailable, or AnswerUnreadable: neither is ever taken for a yes."""
    wanted = tuple(sorted(set(versions)))
    with gate.store.read() as c:
        grants = _grants(c, project, wanted, at)
    facts = {"stage": stage, "grants": list(grants), "adds": dict(adds), "ends": []}
    return Judged(permission_from(gate.engine.query(ENTRY_POINT, facts).result), grants, project, wanted)


def _grants(
    c: Connection | Transaction, project: str, versions: tuple[str, ...], at: datetime
) -> tuple[Mapping[str, Any], ...]:
    return tuple(grants_in_force(c, project, versions, stamp(at)))
