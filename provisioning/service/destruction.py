"""Destroying a version for good, with a signed certificate of what it was and of everything that ever came from it.

The state and its entry come first, then the files: from the commit on nobody mounts, grants or recomputes the version, and a crash
before the files are gone is finished by `service.catalogue.sweep`. What left in releases cannot be recalled; the certificate lists it.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from installation.settings import Settings
from ledger import certificate, keys
from ledger.entry import Entry, canonical
from provisioning.domain import names
from provisioning.domain.dataset import AVAILABLE, DESTROYED, parse_version
from provisioning.domain.errors import ProvisioningFault, not_found
from provisioning.service.catalogue import remove_folder
from provisioning.service.certificates import KINDS, PENDING, certificate_path, name_pending, write_sealed
from provisioning.store import catalogue
from store import schema as s
from store.database import Database
from store.transaction import Transaction
from vault import Vault

STATEMENT = "glovebox-destruction/1"


class DestructionRefused(ProvisioningFault):
    code = "destruction-refused"


def destroy_version(db: Database, settings: Settings, *, version: str, reason: str, actor: str, at: datetime) -> Path:
    """Erase a version and return the certificate's file.

    Raises NotFound; DestructionRefused for somebody who is no steward of the dataset, while a sandbox still has it mounted, and
    for a version that is destroyed already.
    """
    said = names.text("reason", reason)
    dataset, _ = parse_version(version)
    signer = keys.load(settings.secrets / "ledger.key")
    with db.transaction(at) as t:
        found = _checked(t, dataset, version, actor)
        facts = {
            "format": STATEMENT,
            "version": version,
            "digest": found["digest"],
            "destroyed_at": t.at,
            "destroyed_by": actor,
            "reason": said,
            "storage": "The version's own key was overwritten and removed, then its files, which had been encrypted under that key alone. "
            "A backup that holds both the files and the key must be destroyed too.",
            **_what_came_of_it(t, version),
        }
        statement = canonical(facts)
        where = s.dataset_version.c.id == version
        t.execute(update(s.dataset_version).where(where).values(state=DESTROYED))
        entry = Entry(
            "dataset.destroyed",
            actor,
            {"dataset": dataset, "version": version},
            {"reason": said, "digest": found["digest"], "certificate": certificate.digest(statement)},
        )
        path = _certificate(settings, version)
        write_sealed(path, certificate.seal(statement, signer, t.receipt(t.record(entry))))
    name_pending(path)
    folder = settings.datasets / str(found["folder"])
    if folder.exists():
        Vault(settings).erase_key(folder)
        remove_folder(folder)
    return path


def settle_certificates(db: Database, settings: Settings) -> list[Path]:
    """After a crash: name certificates of what was committed, remove those of what was not.

    Returns the certificates that were named. Run it when neither is under way.
    """
    with db.read() as c:
        versions = c.execute(select(s.dataset_version.c.id, s.dataset_version.c.state)).all()
        settled = {_certificate(settings, row.id) for row in versions if row.state == DESTROYED}
        settled |= {certificate_path(settings, kind, row.id) for row in versions for kind in KINDS}
    named = []
    for pending in sorted((settings.home / "certificates").glob(f"*{PENDING}")):
        path = pending.with_suffix(".json")
        if path in settled and not path.exists():
            pending.replace(path)
            named.append(path)
        else:
            pending.unlink()
    return named


def _checked(t: Transaction, dataset: str, version: str, actor: str) -> dict[str, Any]:
    row = t.execute(select(s.dataset_version).where(s.dataset_version.c.id == version)).mappings().first()
    if row is None:
        raise not_found("dataset version", version, "./glovebox dataset list")
    stewards = catalogue.stewards_of(t, dataset)
    if actor not in stewards:
        raise _refused(version, "Only a steward of the dataset can destroy it.", f"Ask one of: {', '.join(stewards)}.")
    if row["state"] != AVAILABLE:
        raise _refused(version, "It is destroyed already.", "Nothing is left to do.")
    running = [each for each in _mounts(t, version) if each["stopped_at"] is None]
    if running:
        raise _refused(
            version,
            f"{len(running)} running sandboxes have it mounted.",
            "Revoke its grants, wait until they are stopped, and try again.",
        )
    return dict(row)


def _what_came_of_it(t: Transaction, version: str) -> dict[str, Any]:
    """Of the version and of every masked copy, whose rows are its rows: mounts and releases. A twin has no row of anybody."""
    tables = t.execute(select(s.dataset_table).where(s.dataset_table.c.version == version)).all()
    grants = t.execute(select(s.grant).where(s.grant.c.version == version).order_by(s.grant.c.id)).all()
    copies, twins = _copies(t, version)
    own = [version, *copies]
    return {
        "tables": [{"name": r.name, "sha256": r.digest, "rows": r.rows, "bytes": r.bytes} for r in tables],
        "grants": [{"grant": r.id, "project": r.project, "granted_by": r.granted_by} for r in grants],
        "mounts": [mount for one in own for mount in _mounts(t, one)],
        "releases": [released for one in own for released in _releases(t, one)],
        "masked_copies": copies,
        "twins": twins,
    }


def _copies(t: Transaction, version: str) -> tuple[list[str], list[str]]:
    """Masked copies and twins of the version, and of its masked copies."""
    rows = t.execute(select(s.dataset_version.c.id, s.dataset_version.c.recipe).order_by(s.dataset_version.c.id)).all()
    recipes = {str(r.id): json.loads(r.recipe) for r in rows}
    copies: list[str] = []
    open_ones = [version]
    while open_ones:
        source = open_ones.pop()
        found = [name for name, recipe in recipes.items() if recipe.get("from") == source and name not in copies]
        copies += found
        open_ones += found
    twins = [name for name, recipe in recipes.items() if recipe.get("twin_of") in (version, *copies)]
    return sorted(copies), twins


def _releases(t: Transaction, version: str) -> list[dict[str, Any]]:
    """Every release with an item made from the version: tables, figures and models, and the files of the manual lane."""
    sized, told, left = s.release_size, s.released_table, s.release
    named = f'"{version}"'
    items: dict[int, set[str]] = {}
    for query in (
        select(sized.c.release, sized.c.item).where(sized.c.versions.contains(named, autoescape=True)),
        select(told.c.release, told.c.item).where(told.c.version == version),
    ):
        for row in t.execute(query):
            items.setdefault(row.release, set()).add(row.item)
    rows = t.execute(select(left).where(left.c.id.in_(items)).order_by(left.c.id)).all()
    return [
        {
            "version": version,
            "release": r.id,
            "request": f"R-{r.request}",
            "items": sorted(items[r.id]),
            "released_at": r.released_at,
            "revoked_at": r.revoked_at,
        }
        for r in rows
    ]


def _mounts(t: Transaction, version: str) -> list[dict[str, Any]]:
    rows = t.execute(select(s.sandbox).order_by(s.sandbox.c.started_at, s.sandbox.c.id)).all()
    return [
        {
            "version": version,
            "sandbox": r.id,
            "person": r.person,
            "project": r.project,
            "started_at": r.started_at,
            "stopped_at": r.stopped_at,
        }
        for r in rows
        if version in json.loads(r.versions)
    ]


def _certificate(settings: Settings, version: str) -> Path:
    return certificate_path(settings, "destroyed", version)


def _refused(version: str, why: str, do: str) -> DestructionRefused:
    return DestructionRefused(f"{version} was not destroyed.", why=why, do=do)
