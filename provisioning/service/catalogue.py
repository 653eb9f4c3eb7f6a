"""Bringing datasets in and looking them up.

Files are sealed into a folder beside the datasets, key and all; one rename puts them in place, and the rename happens inside the
transaction that registers them: after a crash there is either a registered version with its files, or an unregistered folder
that `sweep` removes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from installation.settings import Settings
from ledger import certificate
from ledger.entry import Entry, canonical
from provisioning.domain import dcat, names
from provisioning.domain.dataset import AVAILABLE, VersionId, digest_of, parse_version, version_id
from provisioning.domain.errors import RegistrationRefused
from provisioning.domain.masking import TableRecipe, code_tables, facts
from provisioning.domain.registration import Registration
from provisioning.intake.engine import engine
from provisioning.intake.ingest import Ingested, Mask, ingest
from provisioning.intake.progress import Progress, told
from provisioning.service.certificates import REGISTERED, certificate_path, name_pending, write_pending
from provisioning.service.delivery import INCOMING, delivery, nothing_under_way
from provisioning.service.masking_key import project_key
from provisioning.store import catalogue as rows
from provisioning.store.catalogue import dataset, datasets, stewards_of, tables_of, version
from store.blobs import Blobs
from store.database import Database
from store.transaction import Transaction
from vault import Vault
from vault.sealing import SealedWriter

__all__ = [
    "dataset",
    "datasets",
    "export_dcat",
    "register_dataset",
    "stewards_of",
    "sweep",
    "tables_of",
    "version",
    "version_folder",
]

LINES = 100  # of rows left out, on the record


def register_dataset(
    db: Database,
    settings: Settings,
    registration: Registration,
    *,
    actor: str,
    at: datetime,
    progress: Progress | None = None,
) -> VersionId:
    """Read, store and register a delivery: a new dataset, or a new version of a known one.

    ``progress(table, done, of)`` is called before each table and as it is read (see `provisioning.intake.progress`).
    Raises RegistrationRefused, RowsRefused or FileRefused;
    then nothing of the delivery is left, on the disk or in the catalogue.
    """
    wanted = registration.checked()
    names.person(actor)
    with delivery(settings) as incoming:
        delivered, work = incoming / "version", incoming / "work"
        ingested = _read_all(wanted, work, Vault(settings).writer(delivered), _masks(settings, wanted), progress)
        keep_codes(settings, wanted.recipes)
        with db.transaction(at) as t:
            new = _register(t, settings, wanted, ingested, delivered, actor)
        name_pending(certificate_path(settings, "registered", new))
        return new


def keep_codes(settings: Settings, recipes: Mapping[str, TableRecipe]) -> None:
    """Put the tables of codes of a recipe among the blobs, so that years later its digest leads to what was used."""
    for table in code_tables(recipes).values():
        Blobs(settings.blobs).put(table.content)


def version_folder(settings: Settings, folder: str) -> Path:
    """The folder of a version on this machine. Raises RegistrationRefused for a folder that is not below the datasets."""
    parse_version(folder)
    return settings.datasets / folder


def export_dcat(c: Connection, address: str) -> dict[str, Any]:
    """The catalogue as DCAT (JSON-LD): descriptions only. ``address`` is where the installation is known."""
    found = datasets(c)
    tables = {str(v.id): tables_of(c, v.id) for d in found for v in d.versions}
    return dcat.catalogue(address.rstrip("/"), found, tables, {d.name: rows.sheet_of(c, d.name) for d in found})


def sweep(db: Database, settings: Settings) -> list[Path] | None:
    """Remove what a crash left: folders of no available version, and unfinished deliveries. Returns what was removed.

    None while a version is being made, by this or another process: what looks left over may be its.
    """
    with nothing_under_way(settings) as alone:
        return _swept(db, settings) if alone else None


def _swept(db: Database, settings: Settings) -> list[Path]:
    with db.read() as c:
        known = {v.folder for d in datasets(c) for v in d.versions if v.state == AVAILABLE}
    removed = []
    for parent in sorted(p for p in settings.datasets.glob("*") if p.is_dir()):
        for folder in sorted(parent.iterdir()):
            if parent.name == INCOMING or f"{parent.name}/{folder.name}" not in known:
                remove_folder(folder)
                removed.append(folder)
    return removed


def _masks(settings: Settings, wanted: Registration) -> dict[str, Mask]:
    if wanted.project is None:
        return {}
    key = project_key(settings, wanted.project)
    return {name: Mask(recipe, key) for name, recipe in wanted.recipes.items()}


def _read_all(
    wanted: Registration, work: Path, writer: SealedWriter, masks: Mapping[str, Mask], progress: Progress | None
) -> list[Ingested]:
    work.mkdir(mode=0o700)
    done = []
    with engine(work) as connection:
        for number, source in enumerate(wanted.tables):
            with told(connection, progress, source.name, number, len(wanted.tables)):
                done.append(ingest(connection, source, work / source.name, writer, masks.get(source.name)))
            shutil.rmtree(work / source.name)
    return done


def _register(
    t: Transaction, settings: Settings, wanted: Registration, ingested: Sequence[Ingested], delivered: Path, actor: str
) -> VersionId:
    _check_known(t, wanted)
    number = rows.next_number(t, wanted.dataset)
    new = version_id(wanted.dataset, number)
    tables = [each.table for each in ingested]
    digest = digest_of((table.name, table.digest) for table in tables)
    _check_news(t, wanted.dataset, digest)
    if number == 1:
        rows.add_dataset(t, wanted, actor=actor)
    rows.add_version(
        t, new, wanted.dataset, number, digest=digest, folder=new, actor=actor, recipe=_recipe(wanted, ingested)
    )
    rows.add_tables(t, new, tables)
    facts = _facts(wanted, digest, ingested)
    statement = {"format": REGISTERED, "version": new, "registered_at": t.at, "registered_by": actor, **facts}
    said = {**facts, "certificate": certificate.digest(canonical(statement))}
    seq = t.record(Entry("dataset.registered", actor, {"dataset": wanted.dataset, "version": new}, said))
    write_pending(settings, certificate_path(settings, "registered", new), statement, t.receipt(seq))
    put_in_place(delivered, settings.datasets / new)
    return new


def _recipe(wanted: Registration, ingested: Sequence[Ingested]) -> str:
    """How the version was masked on its way in; an empty object for a delivery as it came."""
    if wanted.project is None:
        return "{}"
    effect = {each.table.name: each.effect for each in ingested if each.effect}
    made = {"project": wanted.project, "recipe": facts(wanted.recipes), "effect": effect, **_pseudonyms(ingested)}
    return json.dumps(made, sort_keys=True, ensure_ascii=False)


def _check_known(t: Transaction, wanted: Registration) -> None:
    """A new version may not change what the dataset is in passing: each of these is a decision of its own."""
    known = rows.known_dataset(t, wanted.dataset)
    if known is None:
        return
    row, stewards = known
    differ = [
        noun for noun in ("title", "description", "provider", "classification") if row[noun] != getattr(wanted, noun)
    ]
    differ += ["stewards"] if stewards != wanted.stewards else []
    if differ:
        raise RegistrationRefused(
            f"A new version of {wanted.dataset} was not registered.",
            why=f"It differs from the registered dataset in its {', '.join(differ)}.",
            do="Give the same as registered; or choose another name if it is another dataset.",
        )


def _check_news(t: Transaction, name: str, digest: str) -> None:
    same = rows.same_content(t, name, digest)
    if same is not None:
        raise RegistrationRefused(
            f"A new version of {name} was not registered.",
            why=f"The delivery holds exactly what {same} holds.",
            do="Nothing is left to do; register again when something has changed.",
        )


def _facts(wanted: Registration, digest: str, ingested: Sequence[Ingested]) -> dict[str, Any]:
    return {
        "digest": digest,
        "classification": wanted.classification,
        "provider": wanted.provider,
        "stewards": list(wanted.stewards),
        **_masked_for(wanted, ingested),
        "tables": [
            {
                "name": each.table.name,
                "digest": each.table.digest,
                "rows": each.table.rows,
                "bytes": each.table.bytes,
                "unit": each.table.unit,
                "columns": len(each.table.columns),
                "sources": [source.facts() for source in each.sources],
                **(
                    {"left_out": [str(row) for row in each.left_out[:LINES]], "rows_left_out": len(each.left_out)}
                    if each.left_out
                    else {}
                ),
            }
            for each in ingested
        ],
    }


def _pseudonyms(ingested: Sequence[Ingested]) -> dict[str, str]:
    return {name: how for each in ingested for name, how in each.pseudonyms.items()}


def _masked_for(wanted: Registration, ingested: Sequence[Ingested]) -> dict[str, Any]:
    """The recipe as text: numbers with fractions have no place in the ledger."""
    if wanted.project is None:
        return {}
    recipe = json.dumps(facts(wanted.recipes), sort_keys=True)
    return {"masked_for": wanted.project, "recipe": recipe, **_pseudonyms(ingested)}


def put_in_place(delivered: Path, target: Path) -> None:
    """One rename. A folder that is in the way belongs to no version, because the number was free: a crash left it."""
    target.parent.mkdir(mode=0o755, exist_ok=True)
    if target.exists():
        remove_folder(target)
    _sync(delivered)
    delivered.rename(target)
    target.chmod(0o500)
    _sync(target.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder that was made read-only."""
    folder.chmod(0o700)
    shutil.rmtree(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
