"""What provisioning leaves in the store for a dataset with a datasheet, a masked copy and a twin, and for a package shelf."""

from __future__ import annotations

import json

from sqlalchemy import insert, update

from ledger.entry import Entry
from store import schema as s
from tests.unit.gate.factory import World

SCRIPT = "<script>alert(1)</script>"
COLUMNS = ("id", "age", "sex", "weight")
CERTIFICATE, ENDED = "c" * 64, "f" * 64
SAID = {
    "source": "Olmsted County, 1997 to 2014",
    "legal_basis": f"Consent {SCRIPT}",
    "retention_until": "2036-12-31",
    "units": {"nafld1.weight": "kg"},
    "keys": {"nafld1.id": "nafld1.age"},
    "identifiers": {"nafld1.id": "direct", "nafld1.age": "quasi", "nafld1.sex": "none"},
    "described_by": "stella",
    "described_at": "2026-11-23T10:00:00.000000Z",
}
TWIN = {
    "method": "noisy spanning tree of two-way tables",
    "neighbours": "all rows of one privacy unit",
    "epsilon": 2.5,
    "delta": 1e-06,
    "rows_per_unit": 8,
    "tables": {
        "nafld1": {
            "rows": 17549,
            "columns": {"age": 1.3, "sex": 0.4},
            "pairs": {"mean": 3.7, "worst": 11.9},
            "rows_of_one": {"twin": 0.21, "by_chance": 0.19},
        }
    },
}


def masked_and_twinned(world: World) -> None:
    """nafld/1 with a certificate and a twin, nafld/2 masked for a project and destroyed, and sheep, which Sven looks after."""
    with world.database.transaction(world.clock()) as t:
        t.execute(update(s.dataset).where(s.dataset.c.name == "nafld").values(datasheet=json.dumps(SAID)))
        columns = json.dumps([{"name": n, "type": "BIGINT", "meaning": f"{n} {SCRIPT}"} for n in COLUMNS])
        t.execute(update(s.dataset_table).where(s.dataset_table.c.version == "nafld/1").values(columns=columns))
        for name, steward in (("sheep", "sven"), ("nafld-twin", "stella")):
            made = {"title": name, "description": "", "provider": "farm", "classification": 1, "registered_by": "adam"}
            t.execute(insert(s.dataset).values(name=name, registered_at=t.at, **made))
            t.execute(insert(s.dataset_steward).values(dataset=name, person=steward))
        masked = {"from": "nafld/1", "project": "liver", "recipe": {"nafld1": {"columns": {"id": {"do": "drop"}}}}}
        for version, recipe, state in (
            ("nafld/2", masked, "destroyed"),
            ("nafld-twin/1", {"twin_of": "nafld/1"}, "available"),
        ):
            name, _, number = version.partition("/")
            row = {"dataset": name, "number": int(number), "digest": number * 64, "state": state, "folder": version}
            row |= {"recipe": json.dumps(recipe), "registered_at": t.at, "registered_by": "adam"}
            t.execute(insert(s.dataset_version).values(id=version, **row))
        twin = {"version": "nafld/1", "twin": "nafld-twin/1", "facts": json.dumps(TWIN)}
        t.execute(insert(s.dataset_twin).values(made_at=t.at, made_by="adam", **twin))
        first = {"dataset": "nafld", "version": "nafld/1"}
        t.record(Entry("dataset.registered", "adam", first, {"certificate": CERTIFICATE}))
        t.record(Entry("dataset.twinned", "adam", {**first, "twin": "nafld-twin/1"}, {"certificate": "0" * 64}))
        second = {"dataset": "nafld", "version": "nafld/2"}
        t.record(Entry("dataset.masked", "adam", {**second, "project": "liver"}, {}))
        t.record(Entry("dataset.destroyed", "stella", second, {"reason": "Consent ended.", "certificate": ENDED}))


def shelved(world: World) -> None:
    """Two editions; an open request of ana's for liver, one of amir's for another project, and one that was refused."""
    with world.database.transaction(world.clock()) as t:
        for number, version in ((1, "1.0"), (2, "1.1")):
            packages = [
                {"name": n, "version": version, "sha256": str(number) * 64, "file": "x"} for n in ("zebra", "aard")
            ]
            row = {"digest": f"{number}e" * 32, "lock": "", "packages": json.dumps(packages), "approved_by": "adam"}
            t.execute(insert(s.shelf_edition).values(id=number, approved_at=t.at, **row))
        for person, project, name, reason, state in (
            ("ana", "liver", "lifelines", f"Survival curves {SCRIPT}", "open"),
            ("amir", "other", "secretive", "For another study.", "open"),
            ("ana", "liver", "leftpad", "To pad.", "refused"),
        ):
            row = {"person": person, "project": project, "name": name, "reason": reason, "state": state}
            done = {"decided_by": "adam", "decided_at": t.at, "answer": "The standard library pads."}
            t.execute(insert(s.package_request).values(asked_at=t.at, **row, **(done if state != "open" else {})))
        t.record(Entry("shelf.approved", "adam", {"edition": "2"}, {}))
