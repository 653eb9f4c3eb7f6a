"""The same sandbox under gVisor, on an engine of this test's own: proved at the start, and tried by the same adversary.

Set-up for tests brings `runsc` where Debian has it. Where it is missing these tests fail rather than being left out: a check that did
not run must not look like one that held.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from installation.settings import SandboxSettings, Settings
from provisioning.sandbox import containers
from provisioning.sandbox.errors import IsolationDrift
from provisioning.sandbox.prove import Report, run
from provisioning.sandbox.prove.in_gvisor import KNOWN_IN_GVISOR
from provisioning.sandbox.prove.proving import ENDING, KNOWN_OPEN
from tests.unit.sandbox.rig import IMAGE, MIB, Rig

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
pytest_plugins = ["tests.unit.sandbox.fixtures"]

ARGUMENTS = ["--platform=ptrace", "--network=none", "--host-uds=all"]  # as docs/how-to/another-kernel.md says


@pytest.fixture(scope="module")
def gvisor(engine: docker.DockerClient, sandbox_image: str) -> Iterator[docker.DockerClient]:
    """An engine that knows runsc, with data, socket and network of its own; the one that others use is left alone."""
    if shutil.which("runsc") is None or os.geteuid() != 0:
        pytest.fail(
            "gVisor was not tested: it needs runsc (on Debian: apt-get install runsc) and root, for an engine of its own."
        )
    folder = Path(tempfile.mkdtemp(prefix="gv-"))
    runtime = {"runsc": {"path": shutil.which("runsc"), "runtimeArgs": ARGUMENTS}}
    (folder / "daemon.json").write_text(json.dumps({"runtimes": runtime}), "utf-8")
    told = {
        "config-file": folder / "daemon.json",
        "data-root": folder / "data",
        "exec-root": folder / "exec",
        "pidfile": folder / "pid",
        "host": f"unix://{folder}/docker.sock",
        "bridge": "none",
        "iptables": "false",
    }
    with (folder / "log").open("wb") as log:
        # In a network of its own: an engine without a bridge removes the one that it finds, which is another engine's.
        command = ["unshare", "--net", "dockerd", *(f"--{name}={value}" for name, value in told.items())]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    client = docker.DockerClient(f"unix://{folder}/docker.sock", version="auto", timeout=120) if _up(folder) else None
    try:
        assert client is not None, (folder / "log").read_text("utf-8")[-3000:]
        client.images.load(engine.images.get(IMAGE).save(named=IMAGE))
        yield client
    finally:
        if client is not None:
            for left in client.containers.list(all=True):
                left.remove(force=True, v=True)
            client.close()
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _up(folder: Path) -> bool:
    for _ in range(300):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(folder / "docker.sock"))
            except OSError:
                time.sleep(0.1)
            else:
                return True
    return False


@pytest.fixture
def rig(gvisor: docker.DockerClient, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "home", gvisor, runtime="runsc")
    yield made
    made.close()


# -- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"CapDrop": [], "CapAdd": ["SYS_PTRACE"]}, "gVisor was told: capabilities"),
        ({"ReadonlyRootfs": False}, "gVisor was told: read-only root"),
        ({"Binds": ["/etc:/mnt/etc:ro"]}, "host gives gVisor: unknown mounts"),
        ({"Memory": 0, "MemorySwap": 0}, "cgroup memory"),
        ({"Ulimits": []}, "gVisor was told: limit fsize"),
    ],
)
async def test_each_weakening_is_seen_from_outside(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], named: str
) -> None:
    honest = containers.create_arguments

    def weakened(*args: Any, **kwargs: Any) -> dict[str, Any]:
        arguments = honest(*args, **kwargs)
        arguments["host_config"].update(change)
        return arguments

    monkeypatch.setattr(containers, "create_arguments", weakened)
    with pytest.raises(IsolationDrift) as refusal:
        await rig.open()
    assert named in (refusal.value.private or "")
    assert not rig.client.containers.list(all=True)


# -- what holds -------------------------------------------------------------------------------------------------------
async def test_a_sandbox_is_proved_and_works(rig: Rig) -> None:
    opened = await rig.open()
    facts = {fact.name: fact.observed for fact in rig.book.proofs[opened.sandbox_id].facts}
    assert facts["gVisor's processes"] == "runsc-gofer,runsc-sandbox"
    assert facts["system calls are answered by"] == "the sentry"
    assert facts["host enforces on gVisor: Seccomp"] == "2"
    said = rig.inside(opened, "import duckdb, pandas; print(open('/proc/version').read(), len(pandas.DataFrame([1])))")
    assert "4.4.0" in said, "gVisor's own kernel says which one it is"
    assert said.strip().endswith("1")
    refused = rig.inside(opened, "open('/data/nafld/nafld.csv', 'a').write('x')")
    assert "Read-only file system" in refused or "Permission denied" in refused


@pytest.fixture(scope="module")
def report(gvisor: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Report:
    sandbox = SandboxSettings(image=IMAGE, runtime="runsc", memory=768 * MIB, container_prefix="sbtest-gv", waiting=0)
    settings = Settings(home=tmp_path_factory.mktemp("gvisor") / "home", sandbox=sandbox)
    settings.secrets.mkdir(parents=True, mode=0o700)
    return run(settings, client=gvisor)


def test_no_attempt_is_open_that_is_not_explained(report: Report) -> None:
    assert report.failures == []
    assert report.undecided == []
    assert report.exit_code == 0
    assert set(report.known) <= {*KNOWN_IN_GVISOR, *KNOWN_OPEN}
    assert report.counted()["blocked"] >= 100


def test_what_gives_the_host_or_a_neighbour_is_blocked(report: Report) -> None:
    """No explanation is accepted for these: what leaves, what is the host's, what is another's."""
    seen = {each["id"]: each["observed"] for each in report.attempts}
    for name in (
        "interfaces", "connect-host", "connect-metadata", "connect-out", "neighbour-tcp", "dns", "socket-vsock",
        "socket-packet", "write-dataset", "write-root", "secrets-in-files", "names-in-files", "names-in-processes",
        "lock-flock", "lock-record", "disk-fill-home", "log-flood", *ENDING,
    ):  # fmt: skip
        assert seen[name] == "blocked", name


def test_a_memory_bomb_ends_its_own_sandbox_and_the_neighbour_answers(report: Report) -> None:
    (bomb,) = [each for each in report.attempts if each["id"] == "memory-bomb"]
    assert "ended the whole sandbox" in bomb["detail"]
    (knocks,) = [each for each in report.outside if each["id"] == "the neighbour keeps answering"]
    assert knocks["holds"], knocks["observed"]
