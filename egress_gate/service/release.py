"""From approved to released: what was reviewed is what leaves, hashed again, judged again if others left meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from egress_gate.domain.item import Item
from egress_gate.domain.request import Party, State, Verb, move
from egress_gate.policy.ask import Permission, permission_from
from egress_gate.policy.facts import leave_input
from egress_gate.render.bundle import Part, members_of
from egress_gate.render.certificate import certificate_facts
from egress_gate.service import reexecution
from egress_gate.service.cell_outputs import settled
from egress_gate.service.check import LostLease
from egress_gate.service.gate import Gate
from egress_gate.service.lanes import lane_of
from egress_gate.service.quotas import Judged, judge
from egress_gate.store import catalogue, privacy, releases, requests, sandboxes
from egress_gate.store.releases import ItemSize, PublishedItem
from egress_gate.store.requests import CheckRow, RequestRow
from installation.fault import Fault
from ledger import certificate
from ledger.entry import Entry
from store.clock import stamp
from store.database import Transaction

_GATE = [Party.GATE]
QUOTA_WAIT = timedelta(minutes=10)


def prepare(gate: Gate, number: int, at: datetime) -> RequestRow | None:
    """Take an approved request up for release, or take over from a worker that died; None when there is none."""
    now, until = stamp(at), stamp(at + gate.lease)
    with gate.store.read() as c:
        row = requests.fetch(c, number)
    if row is None or not _preparable(row, now) or not may_leave(gate, row, at).allow:
        return None
    with gate.store.transaction(at) as t:
        row = requests.fetch(t, number)
        if row is None or not _preparable(row, now):
            raise LostLease
        state = row.state if row.state is State.RELEASING else move(row.state, Verb.PREPARE, _GATE)
        row = requests.set_state(t, row, state, row.updated_at, lease_until=until)
        t.record(_entry("request.claimed", row))
        return row


def may_leave(gate: Gate, row: RequestRow, at: datetime) -> Permission:
    """``release/leave``: nothing leaves a project that is not active, or before its cooling-off is over. Raises PolicyUnavailable."""
    with gate.store.read() as c:
        project = catalogue.project(c, row.project)
        versions = {v for k in requests.checks(c, row.id, row.revision) for v in k.lineage}
        levels = catalogue.classifications(c, catalogue.datasets_of_versions(c, versions).values()).values()
        given = [r.reviewed_at for r in requests.reviews(c, row.id, row.revision)]
    if project is None:
        return Permission(allow=False, reasons=())
    return permission_from(
        gate.engine.query("release/leave", leave_input(row, project, levels, max(given, default=None), at)).result
    )


def _preparable(row: RequestRow, now: str) -> bool:
    free = row.lease_until is None or row.lease_until <= now
    return row.state in (State.APPROVED, State.RELEASING) and free


def release(gate: Gate, row: RequestRow, at: datetime) -> RequestRow:
    """Write the bundle and let it go, in one transaction. Done twice, it is done once.

    When another release left from the same data since the check, nothing leaves: the request becomes a new revision
    and is judged and reviewed again (DESIGN.md, invariant 7).
    """
    with gate.store.read() as c:
        checks, items = _leaving(c, row)
    if _overtaken(gate, checks):
        return _recheck(gate, row, at)
    files: list[Part] = []
    published: list[PublishedItem] = []
    certified: dict[str, Mapping[str, Any]] = {}
    sizes: list[ItemSize] = []
    wanted = {i.name: i for i in items}
    checks = tuple(settled(gate, row, wanted[check.item], check) for check in checks)
    for check in checks:
        item = wanted[check.item]
        out = lane_of(item.kind).leaving(gate, item, check)
        files += out.parts
        published += out.published
        certified[item.name] = {**out.certified, **reexecution.certified(gate, row, item)}
        sizes.append(ItemSize(item.name, tuple(check.lineage), out.cells, sum(len(p.data) for p in out.parts)))
    within = _within(gate, row, sizes, at)
    if not within.permission.allow:
        return put_off(gate, row, _quota_spent(row, within.permission).public(), at, QUOTA_WAIT)
    return _let_go(gate, row, checks, files, published, certified, sizes, within, at)


def _leaving(c: Connection | Transaction, row: RequestRow) -> tuple[tuple[CheckRow, ...], tuple[Item, ...]]:
    """Checks and items of the revision without what its reviewers held back."""
    held = {h.item for h in requests.held(c, row.id, row.revision)}
    checks = tuple(k for k in requests.checks(c, row.id, row.revision) if k.item not in held)
    return checks, tuple(i for i in requests.items(c, row.id, row.revision) if i.name not in held)


def _within(gate: Gate, row: RequestRow, sizes: Sequence[ItemSize], at: datetime) -> Judged:
    """Policy on what is about to leave. Approved stays approved: what does not fit waits, and nothing of it is lost."""
    adds = {"releases": 1, "released_cells": sum(z.cells for z in sizes), "released_bytes": sum(z.size for z in sizes)}
    return judge(gate, row.project, {v for z in sizes for v in z.versions}, "release", adds, at)


class QuotaSpent(Fault):
    """An approved request that is more than the quotas have left."""

    code = "quota-spent"


def _quota_spent(row: RequestRow, said: Permission) -> QuotaSpent:
    return QuotaSpent(
        f"{row.name} is approved and waits.",
        why=" ".join(r.message for r in said.reasons) or "It does not fit the quotas of its data.",
        do="Ask the data steward for more; it then leaves by itself.",
    )


def _let_go(
    gate: Gate,
    row: RequestRow,
    checks: tuple[CheckRow, ...],
    files: list[Part],
    published: list[PublishedItem],
    certified: Mapping[str, Mapping[str, Any]],
    sizes: Sequence[ItemSize],
    within: Judged,
    at: datetime,
) -> RequestRow:
    now = stamp(at)
    versions = sorted({v for k in checks for v in k.lineage})
    with gate.store.read() as c:
        digests = catalogue.digests(c, versions)
        image = catalogue.image_of_sandbox(c, row.sandbox)
        isolation = sandboxes.isolation(c, row.sandbox)
        shelf = catalogue.shelf_of_sandbox(c, row.sandbox)
        decided = requests.decision(c, row.id, row.revision)
        given = requests.reviews(c, row.id, row.revision)
        project = catalogue.state_of_project(c, row.project)
        held_back = len(requests.held(c, row.id, row.revision))  # how many, not what they were called
    if decided is None or not files or not may_leave(gate, row, at).allow:
        raise LostLease
    facts = certificate_facts(row, image, checks, decided, given, digests, now, certified, isolation, shelf)
    facts["held_back"] = held_back
    members = members_of(files, facts)
    statement = certificate.state(facts, members)
    with gate.store.transaction(at) as t:
        held = _still_held(t, row)
        if catalogue.state_of_project(t, row.project) != project:
            raise LostLease  # frozen in the last moment: the next round asks policy again
        if releases.release_ids(t, versions) - set(_audited(checks)):
            raise LostLease  # overtaken in the last moment: the next round sees it and checks again
        if not within.still(t, at):
            raise LostLease  # another release took of the same quota
        held = requests.set_state(t, held, move(held.state, Verb.RELEASE, _GATE), now)
        outputs = {p.name: p.digest for p in files}
        entry = _entry(
            certificate.RECORDED_BY,
            held,
            certificate=certificate.digest(statement),
            outputs=outputs,
            versions=versions,
        )
        sealed = gate.notary.seal(statement, t.receipt(t.record(entry)))
        bundle = gate.blobs.put(certificate.pack(members, sealed))
        number = releases.insert_release(t, row.id, row.revision, bundle, gate.blobs.put(sealed), now)
        releases.insert_published(t, number, published)
        releases.insert_sizes(t, number, sizes)
        for charge in privacy.charge(t, number, row.project, published):
            t.record(_entry("privacy.charged", held, **charge))
        return held


def _audited(checks: tuple[CheckRow, ...]) -> frozenset[int]:
    """Earlier releases that every one of the checks knew."""
    sets = [frozenset(k.audited_against) for k in checks]
    return frozenset.intersection(*sets) if sets else frozenset()


def _overtaken(gate: Gate, checks: tuple[CheckRow, ...]) -> bool:
    versions = {v for k in checks for v in k.lineage}
    with gate.store.read() as c:
        return bool(releases.release_ids(c, versions) - _audited(checks))


def _recheck(gate: Gate, row: RequestRow, at: datetime) -> RequestRow:
    with gate.store.transaction(at) as t:
        held = _still_held(t, row)
        _, wanted = _leaving(t, held)
        state = move(held.state, Verb.RECHECK, _GATE)
        held = requests.set_state(t, held, state, stamp(at), revision=held.revision + 1)
        requests.insert_items(t, held.id, held.revision, wanted)
        t.record(_entry("request.rechecked", held, reason="other-releases-left"))
        return held


def put_off(gate: Gate, row: RequestRow, trouble: dict[str, str], at: datetime, wait: timedelta) -> RequestRow:
    """The release could not be written; it stays `releasing` with the reason and is tried again."""
    with gate.store.transaction(at) as t:
        held = _still_held(t, row)
        held = requests.set_state(
            t,
            held,
            held.state,
            held.updated_at,
            lease_until=stamp(at + wait),
            trouble=requests.canonical(trouble),
        )
        t.record(_entry("request.delayed", held, reason=trouble["code"]))
        return held


def _still_held(t: Transaction, row: RequestRow) -> RequestRow:
    held = requests.fetch(t, row.id)
    same = held is not None and (held.state, held.revision, held.lease_until) == (
        row.state,
        row.revision,
        row.lease_until,
    )
    if held is None or not same:
        raise LostLease
    return held


def _entry(kind: str, row: RequestRow, **facts: object) -> Entry:
    subject = {"request": row.name, "project": row.project}
    return Entry(kind, "gate", subject, {"revision": row.revision, "state": row.state.value, **facts})
