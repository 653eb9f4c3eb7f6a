"""Neighbours: how long a sandbox takes to answer while the one beside it takes all it can, against its idle time."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import docker

from installation.settings import Settings
from provisioning.sandbox.image import ensure_image
from provisioning.sandbox.prove.proving import facts_for, tried
from provisioning.sandbox.prove.throwaway import Stage, clear_stage, set_stage
from workbench.bench.frame import Benchmark, Measured, Pair

ATTACKS = ("processor", "fork-bomb", "memory-bomb", "disk-fill-home", "log-flood")
KNOCKS = 20


def _median_knock(stage: Stage) -> float:
    times = []
    for _ in range(KNOCKS):
        answered = stage.knocker.knock(stage.neighbour.sandbox_id)
        if answered is None:
            raise RuntimeError("the neighbour did not answer")
        times.append(answered)
        time.sleep(0.05)
    return statistics.median(times)


@contextlib.contextmanager
def _under(stage: Stage, attack: str) -> Iterator[None]:
    """Repeat one attack in the other sandbox for as long as the block lasts."""
    over = threading.Event()
    facts: dict[str, Any] = {**facts_for(stage, stage.keeper.hardening(), stage.settings), "only": [attack]}

    def again() -> None:
        while not over.is_set():
            list(tried(stage.run_inside(stage.adversary, facts), lambda _, __: None))

    thread = threading.Thread(target=again, daemon=True)
    thread.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        over.set()
        thread.join(120)


@contextlib.contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    client = docker.from_env(timeout=120)
    ensure_image(settings)
    stage = asyncio.run(set_stage(settings, client))

    def items() -> Iterator[Pair | Measured]:
        for attack in ATTACKS:

            def attacked(attack: str = attack) -> float:
                with _under(stage, attack):
                    return _median_knock(stage)

            name = f"neighbour_answers_during_{attack.replace('-', '_')}"
            yield Pair(name, attacked, lambda: _median_knock(stage), runs=2 if quick else 5)

    try:
        yield items()
    finally:
        clear_stage(stage.settings, stage.keeper, client)
        client.close()


BENCHMARKS = [Benchmark("neighbours", "a sandbox's answers while the one beside it takes all it can", prepare)]
