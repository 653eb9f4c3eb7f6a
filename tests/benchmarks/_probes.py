"""A real workbench beside two throw-away sandboxes: what its hub, its gate and a sandbox's neighbour take to answer."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import docker

from installation.settings import CHECKOUT, Ports, Settings, load
from provisioning.sandbox.prove.proving import facts_for, tried
from provisioning.sandbox.prove.throwaway import Stage, clear_stage, set_stage

WHO = ("neighbour", "hub", "gate")
_PAUSE = 0.06  # the gate lets one sandbox ask 20 times a second


class _OverSocket(http.client.HTTPConnection):
    """HTTP over a UNIX socket, reached through its folder's descriptor because its path may be long."""

    def __init__(self, path: Path) -> None:
        super().__init__("gate", timeout=10)
        self._path = path

    def connect(self) -> None:
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(10)
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


@dataclass
class Scene:
    """The workbench and the stage; every question is one that its answerer looks something up for."""

    settings: Settings
    stage: Stage

    def ask(self, who: str) -> float:
        """Seconds until the answer. Raises when there is none, or another than expected."""
        begun = time.perf_counter()
        if who == "neighbour":
            answered = self.stage.knocker.knock(self.stage.neighbour.sandbox_id)
            if answered is None:
                raise RuntimeError("the neighbour did not answer")
            return answered
        if who == "hub":
            self._expect(
                http.client.HTTPConnection("127.0.0.1", self.settings.ports.hub, timeout=10), "/hub/login", 200
            )
        else:  # the gate looks the sandbox up in the record, and does not find it
            self._expect(_OverSocket(self.settings.gate_socket), "/v1/session", 403)
        return time.perf_counter() - begun

    def _expect(self, connection: http.client.HTTPConnection, path: str, status: int) -> None:
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"X-Glovebox-Sandbox": self.stage.neighbour.sandbox_id})
            answer = connection.getresponse()
            answer.read()
        if answer.status != status:
            raise RuntimeError(f"{path} answered {answer.status}")

    def medians(self, rounds: int) -> dict[str, float]:
        """The median time of each, asked in turn."""
        times: dict[str, list[float]] = {who: [] for who in WHO}
        for _ in range(rounds):
            for who in WHO:
                times[who].append(self.ask(who))
            time.sleep(_PAUSE)
        return {who: statistics.median(taken) for who, taken in times.items()}

    @contextlib.contextmanager
    def under(self, attack: str, seconds: float) -> Iterator[list[dict[str, str]]]:
        """Make one attempt again and again in the adversary's sandbox while the block lasts; what came of it."""
        facts: dict[str, Any] = {
            **facts_for(self.stage, self.stage.keeper.hardening(), self.settings),
            "only": [attack],
            "again_for": seconds,
        }
        seen: list[dict[str, str]] = []
        begun = threading.Event()

        def attacking() -> None:
            output = self.stage.run_inside(self.stage.adversary, facts)
            begun.set()
            seen.extend(tried(output, lambda _, __: None))

        thread = threading.Thread(target=attacking, daemon=True)
        thread.start()
        begun.wait(10)
        time.sleep(0.7)  # the adversary's program has started
        try:
            yield seen
        finally:
            thread.join(120)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _command(home: Path, word: str) -> None:
    environ = {**os.environ, "GLOVEBOX_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-m", "workbench", word],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)


@contextlib.contextmanager
def scene(image: str, client: docker.DockerClient) -> Iterator[Scene]:
    """A workbench of its own, started as people start it, and the two sandboxes; nothing of it is left at the end."""
    with tempfile.TemporaryDirectory(prefix="glovebox-neighbours-") as name:
        home = Path(name) / "home"
        home.mkdir()
        (home / "tools").symlink_to(load().tools)
        names = [each.name for each in fields(Ports)]
        ports = "\n".join(f"{key} = {port}" for key, port in zip(names, _free_ports(len(names)), strict=True))
        prefix = f"bench{secrets.token_hex(3)}"
        sandbox = f'image = "{image}"\ncontainer_prefix = "{prefix}"\nwaiting = 0\n'
        (home / "settings.toml").write_text(f"[ports]\n{ports}\n[sandbox]\n{sandbox}", "utf-8")
        settings = load(home)
        _command(home, "up")
        try:
            stage = asyncio.run(set_stage(settings, client))
            try:
                yield Scene(settings, stage)
            finally:
                clear_stage(stage.settings, stage.keeper, client)
        finally:
            _command(home, "down")
