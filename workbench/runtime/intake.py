"""The intake folder of the desk: files that an administrator put on the server, read in processes of their own.

A file nobody vouches for is parsed beside the gate, never in it; and a registration of hours goes on when a page is closed.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any

from egress_gate.service.intake import (
    Delivery,
    FileOptions,
    IntakeFile,
    Job,
    Reading,
    Scan,
    ScannedColumn,
    ScannedTable,
)
from installation.settings import Settings
from provisioning.domain.registration import FORMATS
from store.clock import stamp
from workbench.errors import WorkbenchFault
from workbench.runtime.arriving import Arriving
from workbench.runtime.hub_process import alive, beginning

SCAN_SECONDS = 120
KEPT = 30
FOLDER = "intake"


class IntakeFolder:
    """`egress_gate.service.intake.Intake` over ``intake/`` in the state folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._one = threading.Lock()

    @property
    def folder(self) -> Path:
        return self._settings.home / FOLDER

    @property
    def _jobs(self) -> Path:
        return self._settings.run / FOLDER

    def files(self) -> tuple[IntakeFile, ...]:
        """Ordinary files of a kind that can be read, by name. A link is none: it would lead out of the folder."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = []
        for path in sorted(self.folder.iterdir()):
            seen = path.lstat()
            if S_ISREG(seen.st_mode) and path.suffix.lower() in FORMATS and path.name.isprintable():
                written = stamp(datetime.fromtimestamp(seen.st_mtime, UTC))
                found.append(IntakeFile(path.name, seen.st_size, written))
        return tuple(found)

    @property
    def most_bytes(self) -> int:
        return self._settings.upload_bytes

    def receive(self, name: str, size: int, /) -> Arriving:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Arriving(self.folder, name, size, self.most_bytes)

    def remove(self, name: str, /) -> IntakeFile:
        """Raises WorkbenchFault for what is no file of the folder, and while a registration may be reading it."""
        self._require_here([name])
        with self._one:
            if any(job.state == "reading" for job in self.jobs()):
                raise WorkbenchFault(
                    f"{name[:80]!a} was not removed.",
                    why="A registration is under way, which may be reading it.",
                    do="Wait until it has ended.",
                )
            found = next(one for one in self.files() if one.name == name)
            (self.folder / name).unlink()
        return found

    def scan(self, files: Sequence[FileOptions], reading: Reading, recipe: Mapping[str, Any], /) -> Scan:
        self._require_here([one.file for one in files if one.server is None])
        spec = {
            "do": "scan",
            "files": [asdict(one) for one in files],
            "reading": asdict(reading),
            "recipe": dict(recipe),
        }
        try:
            ran = subprocess.run(
                _command(),
                input=json.dumps(spec),
                stdout=subprocess.PIPE,
                text=True,
                timeout=SCAN_SECONDS,
                check=False,
                env=self._environ(),
            )
            said = json.loads(ran.stdout)
        except (subprocess.TimeoutExpired, ValueError) as broken:
            raise WorkbenchFault(
                "The files were not looked at.",
                why="Reading their first rows did not come to an end.",
                do="Try fewer files at once; the operator finds more in the hub's log.",
            ) from broken
        if "fault" in said:
            raise _fault(said["fault"])
        return _scan(said, {one.table: one.file for one in files})

    def begin(self, delivery: Delivery, actor: str, /) -> str:
        self._require_here([one.file for one in delivery.files if one.server is None])
        with self._one:
            if any(job.state == "reading" for job in self.jobs()):
                raise WorkbenchFault(
                    f"{delivery.dataset} was not registered.",
                    why="Another registration is under way.",
                    do="Wait until it has ended, then send this form again.",
                )
            number = secrets.token_hex(8)
            spec = {"do": "register", "delivery": asdict(delivery), "actor": actor, "job": number}
            child = subprocess.Popen(
                _command(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=self._environ()
            )
            begun = Job(number, delivery.dataset, actor, stamp(datetime.now(UTC)), "reading")
            write(self._settings, {**asdict(begun), "pid": child.pid, "began": beginning(child.pid)})
        threading.Thread(target=child.communicate, args=(json.dumps(spec),), daemon=True).start()
        return number

    def job(self, number: str, /) -> Job | None:
        if not (len(number) == 16 and number.isascii() and number.isalnum()):
            return None
        try:
            return _job(json.loads((self._jobs / f"{number}.json").read_text("utf-8")))
        except (OSError, ValueError):
            return None

    def jobs(self) -> tuple[Job, ...]:
        found = [job for path in self._jobs.glob("*.json") if (job := self.job(path.stem)) is not None]
        found.sort(key=lambda job: job.begun_at, reverse=True)
        for old in found[KEPT:]:
            (self._jobs / f"{old.id}.json").unlink(missing_ok=True)
        return tuple(found[:KEPT])

    def _environ(self) -> dict[str, str]:
        return {**os.environ, "GLOVEBOX_HOME": str(self._settings.home)}

    def _require_here(self, names: Sequence[str]) -> None:
        here = {one.name for one in self.files()}
        for name in names:
            if name not in here:
                raise WorkbenchFault(
                    f"{name[:80]!a} was not read.",
                    why="No ordinary file of this name, of a kind that can be read, lies in the intake folder.",
                    do="Put it there and load the page again.",
                )


def write(settings: Settings, job: dict[str, Any]) -> None:
    """A job's state in its file, whole or not at all."""
    folder = settings.run / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{job['id']}.json"
    partial = path.with_suffix(f".{secrets.token_hex(4)}")
    partial.write_text(json.dumps(job), "utf-8")
    partial.replace(path)


def _command() -> list[str]:
    return [sys.executable, "-m", "workbench.runtime.intake_job"]


def _fault(said: dict[str, str]) -> WorkbenchFault:
    return WorkbenchFault(said["what"], why=said["why"], do=said["do"])


def _scan(said: dict[str, Any], files: dict[str, str]) -> Scan:
    tables = tuple(
        ScannedTable(
            table["name"],
            files[table["name"]],
            tuple(
                ScannedColumn(c["name"], c["type"], c.get("kind", ""), c.get("role", ""), int(c.get("share", 0)))
                for c in table["columns"]
            ),
            table["effect"],
        )
        for table in said["tables"]
    )
    return Scan(tables, int(said["level"]))


def _job(said: dict[str, Any]) -> Job:
    """As its file says; one whose process is gone without an end did not finish."""
    fields = {k: v for k, v in said.items() if k not in ("pid", "began")}
    found = Job(**{**fields, "rows": tuple(fields.get("rows", ()))})
    if found.state == "reading" and not alive(int(said["pid"]), str(said["began"])):
        told = {
            "what": f"{found.dataset} was not registered.",
            "why": "The process that read it has ended before its time. Nothing of the delivery was kept.",
            "do": "Register it again; the operator finds more in the hub's log.",
        }
        return Job(found.id, found.dataset, found.actor, found.begun_at, "refused", fault=told)
    return found
