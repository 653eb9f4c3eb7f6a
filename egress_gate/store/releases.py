"""Releases, what they published, and who downloaded them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from egress_gate.service.ports import EarlierTable
from egress_gate.store.requests import canonical, new_id
from store import schema as s
from store.database import Transaction


@dataclass(frozen=True)
class ReleaseRow:
    id: int
    request: int
    revision: int
    bundle: str
    certificate: str
    released_at: str
    revoked_at: str | None
    revoked_by: str | None
    revoke_reason: str | None


def _release(row: Any) -> ReleaseRow:
    return ReleaseRow(
        row.id,
        row.request,
        row.revision,
        row.bundle,
        row.certificate,
        row.released_at,
        row.revoked_at,
        row.revoked_by,
        row.revoke_reason,
    )


def fetch(c: Connection | Transaction, number: int) -> ReleaseRow | None:
    row = c.execute(select(s.release).where(s.release.c.id == number)).first()
    return _release(row) if row else None


def of_request(c: Connection | Transaction, request: int) -> ReleaseRow | None:
    row = c.execute(select(s.release).where(s.release.c.request == request)).first()
    return _release(row) if row else None


def insert_release(t: Transaction, request: int, revision: int, bundle: str, certificate: str, at: str) -> int:
    result = t.execute(
        insert(s.release).values(
            request=request, revision=revision, bundle=bundle, certificate=certificate, released_at=at
        )
    )
    return new_id(result)


@dataclass(frozen=True)
class PublishedItem:
    item: str
    versions: tuple[str, ...]
    canonical_sql: str
    suppressed: tuple[Mapping[str, Any], ...]
    rounding_base: int | None
    protection: Mapping[str, Any] | None = None  # method and numbers, where more than suppression was done
    answer: str | None = None  # the assessment that a table with noise came from


def insert_published(t: Transaction, release: int, published: Sequence[PublishedItem]) -> None:
    rows = [
        {
            "release": release,
            "item": p.item,
            "version": version,
            "canonical_sql": p.canonical_sql,
            "suppressed": canonical(list(p.suppressed)),
            "rounding_base": p.rounding_base,
        }
        for p in published
        for version in p.versions
    ]
    if rows:
        t.execute(insert(s.released_table), rows)
    altered = [
        {"release": release, "item": p.item, "method": p.protection["method"], "facts": canonical(dict(p.protection))}
        for p in published
        if p.protection is not None
    ]
    if altered:
        t.execute(insert(s.released_protection), altered)


@dataclass(frozen=True)
class ItemSize:
    """What of an item left, for the quotas of the data it was made from."""

    item: str
    versions: tuple[str, ...]
    cells: int
    size: int


def insert_sizes(t: Transaction, release: int, sizes: Iterable[ItemSize]) -> None:
    rows = [
        {"release": release, "item": z.item, "versions": canonical(list(z.versions)), "cells": z.cells, "bytes": z.size}
        for z in sizes
    ]
    if rows:
        t.execute(insert(s.release_size), rows)


def earlier(c: Connection | Transaction, versions: Iterable[str]) -> tuple[EarlierTable, ...]:
    """Every table that already left from any of these versions, revoked ones too: copies cannot be recalled."""
    table = s.released_table
    query = (
        select(table, s.release.c.request, s.release.c.revoked_at, s.released_protection.c.method)
        .join(s.release, s.release.c.id == table.c.release)
        .outerjoin(
            s.released_protection,
            (s.released_protection.c.release == table.c.release) & (s.released_protection.c.item == table.c.item),
        )
        .where(table.c.version.in_(sorted(set(versions))))
        .order_by(table.c.release, table.c.item, table.c.version)
    )
    found: dict[tuple[int, str], list[Any]] = {}
    for row in c.execute(query):
        found.setdefault((row.release, row.item), []).append(row)
    return tuple(
        EarlierTable(
            versions=tuple(r.version for r in rows),
            release=release,
            request=rows[0].request,
            item=item,
            sql=rows[0].canonical_sql,
            suppressed=tuple(json.loads(rows[0].suppressed)),
            rounding_base=rows[0].rounding_base,
            method=rows[0].method or "suppress",
            revoked_at=rows[0].revoked_at,
        )
        for (release, item), rows in found.items()
    )


def released_records(c: Connection | Transaction, project: str, until: str | None) -> int:
    """How many records of the data stewards had let this project take out in texts (until then), as far as the scan knew them."""
    checked, left = s.item_check, s.release
    query = (
        select(checked.c.findings)
        .join(left, (left.c.request == checked.c.request) & (left.c.revision == checked.c.revision))
        .join(s.release_request, s.release_request.c.id == left.c.request)
        .where(
            s.release_request.c.project == project,
            *([] if until is None else [left.c.released_at <= until]),
            checked.c.findings.contains("record_match"),
        )
    )
    found = [f for row in c.execute(query) for f in json.loads(row.findings) if f["rule"] == "record_match"]
    return sum(int(f["figures"].get("records", 0)) for f in found)


def release_ids(c: Connection | Transaction, versions: Iterable[str]) -> frozenset[int]:
    table = s.released_table
    query = select(table.c.release).where(table.c.version.in_(sorted(set(versions)))).distinct()
    return frozenset(r.release for r in c.execute(query))


def set_revoked(t: Transaction, number: int, by: str, reason: str, at: str) -> None:
    t.execute(
        update(s.release).where(s.release.c.id == number).values(revoked_at=at, revoked_by=by, revoke_reason=reason)
    )


def insert_download(t: Transaction, release: int, person: str, at: str) -> None:
    t.execute(insert(s.download).values(release=release, person=person, downloaded_at=at))


@dataclass(frozen=True)
class DownloadRow:
    person: str
    downloaded_at: str


def downloads(c: Connection, release: int) -> tuple[DownloadRow, ...]:
    query = select(s.download).where(s.download.c.release == release).order_by(s.download.c.id)
    return tuple(DownloadRow(r.person, r.downloaded_at) for r in c.execute(query))
