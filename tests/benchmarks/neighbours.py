"""Neighbours: what a neighbour, the hub and the gate take to answer while one sandbox takes all it can, against their idle time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker

from installation.settings import Settings
from provisioning.sandbox.image import ensure_image
from tests.benchmarks._probes import WHO, Scene, scene
from workbench.bench.frame import Benchmark, Measured, Pair

ATTACKS = (
    "processor",
    "fork-bomb",
    "memory-bomb",
    "disk-fill-home",
    "inode-fill-home",
    "descriptors",
    "log-flood",
)
ROUNDS = 40
SECONDS = 5.0  # of attack, as long as the rounds take


class Rounds:
    """One attack measures all who answer; each pair then takes what is its own."""

    def __init__(self, scene: Scene, attack: str) -> None:
        self._scene = scene
        self._attack = attack
        self._kept: dict[tuple[str, bool], list[float]] = {(who, under): [] for who in WHO for under in (True, False)}

    def value(self, who: str, under: bool) -> float:
        kept = self._kept[who, under]
        if not kept:
            for each, seconds in self._measured(under).items():
                self._kept[each, under].append(seconds)
        return kept.pop(0)

    def _measured(self, under: bool) -> dict[str, float]:
        if not under:
            return self._scene.medians(ROUNDS)
        with self._scene.under(self._attack, SECONDS):
            return self._scene.medians(ROUNDS)


@contextlib.contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    client = docker.from_env(timeout=120)
    ensure_image(settings)
    try:
        with scene(settings.sandbox.image, client) as standing:

            def items() -> Iterator[Pair | Measured]:
                for attack in ATTACKS:
                    rounds = Rounds(standing, attack)
                    for who in WHO:
                        yield Pair(
                            f"{who}_answers_during_{attack.replace('-', '_')}",
                            lambda who=who, rounds=rounds: rounds.value(who, True),  # type: ignore[misc]
                            lambda who=who, rounds=rounds: rounds.value(who, False),  # type: ignore[misc]
                            runs=2 if quick else 5,
                        )

            yield items()
    finally:
        client.close()


BENCHMARKS = [Benchmark("neighbours", "answers of neighbour, hub and gate while one sandbox takes all it can", prepare)]
