"""Reading a version out of the vault inside a real sandbox, beside a plain file bound into a container with the same image and limits.

Both hold the same Parquet file. DuckDB reads all columns, and a plain loop reads from start to end; each again with the plain file's pages
dropped from memory before. The vault's lie in memory as long as a sandbox holds the version, so that they are never cold.
`vault_open_s` is what the sandbox that opens a version first waits for it at its start. The setting `vault_place` counts here as in
daily use: the kind of tmpfs that it names decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import duckdb

from installation.settings import Settings
from provisioning.sandbox.image import ensure_image
from provisioning.sandbox.keeper import Keeper
from tests.unit.sandbox.rig import MIB, Dataset, Rig
from vault import Vault
from vault.place import place_of
from workbench.bench.frame import Benchmark, Measured, Pair

ROWS, ROWS_QUICK = 4_000_000, 400_000
VERSION, FILE = "bench/1", "visits.parquet"
INSIDE = f"/data/bench/{FILE}"

SCAN = f"""
import duckdb, time
with duckdb.connect(config={{"threads": 2, "memory_limit": "400MB"}}) as c:
    begun = time.perf_counter()
    c.execute("SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet('{INSIDE}')").fetchall()
    print(time.perf_counter() - begun)
"""
READ = f"""
import time
room = memoryview(bytearray(1 << 20))
begun = time.perf_counter()
with open("{INSIDE}", "rb", buffering=0) as file:
    while file.readinto(room):
        pass
print(time.perf_counter() - begun)
"""


def deliver(target: Path, rows: int) -> None:
    """Numbers, a date, a short code and a text that does not compress; about 60 bytes a row."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT hash(r) % 3000000 AS person, DATE '2015-01-01' + CAST(hash(r * 7) % 3650 AS INTEGER) AS visited,
            18 + hash(r * 5) % 80 AS age, (hash(r * 11) % 1000000) / 137.0 AS cost, 'ward-' || hash(r * 13) % 400 AS ward,
            md5(r::VARCHAR) AS note FROM range({rows}) t(r)) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""
        )


class Reading:
    """The sandbox with the vault's file, and the container with the plain one."""

    def __init__(self, rig: Rig, work: Path, rows: int) -> None:
        self._rig = rig
        self.plain = work / "plain" / FILE
        self.plain.parent.mkdir()
        deliver(self.plain, rows)
        self.plain.chmod(0o444)
        self._vault = self._sealed()
        self._beside = self._bound()

    def _sealed(self) -> Any:
        folder = self._rig.settings.datasets / VERSION
        folder.mkdir(parents=True)
        writer = Vault(self._rig.settings).writer(folder)
        with writer.pipe(FILE, folder) as pipe:
            with self.plain.open("rb") as source, pipe.path.open("wb") as into:
                shutil.copyfileobj(source, into, MIB)
            digest = pipe.sealed().digest
        begun = time.perf_counter()
        with Vault(self._rig.settings).opened({VERSION: {FILE: digest}}):
            self.opening = time.perf_counter() - begun
        held = Dataset("bench", VERSION, folder, ("visits",), {FILE: digest})
        return asyncio.run(self._rig.open(self._rig.plan(datasets=(held,))))

    def _bound(self) -> Any:
        """The sandbox's own limits, filter and user; only the mount differs."""
        ours = self._rig.client.api.inspect_container(self._vault.container)
        host = {name: ours["HostConfig"][name] for name in ("Memory", "MemorySwap", "PidsLimit", "Runtime", "Ulimits")}
        host |= {name: ours["HostConfig"][name] for name in ("NanoCpus", "CpuPeriod", "CpuQuota", "CpuShares")}
        host |= {name: ours["HostConfig"][name] for name in ("CapDrop", "SecurityOpt", "ReadonlyRootfs", "Tmpfs")}
        host |= {"NetworkMode": "none", "Binds": [f"{self.plain.parent}:/data/bench:ro"]}
        name = f"{self._rig.settings.sandbox.container_prefix}-plain"
        made = self._rig.client.api.create_container(
            ours["Image"],
            ["sleep", "infinity"],
            name=name,
            user=ours["Config"]["User"],
            host_config=host,
            entrypoint=[],
        )
        self._rig.client.api.start(made["Id"])
        return SimpleNamespace(container=made["Id"])

    def ours(self, code: str) -> float:
        return self._seconds(self._vault, code)

    def theirs(self, code: str, *, cold: bool = False) -> float:
        if cold:
            descriptor = os.open(self.plain, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
        return self._seconds(self._beside, code)

    def _seconds(self, container: Any, code: str) -> float:
        return float(self._rig.inside(container, code).split()[-1])


@contextlib.contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    client = docker.from_env(timeout=120)
    ensure_image(settings)
    try:
        with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as name:
            Path(name).chmod(0o755)  # the plain file's reader is another user
            rig = Rig(Path(name) / "home", client, image=settings.sandbox.image)
            place = Path(settings.vault_place) / Path(name).name if settings.vault_place else place_of(rig.settings)
            rig.settings = replace(rig.settings, vault_place=str(place))
            rig.keeper = Keeper(rig.settings, rig.book, rig.doors, client)  # type: ignore[arg-type]
            try:
                yield figures(Reading(rig, Path(name), ROWS_QUICK if quick else ROWS), 3 if quick else 9)
            finally:
                rig.close()
                shutil.rmtree(place)
    finally:
        client.close()


def figures(reading: Reading, runs: int) -> Iterator[Pair | Measured]:
    yield Measured("file_mb", round(reading.plain.stat().st_size / 1e6))
    yield Measured("vault_open_s", round(reading.opening, 2))
    for name, code in (("scan", SCAN), ("read", READ)):
        yield Pair(
            f"vault_{name}_vs_plain", lambda code=code: reading.ours(code), lambda code=code: reading.theirs(code), runs
        )  # type: ignore[misc]
        yield Pair(
            f"vault_{name}_vs_cold_plain",
            lambda code=code: reading.ours(code),  # type: ignore[misc]
            lambda code=code: reading.theirs(code, cold=True),  # type: ignore[misc]
            runs,
        )


BENCHMARKS = [
    Benchmark("vault", "reading a version inside a sandbox, beside a plain file in a like container", prepare)
]
