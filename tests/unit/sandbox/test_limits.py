"""Limits of one sandbox: policy narrows what the settings give, and what cannot be applied refuses the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from installation.settings import SandboxSettings, Settings
from provisioning.sandbox.hardening import HardeningProfile, profile
from provisioning.sandbox.limits import LimitsFault, narrowed

MIB = 1024**2


@pytest.fixture
def own(tmp_path: Path) -> HardeningProfile:
    return profile(Settings(home=tmp_path, sandbox=SandboxSettings(memory=1024 * MIB, cpus=1.5, pids=200)))


@pytest.mark.parametrize(
    "limits",
    [
        {"memory_bytes": -1},
        {"memory_bytes": "512m"},
        {"memory_bytes": None},
        {"memory_bytes": True},
        {"memory_bytes": 0.5},
        {"memory_bytes": float("nan")},
        {"memory_bytes": 64 * MIB},
        {"processes": 3},
        {"processor_percent": 0.9},
        {"processor_percent": -50},
    ],
)
def test_what_cannot_be_applied_refuses(own: HardeningProfile, limits: dict[str, Any]) -> None:
    with pytest.raises(LimitsFault):
        narrowed(own, limits)


def test_policy_narrows(own: HardeningProfile) -> None:
    found = narrowed(own, {"memory_bytes": 512 * MIB, "processor_percent": 50, "processes": 64})
    assert (found.memory, found.cpu_quota, found.pids) == (512 * MIB, 50_000, 64)
    assert found.digest != own.digest


def test_policy_never_widens(own: HardeningProfile) -> None:
    wide = {"memory_bytes": 10**12, "processor_percent": 6400, "processes": 10**6}
    assert narrowed(own, wide) == own


def test_nothing_said_or_nought_leaves_the_installations_own(own: HardeningProfile) -> None:
    assert narrowed(own, {}) == own
    assert narrowed(own, {"memory_bytes": 0, "processor_percent": 0, "processes": 0, "output_bytes": 9}) == own


def test_an_installation_smaller_than_the_least_still_starts(tmp_path: Path) -> None:
    small = profile(Settings(home=tmp_path, sandbox=SandboxSettings(memory=400 * MIB)))
    assert narrowed(small, {"memory_bytes": 512 * MIB}) == small


def test_processes_inside_gvisor_take_several_tasks_of_the_host(tmp_path: Path) -> None:
    own = profile(Settings(home=tmp_path, sandbox=SandboxSettings(runtime="runsc", pids=100)))
    assert own.pids == 400
    assert narrowed(own, {"processes": 50}).pids == 200
