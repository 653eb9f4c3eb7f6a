"""Download and revoke: after a release. Every download is one entry; a revoked release gives no more copies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from egress_gate.domain.request import Verb, move
from egress_gate.domain.review import checked_reason, parties_of
from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.errors import Gone, NotReady, no_such
from egress_gate.service.gate import Gate
from egress_gate.service.reading import release_dossier, release_facts
from egress_gate.store import releases, requests
from egress_gate.store.releases import ReleaseRow
from ledger.entry import Entry
from store.clock import stamp


@dataclass(frozen=True)
class Parcel:
    """The bytes of a released bundle, hashed again as they were read."""

    name: str
    data: bytes
    digest: str


def release_of(gate: Gate, person: Person, request: int, at: datetime) -> ReleaseRow:
    """The release of a request that this person may download. Raises NotFound, NotAllowed or NotReady."""
    with gate.store.read() as c:
        release = releases.of_request(c, request)
    if release is None:
        raise NotReady(
            "There is nothing to download yet.",
            why="Only a released request has files.",
            do="Look at the request's page to see what it waits for.",
        )
    return release


def download(gate: Gate, person: Person, number: int, at: datetime) -> Parcel:
    """The bundle, after writing down who takes it. Raises Gone when it was revoked."""
    with gate.store.read() as c:
        release, found = release_dossier(c, number, at)
    about = {"release": release_facts(release, found), "request": found.facts()}
    permission = may(gate.engine, person, "download", at, **about)
    if not permission.allow and not may(gate.engine, person, "view_request", at, request=about["request"]).allow:
        raise no_such("release")
    _require_in_force(release)
    permission.require("download this release")
    data = gate.blobs.read(release.bundle)
    with gate.store.transaction(at) as t:
        held = releases.fetch(t, number)
        if held is None:
            raise no_such("release")
        _require_in_force(held)
        releases.insert_download(t, number, person.name, stamp(at))
        subject = {"request": found.request.name, "project": found.request.project, "release": str(number)}
        t.record(Entry("release.downloaded", person.name, subject, {"bundle": release.bundle, "bytes": len(data)}))
    return Parcel(f"{found.request.name}.zip", data, release.bundle)


def revoke(gate: Gate, person: Person, number: int, reason: str, at: datetime) -> ReleaseRow:
    """Stop further downloads; copies already taken cannot be called back. Revoking twice is one revocation."""
    said = checked_reason(reason)
    with gate.store.read() as c:
        release, found = release_dossier(c, number, at)
    if not may(gate.engine, person, "view_request", at, request=found.facts()).allow:
        raise no_such("release")
    facts = release_facts(release, found)
    may(gate.engine, person, "revoke", at, release=facts, request=found.facts()).require("revoke this release")
    if release.revoked_at is not None:
        return release
    with gate.store.transaction(at) as t:
        row = requests.fetch(t, release.request)
        if row is None:
            raise no_such("release")
        state = move(row.state, Verb.REVOKE, parties_of(person.name, person.groups, row.author))
        requests.set_state(t, row, state, stamp(at))
        releases.set_revoked(t, number, person.name, said, stamp(at))
        subject = {"request": row.name, "project": row.project, "release": str(number)}
        t.record(Entry("release.revoked", person.name, subject, {"bundle": release.bundle}))
    with gate.store.read() as c:
        return releases.fetch(c, number) or release


def _require_in_force(release: ReleaseRow) -> None:
    if release.revoked_at is not None:
        raise Gone(
            "This release was revoked.",
            why="A steward or administrator stopped further downloads; the reason is on the request's page.",
            do="Destroy the copies you hold, and ask the steward whether a corrected output can leave.",
        )
