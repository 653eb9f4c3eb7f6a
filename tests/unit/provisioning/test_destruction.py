"""Destruction: who may, what it stops, what the certificate says, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ledger import certificate
from provisioning.domain.errors import AccessRefused, GrantRefused, NotFound, ProvisioningFault, RegistrationRefused
from provisioning.service import catalogue, datasheet, destruction, sessions
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
