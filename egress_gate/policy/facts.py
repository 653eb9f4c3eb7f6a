"""Facts for each policy entry point, in the shapes that ``policies/`` documents. Pure: rows in, JSON out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from egress_gate.domain.finding import Finding
from egress_gate.domain.item import DERIVED, Item
from egress_gate.domain.review import Review
from egress_gate.service.ports import SourceTable
from egress_gate.store.catalogue import ProjectRow
from egress_gate.store.requests import RequestRow
from store.clock import moment, stamp


@dataclass(frozen=True)
class Person:
    """Who is asking, as the hub says."""

    name: str
    groups: frozenset[str]

    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "groups": sorted(self.groups)}


@dataclass(frozen=True)
class JudgedItem:
    """One item with what the check established about it."""

    item: Item
    sources: tuple[SourceTable, ...]
    findings: tuple[Finding, ...]
    completed: bool
    protected: bool
    canonical_sql: str | None = None
    protection: Mapping[str, Any] | None = None  # how it is altered, and what of the privacy budget is spent

    def costs(self) -> dict[str, float]:
        """Epsilon by dataset version that this item will be charged when it leaves."""
        told = self.protection or {}
        if told.get("method") != "noise" or told.get("repeated"):
            return {}
        return {charge["version"]: float(told["epsilon"]) for charge in told["spent"]}

    def facts(self) -> dict[str, Any]:
        made: dict[str, Any] = {
            "name": self.item.name,
            "kind": self.item.kind.value,
            "lineage": lineage(self.sources),
            "findings": [f.facts() for f in self.findings],
            "checks_completed": self.completed,
            "protected": self.protected,
        }
        if self.item.kind in DERIVED:
            made["sql"] = self.canonical_sql or self.item.sql
        if self.protection is not None:
            made["protection"] = dict(self.protection)
        return made


def lineage(sources: Iterable[SourceTable]) -> list[dict[str, Any]]:
    """One entry for each dataset version, however many of its tables were read."""
    seen: dict[str, dict[str, Any]] = {}
    for table in sources:
        seen[table.version] = {
            "version": table.version,
            "dataset": table.dataset,
            "classification": table.classification,
            "stewards": list(table.stewards),
        }
    return [seen[v] for v in sorted(seen)]


def parameters_input(sources: Sequence[SourceTable], items: Sequence[Item]) -> dict[str, Any]:
    return {
        "classifications": sorted({t.classification for t in sources}),
        "kinds": sorted({i.kind.value for i in items}),
    }


def decision_input(
    request: RequestRow, parameters: Mapping[str, Any], items: Sequence[JudgedItem], at: datetime
) -> dict[str, Any]:
    return {
        "request": {
            "id": request.name,
            "author": request.author,
            "project": request.project,
            "purpose": request.purpose,
        },
        "parameters": dict(parameters),
        "items": [i.facts() for i in items],
        "now": stamp(at),
    }


def leave_input(
    request: RequestRow, project: ProjectRow, classifications: Iterable[int], approved: str | None, at: datetime
) -> dict[str, Any]:
    """`approved`: when the last approval was given; None for what left review to policy alone."""
    waited = None if approved is None else (at - moment(approved)).total_seconds()
    return {
        "request": {
            "id": request.name,
            "state": request.state.value,
            "classifications": sorted(set(classifications)),
            "approved_seconds": waited,
        },
        "project": {"name": project.name, "state": project.state, "expires_at": project.expires_at},
        "now": stamp(at),
    }


def form_input(texts: Mapping[str, str], items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`texts` by how many characters they have; what they say stays with the author."""
    return {"texts": {name: len(text.strip()) for name, text in texts.items()}, "items": [dict(i) for i in items]}


def request_facts(
    request: RequestRow, project: ProjectRow | None, stewards: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """A request as the desk's and the review's policies see it."""
    return {
        "id": request.name,
        "author": request.author,
        "project": request.project,
        "project_members": list(project.members) if project else [],
        "project_state": project.state if project else "unknown",
        "state": request.state.value,
        "stewards": {d: list(people) for d, people in sorted(stewards.items())},
    }


def project_facts(project: ProjectRow) -> dict[str, Any]:
    return {
        "name": project.name,
        "state": project.state,
        "expires_at": project.expires_at,
        "purpose": project.purpose,
        "members": list(project.members),
    }


def review_input(
    action: str,
    person: Person,
    request: Mapping[str, Any],
    reviews: Iterable[Review],
    obligations: Mapping[str, Any],
    at: datetime,
    *,
    classifications: Iterable[int],
    held: Iterable[str] = (),
) -> dict[str, Any]:
    """`held`: outputs that would not leave with an approval."""
    return {
        "action": action,
        "person": person.facts(),
        "request": {**request, "classifications": sorted(set(classifications))},
        "held": sorted(held),
        "reviews": [r.facts() for r in reviews],
        "obligations": dict(obligations),
        "now": stamp(at),
    }


def rerun_input(
    action: str,
    person: Person,
    request: Mapping[str, Any],
    classifications: Iterable[int],
    runs: Iterable[Mapping[str, Any]],
    at: datetime,
) -> dict[str, Any]:
    """`runs`: the runs of this notebook in this revision, oldest first, by state, agreement and digest."""
    return {
        "action": action,
        "person": person.facts(),
        "request": {**request, "classifications": sorted(set(classifications))},
        "runs": [dict(r) for r in runs],
        "now": stamp(at),
    }


def cells_input(
    levels: Iterable[int], outputs: Iterable[Mapping[str, Any]], reviews: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Outputs of a notebook: their type, length and findings, never what is in them."""
    return {
        "classifications": sorted(set(levels)),
        "outputs": [dict(o) for o in outputs],
        "reviews": [dict(r) for r in reviews],
    }


def desk_input(person: Person, action: str, at: datetime, **about: Mapping[str, Any]) -> dict[str, Any]:
    """`about` is one of request=, release=, project=, dataset=, sandbox=, or nothing."""
    return {
        "person": person.facts(),
        "action": action,
        **{noun: dict(facts) for noun, facts in about.items()},
        "now": stamp(at),
    }
