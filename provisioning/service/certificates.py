"""Signed certificates of what happened to a version: written before the commit, under their name once it is done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from installation.settings import Settings
from ledger import certificate, keys
from ledger.entry import canonical
from provisioning.domain.dataset import RegisteredTable

PENDING = ".pending"
REGISTERED = "glovebox-registration/1"
MASKED = "glovebox-masking/1"
TWINNED = "glovebox-twin/1"
KINDS = ("registered", "masked", "twinned")  # of versions that were made; one that was destroyed has its own


def certificate_path(settings: Settings, kind: str, version: str) -> Path:
    return settings.home / "certificates" / f"{kind}-{version.replace('/', '-')}.json"


def tables_as_facts(tables: Sequence[RegisteredTable]) -> list[dict[str, Any]]:
    """The tables of a version that was made here, as a statement lists them."""
    return [{"name": t.name, "digest": t.digest, "rows": t.rows, "bytes": t.bytes, "unit": t.unit} for t in tables]


def name_pending(path: Path) -> None:
    """After the commit: the certificate counts from here on."""
    path.with_suffix(PENDING).replace(path)


def write_pending(settings: Settings, path: Path, facts: Mapping[str, Any], receipt: Any) -> Path:
    """The certificate on the disk, not yet under its name: it counts once the transaction is committed."""
    sealed = certificate.seal(canonical(dict(facts)), keys.load(settings.secrets / "ledger.key"), receipt)
    return write_sealed(path, sealed)


def write_sealed(path: Path, sealed: bytes) -> Path:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    pending = path.with_suffix(PENDING)
    with pending.open("wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
    return pending
