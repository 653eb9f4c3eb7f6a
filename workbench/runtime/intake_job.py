"""`python -m workbench.runtime.intake_job`: reads files of the intake folder for the desk. What to do comes as JSON on standard input.

``{"do": "scan", …}`` answers on standard output; ``{"do": "register", …}`` keeps the job's file up to date. Both go the command line's way.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from installation.fault import Fault
from installation.settings import Settings, load
from provisioning.domain import masking
from provisioning.domain.errors import RowsRefused
from provisioning.domain.masking import TableRecipe
from provisioning.domain.registration import Registration, TableSource
from provisioning.intake import databases
from provisioning.service import registering, scanning
from store.clock import now
from store.database import Database
from workbench.commands.delivery import codes_beside
from workbench.console import in_three_parts, of_the_machine
from workbench.runtime import hub_process, intake

EVERY = 0.3  # seconds between two states of a job
SHOWN = 20  # rows that could not be read


def main() -> None:
    spec, settings = json.load(sys.stdin), load()
    if spec["do"] == "scan":
        json.dump(scan(settings, spec), sys.stdout)
    else:
        register(settings, spec)


def scan(settings: Settings, spec: dict[str, Any]) -> dict[str, Any]:
    """What the scan proposes, or ``{"fault": …}`` in three parts; what nobody foresaw ends the process."""
    try:
        sources = _sources(settings, spec["files"], spec["reading"])
        return scanning.scan_files(sources, _recipes(settings, spec["recipe"])).facts()
    except (Fault, OSError) as broken:
        return {"fault": _told(broken).public()}


def register(settings: Settings, spec: dict[str, Any]) -> None:
    """Register the delivery, then put the scan's proposals on the record. The job's file says how far it is and how it ended."""
    given, actor, number = spec["delivery"], spec["actor"], spec["job"]
    job = {
        "id": number,
        "dataset": given["dataset"],
        "actor": actor,
        "begun_at": _begun(settings, number),
        "state": "reading",
        "pid": os.getpid(),
        "began": hub_process.beginning(os.getpid()),
    }
    try:
        sources = _sources(settings, given["files"], given["reading"], given["missing"], given["leave_out"])
        wanted = Registration(
            given["dataset"],
            given["title"],
            given["description"],
            given["provider"],
            given["level"],
            tuple(given["stewards"]),
            sources,
            _recipes(settings, given["recipe"]),
            given["project"] or None,
        ).checked()
        version = registering.register(
            Database.open(settings),
            settings,
            wanted,
            registering.look_at(wanted),
            actor=actor,
            clock=now,
            confirmed=given["confirmed"],
            progress=_Told(settings, job),
        )
        intake.write(settings, {**job, "state": "registered", "share": 100, "version": version})
    except Exception as broken:
        fault = _told(broken)
        rows = [str(row) for row in fault.rows[:SHOWN]] if isinstance(fault, RowsRefused) else []
        intake.write(settings, {**job, "state": "refused", "fault": fault.public(), "rows": rows})
        if not isinstance(broken, Fault):
            raise


class _Told:
    """Progress as the job's file, a few times a second."""

    def __init__(self, settings: Settings, job: dict[str, Any]) -> None:
        self._settings, self._job, self._last = settings, job, 0.0

    def __call__(self, table: str, done: float, of: int) -> None:
        if time.monotonic() - self._last > EVERY:
            self._last = time.monotonic()
            intake.write(self._settings, {**self._job, "table": table, "share": int(100 * done / max(of, 1))})


def _sources(
    settings: Settings,
    files: list[dict[str, Any]],
    reading: dict[str, str],
    missing: tuple[str, ...] = (),
    leave_out: int = 0,
) -> tuple[TableSource, ...]:
    folder = settings.home / intake.FOLDER
    return tuple(
        TableSource(
            name=one["table"],
            files=() if one["server"] else (folder / Path(one["file"]).name,),
            address=databases.address(**one["server"]) if one["server"] else None,
            password=reading["password"] or None,
            sheet=one["sheet"] or None,
            unit=one["unit"],
            each_row_a_unit=one["unit"] is None,
            types=one["types"],
            meanings=one["meanings"],
            delimiter=reading["delimiter"] or None,
            encoding=reading["encoding"] or None,
            nulls=("", *missing),
            leave_out=leave_out,
        )
        for one in files
    )


def _recipes(settings: Settings, recipe: dict[str, Any]) -> dict[str, TableRecipe]:
    """A recipe's tables of codes lie in the intake folder, too."""
    folder = settings.home / intake.FOLDER
    return masking.parse(json.dumps(recipe), codes_beside(folder)) if recipe else {}


def _told(broken: Exception) -> Fault:
    """In three parts, whatever it is; what nobody foresaw says nothing of its inside."""
    if isinstance(broken, Fault):
        return broken
    if of_the_machine(broken):
        return in_three_parts(broken)
    return Fault(
        "The files were not read.",
        why="The program met an error of its own. Nothing of the delivery was kept.",
        do="The operator finds it in the hub's log.",
    )


def _begun(settings: Settings, number: str) -> str:
    found = intake.IntakeFolder(settings).job(number)
    return found.begun_at if found else ""


if __name__ == "__main__":
    main()
