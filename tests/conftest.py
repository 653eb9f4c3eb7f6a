"""Fixtures that every room may use: an installation of its own, a real workbench, the real engines.

Each installation has its own state folder, free ports and container prefix, so that tests do not meet each other or the
installation of whoever runs them; programs that set-up brought (proxy, OPA) are shared with the latter.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import docker
import pytest

from installation.settings import CHECKOUT, Ports, Settings, load

# A name of this checkout's own: two checkouts tested on one machine do not move each other's image.
IMAGE = f"glovebox/sandbox:tested-{hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]}"


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now; all held until the last is found, so that none comes twice."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def make_installation(home: Path, extra: str = "") -> Settings:
    """A state folder with settings of its own and nothing else in it; ``extra`` is TOML for the top of its settings."""
    home.mkdir(parents=True, exist_ok=True)
    shared = load().tools
    if shared.is_dir() and not (home / "tools").exists():
        (home / "tools").symlink_to(shared)
    names = [f.name for f in fields(Ports)]
    ports = "\n".join(f"{name} = {port}" for name, port in zip(names, free_ports(len(names)), strict=True))
    prefix = f"gbtest{secrets.token_hex(3)}"
    sandbox = f'container_prefix = "{prefix}"\nimage = "{IMAGE}"\nhome_bytes = {64 * 1024**2}'
    text = f"{extra}\n[ports]\n{ports}\n[sandbox]\n{sandbox}\n"
    (home / "settings.toml").write_text(text, "utf-8")
    return load(home)


def glovebox(settings: Settings, *words: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    """Run the command line as people do, on this installation."""
    environ = {**os.environ, "GLOVEBOX_HOME": str(settings.home), "PYTHONPATH": str(CHECKOUT), "COLUMNS": "160"}
    environ.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "workbench", *words]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False, timeout=timeout
    )


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    """Give back the umask: commands that a test calls in this process narrow it, and folders that a later test lays out
    for a sandbox could not be read by its person."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation of its own: temporary state folder, free ports, container prefix."""
    return make_installation(tmp_path / "home")


@pytest.fixture(scope="session")
def opa_binary() -> str:
    """The real OPA."""
    from workbench.setup import opa

    found = opa.binary(load())
    if found is None:
        pytest.fail("OPA is not there; ./glovebox setup brings it")
    return str(found)


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def built_image(docker_client: docker.DockerClient) -> str:
    """The sandbox image of this checkout, built when something in it changed."""
    from provisioning.sandbox.image import ensure_image

    mine = load()
    return ensure_image(replace(mine, sandbox=replace(mine.sandbox, image=IMAGE)))


@pytest.fixture
def containers(settings: Settings, docker_client: docker.DockerClient) -> Iterator[Callable[[], list[str]]]:
    """Names of this installation's containers, running or not; what is left at the end is removed, its log printed."""

    def names() -> list[str]:
        return [one.name for one in _of(settings, docker_client)]

    yield names
    for left in _of(settings, docker_client):
        sys.stdout.write(f"--- {left.name}\n{left.logs(tail=40).decode('utf-8', 'replace')}\n")
        left.remove(force=True)


def _of(settings: Settings, client: docker.DockerClient) -> list[docker.models.containers.Container]:
    found = client.containers.list(all=True, filters={"name": settings.sandbox.container_prefix})
    return [one for one in found if one.name.startswith(settings.sandbox.container_prefix)]


@pytest.fixture(scope="module")
def workbench(tmp_path_factory: pytest.TempPathFactory, built_image: str) -> Iterator[Settings]:
    """A whole running workbench for a file of tests; stopped at the end, its log printed."""
    made = make_installation(tmp_path_factory.mktemp("workbench") / "home")
    started = glovebox(made, "up")
    try:
        if started.returncode != 0:
            pytest.fail(f"{started.stdout}{started.stderr}")
        yield made
    finally:
        stopped = glovebox(made, "down")
        sys.stdout.write((made.logs / "hub.log").read_text("utf-8", "replace")[-20_000:])
    if stopped.returncode != 0:
        pytest.fail(f"{stopped.stdout}{stopped.stderr}")
