"""Waiting sandboxes on the real engine: nobody's until claimed, then proved like any other."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from provisioning.sandbox import pool as pool_module
from provisioning.sandbox.errors import IsolationDrift, MountFault
from provisioning.sandbox.mounts import Folders, mounts_below
from provisioning.sandbox.pool import EACH_BYTES, KEEP_FREE_BYTES, free_memory, hand_over, wanted
from tests.unit.sandbox.rig import Rig, get_status

pytestmark = pytest.mark.docker
pytest_plugins = ["tests.unit.sandbox.fixtures"]


@pytest.fixture
def pooled(rig: Rig, engine: Any, tmp_path: Path) -> Any:
    made = Rig(tmp_path / "pooled", engine, waiting=2)
    yield made
    made.close()


# -- before the claim -------------------------------------------------------------------------------------------------
async def test_a_waiting_sandbox_holds_no_secret_and_no_identity(pooled: Rig) -> None:
    pooled.plan()
    await pooled.keeper.pool.fill(1)
    (one,) = pooled.keeper.pool.waiting
    inspected = str(pooled.client.api.inspect_container(one.container))
    assert "ana" not in inspected.replace("analyst", "")
    assert "liver" not in inspected
    assert "TOKEN" not in inspected.upper()
    assert one.uid > 2**21
    said = pooled.inside(one, "import os; print(os.listdir('/data'), os.listdir('/home/analyst'), sorted(os.environ))")  # type: ignore[arg-type]
    assert said.startswith("[] [] ")
    assert "GLOVEBOX" not in said
    assert not Folders.of(pooled.settings, one.sandbox_id).door_file.exists()
    assert not pooled.book.begun


async def test_a_link_in_place_of_the_claim_socket_gets_no_identity(tmp_path: Path) -> None:
    (tmp_path / "claim.sock").symlink_to("/run/docker.sock")
    with pytest.raises(Exception, match="did not answer"):
        hand_over(tmp_path, {"JUPYTER_TOKEN": "secret"})
    (tmp_path / "claim.sock").unlink()
    os.mkfifo(tmp_path / "claim.sock")
    with pytest.raises(Exception, match="did not answer"):
        hand_over(tmp_path, {"JUPYTER_TOKEN": "secret"})


# -- the claim --------------------------------------------------------------------------------------------------------
async def test_a_claim_is_proved_recorded_and_fast(pooled: Rig) -> None:
    plan = pooled.plan()
    await pooled.keeper.pool.fill(1)
    start = time.monotonic()
    opened = await pooled.open(plan)
    seconds = time.monotonic() - start
    assert opened.was_waiting
    assert seconds < 2.0, f"{seconds:.2f} s"
    proof = pooled.book.proofs[opened.sandbox_id]
    assert proof.holds
    names = {fact.name for fact in proof.facts}
    assert {"/home/analyst kind", "/data/nafld read-only", "/home/analyst nosymfollow", "process CapBnd"} <= names
    assert get_status(pooled.settings, opened.sandbox_id) == 200
    assert not pooled.keeper.pool.waiting


async def test_data_and_home_are_there_and_the_claim_socket_is_gone(pooled: Rig) -> None:
    await pooled.keeper.pool.fill(1)
    opened = await pooled.open()
    code = """
import os
print(open('/data/nafld/nafld.csv').read().split()[0], os.listdir('/run/glovebox/serve'))
for path in ('/data/nafld/x', '/data/x'):
    try: open(path, 'w')
    except OSError as refusal: print(refusal.errno)
open('/home/analyst/note', 'w').write('mine'); print(os.stat('/home/analyst/note').st_uid == os.getuid())
"""
    lines = pooled.inside(opened, code).split("\n")
    assert lines[0] == "id,age ['jupyter.sock']"
    assert set(lines[1:3]) <= {"30", "13"}
    assert lines[3] == "True"


async def test_the_home_is_the_same_whether_claimed_or_started_cold(pooled: Rig) -> None:
    """On disk a home carries its person's number, whatever number a sandbox ran under."""
    await pooled.keeper.pool.fill(1)
    warm = await pooled.open()
    pooled.inside(warm, "open('/home/analyst/note', 'w').write('from a claim')")
    await pooled.keeper.close(warm.sandbox_id, "test")
    cold = await pooled.open()
    assert not cold.was_waiting
    code = "import os; print(open('/home/analyst/note').read(), os.stat('/home/analyst/note').st_uid)"
    assert pooled.inside(cold, code) == "from a claim 20001\n"
    await pooled.keeper.close(cold.sandbox_id, "test")
    await pooled.keeper.pool.fill(1)
    again = await pooled.open()
    assert again.was_waiting
    code = "open('/home/analyst/note', 'a').write('!'); print(open('/home/analyst/note').read())"
    assert pooled.inside(again, code) == "from a claim!\n"


async def test_drift_in_a_waiting_sandbox_refuses_the_claim(pooled: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning.sandbox import containers

    honest = containers.create_arguments

    def careless(*args: Any, **kwargs: Any) -> dict[str, Any]:
        arguments = honest(*args, **kwargs)
        arguments["host_config"]["PidsLimit"] = 0
        return arguments

    monkeypatch.setattr(containers, "create_arguments", careless)
    await pooled.keeper.pool.fill(1)
    with pytest.raises(IsolationDrift):
        await pooled.open()
    assert len(pooled.book.refusals) == 1
    assert not mounts_below(pooled.settings.sandboxes)


async def test_a_dead_waiting_sandbox_is_passed_over(pooled: Rig) -> None:
    await pooled.keeper.pool.fill(1)
    (one,) = pooled.keeper.pool.waiting
    pooled.client.containers.get(one.container).kill()
    opened = await pooled.open()
    assert not opened.was_waiting
    assert get_status(pooled.settings, opened.sandbox_id) == 200
    assert [each.name for each in pooled.settings.sandboxes.iterdir()] == [opened.sandbox_id]


async def test_a_waiting_sandbox_that_does_not_answer_costs_only_time(
    pooled: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pooled.keeper.pool.fill(1)
    monkeypatch.setattr(pool_module, "CLAIM_SOCKET", "no.sock")
    opened = await pooled.open()
    assert not opened.was_waiting
    assert list(pooled.book.begun) == [opened.sandbox_id]


async def test_a_home_in_use_is_not_brought_in_twice(pooled: Rig) -> None:
    await pooled.keeper.pool.fill(2)
    first = await pooled.open()
    with pytest.raises(MountFault):
        await pooled.open()
    assert get_status(pooled.settings, first.sandbox_id) == 200


async def test_closing_a_claimed_sandbox_leaves_nothing(pooled: Rig) -> None:
    await pooled.keeper.pool.fill(2)
    opened = await pooled.open()
    await pooled.keeper.close(opened.sandbox_id, "test")
    await pooled.keeper.pool.close()
    assert not mounts_below(pooled.settings.sandboxes)
    assert not list(pooled.settings.sandboxes.iterdir())
    assert not pooled.client.containers.list(all=True, filters={"name": pooled.settings.sandbox.container_prefix})


# -- the size ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("limit", "claims", "free", "expected"),
    [
        (3, 0, 64 * 1024**3, 1),
        (3, 1, 64 * 1024**3, 2),
        (3, 9, 64 * 1024**3, 3),
        (0, 9, 64 * 1024**3, 0),
        (3, 9, KEEP_FREE_BYTES, 0),
        (3, 9, KEEP_FREE_BYTES + EACH_BYTES, 1),
        (3, 9, 0, 0),
    ],
)
def test_how_many_wait_follows_use_and_memory(limit: int, claims: int, free: int, expected: int) -> None:
    assert wanted(limit, claims, free) == expected


def test_a_kernel_that_does_not_say_has_no_free_memory(tmp_path: Path) -> None:
    silent = tmp_path / "meminfo"
    silent.write_text("MemTotal: 1 kB\n")
    assert free_memory(silent) == 0


@pytest.mark.parametrize("runtime", ["runsc", "kata"])
def test_a_runtime_with_its_own_kernel_starts_cold(engine: Any, tmp_path: Path, runtime: str) -> None:
    assert not Rig(tmp_path / "home", engine, waiting=2, runtime=runtime).keeper.pool.possible
