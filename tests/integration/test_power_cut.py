"""The power fails: what of a registration or destruction is on the disk afterwards, with a real file system on a real device.

The installation lies on an ext4 of its own that keeps what nobody asked to be written. A copy of the device, taken while it is
mounted, is what a machine finds that was switched off at that moment: the journal is replayed, everything else is gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from provisioning.service import catalogue, destruction
from provisioning.service.certificates import certificate_path
from store import schema
from tests.unit.provisioning.world import START, World

MIB = 1024**2


@contextmanager
def mounted(device: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir()
    # commit=300: the kernel would write everything every five seconds by itself, and hide what was not synced
    subprocess.run(["mount", "-o", "loop,commit=300", str(device), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class Machine:
    """A disk with an installation on it, and a way to see it as after a power cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.device = folder / "disk.img"
        with self.device.open("wb") as file:
            file.truncate(96 * MIB)
        subprocess.run(["mkfs.ext4", "-q", str(self.device)], check=True)

    def cut(self, name: str) -> Path:
        """The device as it is at this moment, without what is only in memory."""
        copy = self.folder / f"{name}.img"
        subprocess.run(["cp", "--sparse=always", str(self.device), str(copy)], check=True)
        return copy

    @contextmanager
    def after(self, cut: Path) -> Iterator[World]:
        """The installation as the next start finds it, with its left-overs swept."""
        with mounted(cut, self.folder / f"{cut.stem}-again") as folder:
            world = World(folder / "home")
            try:
                catalogue.sweep(world.db, world.settings)
                destruction.settle_certificates(world.db, world.settings)
                yield world
            finally:
                world.db.close()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if os.geteuid() != 0:
        pytest.fail("this test mounts a file system, so that it runs as root only")
    return Machine(tmp_path)


@contextmanager
def running(machine: Machine) -> Iterator[World]:
    with mounted(machine.device, machine.folder / "disk") as folder:
        world = World(folder / "home")
        try:
            yield world
        finally:
            world.db.close()


def rows(world: World, version: str) -> list[tuple[Any, ...]]:
    with world.opened(version) as folder, duckdb.connect() as connection:
        return connection.read_parquet(str(folder / "people.parquet")).fetchall()


def cutting(machine: Machine, cuts: list[Path]) -> Callable[..., None]:
    real = catalogue.put_in_place

    def put_in_place(*arguments: Any) -> None:
        cuts.append(machine.cut("before"))
        real(*arguments)
        cuts.append(machine.cut("after"))

    return put_in_place


def test_a_copy_of_the_device_lacks_what_was_not_synced(machine: Machine) -> None:
    """Otherwise the other tests here would pass whatever the product did."""
    with mounted(machine.device, machine.folder / "disk") as folder:
        (folder / "unsynced").write_text("x" * 5000)
        cut = machine.cut("proof")
    with mounted(cut, machine.folder / "again") as folder:
        assert not (folder / "unsynced").exists() or (folder / "unsynced").read_text() == ""


def test_a_registration_that_was_not_acknowledged_is_gone_or_whole(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts: list[Path] = []
    with running(machine) as world:
        world.register()
        monkeypatch.setattr(catalogue, "put_in_place", cutting(machine, cuts))
        world.register(content="id,age,event\n4,44,MI\n")
        monkeypatch.undo()
    for cut in cuts:
        with machine.after(cut) as world:
            assert [row.id for row in versions(world)] == ["nafld/1"]
            assert sorted(p.name for p in (world.settings.datasets / "nafld").iterdir()) == ["1"]
            assert sorted(p.name for p in (world.home / "certificates").iterdir()) == ["registered-nafld-1.json"]
            assert len(rows(world, "nafld/1")) == 3
            assert world.register(content="id,age,event\n4,44,MI\n") == "nafld/2"


def test_what_was_acknowledged_is_there_with_its_key_and_certificate(machine: Machine) -> None:
    with running(machine) as world:
        world.register()
        cut = machine.cut("acknowledged")
    with machine.after(cut) as world:
        assert [row.id for row in versions(world)] == ["nafld/1"]
        assert rows(world, "nafld/1") == [(1, 50, "MI"), (2, 61, None), (3, 47, "death")]
        assert certificate_path(world.settings, "registered", "nafld/1").stat().st_size > 0
        assert len(world.entries("dataset.registered")) == 1


def test_what_was_destroyed_stays_destroyed(machine: Machine) -> None:
    with running(machine) as world:
        world.register()
        kept = shutil.copytree(world.settings.datasets / "nafld/1", machine.folder / "stolen")
        destruction.destroy_version(
            world.db, world.settings, version="nafld/1", reason="Retention ended.", actor="stella", at=START
        )
        cut = machine.cut("destroyed")
    with machine.after(cut) as world:
        assert [row.state for row in versions(world)] == ["destroyed"]
        assert not (world.settings.datasets / "nafld/1").exists()
        assert certificate_path(world.settings, "destroyed", "nafld/1").stat().st_size > 0
        assert (kept / "key.json").read_bytes() not in cut.read_bytes()


def versions(world: World) -> list[Any]:
    with world.db.read() as c:
        return list(c.execute(schema.dataset_version.select().order_by(schema.dataset_version.c.id)))
