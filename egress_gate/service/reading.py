"""Shared first steps of the verbs: find the request, its people and its stewards, and ask policy about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from egress_gate.policy.ask import Permission, may
from egress_gate.policy.facts import Person, project_facts, request_facts
from egress_gate.service.errors import no_such
from egress_gate.service.gate import Gate
from egress_gate.store import catalogue, releases, requests
from egress_gate.store.catalogue import ProjectRow
from egress_gate.store.releases import ReleaseRow
from egress_gate.store.requests import RequestRow
from store.clock import stamp


@dataclass(frozen=True)
class Dossier:
    """A request with the people around it, read in one snapshot."""

    request: RequestRow
    project: ProjectRow | None
    stewards: Mapping[str, tuple[str, ...]]

    def facts(self) -> dict[str, Any]:
        return request_facts(self.request, self.project, self.stewards)


def lineage_versions(c: Connection, request: RequestRow) -> tuple[str, ...]:
    """The versions its outputs were made from; before the check, everything its sandbox had mounted."""
    made = {v for check in requests.checks(c, request.id, request.revision) for v in check.lineage}
    return tuple(sorted(made)) or catalogue.versions_of_sandbox(c, request.sandbox)


def dossier(c: Connection, number: int, at: datetime) -> Dossier:
    """Raises NotFound."""
    request = requests.fetch(c, number)
    if request is None:
        raise no_such("request")
    datasets = catalogue.datasets_of_versions(c, lineage_versions(c, request)).values()
    return Dossier(
        request,
        catalogue.project(c, request.project),
        catalogue.effective_stewards(c, datasets, stamp(at)),
    )


def visible(gate: Gate, person: Person, number: int, at: datetime) -> Dossier:
    """The dossier if policy lets this person see it; otherwise NotFound, as if it did not exist."""
    with gate.store.read() as c:
        found = dossier(c, number, at)
    if not may(gate.engine, person, "view_request", at, request=found.facts()).allow:
        raise no_such("request")
    return found


def release_facts(release: ReleaseRow, found: Dossier) -> dict[str, Any]:
    return {
        "id": release.id,
        "request": found.request.name,
        "author": found.request.author,
        "project": found.request.project,
        "project_members": list(found.project.members) if found.project else [],
        "stewards": {d: list(p) for d, p in sorted(found.stewards.items())},
        "revoked": release.revoked_at is not None,
        "revoked_at": release.revoked_at,
    }


def release_dossier(c: Connection, number: int, at: datetime) -> tuple[ReleaseRow, Dossier]:
    """Raises NotFound."""
    release = releases.fetch(c, number)
    if release is None:
        raise no_such("release")
    return release, dossier(c, release.request, at)


def permission_on(gate: Gate, person: Person, action: str, found: Dossier, at: datetime) -> Permission:
    return may(gate.engine, person, action, at, request=found.facts())


def permission_in_project(gate: Gate, person: Person, action: str, project: ProjectRow, at: datetime) -> Permission:
    return may(gate.engine, person, action, at, project=project_facts(project))
