"""One sandbox takes all it can, in every way; its neighbour keeps answering, and the offender is told."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from installation.settings import SandboxSettings, Settings
from provisioning.sandbox.image import ensure_image
from provisioning.sandbox.prove.outside import Neighbour, log_check
from provisioning.sandbox.prove.proving import facts_for, tried
from provisioning.sandbox.prove.throwaway import Stage, clear_stage, set_stage
from tests.unit.sandbox.rig import IMAGE, MIB

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
pytest_plugins = ["tests.unit.sandbox.fixtures"]


@pytest.fixture(scope="module")
def stage(engine: docker.DockerClient, sandbox_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    sandbox = SandboxSettings(image=IMAGE, container_prefix="sbtest-exhaust", memory=768 * MIB, waiting=0)
    settings = Settings(home=tmp_path_factory.mktemp("exhaustion") / "home", sandbox=sandbox)
    ensure_image(settings)
    made = asyncio.run(set_stage(settings, engine))
    yield made
    clear_stage(made.settings, made.keeper, engine)


def attack(stage: Stage, *names: str) -> list[dict[str, str]]:
    facts: dict[str, Any] = {**facts_for(stage, stage.keeper.hardening(), stage.settings), "only": list(names)}
    return list(tried(stage.run_inside(stage.adversary, facts), lambda _, __: None))


@pytest.mark.parametrize(
    "name",
    [
        "fork-bomb",
        "memory-bomb",
        "disk-fill-home",
        "disk-fill-tmp",
        "disk-fill-shm",
        "inode-fill-home",
        "inode-fill-tmp",
        "descriptors",
        "terminals",
        "processor",
        "log-flood",
        "socket-buffers",
    ],
)
def test_the_neighbour_keeps_answering(stage: Stage, name: str) -> None:
    with Neighbour(stage) as neighbour:
        (attempt,) = attack(stage, name)
        for _ in range(4):  # at least a few knocks, however short the attack was
            neighbour.knock()
    assert attempt["observed"] == "blocked", attempt
    assert None not in neighbour.answers, f"{name}: a knock was not answered"
    answers = [answer for answer in neighbour.answers if answer is not None]
    assert statistics.median(answers) < 1.0, neighbour.check()["observed"]


def test_the_log_stays_small_after_a_flood(stage: Stage) -> None:
    attack(stage, "log-flood")
    fact = log_check(stage, stage.adversary)
    assert fact["holds"], fact["observed"]


def test_the_offender_still_answers_and_is_told(stage: Stage) -> None:
    """Only the process that took too much is ended; the notebook server lives, and refusals name their errors."""
    attempts = attack(stage, "memory-bomb", "fork-bomb", "disk-fill-home")
    assert {attempt["id"]: attempt["detail"].split(" after")[0] for attempt in attempts} == {
        "memory-bomb": "killed by SIGKILL",
        "fork-bomb": "EAGAIN",
        "disk-fill-home": "ENOSPC",
    }
    assert stage.knocker.knock(stage.adversary.sandbox_id) is not None
