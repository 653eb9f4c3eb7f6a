"""What the host's kernel says about a running container, read from outside and parsed; no judgement here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provisioning.sandbox.mounts import unescape
from provisioning.sandbox.privilege import Privilege, read_files, read_links

NAMESPACES = ("net", "mnt", "pid", "ipc", "uts", "cgroup")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Mount:
    """One line of a mount list, as the container has it."""

    point: str
    kind: str
    flags: frozenset[str]
    options: frozenset[str]
    root: str

    @property
    def read_only(self) -> bool:
        return "ro" in self.flags or "ro" in self.options


@dataclass(frozen=True)
class Observed:
    """Everything read from the kernel about one container."""

    interfaces: tuple[str, ...]
    routes: int
    mounts: tuple[Mount, ...]
    processes: Mapping[int, Mapping[str, str]]
    limits: Mapping[str, tuple[str, str]]
    shared_namespaces: tuple[str, ...]
    cgroup: Mapping[str, str]
    oom_score: str


def observe(privilege: Privilege, pid: int, cgroup_version: int) -> Observed:
    """Read ``/proc/<pid>`` and the cgroup of a container's first process. What cannot be read is empty, so it never holds."""
    proc = f"/proc/{pid}"
    first = read_files(privilege, [f"{proc}/cgroup"])
    groups = cgroup_folders(first.get(f"{proc}/cgroup", ""), cgroup_version)
    wanted = {name: str(folder / name) for name, folder in groups.items()}
    names = [
        f"{proc}/{name}" for name in ("net/dev", "net/route", "net/ipv6_route", "mountinfo", "limits", "oom_score_adj")
    ]
    texts = read_files(privilege, [*names, *wanted.values()])
    cgroup = {name: texts[path].strip() for name, path in wanted.items() if path in texts}
    pids = sorted({pid, *(int(line) for line in cgroup.pop("cgroup.procs", "").split())})
    statuses = read_files(privilege, [f"/proc/{each}/status" for each in pids])
    links = read_links(privilege, [f"/proc/{each}/ns/{name}" for each in (1, "self", pid) for name in NAMESPACES])
    return Observed(
        interfaces=parse_interfaces(texts.get(f"{proc}/net/dev", "")),
        routes=_routes(texts.get(f"{proc}/net/route", ""), texts.get(f"{proc}/net/ipv6_route", "")),
        mounts=parse_mounts(texts.get(f"{proc}/mountinfo", "")),
        processes={each: parse_status(statuses[path]) for each in pids if (path := f"/proc/{each}/status") in statuses},
        limits=parse_limits(texts.get(f"{proc}/limits", "")),
        shared_namespaces=_shared(links, pid),
        cgroup=cgroup,
        oom_score=texts.get(f"{proc}/oom_score_adj", "").strip(),
    )


def _shared(links: Mapping[str, str], pid: int) -> tuple[str, ...]:
    """Namespaces that the container has in common with the host's first process or with us; unreadable counts as shared."""

    def suspect(name: str) -> bool:
        own = links.get(f"/proc/{pid}/ns/{name}")
        hosts = {links.get(f"/proc/{each}/ns/{name}") for each in (1, "self")} - {None}
        return own is None or not hosts or own in hosts

    return tuple(name for name in NAMESPACES if suspect(name))


def cgroup_folders(text: str, version: int) -> dict[str, Path]:
    """Which cgroup file lies in which folder, from the text of ``/proc/<pid>/cgroup``."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path.lstrip("/")
    if version == 2:
        folder = _CGROUP / paths[""] if "" in paths else None
        files = ("pids.max", "memory.max", "memory.swap.max", "cpu.max", "cgroup.procs")
        return dict.fromkeys(files, folder) if folder else {}
    wanted = {
        "pids": ("pids.max", "cgroup.procs"),
        "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.swappiness"),
        "cpu": ("cpu.cfs_quota_us", "cpu.cfs_period_us"),
    }
    return {
        name: _CGROUP / controller / paths[controller]
        for controller, names in wanted.items()
        if controller in paths
        for name in names
    }


def parse_interfaces(text: str) -> tuple[str, ...]:
    return tuple(sorted(line.split(":")[0].strip() for line in text.splitlines()[2:] if ":" in line))


def _routes(ipv4: str, ipv6: str) -> int:
    """Routes that lead anywhere but to ``lo``."""
    four = [line for line in ipv4.splitlines()[1:] if line.strip() and line.split()[0] != "lo"]
    six = [line for line in ipv6.splitlines() if line.strip() and line.split()[-1] != "lo"]
    return len(four) + len(six)


def parse_mounts(text: str) -> tuple[Mount, ...]:
    return tuple(_mount(line) for line in text.splitlines() if " - " in line)


def _mount(line: str) -> Mount:
    before, after = line.split(" - ", 1)
    fields, rest = before.split(" "), after.split(" ")
    options = rest[2] if len(rest) > 2 else ""
    return Mount(
        point=unescape(fields[4]),
        kind=rest[0],
        flags=frozenset(fields[5].split(",")),
        options=frozenset(options.split(",")),
        root=unescape(fields[3]),
    )


def parse_status(text: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def parse_limits(text: str) -> dict[str, tuple[str, str]]:
    """Soft and hard limit by the kernel's own name, such as ``Max open files``."""
    found: dict[str, tuple[str, str]] = {}
    for line in text.splitlines()[1:]:
        words = line[26:].split()
        if len(words) >= 2:
            found[line[:26].strip()] = (words[0], words[1])
    return found
