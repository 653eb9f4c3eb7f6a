"""Signed certificates of what happened to a version: written before the commit, under their name once it is done."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from installation.settings import Settings
from ledger import certificate, keys
from ledger.entry import canonical

PENDING = ".pending"
REGISTERED = "glovebox-registration/1"


def certificate_path(settings: Settings, kind: str, version: str) -> Path:
    return settings.home / "certificates" / f"{kind}-{version.replace('/', '-')}.json"


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
