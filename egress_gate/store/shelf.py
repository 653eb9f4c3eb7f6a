"""The package shelf as provisioning keeps it: its newest edition, and what was asked for. Read-only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from egress_gate.store.paging import Paged, paged
from store import schema as s


@dataclass(frozen=True)
class Edition:
    """What the next sandbox sees."""

    number: int
    digest: str
    approved_by: str
    approved_at: str
    packages: tuple[Mapping[str, Any], ...]


def edition(c: Connection) -> Edition | None:
    row = c.execute(select(s.shelf_edition).order_by(s.shelf_edition.c.id.desc()).limit(1)).first()
    if row is None:
        return None
    packages = sorted(json.loads(row.packages), key=lambda one: str(one["name"]).lower())
    return Edition(row.id, row.digest, row.approved_by, row.approved_at, tuple(packages))


def asked(c: Connection, *, is_open: bool, person: str | None = None, number: int = 1) -> Paged:
    """Open requests oldest first, answered ones newest first; with `person`, their own and those of the projects they are in."""
    table, member = s.package_request, s.project_member
    query = select(table).where(table.c.state == "open" if is_open else table.c.state != "open")
    if person is not None:
        projects = select(member.c.project).where(member.c.person == person, member.c.removed_at.is_(None))
        query = query.where(or_(table.c.person == person, table.c.project.in_(projects)))
    return paged(c, query.order_by(table.c.id if is_open else table.c.id.desc()), number)
