"""What one sandbox may take: the installation's own limits, narrowed by what policy answers for the data it mounts.

Policy can only narrow: the settings say what the machine can give. 0 leaves the installation's own limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from provisioning.sandbox.errors import SandboxFault
from provisioning.sandbox.hardening import CPU_PERIOD, RUNSC, TASKS_EACH, HardeningProfile

_LEAST_MEMORY = 128 * 1024**2  # beside the memory file systems: what the notebook server itself takes
_LEAST_QUOTA = CPU_PERIOD // 100  # the kernel takes no smaller one
_LEAST_PROCESSES = 16


class LimitsFault(SandboxFault):
    """Policy answered limits that are none, or with which no sandbox can work."""

    code: ClassVar[str] = "sandbox-limits"


def narrowed(profile: HardeningProfile, limits: Mapping[str, Any]) -> HardeningProfile:
    """The profile with the limits of one sandbox. Raises LimitsFault; other keys of ``limits`` are the doors' business."""
    memory = min(profile.memory, _number(limits, "memory_bytes") or profile.memory)
    percent = _number(limits, "processor_percent")
    quota = min(profile.cpu_quota, percent * CPU_PERIOD // 100 or profile.cpu_quota)
    processes = _number(limits, "processes") * (TASKS_EACH if profile.runtime == RUNSC else 1)
    pids = min(profile.pids, processes or profile.pids)
    least = profile.tmp_bytes + profile.shm_bytes + _LEAST_MEMORY
    if memory < min(least, profile.memory) or quota < _LEAST_QUOTA or pids < _LEAST_PROCESSES:
        raise _unfit("no sandbox can work with so little", limits)
    return replace(profile, memory=memory, cpu_quota=quota, pids=pids)


def _number(limits: Mapping[str, Any], name: str) -> int:
    value = limits.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0 or value % 1:
        raise _unfit("one of them is not a whole number", limits)
    return int(value)


def _unfit(why: str, limits: Mapping[str, Any]) -> LimitsFault:
    return LimitsFault(
        "The workspace was not started.",
        why=f"The limits that policy sets for this project's data cannot be applied: {why}.",
        do="Ask the operator to correct the sandbox limits in the policy's data.",
        private=repr(dict(limits)),
    )
