"""The proof at every start: what kernel and engine say is in force, compared with the profile, from outside.

Nothing inside the container is asked and nothing it can write is read. Whatever could not be read does not hold. Any fact
that does not hold means drift: the spawner then removes the container and refuses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.sandbox.errors import IsolationDrift
from provisioning.sandbox.facts import Fact, listed
from provisioning.sandbox.gvisor import OWN_VIEW, observe_sentry, sentry_facts
from provisioning.sandbox.hardening import CPU_PERIOD, OWN_KERNEL, RUNSC, Bind, HardeningProfile
from provisioning.sandbox.kernel import Mount, Observed, observe
from provisioning.sandbox.mounts import DATA, HOME, SHELF
from provisioning.sandbox.privilege import Privilege

# Mount points that every container has, with the kinds of file system allowed there.
_ENGINE_POINTS: dict[str, frozenset[str]] = {
    "/proc": frozenset({"proc"}),
    "/dev": frozenset({"tmpfs"}),
    "/dev/pts": frozenset({"devpts"}),
    "/dev/shm": frozenset({"tmpfs"}),  # noqa: S108 - a path inside the container
    "/dev/mqueue": frozenset({"mqueue"}),
}
_READ_ONLY_POINTS = ("/", "/sys", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts")
_SEALED = frozenset({"nosuid", "nodev", "noexec"})
_SHELF_FLAGS = frozenset({"nosuid", "nodev", "nosymfollow"})  # libraries of approved packages are mapped to run
_PRIVATE_ENVIRONMENT = ("JUPYTERHUB_", "JPY_", "OPA_", "DATABASE_URL", "DOCKER_")


@dataclass(frozen=True)
class Proof:
    """The facts of one start. ``digest`` of the profile says what they were compared with."""

    facts: tuple[Fact, ...]
    profile_digest: str
    runtime: str

    @property
    def drift(self) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.facts if not fact.holds)

    @property
    def holds(self) -> bool:
        return bool(self.facts) and not self.drift

    def described(self) -> dict[str, Any]:
        """As recorded in the ledger and printed by reports."""
        return {
            "holds": self.holds,
            "runtime": self.runtime,
            "profile": self.profile_digest,
            "facts": [fact.described() for fact in self.facts],
        }


def verify(
    privilege: Privilege,
    profile: HardeningProfile,
    inspected: Mapping[str, Any],
    *,
    image_id: str,
    uid: int,
    binds: Sequence[Bind],
    appeared: Sequence[Bind] = (),
) -> Proof:
    """Compare a running container with the profile. ``inspected`` is the engine's own description of it; ``appeared`` is
    what the host has mounted into it since it started."""
    facts = list(engine_facts(profile, inspected, image_id=image_id, uid=uid, binds=binds))
    pid = int(inspected["State"].get("Pid") or 0)
    facts.append(Fact("the container runs", "yes", "yes" if pid > 0 else "no"))
    if pid > 0:
        observed = observe(privilege, pid, profile.cgroup_version)
        facts += cgroup_facts(profile, observed)
        facts += network_facts(profile, observed)
        if profile.runtime not in OWN_KERNEL:
            facts += process_facts(profile, observed, uid)
            facts += limit_facts(profile, observed)
            facts += mount_facts(profile, observed, [*binds, *appeared])
        elif profile.runtime == RUNSC:
            sentry = observe_sentry(privilege, pid, str(inspected.get("Id")), observed)
            facts += sentry_facts(profile, observed, sentry, uid, [*binds, *appeared])
    return Proof(tuple(facts), profile.digest, profile.runtime)


def demand(proof: Proof) -> None:
    """Raise IsolationDrift, naming every difference for the log, unless the proof holds."""
    if proof.holds:
        return
    names = ", ".join(fact.name for fact in proof.drift) or "nothing could be observed"
    raise IsolationDrift(
        "The workspace was not started.",
        why=f"Its isolation could not be proved: {len(proof.drift)} of {len(proof.facts)} facts differ from the profile.",
        do="Tell the operator. The container has been removed; nothing of yours is lost. Trying again is safe.",
        private=f"{names}: " + "; ".join(f"{f.name}: {f.expected!r} != {f.observed!r}" for f in proof.drift),
    )


# -- what the engine says ---------------------------------------------------------------------------------------------
def engine_facts(
    profile: HardeningProfile, inspected: Mapping[str, Any], *, image_id: str, uid: int, binds: Sequence[Bind]
) -> Iterator[Fact]:
    config, host = inspected["Config"], inspected["HostConfig"]
    yield Fact("image digest", image_id, str(inspected.get("Image")))
    yield Fact("user", f"{uid}:{uid}", str(config.get("User")))
    yield Fact("network mode", "none", str(host.get("NetworkMode")))
    yield Fact("published ports", "none", listed(host.get("PortBindings") or {}))
    yield Fact("privileged", "False", str(host.get("Privileged")))
    yield Fact("capabilities dropped", "ALL", listed(host.get("CapDrop") or []))
    yield Fact("capabilities added", "none", listed(host.get("CapAdd") or []))
    yield Fact("devices", "none", listed([str(device) for device in host.get("Devices") or []]))
    yield Fact("read-only root", "True", str(host.get("ReadonlyRootfs")))
    yield Fact("runtime", profile.runtime, str(host.get("Runtime")))
    yield Fact("host process namespace", "", str(host.get("PidMode") or ""))
    yield Fact("ipc namespace", "private", str(host.get("IpcMode")))
    yield Fact("security options", _seccomp_fact(profile.seccomp_json), _security(host.get("SecurityOpt") or []))
    yield Fact("masked paths", listed(profile.masked_paths), listed(host.get("MaskedPaths") or []))
    yield Fact("log size", "json-file 1m 2", _log(host.get("LogConfig") or {}))
    yield Fact("bound folders", listed(bind.target for bind in binds), listed(_targets(inspected)))
    secrets = [name for name in _names(config.get("Env") or []) if name.startswith(_PRIVATE_ENVIRONMENT)]
    yield Fact("hub credentials in the environment", "none", listed(secrets))


def _seccomp_fact(profile_json: str) -> str:
    return f"no-new-privileges:true seccomp:{hashlib.sha256(profile_json.encode()).hexdigest()}"


def _security(options: Sequence[str]) -> str:
    told = [f"seccomp:{_sha(o.removeprefix('seccomp='))}" if o.startswith("seccomp=") else o for o in options]
    return " ".join(sorted(told))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _targets(inspected: Mapping[str, Any]) -> list[str]:
    return [str(mount["Destination"]) for mount in inspected.get("Mounts") or [] if mount.get("Type") != "tmpfs"]


def _log(config: Mapping[str, Any]) -> str:
    options = config.get("Config") or {}
    return f"{config.get('Type')} {options.get('max-size')} {options.get('max-file')}"


def _names(environment: Sequence[str]) -> list[str]:
    return [entry.split("=", 1)[0] for entry in environment]


# -- what the kernel says ---------------------------------------------------------------------------------------------
def network_facts(profile: HardeningProfile, observed: Observed) -> Iterator[Fact]:
    yield Fact("network interfaces", ",".join(profile.interfaces), ",".join(observed.interfaces))
    yield Fact("routes", "0", str(observed.routes))
    excused = OWN_VIEW if profile.runtime == RUNSC else frozenset()
    yield Fact("namespaces shared with the host", "none", listed(set(observed.shared_namespaces) - excused))


def process_facts(profile: HardeningProfile, observed: Observed, uid: int) -> Iterator[Fact]:
    """Every process in the container's cgroup, not the first alone: one exec'd with more rights would be seen."""
    yield Fact("processes observed", "some", "some" if observed.processes else "none")
    wanted = {
        "Uid": "\t".join([str(uid)] * 4),
        "Gid": "\t".join([str(uid)] * 4),
        **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), f"{profile.capabilities:016x}"),
        "NoNewPrivs": "1",
        "Seccomp": str(profile.seccomp_mode),
    }
    for name, expected in wanted.items():
        seen = sorted({status.get(name, "unknown") for status in observed.processes.values()})
        yield Fact(f"process {name}", expected.replace("\t", " "), ",".join(seen).replace("\t", " "))


def limit_facts(profile: HardeningProfile, observed: Observed) -> Iterator[Fact]:
    wanted = {
        "Max open files": profile.files,
        "Max file size": profile.file_size,
        "Max core file size": 0,
        "Max locked memory": profile.memlock,
        "Max msgqueue size": profile.message_queue,
        "Max pending signals": profile.pending_signals,
    }
    for name, value in wanted.items():
        yield Fact(name.lower(), f"{value} {value}", " ".join(observed.limits.get(name, ("unknown",))))
    yield Fact("oom score", str(profile.oom_score), observed.oom_score)


def cgroup_facts(profile: HardeningProfile, observed: Observed) -> Iterator[Fact]:
    if profile.cgroup_version == 2:
        wanted = {
            "pids.max": str(profile.pids),
            "memory.max": str(profile.memory),
            "memory.swap.max": "0",
            "cpu.max": f"{profile.cpu_quota} {CPU_PERIOD}",
        }
    else:
        wanted = {
            "pids.max": str(profile.pids),
            "memory.limit_in_bytes": str(profile.memory),
            "cpu.cfs_quota_us": str(profile.cpu_quota),
            "cpu.cfs_period_us": str(CPU_PERIOD),
        }
        if profile.runtime != RUNSC:  # which leaves it as it is: there the limit on memory and swap together must stand
            wanted["memory.swappiness"] = "0"
        if profile.runtime == RUNSC or "memory.memsw.limit_in_bytes" in observed.cgroup:  # no file: swap is not counted
            wanted["memory.memsw.limit_in_bytes"] = str(profile.memory)
    for name, value in wanted.items():
        seen = observed.cgroup.get(name, "unknown")
        if name == "memory.swap.max" and seen == "unknown":
            continue  # a kernel without swap has no such file
        yield Fact(f"cgroup {name}", value, seen)


def mount_facts(profile: HardeningProfile, observed: Observed, binds: Sequence[Bind]) -> Iterator[Fact]:
    """Every mount in the container is one we know, with its flags; a mount nobody ordered is drift."""
    by_point = {mount.point: mount for mount in observed.mounts}  # the last one at a point is the one in force
    known = set(_ENGINE_POINTS) | set(_READ_ONLY_POINTS) | set(profile.tmpfs) | {bind.target for bind in binds}
    strangers = [mount.point for mount in observed.mounts if mount.point not in known and not _cover(profile, mount)]
    yield Fact("unknown mounts", "none", listed(set(strangers)))
    for point in _READ_ONLY_POINTS:
        if point in by_point or point in ("/", "/sys"):
            yield Fact(f"{point} read-only", "yes", _yes(by_point.get(point), read_only=True))
    for point, kinds in _ENGINE_POINTS.items():
        mount = by_point.get(point)
        yield Fact(f"{point} kind", listed(kinds), mount.kind if mount else "absent")
    terminals = by_point.get("/dev/pts")
    yield Fact("terminals", f"max={profile.terminals}", _option(terminals, "max="))
    for point in profile.tmpfs:
        yield from _sealed(by_point.get(point), point, {"nr_inodes=" + str(profile.tmp_inodes)}, "tmpfs")
    for bind in binds:
        mount = by_point.get(bind.target)
        if bind.target.startswith(DATA + "/"):
            yield Fact(f"{bind.target} kind", "overlay", mount.kind if mount else "absent")
            yield Fact(f"{bind.target} read-only", "yes", _yes(mount, read_only=True))
        elif bind.target == SHELF and not bind.read_only:
            yield Fact(f"{SHELF} kind", "overlay", mount.kind if mount else "absent")
            yield Fact(f"{SHELF} read-only", "yes", _yes(mount, read_only=True))
            missing = _SHELF_FLAGS - (mount.flags if mount else frozenset())
            yield Fact(f"{SHELF} flags missing", "none", listed(missing))
        elif bind.read_only:
            yield Fact(f"{bind.target} read-only", "yes", _yes(mount, read_only=True))
        else:
            yield from _sealed(mount, bind.target, set(), None)
            if bind.target == HOME:
                yield Fact(f"{bind.target} kind", "ext4", mount.kind if mount else "absent")
            yield Fact(f"{bind.target} nosymfollow", "yes", "yes" if mount and "nosymfollow" in mount.flags else "no")
    for path in profile.readonly_paths:
        yield Fact(f"{path} read-only", "yes", _yes(by_point.get(path), read_only=True))


def _cover(profile: HardeningProfile, mount: Mount) -> bool:
    """A mount over a masked or read-only path: it hides or narrows, it gives nothing."""
    if mount.point in profile.masked_paths:
        empty_folder = mount.kind == "tmpfs" and mount.read_only
        return empty_folder or (mount.kind in ("tmpfs", "devtmpfs") and mount.root == "/null")
    if mount.point.startswith("/sys/fs/cgroup/"):
        return mount.read_only
    return mount.point in profile.readonly_paths


def _sealed(mount: Mount | None, point: str, options: set[str], kind: str | None) -> Iterator[Fact]:
    flags = mount.flags if mount else frozenset()
    missing = sorted(_SEALED - flags) + sorted(options - (mount.options if mount else frozenset()))
    yield Fact(f"{point} flags missing", "none", listed(missing))
    if kind:
        yield Fact(f"{point} kind", kind, mount.kind if mount else "absent")


def _option(mount: Mount | None, start: str) -> str:
    return next((option for option in sorted(mount.options if mount else ()) if option.startswith(start)), "none")


def _yes(mount: Mount | None, *, read_only: bool) -> str:
    return "absent" if mount is None else ("yes" if mount.read_only is read_only else "no")
