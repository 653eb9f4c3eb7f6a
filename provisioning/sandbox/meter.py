"""What a sandbox took of the machine, read from outside: processor time and peak memory from its cgroup, bytes read from its processes.

Processor time and memory cannot be forged from inside. ``read_bytes`` is what its processes asked for with read calls (``rchar``): files,
pipes and sockets alike; what is mapped into memory is not in it, and a program can hide children's part. So it is shown and limits nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.sandbox.privilege import AsRoot, Privilege, read_files

_CGROUP = Path("/sys/fs/cgroup")
QUIET_SECONDS = 10.0  # between two looks at one sandbox
QUIET_THROUGH_ENGINE = 60.0  # where each look takes a helper container
WRITE_SECONDS = 300.0  # between two rows of the record
Used = Mapping[str, int]


@dataclass
class Meter:
    """The last measurement of each running sandbox; counters only grow, so that one that cannot be read keeps its last value."""

    privilege: Privilege
    cgroup_version: Callable[[], int]
    live: dict[str, dict[str, int]] = field(default_factory=dict)
    _looked: dict[str, float] = field(default_factory=dict)
    _written: dict[str, tuple[float, dict[str, int]]] = field(default_factory=dict)

    def look(self, sandbox_id: str, pid: int, *, now: bool = False) -> dict[str, int]:
        """Measure, unless that was done a moment ago. ``pid``: the container's first process, 0 when it has ended."""
        quiet = QUIET_SECONDS if isinstance(self.privilege, AsRoot) else QUIET_THROUGH_ENGINE
        known = self.live.setdefault(sandbox_id, {})
        if pid > 0 and (now or time.monotonic() - self._looked.get(sandbox_id, -quiet) >= quiet):
            self._looked[sandbox_id] = time.monotonic()
            for name, value in measure(self.privilege, pid, self.cgroup_version()).items():
                known[name] = max(known.get(name, 0), value)
        return known

    def to_write(self, sandbox_id: str) -> dict[str, int] | None:
        """What is due for the record, if anything."""
        at, last = self._written.setdefault(sandbox_id, (time.monotonic(), {}))
        known = dict(self.live.get(sandbox_id, {}))
        if known == last or time.monotonic() - at < WRITE_SECONDS:
            return None
        self._written[sandbox_id] = (time.monotonic(), known)
        return known

    def forget(self, sandbox_id: str) -> None:
        for kept in (self.live, self._looked, self._written):
            kept.pop(sandbox_id, None)


def measure(privilege: Privilege, pid: int, cgroup_version: int) -> dict[str, int]:
    """``processor_ms``, ``memory_bytes`` (peak) and ``read_bytes`` of a container by its first process; what cannot be read is absent."""
    groups = read_files(privilege, [f"/proc/{pid}/cgroup"]).get(f"/proc/{pid}/cgroup", "")
    paths = {name: str(path) for name, path in counters(groups, cgroup_version).items()}
    texts = read_files(privilege, list(paths.values()))
    found = {name: texts[path] for name, path in paths.items() if path in texts}
    pids = found.pop("processes", "").split()
    told = read_files(privilege, [f"/proc/{each}/io" for each in pids if each.isdigit()])
    made = {"processor_ms": processor_ms(found.get("processor", "")), "memory_bytes": _number(found.get("memory", ""))}
    made["read_bytes"] = sum(_named(text, "rchar") for text in told.values())
    return {name: value for name, value in made.items() if value > 0}


def counters(text: str, version: int) -> dict[str, Path]:
    """Where the kernel counts, from the text of ``/proc/<pid>/cgroup``."""
    folders: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            folders[controller] = path.lstrip("/")
    if version == 2:
        wanted = {"processor": ("", "cpu.stat"), "memory": ("", "memory.peak"), "processes": ("", "cgroup.procs")}
    else:
        wanted = {
            "processor": ("cpuacct", "cpuacct.usage"),
            "memory": ("memory", "memory.max_usage_in_bytes"),
            "processes": ("pids", "cgroup.procs"),
        }
    return {
        name: _CGROUP / controller / folders[controller] / file
        for name, (controller, file) in wanted.items()
        if controller in folders
    }


def processor_ms(text: str) -> int:
    """From ``cpu.stat`` (microseconds) or ``cpuacct.usage`` (nanoseconds)."""
    return _named(text, "usage_usec") // 1000 if "usage_usec" in text else _number(text) // 1_000_000


def _named(text: str, name: str) -> int:
    for line in text.splitlines():
        words = line.replace(":", " ").split()
        if len(words) == 2 and words[0] == name:
            return _number(words[1])
    return 0


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdigit() else 0
