"""What a project means to do, as it was approved, and which projects ask for a dataset. Read-only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from store import schema as s

LIMIT = 200


@dataclass(frozen=True)
class Plan:
    """``assessed``: items of the checklist that a person confirmed. ``datasets``: what it means to use, not what it may."""

    project: str
    title: str
    purpose: str
    sponsor: str
    created_by: str
    created_at: str
    expires_at: str
    legal_basis: str
    output_plan: str
    datasets: tuple[str, ...]
    assessed: tuple[str, ...]


def plan(c: Connection, project: str) -> Plan | None:
    row = c.execute(select(s.project).where(s.project.c.name == project)).first()
    return None if row is None else _plan(row)


def asking_for(c: Connection, dataset: str) -> tuple[Plan, ...]:
    """Active projects that mean to use the dataset and have no grant of it in force, oldest first."""
    granted = select(s.grant.c.project).join(s.dataset_version, s.dataset_version.c.id == s.grant.c.version)
    granted = granted.where(s.dataset_version.c.dataset == dataset, s.grant.c.revoked_at.is_(None))
    project = s.project
    query = (
        select(project)
        .where(
            project.c.state == "active",
            project.c.terms.contains(f'"{dataset}"', autoescape=True),
            project.c.name.not_in(granted),
        )
        .order_by(project.c.created_at)
        .limit(LIMIT)
    )
    return tuple(found for found in map(_plan, c.execute(query)) if dataset in found.datasets)


def active(c: Connection) -> tuple[str, ...]:
    """The names of projects that a grant can be given to."""
    query = select(s.project.c.name).where(s.project.c.state == "active").order_by(s.project.c.name).limit(LIMIT)
    return tuple(str(name) for name in c.execute(query).scalars())


def _plan(row: Any) -> Plan:
    terms: Mapping[str, Any] = json.loads(row.terms)
    return Plan(
        row.name,
        row.title,
        row.purpose,
        row.sponsor,
        row.created_by,
        row.created_at,
        row.expires_at,
        str(terms.get("legal_basis", "")),
        str(terms.get("output_plan", "")),
        tuple(terms.get("datasets", ())),
        tuple(terms.get("assessed", ())),
    )
