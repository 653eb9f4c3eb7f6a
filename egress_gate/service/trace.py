"""A release traced back: data version → code → checks → policy → reviewers → files → who took it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from egress_gate.policy.facts import Person
from egress_gate.service.errors import no_such
from egress_gate.service.gate import Gate
from egress_gate.service.reading import release_dossier, visible
from egress_gate.store import catalogue, releases, requests, sandboxes, views
from egress_gate.store.releases import DownloadRow, ReleaseRow
from egress_gate.store.requests import CheckRow, DecisionRow, HeldOutput, RequestRow, ReviewRow
from egress_gate.store.views import Event


@dataclass(frozen=True)
class Trace:
    release: ReleaseRow
    request: RequestRow
    image: str | None
    isolation: Mapping[str, Any] | None
    versions: tuple[tuple[str, str], ...]
    checks: tuple[CheckRow, ...]
    held_back: tuple[HeldOutput, ...]
    decision: DecisionRow | None
    reviews: tuple[ReviewRow, ...]
    downloads: tuple[DownloadRow, ...]
    recorded: Event | None


def trace(gate: Gate, person: Person, number: int, at: datetime) -> Trace:
    """Raises NotFound for somebody who may not see the request behind it."""
    with gate.store.read() as c:
        release, found = release_dossier(c, number, at)
    row = visible(gate, person, found.request.id, at).request
    if row.author == person.name:
        raise no_such("trace")
    with gate.store.read() as c:
        held = requests.held(c, row.id, release.revision)
        kept_in = {h.item for h in held}
        checks = tuple(k for k in requests.checks(c, row.id, release.revision) if k.item not in kept_in)
        versions = catalogue.digests(c, [v for k in checks for v in k.lineage])
        events = views.history(c, "request", row.name)
        return Trace(
            release=release,
            request=row,
            image=catalogue.image_of_sandbox(c, row.sandbox),
            isolation=sandboxes.isolation(c, row.sandbox),
            versions=tuple(sorted(versions.items())),
            checks=checks,
            held_back=held,
            decision=requests.decision(c, row.id, release.revision),
            reviews=requests.reviews(c, row.id, release.revision),
            downloads=releases.downloads(c, number),
            recorded=next((e for e in events if e.kind == "request.released"), None),
        )
