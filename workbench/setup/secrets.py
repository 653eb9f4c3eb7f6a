"""Keys, tokens and accounts, made once: 0600 files in a 0700 folder, random, never in a command line."""

from __future__ import annotations

import json
import os
import secrets as random
from pathlib import Path

from installation.settings import Settings
from ledger import keys
from store.database import LEDGER_NAME
from workbench.setup.step import Progress

ROLES = {"ana": "analysts", "stella": "stewards", "adam": "admins", "audrey": "auditors"}
TOKENS = ("opa.token", "proxy.token", "door.token", "gate.token", "operator.token")


def ensure(settings: Settings, progress: Progress) -> str:
    """The state folder with every secret in it."""
    os.umask(0o077)
    for folder in (settings.home, settings.secrets, settings.run, settings.logs, settings.tools):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.secrets.chmod(0o700)
    settings.run.chmod(0o700)
    for name in TOKENS:
        _once(settings.secrets / name, random.token_hex(32))
    _once(settings.secrets / "hub.cookie", random.token_hex(32))
    _once(settings.secrets / "hub.crypt", random.token_hex(32))
    accounts = {name: {"password": password(), "group": group} for name, group in ROLES.items()}
    made = _once(settings.secrets / "accounts.json", json.dumps(accounts, indent=1))
    signer = keys.ensure(settings.secrets / "ledger.key", LEDGER_NAME)
    keys.publish(signer, settings.home / "ledger.pub")
    return "made" if made else "there"


def password() -> str:
    """About 77 bits, in four groups that a person can type."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(random.choice(letters) for _ in range(4)) for _ in range(4))


def accounts(settings: Settings) -> dict[str, dict[str, str]]:
    read: dict[str, dict[str, str]] = json.loads((settings.secrets / "accounts.json").read_text("utf-8"))
    return read


def _once(path: Path, text: str) -> bool:
    """Write ``text`` unless the file is there. A half-written file never takes the name."""
    if path.exists():
        return False
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    return True
