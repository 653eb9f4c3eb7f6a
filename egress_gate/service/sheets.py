"""Reading a dataset's page: for its stewards, administrators and auditors. It holds no rows, and nothing here opens the data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.errors import no_such
from egress_gate.service.gate import Gate
from egress_gate.service.granting import governs
from egress_gate.store import catalogue, overview, plans, sheets
from egress_gate.store.paging import Paged
from egress_gate.store.plans import Plan
from egress_gate.store.sheets import Sheet, TableLine, TwinReport, VersionLine
from store.clock import stamp
from store.usage_report import Line, lines


@dataclass(frozen=True)
class DatasetPage:
    """``shown``: the version whose tables these are. ``twins`` is empty for those who may not read how close a twin came.

    ``used``: what each version was used for, by all projects together. ``kept_too_long``: its last day is over, and a version is there.
    ``governs``: whether the reader gives and revokes its grants; ``asking``: then, the projects that mean to use it and have none.
    """

    sheet: Sheet
    shown: VersionLine | None
    tables: tuple[TableLine, ...]
    grants: Paged
    releases: Paged
    twins: tuple[TwinReport, ...]
    governs: bool = False
    asking: tuple[Plan, ...] = ()
    used: tuple[Line, ...] = ()
    kept_too_long: bool = False


@dataclass(frozen=True)
class Turned:
    """Which version is shown, by default the newest that is not destroyed, and which page of the lists below it."""

    version: int | None = None
    grants: int = 1
    releases: int = 1


def dataset_page(gate: Gate, person: Person, name: str, at: datetime, turned: Turned | None = None) -> DatasetPage:
    """What the dataset is and what came of it.

    Raises NotFound, also for who may not see it. A lent vote shows the page, so that its holder can decide.
    It does not show a twin's report.
    """
    with gate.store.read() as c:
        found = sheets.sheet(c, name)
        voters = catalogue.effective_stewards(c, [name], stamp(at)).get(name, ())
    if found is None or not may(gate.engine, person, "view_dataset", at, dataset=_facts(name, voters)).allow:
        raise no_such("dataset")
    asked = turned or Turned()
    shown = _chosen(found, asked.version)
    close = may(gate.engine, person, "view_twin_report", at, dataset=_facts(name, found.stewards)).allow
    steers = governs(gate, person, name, found.stewards, at)
    ids = [v.id for v in found.versions]
    with gate.store.read() as c:
        return DatasetPage(
            found,
            shown,
            sheets.tables(c, shown.id, found.said) if shown else (),
            sheets.grants(c, name, asked.grants),
            sheets.came_of(c, ids, asked.releases),
            sheets.twin_reports(c, ids) if close else (),
            steers,
            plans.asking_for(c, name) if steers else (),
            _used(c, found),
            _kept_too_long(found, at),
        )


def dataset_usage(gate: Gate, person: Person, name: str, at: datetime) -> tuple[Line, ...]:
    """What each version of a dataset was used for. Raises NotFound as `dataset_page` does."""
    return dataset_page(gate, person, name, at).used


def _used(c: Connection, found: Sheet) -> tuple[Line, ...]:
    ids = {v.id for v in found.versions}
    return tuple(line for line in lines(c, "version", dataset=found.name) if line.name in ids)


def _kept_too_long(found: Sheet, at: datetime) -> bool:
    last = found.said.get("retention_until")
    return bool(last) and stamp(at)[:10] > str(last) and any(v.state == "available" for v in found.versions)


def datasets_for(gate: Gate, person: Person, at: datetime, number: int = 1) -> Paged:
    """Those whose page this person may read. Raises NotAllowed for somebody who could read none whatever they stewarded."""
    own = {"stewards": [person.name]}
    may(gate.engine, person, "view_dataset", at, dataset=own).require("see datasets")
    everything = may(gate.engine, person, "view_admin", at).allow
    with gate.store.read() as c:
        names = None if everything else catalogue.looked_after(c, person.name, stamp(at))
        return overview.datasets_page(c, number, names)


def _chosen(found: Sheet, number: int | None) -> VersionLine | None:
    if number is None:
        return next((v for v in found.versions if v.state == "available"), next(iter(found.versions), None))
    for version in found.versions:
        if version.number == number:
            return version
    raise no_such("version of this dataset")


def _facts(name: str, stewards: tuple[str, ...]) -> dict[str, Any]:
    return {"name": name, "stewards": list(stewards)}
