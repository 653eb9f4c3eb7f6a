"""Reading and writing datasets and versions. Writing functions take the open transaction; the service records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from provisioning.domain.classification import Classification
from provisioning.domain.dataset import AVAILABLE, Column, Dataset, RegisteredTable, Version, VersionId
from provisioning.domain.registration import Registration
from store import schema as s
from store.transaction import Transaction


def datasets(c: Connection) -> list[Dataset]:
    rows = c.execute(select(s.dataset).order_by(s.dataset.c.name)).all()
    return [_dataset(c, row) for row in rows]


def dataset(c: Connection, name: str) -> Dataset | None:
    row = c.execute(select(s.dataset).where(s.dataset.c.name == name)).first()
    return None if row is None else _dataset(c, row)


def version(c: Connection, version_id: str) -> Version | None:
    row = c.execute(select(s.dataset_version).where(s.dataset_version.c.id == version_id)).first()
    return None if row is None else _version(row)


def tables_of(c: Connection, version_id: str) -> list[RegisteredTable]:
    rows = c.execute(
        select(s.dataset_table).where(s.dataset_table.c.version == version_id).order_by(s.dataset_table.c.name)
    ).all()
    return [
        RegisteredTable(
            row.name,
            row.file,
            row.digest,
            row.rows,
            row.bytes,
            row.unit,
            tuple(Column(**column) for column in json.loads(row.columns)),
        )
        for row in rows
    ]


def stewards_of(c: Connection | Transaction, name: str) -> tuple[str, ...]:
    query = select(s.dataset_steward.c.person).where(s.dataset_steward.c.dataset == name)
    return tuple(c.execute(query.order_by(s.dataset_steward.c.person)).scalars())


def next_number(t: Transaction, name: str) -> int:
    highest = t.execute(
        select(func.max(s.dataset_version.c.number)).where(s.dataset_version.c.dataset == name)
    ).scalar()
    return int(highest or 0) + 1


def known_dataset(t: Transaction, name: str) -> tuple[dict[str, Any], tuple[str, ...]] | None:
    """The dataset's row and its stewards, inside the transaction."""
    row = t.execute(select(s.dataset).where(s.dataset.c.name == name)).mappings().first()
    if row is None:
        return None
    people = t.execute(select(s.dataset_steward.c.person).where(s.dataset_steward.c.dataset == name)).scalars().all()
    return dict(row), tuple(sorted(people))


def same_content(t: Transaction, name: str, digest: str) -> str | None:
    """The id of an available version that holds exactly this."""
    query = select(s.dataset_version.c.id).where(
        s.dataset_version.c.dataset == name,
        s.dataset_version.c.digest == digest,
        s.dataset_version.c.state == AVAILABLE,
    )
    return t.execute(query.order_by(s.dataset_version.c.number).limit(1)).scalar()


def twin_for(c: Connection | Transaction, version_id: str) -> str | None:
    """The version that is this version's synthetic twin, while it is available."""
    query = (
        select(s.dataset_twin.c.twin)
        .join(s.dataset_version, s.dataset_version.c.id == s.dataset_twin.c.twin)
        .where(s.dataset_twin.c.version == version_id, s.dataset_version.c.state == AVAILABLE)
    )
    return c.execute(query).scalar()


def recipe_of(c: Connection | Transaction, version_id: str) -> dict[str, Any]:
    """How a version was masked; empty for a delivery."""
    text = c.execute(select(s.dataset_version.c.recipe).where(s.dataset_version.c.id == version_id)).scalar()
    return dict(json.loads(text)) if text else {}


def sheet_of(c: Connection | Transaction, name: str) -> dict[str, Any]:
    """What people said of a dataset, as JSON."""
    text = c.execute(select(s.dataset.c.datasheet).where(s.dataset.c.name == name)).scalar()
    return dict(json.loads(text)) if text else {}


def kept_until(c: Connection | Transaction, name: str) -> date | None:
    """The last day on which the dataset may be there, where its datasheet says one."""
    said = sheet_of(c, name).get("retention_until")
    return date.fromisoformat(said) if said else None


def put_sheet(t: Transaction, name: str, sheet: dict[str, Any]) -> None:
    text = json.dumps(sheet, sort_keys=True, ensure_ascii=False)
    t.execute(update(s.dataset).where(s.dataset.c.name == name).values(datasheet=text))


def columns_of(t: Transaction, name: str) -> dict[str, set[str]]:
    """The columns of every table of a dataset, in whatever version."""
    versions = select(s.dataset_version.c.id).where(s.dataset_version.c.dataset == name)
    found: dict[str, set[str]] = {}
    for row in t.execute(select(s.dataset_table).where(s.dataset_table.c.version.in_(versions))).all():
        found.setdefault(row.name, set()).update(str(column["name"]) for column in json.loads(row.columns))
    return found


def add_dataset(t: Transaction, registration: Registration, *, actor: str) -> None:
    t.execute(
        insert(s.dataset).values(
            name=registration.dataset,
            title=registration.title,
            description=registration.description,
            provider=registration.provider,
            classification=registration.classification,
            registered_at=t.at,
            registered_by=actor,
        )
    )
    rows = [{"dataset": registration.dataset, "person": person} for person in registration.stewards]
    t.execute(insert(s.dataset_steward), rows)


def add_version(
    t: Transaction,
    version_id: VersionId,
    dataset_name: str,
    number: int,
    *,
    digest: str,
    folder: str,
    actor: str,
    recipe: str = "{}",
) -> None:
    t.execute(
        insert(s.dataset_version).values(
            id=version_id,
            dataset=dataset_name,
            number=number,
            digest=digest,
            state=AVAILABLE,
            folder=folder,
            recipe=recipe,
            registered_at=t.at,
            registered_by=actor,
        )
    )


def add_tables(t: Transaction, version_id: VersionId, tables: Iterable[RegisteredTable]) -> None:
    rows = [
        {
            "version": version_id,
            "name": table.name,
            "file": table.file,
            "digest": table.digest,
            "rows": table.rows,
            "bytes": table.bytes,
            "unit": table.unit,
            "columns": json.dumps([column.facts() for column in table.columns], ensure_ascii=False),
        }
        for table in tables
    ]
    t.execute(insert(s.dataset_table), rows)


def _dataset(c: Connection, row: Any) -> Dataset:
    versions = c.execute(
        select(s.dataset_version).where(s.dataset_version.c.dataset == row.name).order_by(s.dataset_version.c.number)
    ).all()
    return Dataset(
        row.name,
        row.title,
        row.description,
        row.provider,
        Classification(row.classification),
        stewards_of(c, row.name),
        row.registered_at,
        tuple(_version(each) for each in versions),
    )


def _version(row: Any) -> Version:
    return Version(
        VersionId(row.id),
        row.dataset,
        row.number,
        row.digest,
        row.state,
        row.folder,
        row.registered_at,
        row.registered_by,
    )
