"""The one hardening profile: what every sandbox (and the gate's verifier) is started with, and why.

`profile(settings)` says what must be in force; `create_arguments` turns it into what the engine is told; `isolation.py`
checks the same profile against what the kernel says after the start; `controls.py` names the attack each setting stops.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from installation.settings import Settings
from provisioning.sandbox.seccomp import seccomp_profile

MIB = 1024**2
HOSTNAME = "sandbox"
# The first process holds no pipe to the engine: whoever could write into one would make the engine work, outside every
# limit of the sandbox. What the notebook server says is kept in the sandbox's own bounded /tmp.
QUIET_ENTRYPOINT = ("/bin/sh", "-c", 'exec /usr/bin/tini -- "$@" >>/tmp/server.log 2>&1 </dev/null', "sandbox")
SERVER = ("/opt/sandbox/bin/jupyter-lab",)
LABEL_HOME = "glovebox.home"
LABEL_SANDBOX = "glovebox.sandbox"
LABEL_ROLE = "glovebox.role"

# Host facts and other tenants' names stand in these. A file is hidden by an empty one, a folder by a read-only one.
MASKED_PATHS: tuple[str, ...] = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/buddyinfo",
    "/proc/bus",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/consoles",
    "/proc/crypto",
    "/proc/devices",
    "/proc/diskstats",
    "/proc/driver",
    "/proc/execdomains",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/irq",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/locks",
    "/proc/mdstat",
    "/proc/misc",
    "/proc/modules",
    "/proc/mtrr",
    "/proc/pagetypeinfo",
    "/proc/partitions",
    "/proc/pressure",
    "/proc/sched_debug",
    "/proc/schedstat",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/softirqs",
    "/proc/swaps",
    "/proc/sys/fs/aio-nr",
    "/proc/sys/fs/dentry-state",
    "/proc/sys/fs/file-nr",
    "/proc/sys/fs/inode-nr",
    "/proc/sys/fs/inode-state",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sysrq-trigger",
    "/proc/sysvipc",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/proc/vmstat",
    "/proc/zoneinfo",
    "/sys/block",
    "/sys/bus",
    "/sys/class",
    "/sys/dev",
    "/sys/devices/pci0000:00",
    "/sys/devices/virtual",
    "/sys/firmware",
    "/sys/fs/bpf",
    "/sys/fs/ext4",
    "/sys/hypervisor",
    "/sys/kernel",
    "/sys/module",
    "/sys/power",
)
# Runtimes with a kernel of their own between the sandbox and the host's. Their processes are not the container's.
RUNSC = "runsc"
OWN_KERNEL = (RUNSC, "kata", "kata-runtime", "io.containerd.kata.v2")
# A process inside gVisor takes several tasks of the host, and at the limit its kernel ends: so it must not be met in work.
TASKS_EACH = 4
READONLY_PATHS: tuple[str, ...] = ("/proc/sys", "/sys/fs/cgroup")
CPU_PERIOD = 100_000


@dataclass(frozen=True)
class HardeningProfile:
    """What must be in force in a running sandbox; the proof compares with these very numbers. Sizes in bytes."""

    runtime: str
    memory: int
    cpu_quota: int
    pids: int
    loopback_inet: bool
    cgroup_version: int = 1
    cpu_shares: int = 512
    shm_bytes: int = 64 * MIB
    tmp_bytes: int = 256 * MIB
    tmp_inodes: int = 16384
    files: int = 4096
    file_size: int = 2 * 1024**3
    memlock: int = 64 * 1024
    message_queue: int = 0
    pending_signals: int = 1024
    terminals: int = 64
    oom_score: int = 500
    capabilities: int = 0
    seccomp_mode: int = 2
    interfaces: tuple[str, ...] = ("lo",)
    masked_paths: tuple[str, ...] = field(default=MASKED_PATHS, repr=False)
    readonly_paths: tuple[str, ...] = READONLY_PATHS

    @property
    def seccomp(self) -> dict[str, Any]:
        return seccomp_profile(loopback_inet=self.loopback_inet)

    @property
    def seccomp_json(self) -> str:
        return json.dumps(self.seccomp, sort_keys=True, separators=(",", ":"))

    @property
    def tmpfs(self) -> dict[str, str]:
        """Container path to mount options; their sizes sum to less than the memory limit, because tmpfs pages count."""
        tmp = f"rw,noexec,nosuid,nodev,size={self.tmp_bytes},nr_inodes={self.tmp_inodes},mode=1777"
        return {"/tmp": tmp}  # noqa: S108 - the path inside the container

    def described(self) -> dict[str, Any]:
        """The profile as JSON, with digests in place of the long lists: what reports and ledger entries carry."""
        facts = asdict(self)
        facts["seccomp_digest"] = hashlib.sha256(self.seccomp_json.encode()).hexdigest()
        facts["interfaces"] = list(self.interfaces)
        facts["masked_paths"] = list(self.masked_paths)
        facts["readonly_paths"] = list(self.readonly_paths)
        return facts

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Bind:
    """One folder of the host seen inside. ``slave``: what the host mounts later under ``source`` appears inside."""

    source: str
    target: str
    read_only: bool
    slave: bool = False

    def described(self) -> dict[str, Any]:
        """As the engine takes it (``HostConfig.Mounts``); a missing source is an error there, never created."""
        options = {"Propagation": "rslave" if self.slave else "rprivate"}
        return {
            "Type": "bind",
            "Source": self.source,
            "Target": self.target,
            "ReadOnly": self.read_only,
            "BindOptions": options,
        }


def profile(settings: Settings, *, cgroup_version: int = 1) -> HardeningProfile:
    """The profile of this installation. Only the limits, the runtime and loopback INET can be set."""
    sandbox = settings.sandbox
    return HardeningProfile(
        runtime=sandbox.runtime,
        memory=sandbox.memory,
        cpu_quota=int(sandbox.cpus * CPU_PERIOD),
        pids=sandbox.pids * (TASKS_EACH if sandbox.runtime == RUNSC else 1),
        loopback_inet=sandbox.loopback_inet,
        cgroup_version=cgroup_version,
    )


def host_config(profile: HardeningProfile, binds: Sequence[Bind] = ()) -> dict[str, Any]:
    """The engine's ``HostConfig``, complete: nothing is left to the engine's defaults where a default is weaker."""
    config: dict[str, Any] = {
        "NetworkMode": "none",
        "Dns": ["127.0.0.1"],
        "CapDrop": ["ALL"],
        "CapAdd": [],
        "SecurityOpt": ["no-new-privileges:true", "seccomp=" + profile.seccomp_json],
        "Privileged": False,
        "ReadonlyRootfs": True,
        "Tmpfs": profile.tmpfs,
        "ShmSize": profile.shm_bytes,
        "PidsLimit": profile.pids,
        "Memory": profile.memory,
        "MemorySwap": profile.memory,
        "CpuPeriod": CPU_PERIOD,
        "CpuQuota": profile.cpu_quota,
        "CpuShares": profile.cpu_shares,
        "OomScoreAdj": profile.oom_score,
        "Ulimits": _ulimits(profile),
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "MaskedPaths": list(profile.masked_paths),
        "ReadonlyPaths": list(profile.readonly_paths),
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "PublishAllPorts": False,
        "AutoRemove": False,
        "Devices": [],
        "Runtime": profile.runtime,
        "Mounts": [bind.described() for bind in binds],
    }
    if profile.cgroup_version == 1:
        config["MemorySwappiness"] = 0
    return config


def _ulimits(profile: HardeningProfile) -> list[dict[str, Any]]:
    limits = {
        "core": 0,
        "nofile": profile.files,
        "fsize": profile.file_size,
        "memlock": profile.memlock,
        "msgqueue": profile.message_queue,
        "sigpending": profile.pending_signals,
    }
    return [{"Name": name, "Soft": value, "Hard": value} for name, value in limits.items()]


def create_arguments(
    profile: HardeningProfile,
    *,
    image: str,
    user: int,
    environment: dict[str, str],
    labels: dict[str, str],
    binds: Sequence[Bind] = (),
    command: Sequence[str] | None = None,
    entrypoint: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Keyword arguments of docker-py's ``create_container``. Refuses uid 0."""
    if user <= 0:
        raise ValueError("a sandbox never runs as root")
    arguments: dict[str, Any] = {
        "image": image,
        "user": f"{user}:{user}",
        "hostname": HOSTNAME,
        "environment": dict(environment),
        "labels": dict(labels),
        "host_config": host_config(profile, binds),
        "stdin_open": False,
        "tty": False,
    }
    if command is not None:
        arguments["command"] = list(command)
    if entrypoint is not None:
        arguments["entrypoint"] = list(entrypoint)
    return arguments


VERIFIER_UID = 65533


def verifier_profile(settings: Settings, *, cgroup_version: int = 1) -> dict[str, Any]:
    """``create_container`` arguments of the gate's verifier: the same hardening, without mounts and command."""
    return create_arguments(
        profile(settings, cgroup_version=cgroup_version),
        image=settings.sandbox.image,
        user=VERIFIER_UID,
        environment={},
        labels={LABEL_HOME: home_label(settings), LABEL_ROLE: "verifier"},
    )


def home_label(settings: Settings) -> str:
    """Tells the containers of one installation from another's without showing a path."""
    return hashlib.sha256(str(settings.home).encode()).hexdigest()[:16]
