"""Usage by project, person or dataset version, as lines for pages, CSV and metrics."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select

from store import schema as s
from store.usage import Reader, Usage, under
from store.usage_record import Record, record

BY = ("project", "person", "version")
MEASURES = tuple(f.name for f in fields(Usage))


@dataclass(frozen=True)
class Line:
    """What one project, person or dataset version used. A sandbox with two versions counts for each of them."""

    name: str
    used: Usage


@dataclass(frozen=True)
class QuotaLine:
    """One limit of one grant in force, and how much of it is used."""

    grant: int
    project: str
    version: str
    name: str
    most: int
    used: int


def lines(c: Reader, by: str, *, project: str | None = None, since: str = "", dataset: str | None = None) -> list[Line]:
    """In order of name; only what ever had a sandbox. Raises ValueError for another grouping than `BY`."""
    if by not in BY:
        raise ValueError(f"usage is not counted by {by!r}")
    return listed(record(c, project=project, since=since, dataset=dataset), by)


def listed(found: Record, by: str) -> list[Line]:
    """The same of a record that was read already."""
    return [Line(name, used) for name, used in found.by(by).items()]


def quota_lines(c: Reader, now: str) -> list[QuotaLine]:
    """Every limit of every grant in force at ``now``; a cap on a single sandbox has no use to count."""
    table = s.grant
    query = select(table).where(table.c.revoked_at.is_(None), table.c.granted_at <= now, table.c.expires_at > now)
    made: list[QuotaLine] = []
    for row in c.execute(query.order_by(table.c.id)).all():
        facts = under(c, row)
        made += [
            QuotaLine(int(row.id), row.project, row.version, name, int(most), int(facts["used"].get(name, 0)))
            for name, most in sorted(facts["quotas"].items())
        ]
    return made


def as_csv(by: str, found: Sequence[Line]) -> str:
    """A header and a row each. No cell can be a formula: names are checked when they are given."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([by, *MEASURES])
    for line in found:
        facts: dict[str, Any] = line.used.facts()
        writer.writerow([line.name, *(facts[name] for name in MEASURES)])
    return out.getvalue()
