"""Real sandboxes for tests: the keeper with the real engine, a fake book, and a door that only listens for Jupyter."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker

from installation.settings import SandboxSettings, Settings
from provisioning.domain.standing import Standing
from provisioning.sandbox.isolation import Proof
from provisioning.sandbox.keeper import Keeper, Opened
from provisioning.sandbox.mounts import Folders
from tests.conftest import IMAGE

MIB = 1024**2


@dataclass(frozen=True)
class Choice:
    name: str
    purpose: str
    title: str = ""
    expires_at: str = "2027-01-01T00:00:00Z"

    @property
    def asked(self) -> str:
        return self.name


@dataclass(frozen=True)
class Dataset:
    name: str
    version: str
    folder: Path
    tables: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def granted(self) -> str:
        return self.version


@dataclass(frozen=True)
class Plan:
    """What `provisioning.domain.mount_plan.MountPlan` offers to the keeper."""

    person: str
    uid: int
    project: str
    datasets: tuple[Dataset, ...] = ()
    purpose: str = "study"
    view: str = "open"
    limits: dict[str, Any] = field(default_factory=dict)
    grants: tuple[int, ...] = (1,)
    works_on: str = "data"
    shelf: tuple[str, Path] | None = None


@dataclass
class Book:
    """Remembers what the keeper recorded."""

    plans: dict[tuple[str, str], Plan] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)
    proofs: dict[str, Proof] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, Proof] = field(default_factory=dict)
    over: dict[str, str] = field(default_factory=dict)
    used: dict[str, Mapping[str, int]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def projects(self, person: str, groups: Sequence[str]) -> list[Choice]:
        return [Choice(p.project, p.purpose) for p in self.plans.values() if p.person == person]

    def plan(self, person: str, groups: Sequence[str], project: str) -> Plan:
        return self.plans[person, project]

    def started(self, plan: Plan, sandbox_id: str, server: str, container: str, image: str, proof: Proof) -> None:
        self.begun[sandbox_id] = container
        self.proofs[sandbox_id] = proof

    def stopped(self, sandbox_id: str, reason: str, used: Mapping[str, int] | None = None) -> None:
        if sandbox_id in self.open_sandboxes():
            self.ended[sandbox_id] = reason
            self.used[sandbox_id] = used or {}

    def measured(self, sandbox_id: str, used: Mapping[str, int]) -> None:
        self.used[sandbox_id] = used

    def refused(self, plan: Plan, sandbox_id: str, server: str, container: str, image: str, proof: Proof) -> None:
        self.refusals[sandbox_id] = proof

    def standing(self, sandbox_id: str, live: Mapping[str, Mapping[str, int]]) -> Standing:
        return Standing(self.over.get(sandbox_id), self.warnings)

    def open_sandboxes(self) -> dict[str, str]:
        return {name: container for name, container in self.begun.items() if name not in self.ended}


class Doors:
    """Stands where the session door stands: it knows open sandboxes and asks Jupyter over the served socket."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.opened: set[str] = set()
        self.warned: dict[str, tuple[str, ...]] = {}

    async def open(self, sandbox_id: str) -> None:
        self.opened.add(sandbox_id)

    async def close(self, sandbox_id: str, reason: str = "") -> None:
        self.opened.discard(sandbox_id)

    async def warn(self, sandbox_id: str, warnings: Sequence[str]) -> None:
        self.warned[sandbox_id] = tuple(warnings)

    async def wait_until_answering(self, sandbox_id: str, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while await asyncio.to_thread(get_status, self._settings, sandbox_id) != 200:
                await asyncio.sleep(0.05)


def served_socket(settings: Settings, sandbox_id: str) -> str:
    """A path short enough for AF_UNIX, through the folder's descriptor; the caller's process keeps it open."""
    folder = os.open(Folders.of(settings, sandbox_id).serve, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    return f"/proc/{os.getpid()}/fd/{folder}/jupyter.sock"


def door_facts(settings: Settings, sandbox_id: str) -> dict[str, str]:
    return dict(json.loads(Folders.of(settings, sandbox_id).door_file.read_text("utf-8")))


def get_status(settings: Settings, sandbox_id: str, path: str = "api/status") -> int:
    """The status with which Jupyter answers on its socket, 0 when nothing answers."""
    facts = door_facts(settings, sandbox_id)
    request = f"GET {facts['prefix']}{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: token {facts['token']}\r\n"
    folder = os.open(Folders.of(settings, sandbox_id).serve, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(f"/proc/self/fd/{folder}/jupyter.sock")
            client.sendall((request + "Connection: close\r\n\r\n").encode())
            return int(client.recv(100).split(b" ")[1])
    except (OSError, IndexError, ValueError):
        return 0
    finally:
        os.close(folder)


class Rig:
    """One temporary installation with its own container prefix; removes what it made."""

    def __init__(self, home: Path, client: docker.DockerClient, **sandbox: Any) -> None:
        prefix = "sbtest-" + secrets.token_hex(3)
        wanted = {
            "image": IMAGE,
            "container_prefix": prefix,
            "home_bytes": 64 * MIB,
            "memory": 768 * MIB,
            "waiting": 0,
            **sandbox,
        }
        self.settings = Settings(home=home, sandbox=SandboxSettings(**wanted))
        self.client = client
        self.book = Book()
        self.doors = Doors(self.settings)
        self.keeper = Keeper(self.settings, self.book, self.doors, client)  # type: ignore[arg-type]
        self.said: list[str] = []

    def dataset(self, name: str = "nafld", text: str = "id,age\n1,50\n2,60\n") -> Dataset:
        folder = self.settings.datasets / f"{name}-1"
        folder.mkdir(parents=True, exist_ok=True)
        table = folder / f"{name}.csv"
        if not table.exists():
            table.write_text(text, "utf-8")
            table.chmod(0o444)
        return Dataset(name, f"{name}/1", folder)

    def plan(self, person: str = "ana", project: str = "liver", uid: int = 20001, **more: Any) -> Plan:
        return Plan(person, uid, project, datasets=more.pop("datasets", (self.dataset(),)), **more)

    async def open(self, plan: Plan | None = None) -> Opened:
        plan = plan or self.plan()
        return await self.keeper.open(plan, "", f"/user/{plan.person}/", self._say)  # type: ignore[arg-type]

    async def _say(self, message: str, percent: int) -> None:
        self.said.append(message)

    def inside(self, opened: Opened, code: str, *, timeout: int = 60) -> str:
        """Run Python inside, with the sandbox's own limits and filter; standard output and error together."""
        command = ["timeout", str(timeout), "/opt/sandbox/bin/python", "-c", code]
        made = self.client.api.exec_create(opened.container, command)
        return bytes(self.client.api.exec_start(made["Id"])).decode("utf-8", "replace")

    def close(self) -> None:
        label = f"{self.settings.sandbox.container_prefix}-"
        for container in self.client.containers.list(all=True, filters={"name": label}):
            container.remove(force=True, v=True)
        folder = self.settings.sandboxes
        for each in sorted(folder.iterdir()) if folder.exists() else []:
            self.keeper._mounts.remove(each.name)
        shutil.rmtree(self.settings.home, ignore_errors=True)

    def with_settings(self, **sandbox: Any) -> Settings:
        return replace(self.settings, sandbox=replace(self.settings.sandbox, **sandbox))
