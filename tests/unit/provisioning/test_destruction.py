"""Destruction: who may, what it stops, what the certificate says, and what a crash leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from ledger import certificate
from ledger.entry import Entry
from provisioning.domain.errors import AccessRefused, GrantRefused, NotFound, ProvisioningFault, RegistrationRefused
from provisioning.service import catalogue, datasheet, destruction, sessions
from store import schema as s
from tests.unit.provisioning.world import DAY, START, World

AT = START + DAY


def destroy(world: World, version: str = "nafld/1", actor: str = "stella", reason: str = "Retention is over."):  # type: ignore[no-untyped-def]
    return destruction.destroy_version(world.db, world.settings, version=version, reason=reason, actor=actor, at=AT)


def plan(world: World):  # type: ignore[no-untyped-def]
    return sessions.plan_session(world.db, world.engine, world.settings, "ana", ["analysts"], "liver", AT)


def statement_of(world: World, path: Path) -> Mapping[str, Any]:
    found = certificate.verify_certificate(path.read_bytes(), world.db.verifier)
    assert found.ok, found.message
    assert found.statement is not None
    return found.statement


def run(world: World) -> None:
    sessions.sandbox_started(world.db, plan(world), "ab12", "", "c", "sha256:0", {}, AT)


def test_a_destroyed_version_is_gone_for_everybody(world: World) -> None:
    world.ready()
    destroy(world)
    assert not (world.settings.datasets / "nafld/1").exists()
    with pytest.raises(AccessRefused) as refused:
        plan(world)
    assert refused.value.reasons == ("version_destroyed",)
    with pytest.raises(GrantRefused):
        world.grant()
    with pytest.raises(ProvisioningFault):
        datasheet.look_at(world.db, world.settings, "nafld/1")


def test_the_certificate_names_what_came_of_it_and_is_signed(world: World) -> None:
    world.ready()
    run(world)
    sessions.sandbox_stopped(world.db, "ab12", "Done.", AT)
    statement = statement_of(world, destroy(world))
    assert (statement["version"], statement["destroyed_by"], statement["reason"]) == (
        "nafld/1",
        "stella",
        "Retention is over.",
    )
    assert [mount["sandbox"] for mount in statement["mounts"]] == ["ab12"]
    assert [grant["project"] for grant in statement["grants"]] == ["liver"]
    assert statement["tables"][0]["rows"] == 3
    (entry,) = world.entries("dataset.destroyed")
    assert entry["facts"]["digest"] == statement["digest"]


def copied(world: World) -> None:
    """A masked copy, a copy of that, a twin of the copy, and a dataset that has nothing to do with them."""
    with world.db.transaction(START) as t:
        for name in ("nafld-twin", "sheep"):
            made = {"title": name, "description": "", "provider": "farm", "classification": 1, "registered_by": "adam"}
            t.execute(insert(s.dataset).values(name=name, registered_at=t.at, **made))
        for version, recipe in (
            ("nafld/2", {"from": "nafld/1"}),
            ("nafld/3", {"from": "nafld/2"}),
            ("nafld-twin/1", {"twin_of": "nafld/2"}),
            ("sheep/1", {"from": "sheep/0"}),
        ):
            name, _, number = version.partition("/")
            row = {
                "dataset": name,
                "number": int(number),
                "digest": number * 64,
                "state": "available",
                "folder": version,
            }
            t.execute(
                insert(s.dataset_version).values(
                    id=version, recipe=json.dumps(recipe), registered_at=t.at, registered_by="adam", **row
                )
            )
        t.record(Entry("dataset.masked", "adam", {"version": "nafld/2"}, {}))


def left(world: World, number: int, version: str, item: str, *, table: bool) -> None:
    """A release of one item; only what is a table stands in the joint audit's index."""
    with world.db.transaction(START) as t:
        asked = {"project": "liver", "author": "ana", "state": "released", "revision": 1, "purpose": "p", "title": "t"}
        columns = {c.name for c in s.release_request.c}
        needed = {c.name: "" for c in s.release_request.c if not c.nullable and c.name not in ("id", *asked)}
        values = {**needed, **{k: v for k, v in asked.items() if k in columns}}
        t.execute(insert(s.release_request).values(id=number, **values))
        digests = {"bundle": "b" * 64, "certificate": "c" * 64}
        t.execute(insert(s.release).values(id=number, request=number, revision=1, released_at=t.at, **digests))
        t.execute(
            insert(s.release_size).values(release=number, item=item, versions=json.dumps([version]), cells=0, bytes=1)
        )
        if table:
            t.execute(
                insert(s.released_table).values(
                    release=number, item=item, version=version, canonical_sql="SELECT 1", suppressed="[]"
                )
            )
        t.record(Entry("release.made", "ana", {"release": str(number)}, {}))


def test_the_certificate_lists_every_kind_of_release_of_the_version_and_of_its_copies(world: World) -> None:
    world.ready()
    copied(world)
    left(world, 1, "nafld/1", "angina.csv", table=True)
    left(world, 2, "nafld/1", "report.txt", table=False)
    left(world, 3, "nafld/3", "analysis.ipynb", table=False)
    left(world, 4, "sheep/1", "wool.csv", table=True)
    left(world, 5, "nafld/11", "other.txt", table=False)
    made = statement_of(world, destroy(world))["releases"]
    assert [(r["version"], r["release"], r["request"], r["items"], r["revoked_at"]) for r in made] == [
        ("nafld/1", 1, "R-1", ["angina.csv"], None),
        ("nafld/1", 2, "R-2", ["report.txt"], None),
        ("nafld/3", 3, "R-3", ["analysis.ipynb"], None),
    ]
    assert all(r["released_at"] for r in made)


def test_the_certificate_lists_copies_twins_and_mounts_of_copies(world: World) -> None:
    world.ready()
    copied(world)
    with world.db.transaction(START) as t:
        needed = {c.name: "" for c in s.sandbox.c if not c.nullable}
        for name, version in (("ab12", "nafld/3"), ("cd34", "sheep/1")):
            t.execute(insert(s.sandbox).values(**{**needed, "id": name, "person": "ana", "project": "liver"}
                | {"versions": json.dumps([version]), "started_at": t.at, "stopped_at": t.at}))  # fmt: skip
        t.record(Entry("sandbox.started", "ana", {"sandbox": "ab12"}, {}))
    made = statement_of(world, destroy(world))
    assert made["masked_copies"] == ["nafld/2", "nafld/3"]
    assert made["twins"] == ["nafld-twin/1"]
    assert [(m["version"], m["sandbox"], m["person"]) for m in made["mounts"]] == [("nafld/3", "ab12", "ana")]


@pytest.mark.parametrize("actor", ["adam", "ana", "stan"])
def test_only_a_steward_destroys(world: World, actor: str) -> None:
    world.ready()
    with pytest.raises(destruction.DestructionRefused):
        destroy(world, actor=actor)
    assert (world.settings.datasets / "nafld/1").exists()
    assert world.entries("dataset.destroyed") == []


def test_nothing_is_pulled_away_under_a_running_sandbox(world: World) -> None:
    world.ready()
    run(world)
    with pytest.raises(destruction.DestructionRefused, match="running"):
        destroy(world)
    sessions.sandbox_stopped(world.db, "ab12", "Done.", AT)
    destroy(world)


def test_nothing_is_destroyed_twice_without_reason_or_unregistered(world: World) -> None:
    world.ready()
    with pytest.raises(RegistrationRefused):
        destroy(world, reason=" ")
    with pytest.raises(NotFound):
        destroy(world, version="nafld/9")
    destroy(world)
    with pytest.raises(destruction.DestructionRefused):
        destroy(world)


def test_a_crash_before_the_files_are_gone_is_finished_by_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ready()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(destruction, "remove_folder", crash)
    with pytest.raises(KeyboardInterrupt):
        destroy(world)
    with pytest.raises(AccessRefused):
        plan(world)
    catalogue.sweep(world.db, world.settings)
    assert not (world.settings.datasets / "nafld/1").exists()


def test_a_crash_right_after_the_commit_loses_no_certificate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ready()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(destruction.Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            destroy(world)
    (path,) = destruction.settle_certificates(world.db, world.settings)
    assert statement_of(world, path)["version"] == "nafld/1"
    assert destruction.settle_certificates(world.db, world.settings) == []


def test_a_certificate_of_a_destruction_that_was_rolled_back_is_removed(world: World) -> None:
    world.ready()
    pending = world.home / "certificates" / "destroyed-nafld-1.pending"
    pending.parent.mkdir(exist_ok=True)
    pending.write_text("not committed")
    assert destruction.settle_certificates(world.db, world.settings) == []
    assert not pending.exists()
