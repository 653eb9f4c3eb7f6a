"""What a crash may have left, found and cleared; and whether engine, record and installation are well."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker

from installation.fault import Fault
from installation.settings import Settings
from ledger import keys
from ledger.errors import LedgerFault
from ledger.verify import verify_log
from provisioning.domain.dataset import AVAILABLE
from provisioning.sandbox.store_book import StoreBook
from provisioning.sandbox.sweeping import sweep
from provisioning.service import catalogue, destruction
from provisioning.store.catalogue import kept_until
from store.clock import now
from store.database import Database
from store.schema import SCHEMA_VERSION
from vault import Vault
from workbench.console import first_line, of_the_machine
from workbench.runtime import health, hub_process
from workbench.setup import docker_engine, opa

LEAST_FREE = 5 * 1024**3


def examine(settings: Settings) -> dict[str, Any]:
    """Every finding with whether it is well; ``well`` when none is left that a person must mend."""
    looks: dict[str, Callable[[Settings], tuple[bool, str]]] = {
        "secrets": _secrets,
        "disk": _disk,
        "database": _database,
        "container engine": _engine,
        "policy engine": _policies,
        "workbench": _workbench,
        "sandboxes": _sandboxes,
        "datasets": _datasets,
        "retention": _retention,
        "vault": _vault,
        "ledger": _ledger,
    }
    findings = []
    for name, look in looks.items():
        try:
            well, said = look(settings)
        except (Fault, LedgerFault) as fault:
            well, said = False, f"{fault.what} {fault.why} {fault.do}"
        except Exception as broken:
            if not of_the_machine(broken):
                raise
            well, said = False, f"could not be looked at: {first_line(broken)}"
        findings.append({"name": name, "well": well, "said": said})
    return {"well": all(f["well"] for f in findings), "findings": findings}


def _secrets(settings: Settings) -> tuple[bool, str]:
    if not settings.secrets.exists():
        return False, "set-up has not run here; run ./glovebox setup"
    exposed = [
        path.name
        for path in [settings.secrets, *settings.secrets.iterdir()]
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if exposed:
        return False, f"others may read {', '.join(sorted(exposed))}; chmod go= them and change what leaked"
    return True, "only this account can read them"


def _disk(settings: Settings) -> tuple[bool, str]:
    free = shutil.disk_usage(settings.home).free
    said = f"{free / 1024**3:.1f} GiB free"
    return free >= LEAST_FREE, said if free >= LEAST_FREE else f"{said}; homes and releases need more: make room"


def _database(settings: Settings) -> tuple[bool, str]:
    Database.open(settings).close()  # what is wrong with it is said by the fault
    return True, f"schema {SCHEMA_VERSION}, as this program works with"


def _engine(_: Settings) -> tuple[bool, str]:
    running = docker_engine.version()
    return running is not None, f"Docker {running}" if running else "Docker does not answer; run ./glovebox setup"


def _policies(settings: Settings) -> tuple[bool, str]:
    if settings.policy_engine != "opa":
        return True, "in-process (regopy); install OPA or Go and run ./glovebox setup to use the real server"
    found = opa.binary(settings)
    return found is not None, f"OPA at {found}" if found else "OPA is gone; run ./glovebox setup"


def _workbench(settings: Settings) -> tuple[bool, str]:
    if hub_process.running(settings) is None:
        left = hub_process.left_over(settings)
        if left and hub_process.end(settings):
            return True, f"not running; {left} processes of a hub that is gone were ended"
        return True, "not running"
    silent = [part.name for part in health.parts(settings) if not part.answers]
    return not silent, f"silent: {', '.join(silent)}; look into {settings.logs}" if silent else "every part answers"


def _sandboxes(settings: Settings) -> tuple[bool, str]:
    client = docker.from_env()
    try:
        swept = sweep(settings, StoreBook(settings), client)
    finally:
        client.close()
    return (
        True,
        f"{len(swept.kept)} running, {len(swept.removed)} left-overs removed, {len(swept.closed)} records closed",
    )


def _datasets(settings: Settings) -> tuple[bool, str]:
    """Only while nothing runs: what looks left over may be a registration under way."""
    if hub_process.running(settings) is not None:
        return True, "the workbench runs; left-overs of registrations are cleared when it does not"
    database = Database.open(settings)
    removed = catalogue.sweep(database, settings)
    if removed is None:
        return True, "a dataset is being brought in; left-overs of registrations are cleared when none is"
    named = destruction.settle_certificates(database, settings)
    return True, f"{len(removed)} left-overs of registrations removed, {len(named)} certificates settled"


def _retention(settings: Settings) -> tuple[bool, str]:
    """Whether anything is here that its datasheet says is to be gone: nobody starts on it, and it still takes up a key and a disk."""
    today = now().date()
    with Database.open(settings).read() as c:
        dated = [(d, kept) for d in catalogue.datasets(c) if (kept := kept_until(c, d.name)) is not None]
    late = [f"{v.id} (until {kept})" for d, kept in dated for v in d.versions if v.state == AVAILABLE and kept < today]
    if late:
        return (
            False,
            f"kept too long: {', '.join(late)}; a steward destroys them, or corrects the date: ./glovebox dataset destroy",
        )
    return True, f"{len(dated)} datasets have a last day, none is past it"


def _vault(settings: Settings) -> tuple[bool, str]:
    """Opens every key, so that a damaged or foreign one is found before somebody needs the data."""
    with Database.open(settings).read() as c:
        wanted = [v.folder for d in catalogue.datasets(c) for v in d.versions if v.state == AVAILABLE]
    shut = sorted(version for version in wanted if not Vault(settings).can_open(version))
    if shut:
        return False, f"cannot be opened: {', '.join(shut)}; bring their folders and the master key back from a backup"
    swap = len(Path("/proc/swaps").read_text("ascii").splitlines()) > 1
    said = f"{len(wanted)} versions can be opened"
    return True, f"{said}; this machine swaps memory out: encrypt the swap or switch it off" if swap else said


def _ledger(settings: Settings) -> tuple[bool, str]:
    report = verify_log(Database.open(settings), keys.public(settings.home / "ledger.pub"))
    return report.ok, report.message
