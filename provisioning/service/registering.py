"""A delivery as people bring it in, from the command line and the desk alike: looked at, its level confirmed, registered, and what the
scan proposes put before the dataset's stewards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from installation.settings import Settings
from provisioning.domain.classification import Classification
from provisioning.domain.dataset import VersionId
from provisioning.domain.errors import RegistrationRefused
from provisioning.domain.registration import Registration
from provisioning.intake.progress import Progress
from provisioning.service import catalogue
from provisioning.service.scanning import Scanned, keep_proposals, scan_files
from store.database import Database

SHOWN = 8


def look_at(registration: Registration) -> Scanned:
    """What the first rows propose, as they would be stored. Raises RegistrationRefused or FileRefused."""
    wanted = registration.checked()
    return scan_files(wanted.tables, wanted.recipes)


def is_lower(registration: Registration, scanned: Scanned) -> bool:
    """Whether it would be registered below the level that its columns speak for."""
    return registration.classification < scanned.classification


def register(
    db: Database,
    settings: Settings,
    registration: Registration,
    scanned: Scanned,
    *,
    actor: str,
    clock: Callable[[], datetime],
    confirmed: bool = False,
    progress: Progress | None = None,
) -> VersionId:
    """Register a delivery that was looked at. Raises RegistrationRefused for a level below the columns' that nobody ``confirmed``."""
    wanted = registration.checked()
    lower = is_lower(wanted, scanned)
    if lower and not confirmed:
        raise not_confirmed(wanted, scanned)
    version = catalogue.register_dataset(db, settings, wanted, actor=actor, at=clock(), progress=progress)
    keep_proposals(db, version, scanned, actor=actor, at=clock(), lower=lower)
    return version


def not_confirmed(registration: Registration, scanned: Scanned) -> RegistrationRefused:
    marked = [f"{table.name}.{p.column} ({p.role})" for table in scanned.tables for p in table.proposals]
    more = f" and {len(marked) - SHOWN} more" if len(marked) > SHOWN else ""
    proposed, given = scanned.classification, Classification(registration.classification)
    return RegistrationRefused(
        f"Dataset {registration.dataset} was not registered: its columns speak for level {int(proposed)}, {proposed.word}.",
        why=f"It was to be {int(given)}, {given.word}, but holds {', '.join(marked[:SHOWN])}{more}.",
        do=f"Register it as {proposed.word}; or, where the scan is wrong, confirm the lower level (--confirm on the command line).",
    )
