"""What can be proved of a sandbox under gVisor (``runsc``), whose own kernel, the sentry, runs as processes of the host.

Three layers, each said as what it is: what the *host's* kernel enforces on the sentry and its file server (the gofer), read
from ``/proc``; how the sentry was *started*, read from its arguments; and what it was *told* to enforce inside, read from the
bundle that the engine wrote. What the sentry makes of the last is gVisor's word; `glovebox prove` tries it from inside.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from provisioning.sandbox.facts import Fact, listed
from provisioning.sandbox.hardening import Bind, HardeningProfile
from provisioning.sandbox.kernel import Mount, Observed, parse_mounts
from provisioning.sandbox.mounts import DATA
from provisioning.sandbox.privilege import Privilege, read_arguments, read_files, read_links

SENTRY, GOFER = "runsc-sandbox", "runsc-gofer"
NOBODY = 65534
# The sentry is no process of a private pid or cgroup namespace; what runs on it sees the sentry's own processes alone.
OWN_VIEW = frozenset({"pid", "cgroup"})
_SEALED = frozenset({"nosuid", "nodev", "noexec", "nosymfollow"})
_GOFER_POINTS = frozenset({"/", "/proc", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts"})
# Options of runsc that take a guard away, with the value that leaves it in place.
_LOOSENING = {
    "allow-flag-override": "false",
    "host-fifo": "none",
    "ignore-cgroups": "false",
    "net-raw": "false",
    "profile": "false",
    "rootless": "false",
    "TESTONLY-unsafe-nonroot": "false",
}
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


@dataclass(frozen=True)
class Sentry:
    """What was read of one sandbox's gVisor; empty where it could not be read, so that it never holds."""

    arguments: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    gofer_mounts: tuple[Mount, ...] = ()
    own_user_namespace: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)

    def options(self, name: str) -> dict[str, str]:
        """Options of the process called ``name``, before its sub-command."""
        words = next((each[1:] for each in self.arguments.values() if each[:1] == (name,)), ())
        pairs = (word.lstrip("-").partition("=") for word in words if word.startswith("-"))
        return {option: value or "true" for option, _, value in pairs}


def observe_sentry(privilege: Privilege, pid: int, container: str, observed: Observed) -> Sentry:
    """Read what the host knows of the sentry with first process ``pid``."""
    arguments = read_arguments(privilege, sorted(observed.processes))
    gofer = next((each for each, words in arguments.items() if words[:1] == (GOFER,)), 0)
    bundle = _bundle(arguments.get(gofer, ()), container)
    wanted = [f"/proc/{gofer}/mountinfo", *([f"{bundle}/config.json"] if bundle else [])]
    texts = read_files(privilege, wanted)
    links = read_links(privilege, [f"/proc/{each}/ns/user" for each in (pid, "self")])
    return Sentry(
        arguments=arguments,
        gofer_mounts=parse_mounts(texts.get(wanted[0], "")),
        own_user_namespace=len(set(links.values())) == 2,
        told=_json(texts.get(f"{bundle}/config.json", "")),
    )


def _bundle(words: Sequence[str], container: str) -> str:
    """The folder of the OCI bundle; only one that carries this container's id is believed."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        path = following if word == "--bundle" else word.removeprefix("--bundle=") if "--bundle=" in word else ""
        if path and PurePosixPath(path).name == container:
            return path
    return ""


def _json(text: str) -> Mapping[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def sentry_facts(
    profile: HardeningProfile, observed: Observed, sentry: Sentry, uid: int, binds: Sequence[Bind]
) -> Iterator[Fact]:
    yield Fact("oom score", str(profile.oom_score), observed.oom_score)
    yield from _host_facts(observed, sentry)
    yield from _option_facts(sentry)
    yield from _mount_facts(sentry, binds)
    yield from _told_facts(profile, sentry.told, uid, binds)
    if list_is_loaded(sentry):
        yield from _list_facts(profile, _part(_part(sentry.told, "linux"), "seccomp"))


# -- what the host's kernel enforces on gVisor itself -----------------------------------------------------------------
def _host_facts(observed: Observed, sentry: Sentry) -> Iterator[Fact]:
    named = [words[0] for words in sentry.arguments.values() if words]
    yield Fact("gVisor's processes", f"{GOFER},{SENTRY}", listed(named))
    for name, expected in (("NoNewPrivs", "1"), ("Seccomp", "2")):
        seen = {status.get(name, "unknown") for status in observed.processes.values()}
        yield Fact(f"host enforces on gVisor: {name}", expected, listed(seen))
    others = [status for pid, status in observed.processes.items() if sentry.arguments.get(pid, ("",))[:1] != (GOFER,)]
    users = {status.get("Uid", "unknown").replace("\t", " ") for status in others}
    yield Fact("host enforces on gVisor: the sentry's user", " ".join([str(NOBODY)] * 4), listed(users))
    own = "own" if sentry.own_user_namespace else "the host's"
    yield Fact("host enforces on gVisor: the sentry's user namespace", "own", own)


def list_is_loaded(sentry: Sentry) -> bool:
    """Whether gVisor was asked to load our system-call list. It need not be: until google/gvisor issue 14688 is closed it
    answers EPERM to every refusal, at which libzmq aborts each kernel; then the sentry's own table of calls stands alone."""
    return sentry.options(SENTRY).get("oci-seccomp", "false") == "true"


def _option_facts(sentry: Sentry) -> Iterator[Fact]:
    options = sentry.options(SENTRY)
    yield Fact("gVisor started with: network", "none", options.get("network", "unknown"))
    own_list = ", our list before it" if list_is_loaded(sentry) else ""
    answered = "the sentry" if options else "unknown"
    yield Fact("system calls are answered by", f"the sentry{own_list}", f"{answered}{own_list}")
    loose = [name for name, safe in _LOOSENING.items() if options.get(name, safe) != safe]
    loose += [name for name, safe in _LOOSENING.items() if sentry.options(GOFER).get(name, safe) != safe]
    yield Fact("gVisor started with: loosening options", "none", listed(set(loose)))


def _mount_facts(sentry: Sentry, binds: Sequence[Bind]) -> Iterator[Fact]:
    """The gofer serves every file of the host that the sandbox can reach; its mounts bound them, whatever the sentry does."""
    by_point = {mount.point: mount for mount in sentry.gofer_mounts}
    strangers = set(by_point) - _GOFER_POINTS - {bind.target for bind in binds}
    yield Fact("host gives gVisor: unknown mounts", "none", listed(strangers) if by_point else "unreadable")
    root = by_point.get("/")
    yield Fact("host gives gVisor: / read-only", "yes", "yes" if root and root.read_only else "no")
    for bind in binds:
        mount = by_point.get(bind.target)
        missing = sorted(_SEALED - (mount.flags if mount else frozenset()))
        yield Fact(f"host gives gVisor: {bind.target} flags missing", "none", listed(missing))
        if bind.target.startswith(DATA + "/"):
            kind = f"{mount.kind} {'ro' if mount.read_only else 'rw'}" if mount else "absent"
            yield Fact(f"host gives gVisor: {bind.target} kind", "overlay ro", kind)


# -- what gVisor was told to enforce inside ---------------------------------------------------------------------------
def _told_facts(profile: HardeningProfile, told: Mapping[str, Any], uid: int, binds: Sequence[Bind]) -> Iterator[Fact]:
    process, root = _part(told, "process"), _part(told, "root")
    user = _part(process, "user")
    yield Fact("gVisor was told: user", f"{uid}:{uid}", f"{user.get('uid')}:{user.get('gid')}")
    yield Fact("gVisor was told: no new privileges", "True", str(process.get("noNewPrivileges")))
    held = {name for names in _part(process, "capabilities").values() for name in names or ()}
    yield Fact("gVisor was told: capabilities", "none", listed(held) if process else "unreadable")
    yield Fact("gVisor was told: read-only root", "True", str(root.get("readonly")))
    yield from _told_limits(profile, process.get("rlimits") or ())
    yield from _told_mounts(profile, told.get("mounts") or (), binds)


def _list_facts(profile: HardeningProfile, told: Mapping[str, Any]) -> Iterator[Fact]:
    yield Fact(
        "gVisor was told: system calls",
        f"{_ARCHITECTURES.get(platform.machine(), 'unknown')} {calls_digest(profile.seccomp)}",
        f"{listed(told.get('architectures') or ())} {calls_digest(told)}",
    )


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def calls_digest(seccomp: Mapping[str, Any]) -> str:
    """A digest of a system-call list that does not depend on how its rules are grouped or ordered."""
    rules = {
        (name, rule.get("action"), rule.get("errnoRet") or 0, _conditions(rule))
        for rule in seccomp.get("syscalls") or ()
        for name in rule.get("names") or ()
    }
    text = json.dumps([seccomp.get("defaultAction"), sorted(map(list, rules), key=str)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _conditions(rule: Mapping[str, Any]) -> tuple[tuple[Any, ...], ...]:
    given = rule.get("args") or ()
    return tuple((each["index"], each["value"], each.get("valueTwo") or 0, each["op"]) for each in given)


def _told_limits(profile: HardeningProfile, limits: Sequence[Mapping[str, Any]]) -> Iterator[Fact]:
    seen = {str(each.get("type")): (each.get("soft"), each.get("hard")) for each in limits}
    wanted = {"CORE": 0, "NOFILE": profile.files, "FSIZE": profile.file_size, "MEMLOCK": profile.memlock}
    for name, value in wanted.items():
        soft, hard = seen.get(f"RLIMIT_{name}", ("unknown", "unknown"))
        yield Fact(f"gVisor was told: limit {name.lower()}", f"{value} {value}", f"{soft} {hard}")


def _told_mounts(
    profile: HardeningProfile, mounts: Sequence[Mapping[str, Any]], binds: Sequence[Bind]
) -> Iterator[Fact]:
    options = {str(each.get("destination")): set(each.get("options") or ()) for each in mounts}
    for point, wanted in profile.tmpfs.items():
        missing = {word for word in wanted.split(",") if word != "rw"} - options.get(point, set())
        yield Fact(f"gVisor was told: {point} options missing", "none", listed(missing))
    for bind in binds:
        if bind.read_only:
            said = "yes" if "ro" in options.get(bind.target, set()) else "no"
            yield Fact(f"gVisor was told: {bind.target} read-only", "yes", said)
