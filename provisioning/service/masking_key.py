"""Each project's own masking key: made once, kept with mode 0600 beside the other secrets, never shown."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from installation.settings import Settings
from provisioning.domain import names
from provisioning.domain.masking_key import SECRET_BYTES, MaskingKey, read_key


def project_key(settings: Settings, project: str) -> MaskingKey:
    """The project's masking key, made at first use. Raises ValueError when the stored one was cut short."""
    folder = settings.secrets / "masking"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{names.slug('project', project)}.key"
    fresh = folder / f".{secrets.token_hex(8)}"
    try:
        if not path.exists():
            _write_key(fresh)
            os.link(fresh, path)
    except FileExistsError:
        pass  # another process made it at the same moment: theirs counts
    finally:
        fresh.unlink(missing_ok=True)
    try:
        return read_key(path.read_bytes())
    except ValueError as broken:
        raise ValueError("the project's masking key is damaged: bring it back from the backup") from broken


def _write_key(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(MaskingKey(secrets.token_bytes(SECRET_BYTES)).stored())
        file.flush()
        os.fsync(file.fileno())
