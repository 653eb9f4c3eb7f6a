"""What a crash may have left, found and cleared; and whether the record holds."""

from __future__ import annotations

from typing import Any

import docker

from installation.settings import Settings
from ledger import keys
from ledger.verify import verify_log
from provisioning.sandbox.store_book import StoreBook
from provisioning.sandbox.sweeping import sweep
from store.database import Database


def examine(settings: Settings) -> dict[str, Any]:
    """Sweep sandboxes and verify the ledger; ``well`` when nothing is left that a person must mend."""
    client = docker.from_env()
    try:
        swept = sweep(settings, StoreBook(settings), client)
    finally:
        client.close()
    report = verify_log(Database.open(settings), keys.public(settings.home / "ledger.pub"))
    said = [
        f"sandboxes: {len(swept.kept)} running, {len(swept.removed)} left-overs removed, {len(swept.closed)} records closed",
        f"ledger: {report.message}",
    ]
    return {"well": report.ok, "said": said, "swept": vars(swept), "ledger": {"ok": report.ok, "size": report.size}}
