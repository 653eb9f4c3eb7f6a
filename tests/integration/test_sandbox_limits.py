"""Limits that policy sets for a project's data are in force in the kernel, whether a sandbox waited or was started cold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from provisioning.sandbox.errors import IsolationDrift
from provisioning.sandbox.keeper import Opened
from provisioning.sandbox.limits import LimitsFault
from tests.unit.sandbox.rig import MIB, Rig

pytestmark = pytest.mark.docker
pytest_plugins = ["tests.unit.sandbox.fixtures"]

NARROW = {"memory_bytes": 600 * MIB, "processor_percent": 50, "processes": 100, "output_bytes": 20_000}


@pytest.fixture
def pooled(engine: docker.DockerClient, sandbox_image: str, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "pooled", engine, waiting=2)
    yield made
    made.close()


def in_force(rig: Rig, opened: Opened) -> dict[str, str]:
    """What the kernel's own files say, by the end of the fact's name."""
    facts = rig.book.proofs[opened.sandbox_id].facts
    return {fact.name.split(".", 1)[-1]: fact.observed for fact in facts if fact.name.startswith("cgroup ")}


# -- refusals ---------------------------------------------------------------------------------------------------------
async def test_limits_that_cannot_be_applied_start_nothing(rig: Rig) -> None:
    with pytest.raises(LimitsFault):
        await rig.open(rig.plan(limits={"memory_bytes": "much"}))
    assert not rig.book.begun
    assert not list(rig.settings.sandboxes.iterdir()) if rig.settings.sandboxes.exists() else True


async def test_a_waiting_sandbox_that_keeps_its_wide_limits_is_refused(
    pooled: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pooled.keeper.pool.fill(1)
    monkeypatch.setattr(pooled.keeper.containers, "narrow", lambda *_: None)
    with pytest.raises(IsolationDrift) as refusal:
        await pooled.open(pooled.plan(limits=NARROW))
    assert "cgroup memory" in (refusal.value.private or "")
    assert not pooled.book.begun


# -- what is in force -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("waits", [True, False])
async def test_narrower_limits_are_in_force_and_proved(pooled: Rig, waits: bool) -> None:
    if waits:
        await pooled.keeper.pool.fill(1)
    opened = await pooled.open(pooled.plan(limits=NARROW))
    assert opened.was_waiting is waits
    said: dict[str, Any] = in_force(pooled, opened)
    version = pooled.keeper.hardening().cgroup_version
    assert said["max"] == "100" or version == 2
    assert str(600 * MIB) in said.values()
    assert any(value.split()[0] == "50000" for value in said.values())
    assert pooled.keeper.prove(opened).holds


async def test_the_kernel_ends_who_takes_more_than_policy_gave(pooled: Rig) -> None:
    await pooled.keeper.pool.fill(1)
    opened = await pooled.open(pooled.plan(limits=NARROW))
    take = "import os; os.fork() or bytearray(620 * 2**20); print(os.waitstatus_to_exitcode(os.wait()[1]))"
    assert pooled.inside(opened, take).strip().endswith("-9")
    assert "exit" not in pooled.inside(opened, "print('the sandbox lives')")


async def test_without_a_word_of_policy_the_settings_stand(pooled: Rig) -> None:
    opened = await pooled.open()
    assert str(768 * MIB) in in_force(pooled, opened).values()
