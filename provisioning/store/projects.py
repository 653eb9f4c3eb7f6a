"""Reading projects, members and grants as the domain's objects."""

from __future__ import annotations

import json
from typing import Any, Protocol

from sqlalchemy import CursorResult, Executable, select

from provisioning.domain.grant import Grant
from provisioning.domain.project import Project, ProjectState
from store import schema as s
from store.clock import moment


class Reader(Protocol):
    """A snapshot connection or an open transaction."""

    def execute(self, statement: Any, /) -> CursorResult[Any]: ...


def _run(c: Reader, statement: Executable) -> CursorResult[Any]:
    return c.execute(statement)


def project(c: Reader, name: str) -> Project | None:
    row = _run(c, select(s.project).where(s.project.c.name == name)).first()
    return None if row is None else _project(c, row)


def projects(c: Reader) -> list[Project]:
    return [_project(c, row) for row in _run(c, select(s.project).order_by(s.project.c.name)).all()]


def projects_of(c: Reader, person: str) -> list[Project]:
    """Projects of which this person is a member now."""
    names = select(s.project_member.c.project).where(
        s.project_member.c.person == person, s.project_member.c.removed_at.is_(None)
    )
    rows = _run(c, select(s.project).where(s.project.c.name.in_(names)).order_by(s.project.c.name)).all()
    return [_project(c, row) for row in rows]


def grants_of(c: Reader, project_name: str) -> list[Grant]:
    rows = _run(c, select(s.grant).where(s.grant.c.project == project_name).order_by(s.grant.c.id)).all()
    return [_grant(row) for row in rows]


def grant(c: Reader, number: int) -> Grant | None:
    row = _run(c, select(s.grant).where(s.grant.c.id == number)).first()
    return None if row is None else _grant(row)


def _project(c: Reader, row: Any) -> Project:
    members = _run(
        c,
        select(s.project_member.c.person)
        .where(s.project_member.c.project == row.name, s.project_member.c.removed_at.is_(None))
        .order_by(s.project_member.c.person),
    ).scalars()
    return Project(
        row.name,
        row.title,
        row.purpose,
        row.sponsor,
        ProjectState(row.state),
        moment(row.expires_at),
        tuple(members),
        **_terms(row.terms),
    )


def _terms(text: str) -> dict[str, Any]:
    terms = json.loads(text)
    return {
        "legal_basis": str(terms.get("legal_basis", "")),
        "output_plan": str(terms.get("output_plan", "")),
        "assessed": tuple(terms.get("assessed", ())),
        "datasets": tuple(terms.get("datasets", ())),
    }


def _grant(row: Any) -> Grant:
    return Grant(
        row.id,
        row.project,
        row.version,
        row.purpose,
        row.granted_by,
        moment(row.granted_at),
        moment(row.expires_at),
        None if row.revoked_at is None else moment(row.revoked_at),
        row.revoked_by,
        json.loads(row.quotas),
    )
