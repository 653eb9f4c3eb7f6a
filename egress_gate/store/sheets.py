"""One dataset as provisioning registered it: what people say of it, its versions, one version's tables, what came of it. Read-only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, or_, select

from egress_gate.store import catalogue
from egress_gate.store.paging import Paged, paged
from store import schema as s

_BORN = ("dataset.registered", "dataset.masked", "dataset.twinned")
_ENDED = "dataset.destroyed"


@dataclass(frozen=True)
class Recorded:
    """A ledger entry about a version. ``certificate``: the digest of the signed statement, where one was made."""

    seq: int
    kind: str
    actor: str
    time: str
    certificate: str | None
    reason: str


@dataclass(frozen=True)
class VersionLine:
    """``masked_from``, ``masked_for``: the version and project of a masked copy. ``twin_of``: for a synthetic twin; ``twin``: its own."""

    id: str
    number: int
    digest: str
    state: str
    registered_at: str
    registered_by: str
    recipe: Mapping[str, Any]
    twin: str | None
    born: Recorded | None
    ended: Recorded | None

    @property
    def masked_from(self) -> str | None:
        return self.recipe.get("from")

    @property
    def masked_for(self) -> str | None:
        return self.recipe.get("project")

    @property
    def twin_of(self) -> str | None:
        return self.recipe.get("twin_of")


@dataclass(frozen=True)
class ColumnLine:
    name: str
    type: str
    meaning: str
    unit: str
    identifier: str


@dataclass(frozen=True)
class TableLine:
    """``privacy_unit`` None: each row is its own."""

    name: str
    digest: str
    rows: int
    bytes: int
    privacy_unit: str | None
    columns: tuple[ColumnLine, ...]


@dataclass(frozen=True)
class Sheet:
    """``said``: the datasheet's parts that a steward confirmed; what nobody said is not in it."""

    name: str
    title: str
    description: str
    provider: str
    classification: int
    registered_at: str
    registered_by: str
    stewards: tuple[str, ...]
    said: Mapping[str, Any]
    versions: tuple[VersionLine, ...]


@dataclass(frozen=True)
class TwinReport:
    version: str
    twin: str
    facts: Mapping[str, Any]
    made_at: str
    made_by: str


@dataclass(frozen=True)
class CameOf:
    """A release that a version of the dataset went into."""

    release: int
    request: str
    project: str
    released_at: str
    revoked_at: str | None


def sheet(c: Connection, name: str) -> Sheet | None:
    row = c.execute(select(s.dataset).where(s.dataset.c.name == name)).first()
    if row is None:
        return None
    return Sheet(
        row.name,
        row.title,
        row.description,
        row.provider,
        row.classification,
        row.registered_at,
        row.registered_by,
        catalogue.stewards(c, [name])[name],
        json.loads(row.datasheet),
        _versions(c, name),
    )


@dataclass(frozen=True)
class UsedRecipe:
    """A recipe that a version was masked with, for `project`."""

    version: str
    project: str
    recipe: Mapping[str, Any]


def recipes(c: Connection, most: int = 50) -> tuple[UsedRecipe, ...]:
    """Newest first; a twin's is none."""
    version = s.dataset_version
    query = select(version.c.id, version.c.recipe).where(version.c.recipe.contains('"recipe"'))
    rows = c.execute(query.order_by(version.c.registered_at.desc()).limit(most)).all()
    read = ((r.id, json.loads(r.recipe)) for r in rows)
    return tuple(UsedRecipe(v, used["project"], used["recipe"]) for v, used in read if "project" in used)


def tables(c: Connection, version: str, said: Mapping[str, Any]) -> tuple[TableLine, ...]:
    """The tables of a version, with units and identifiers as ``said`` has them."""
    table = s.dataset_table
    found = c.execute(select(table).where(table.c.version == version).order_by(table.c.name)).all()
    units, marks = said.get("units", {}), said.get("identifiers", {})
    return tuple(
        TableLine(r.name, r.digest, r.rows, r.bytes, r.unit, _columns(r.name, r.columns, units, marks)) for r in found
    )


def grants(c: Connection, dataset: str, number: int = 1) -> Paged:
    """Of every version, newest first."""
    version = s.dataset_version
    query = select(s.grant).join(version, version.c.id == s.grant.c.version).where(version.c.dataset == dataset)
    return paged(c, query.order_by(s.grant.c.id.desc()), number)


def dataset_of_grant(c: Connection, number: int) -> str | None:
    version = s.dataset_version
    query = select(version.c.dataset).join(s.grant, s.grant.c.version == version.c.id).where(s.grant.c.id == number)
    found = c.execute(query).scalar()
    return None if found is None else str(found)


def came_of(c: Connection, versions: Sequence[str], number: int = 1) -> Paged:
    """Releases with an item made from one of `versions`, newest first: tables, models and files alike."""
    if not versions:
        return Paged((), 0, number)
    sized, told = s.release_size, s.released_table
    in_sizes = select(sized.c.release).where(
        or_(*(sized.c.versions.contains(f'"{v}"', autoescape=True) for v in versions))
    )
    in_tables = select(told.c.release).where(told.c.version.in_(versions))
    request, left = s.release_request, s.release
    query = (
        select(left.c.id, left.c.request, left.c.released_at, left.c.revoked_at, request.c.project)
        .join(request, request.c.id == left.c.request)
        .where(or_(left.c.id.in_(in_sizes), left.c.id.in_(in_tables)))
        .order_by(left.c.id.desc())
    )
    return paged(c, query, number, lambda r: CameOf(r.id, f"R-{r.request}", r.project, r.released_at, r.revoked_at))


def twin_reports(c: Connection, versions: Sequence[str]) -> tuple[TwinReport, ...]:
    """What the twins of `versions` cost and how close they are: taken from the data without noise."""
    twin = s.dataset_twin
    query = select(twin).where(twin.c.version.in_(versions)).order_by(twin.c.made_at.desc())
    return tuple(TwinReport(r.version, r.twin, json.loads(r.facts), r.made_at, r.made_by) for r in c.execute(query))


def _versions(c: Connection, name: str) -> tuple[VersionLine, ...]:
    """Newest first."""
    version = s.dataset_version
    rows = c.execute(select(version).where(version.c.dataset == name).order_by(version.c.number.desc())).all()
    ids = [r.id for r in rows]
    twins = {r.version: r.twin for r in c.execute(select(s.dataset_twin).where(s.dataset_twin.c.version.in_(ids)))}
    born, ended = _recorded(c, ids)
    return tuple(
        VersionLine(
            r.id,
            r.number,
            r.digest,
            r.state,
            r.registered_at,
            r.registered_by,
            json.loads(r.recipe),
            twins.get(r.id),
            born.get(r.id),
            ended.get(r.id),
        )
        for r in rows
    )


def _recorded(c: Connection, versions: Sequence[str]) -> tuple[dict[str, Recorded], dict[str, Recorded]]:
    """Version → the entry of its coming, and of its destruction. The entry of a twin also names its source: that is no birth."""
    entry, subject = s.ledger_entry, s.ledger_subject
    query = (
        select(subject.c.name, subject.c.noun, entry.c.seq, entry.c.kind, entry.c.actor, entry.c.time, entry.c.body)
        .join(entry, entry.c.seq == subject.c.seq)
        .where(
            subject.c.noun.in_(("version", "twin")),
            subject.c.name.in_(versions),
            entry.c.kind.in_((*_BORN, _ENDED)),
        )
        .order_by(entry.c.seq)
    )
    born: dict[str, Recorded] = {}
    ended: dict[str, Recorded] = {}
    for row in c.execute(query):
        if (row.kind == "dataset.twinned") != (row.noun == "twin"):
            continue
        facts = json.loads(bytes(row.body))["facts"]
        made = Recorded(row.seq, row.kind, row.actor, row.time, facts.get("certificate"), str(facts.get("reason", "")))
        (ended if row.kind == _ENDED else born)[row.name] = made
    return born, ended


def _columns(table: str, listed: str, units: Mapping[str, str], marks: Mapping[str, str]) -> tuple[ColumnLine, ...]:
    return tuple(
        ColumnLine(
            one["name"],
            one["type"],
            one.get("meaning", ""),
            units.get(f"{table}.{one['name']}", ""),
            marks.get(f"{table}.{one['name']}", ""),
        )
        for one in json.loads(listed)
    )
