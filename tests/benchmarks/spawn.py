"""Spawn: from the hub's request to a usable server, beside stock DockerSpawner with the same image, in turn.

Both hubs are real and alike but for the spawner; neither has a public proxy in front. Ours is complete: policy, mounts, proof of
isolation, ledger entry, session door. A start claims a waiting sandbox, as in daily use; `spawn_cold` is one with none waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker

from installation.settings import CHECKOUT, Settings, load
from policy_engine.in_process import InProcess
from provisioning.domain.registration import Registration, TableSource
from provisioning.sandbox.hardening import LABEL_HOME, LABEL_ROLE, home_label
from provisioning.sandbox.image import ensure_image
from provisioning.service.assessment import checklist
from provisioning.service.catalogue import register_dataset
from provisioning.service.projects import add_member, assess_project, create_project, give_grant
from store import clock
from store.database import Database
from tests.benchmarks.spawn_hub.common import PERSON
from workbench.bench.frame import Benchmark, Measured, Pair


@dataclass
class Hub:
    """One running hub and the token that starts servers on it."""

    port: int
    token: str
    process: subprocess.Popen[bytes]
    log: Path

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/hub/api{path}",
            method=method,
            data=json.dumps(body or {}).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=150) as answer:  # noqa: S310
            return int(answer.status)

    def start(self, options: dict[str, Any]) -> float:
        """Seconds until the hub calls the server usable."""
        begun = time.perf_counter()
        status = self.call("POST", f"/users/{PERSON}/server", options)
        if status != 201:
            raise RuntimeError(f"the hub answered {status}: {self.log.read_text('utf-8')[-2000:]}")
        return time.perf_counter() - begun

    def stop(self) -> None:
        with contextlib.suppress(urllib.error.HTTPError):
            self.call("DELETE", f"/users/{PERSON}/server")

    def wait(self) -> None:
        for _ in range(300):
            with contextlib.suppress(OSError):
                self.call("GET", "/users")
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise RuntimeError(self.log.read_text("utf-8")[-4000:])

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _installation(home: Path, image: str, prefix: str) -> Settings:
    """A small installation with one dataset, one project, one analyst."""
    doors, gate = _free_ports(2)
    home.mkdir(parents=True)
    (home / "settings.toml").write_text(
        f'policy_engine = "regopy"\n[ports]\ndoors = {doors}\ngate = {gate}\n'
        f'[sandbox]\nimage = "{image}"\ncontainer_prefix = "{prefix}"\nwaiting = 2\n',
        "utf-8",
    )
    settings = load(home)
    for folder in (settings.run, settings.secrets, settings.logs):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    table = home / "people.csv"
    table.write_text("id,age\n" + "\n".join(f"{n},{n % 90}" for n in range(5000)), "utf-8")
    database, at = Database.open(settings), clock.now()
    until = at + timedelta(days=1)
    wanted = Registration(
        dataset="people",
        title="People",
        description="Invented people.",
        provider="bench",
        classification=2,
        stewards=("stella",),
        tables=(TableSource("people", (table,), unit="id"),),
    )
    version = register_dataset(database, settings, wanted, actor="adam", at=at)
    create_project(
        database,
        name="bench",
        title="Bench",
        purpose="to measure",
        sponsor="adam",
        expires_at=until,
        actor="adam",
        at=at,
    )
    add_member(database, project="bench", person=PERSON, actor="adam", at=at)
    items = [row["item"] for row in checklist(InProcess(), levels=[2], assessed=[])["items"]]
    assess_project(database, name="bench", confirmed=items, actor="adam", at=at)
    give_grant(
        database, project="bench", version=str(version), purpose="to measure", expires_at=until, actor="stella", at=at
    )
    database.close()
    return settings


def _hub(name: str, folder: Path, environment: dict[str, str]) -> Hub:
    port = _free_ports(1)[0]
    token, log = secrets.token_hex(16), folder / f"{name}.log"
    given = {
        **os.environ,
        **environment,
        "PYTHONPATH": str(CHECKOUT),
        "BENCH_HUB_PORT": str(port),
        "BENCH_TOKEN": token,
        "BENCH_DOOR_TOKEN": secrets.token_hex(16),
        "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
    }
    config = CHECKOUT / "tests" / "benchmarks" / "spawn_hub" / f"{name}.py"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)], cwd=folder, env=given, stdout=file, stderr=file
        )
    hub = Hub(port, token, process, log)
    try:
        hub.wait()
    except BaseException:
        hub.end()
        raise
    return hub


def _one_waits(client: docker.DockerClient, settings: Settings) -> None:
    """Return when a waiting sandbox is ready to be claimed."""
    wanted = {"label": [f"{LABEL_HOME}={home_label(settings)}", f"{LABEL_ROLE}=waiting"]}
    for _ in range(600):
        for each in client.api.containers(filters=wanted):
            claim = settings.sandboxes / each["Names"][0].rsplit("-", 1)[1] / "serve" / "claim.sock"
            if claim.exists() and claim.stat().st_mode & 0o777 == 0o666:
                time.sleep(1.0)  # the machine comes to rest
                return
        time.sleep(0.1)
    raise RuntimeError("no sandbox waits")


@contextlib.contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    client = docker.from_env(timeout=120)
    prefix = "bench-" + secrets.token_hex(3)
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as name, contextlib.ExitStack() as after:
        after.callback(client.close)
        folder = Path(name)
        ensure_image(settings)
        ours_settings = _installation(folder / "home", settings.sandbox.image, prefix)
        after.callback(_clear, client, ours_settings, prefix)
        environment = {"GLOVEBOX_HOME": str(ours_settings.home)}
        ours = _hub("ours", folder, environment)
        after.callback(ours.end)
        stock = _hub("stock", folder, {"BENCH_IMAGE": settings.sandbox.image, "BENCH_PREFIX": prefix})
        after.callback(stock.end)

        def claim() -> float:
            _one_waits(client, ours_settings)
            seconds = ours.start({"project": "bench"})
            ours.stop()
            return seconds

        def plain() -> float:
            time.sleep(1.0)
            seconds = stock.start({})
            stock.stop()
            return seconds

        def items() -> Iterator[Pair | Measured]:
            cold = ours.start({"project": "bench"})  # the first start of a hub finds nobody waiting
            ours.stop()
            yield Pair("spawn_vs_stock_dockerspawner", claim, plain, runs=3 if quick else 7)
            yield Measured("spawn_cold_s", round(cold, 3))

        yield items()


def _clear(client: docker.DockerClient, settings: Settings, prefix: str) -> None:
    """Remove what the hubs left: containers by prefix, mounts by folder."""
    from provisioning.sandbox.mounts import SandboxMounts
    from provisioning.sandbox.privilege import privilege_for

    for container in client.containers.list(all=True, filters={"name": prefix}):
        container.remove(force=True, v=True)
    mounts = SandboxMounts(settings, privilege_for(settings, client))
    for each in sorted(settings.sandboxes.iterdir()) if settings.sandboxes.exists() else []:
        mounts.remove(each.name)


BENCHMARKS = [Benchmark("spawn", "from the hub's request to a usable server, beside stock DockerSpawner", prepare)]
