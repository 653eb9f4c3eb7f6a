"""Fixtures of every test that needs a real sandbox; a test file names this module in ``pytest_plugins``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from installation.settings import SandboxSettings, Settings, load
from provisioning.sandbox.image import ensure_image
from provisioning.sandbox.keeper import Opened
from tests.unit.sandbox.rig import IMAGE, Rig


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def sandbox_image(engine: docker.DockerClient) -> str:
    """The image of this checkout, built when something in it changed."""
    settings = Settings(home=load().home, sandbox=SandboxSettings(image=IMAGE))
    return ensure_image(settings)


@pytest.fixture
def rig(engine: docker.DockerClient, sandbox_image: str, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "home", engine)
    yield made
    made.close()


@pytest.fixture(scope="module")
def standing_rig(
    engine: docker.DockerClient, sandbox_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """One installation for a whole file of tests that only look."""
    made = Rig(tmp_path_factory.mktemp("installation") / "home", engine)
    yield made
    made.close()


@pytest.fixture(scope="module")
def standing(standing_rig: Rig) -> Opened:
    """One open sandbox for a whole file of tests that only look."""
    return asyncio.run(standing_rig.open())
