"""A real sandbox: what it uses is measured, it ends when its grant does, and approved packages can be imported in it."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provisioning.domain.errors import ProvisioningFault
from provisioning.sandbox.image import LOCK, download
from provisioning.sandbox.mounts import Folders
from provisioning.sandbox.spawner import SandboxSpawner
from provisioning.sandbox.store_book import StoreBook
from provisioning.service import catalogue, destruction, projects, shelf
from store import clock, schema
from store.usage import usage
from tests.unit.provisioning.wheels import lock_of, wheel
from tests.unit.provisioning.world import DAY, PURPOSE, World
from tests.unit.sandbox.rig import Rig
from vault import Vault
from workbench.runtime import doctor

pytestmark = pytest.mark.docker
pytest_plugins = ["tests.unit.sandbox.fixtures"]
ANALYST = ["analysts"]


def ready(rig: Rig, **quotas: int) -> World:
    """The rig's installation with a registered dataset, a project and a grant that hold today."""
    rig.settings = replace(rig.settings, policy_engine="regopy")
    world = World(rig.settings.home)
    world.settings = rig.settings
    world.register()
    at = clock.now()
    world.project(ends=at + 300 * DAY)
    world.grant(at=at, expires_at=at + 100 * DAY, quotas=quotas, purpose=PURPOSE)
    rig.keeper.book = StoreBook(rig.settings)
    return world


def spawner(rig: Rig) -> SandboxSpawner:
    user = SimpleNamespace(name="ana", groups=[SimpleNamespace(name="analysts")], escaped_name="ana", settings={})
    hub = SimpleNamespace(base_url="/hub/", api_url="http://127.0.0.1:8081/hub/api", public_host="")
    made = SandboxSpawner(user=user, hub=hub, db=None, orm_spawner=None, keeper=rig.keeper, api_token="")
    made.user_options = {"project": "liver"}
    return made


@pytest.fixture
async def started(rig: Rig) -> AsyncIterator[tuple[World, SandboxSpawner]]:
    world = ready(rig, processor_seconds=10_000)
    made = spawner(rig)
    await made.start()
    yield world, made
    await made.stop()


def inside(rig: Rig, made: SandboxSpawner, code: str) -> str:
    return rig.inside(SimpleNamespace(container=made.object_id), code)  # type: ignore[arg-type]


async def test_use_is_measured_and_a_revoked_grant_ends_it(rig: Rig, started: tuple[World, SandboxSpawner]) -> None:
    world, made = started
    assert await made.poll() is None
    inside(rig, made, "sum(i * i for i in range(20_000_000)); open('/data/nafld/people.parquet', 'rb').read()")
    sandbox = made.sandbox_id
    projects.revoke_grant(world.db, grant=1, reason="Over.", actor="stella", at=clock.now())
    ended = await made.poll()
    assert isinstance(ended, str)
    assert "revoked" in ended
    assert await rig.keeper.state(sandbox) is None
    assert not Folders.of(rig.settings, sandbox).root.exists()
    with world.db.read() as c:
        used = usage(c, project="liver", version="nafld/1")
    assert used.processor_seconds >= 1
    assert used.memory_bytes > 10 * 1024**2
    (entry,) = world.entries("sandbox.stopped")
    assert "revoked" in entry["facts"]["reason"]
    assert entry["facts"]["used"]["read_bytes"] > 0


async def test_a_used_up_quota_of_processor_time_ends_it(rig: Rig, started: tuple[World, SandboxSpawner]) -> None:
    world, made = started
    inside(rig, made, "sum(i * i for i in range(20_000_000))")
    projects.change_quotas(
        world.db, grant=1, quotas={"processor_seconds": 1}, reason="Less.", actor="stella", at=clock.now()
    )
    assert await made.poll() == "The processor time granted for nafld/1 is used up."


# -- a dataset that goes away --------------------------------------------------------------------------------------------
async def test_a_dataset_removed_under_a_running_sandbox_harms_nobody_else(
    rig: Rig, started: tuple[World, SandboxSpawner]
) -> None:
    """Somebody removes the sealed files by hand: what was opened goes on, nothing new opens, and doctor names the version."""
    world, made = started
    with pytest.raises(ProvisioningFault, match="running sandboxes have it mounted"):
        destruction.destroy_version(
            world.db, world.settings, version="nafld/1", reason="Over.", actor="stella", at=clock.now()
        )
    catalogue.remove_folder(world.settings.datasets / "nafld/1")
    read = "import pandas; print(len(pandas.read_parquet('/data/nafld/people.parquet')))"
    assert inside(rig, made, read).strip() == "3"
    assert await made.poll() is None
    found = {each["name"]: each for each in doctor.examine(world.settings)["findings"]}["vault"]
    assert not found["well"]
    assert "nafld/1" in found["said"]
    await made.stop()
    assert not list(Vault(world.settings).root.glob("*/*"))
    again = spawner(rig)
    with pytest.raises(Exception, match="nafld/1") as refused:
        await again.start()
    assert "Traceback" not in str(refused.value)
    assert not list(Vault(world.settings).root.glob("*/*"))


async def test_opened_files_removed_under_a_running_sandbox_end_it_cleanly(
    rig: Rig, started: tuple[World, SandboxSpawner]
) -> None:
    """Somebody clears the memory that the plain files lie in: reading fails in the sandbox, closing it leaves nothing."""
    world, made = started
    catalogue.remove_folder(Vault(world.settings).path("nafld/1"))
    gone = "import os; print(os.path.exists('/data/nafld/people.parquet'))"
    assert inside(rig, made, gone).strip() == "False"
    sandbox = made.sandbox_id
    await made.stop()
    assert await rig.keeper.state(sandbox) is None
    assert not Folders.of(rig.settings, sandbox).root.exists()
    again = spawner(rig)
    await again.start()  # opened anew from the sealed files, which are whole
    assert inside(rig, again, gone).strip() == "True"
    await again.stop()


# -- the package shelf --------------------------------------------------------------------------------------------------
def wheels(folder: Path) -> list[Path]:
    """A pure one, and a compiled one made of a library that the sandbox's Python can load."""
    fetched, lock = folder.parent / "fetched", folder.parent / "markupsafe.txt"
    blocks = re.split(r"\n(?=[a-z])", LOCK.read_text("utf-8"))
    lock.write_text(next(block for block in blocks if block.startswith("markupsafe==")) + "\n", "utf-8")
    download(lock, fetched)  # of its own: a machine that has the image may have no wheels
    (source,) = fetched.glob("markupsafe-*.whl")
    with zipfile.ZipFile(source) as archive:
        (library,) = (name for name in archive.namelist() if name.endswith(".so"))
        code = archive.read(library)
    files = {"fastdemo/__init__.py": b"", f"fastdemo/{Path(library).name}": code}
    pure = wheel(folder, "puredemo", files={"puredemo/__init__.py": b"ANSWER = 42\n"})
    return [pure, wheel(folder, "fastdemo", files=files, tag="cp313-cp313-manylinux_2_17_x86_64")]


USE = """
import json, os, subprocess, sys
import puredemo, fastdemo._speedups
pip = lambda *words: subprocess.run([sys.executable, "-m", "pip", "install", *words], capture_output=True, text=True)
have, lack = pip("puredemo", "fastdemo"), pip("notthere")
flags = [line.split()[3].split(",") for line in open("/proc/self/mounts") if line.split()[1] == "/opt/shelf"][-1]
def refused(path):
    try: open(path, "w")
    except OSError as no: return no.errno
print(json.dumps({"pure": puredemo.ANSWER, "fast": hasattr(fastdemo._speedups, "_escape_inner"), "have": [have.returncode, have.stdout],
    "lack": [lack.returncode, lack.stderr], "flags": flags, "write": refused("/opt/shelf/site/x.py"), "files": os.listdir("/opt/shelf")}))
"""


@pytest.mark.parametrize("waiting", [False, True], ids=["made", "claimed"])
async def test_approved_packages_are_there_without_a_network(rig: Rig, tmp_path: Path, waiting: bool) -> None:
    world = ready(rig)
    paths = wheels(tmp_path / "in")
    at = clock.now()
    edition = shelf.approve(
        world.db, rig.settings, lock=lock_of(*paths), fetch=download, actor="adam", at=at, wheels=tmp_path / "in"
    )
    if waiting:
        rig.keeper.pool.settings = rig.with_settings(waiting=1)
        await rig.keeper.pool.fill(1)
    plan = rig.keeper.book.plan("ana", ANALYST, "liver")
    opened = await rig.open(plan)  # type: ignore[arg-type]
    assert opened.was_waiting is waiting
    said = rig.inside(opened, USE)
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert (found["pure"], found["fast"]) == (42, True), said
    assert found["have"][0] == 0
    assert "already satisfied: fastdemo" in found["have"][1]
    assert found["lack"][0] != 0
    assert "No matching distribution" in found["lack"][1]
    assert {"ro", "nosuid", "nodev"} <= set(found["flags"])
    assert "noexec" not in found["flags"]
    assert found["write"] == 30  # EROFS
    assert sorted(found["files"]) == ["site", "wheels"]
    assert rig.keeper.prove(opened).holds
    with world.db.read() as c:
        (row,) = c.execute(schema.sandbox.select()).all()
    assert row.shelf == edition.digest
    await rig.keeper.close(opened.sandbox_id, "done")
    assert (rig.settings.shelf / edition.digest / "site" / "puredemo").is_dir()
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert {str(each["sha256"]) for each in edition.packages} == digests
