"""The proof of a sandbox under gVisor, held to what a real one looked like (`recorded/gvisor.json`); unreadable never holds."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from installation.settings import SandboxSettings, Settings
from provisioning.sandbox.gvisor import Sentry, calls_digest, observe_sentry, sentry_facts
from provisioning.sandbox.hardening import Bind, HardeningProfile, profile
from provisioning.sandbox.isolation import cgroup_facts, network_facts
from provisioning.sandbox.kernel import Observed, parse_mounts
from provisioning.sandbox.seccomp import seccomp_profile

RECORDED = json.loads((Path(__file__).parent / "recorded" / "gvisor.json").read_text("utf-8"))
BINDS = (
    Bind("/srv/glovebox/serve", "/run/glovebox/serve", read_only=False),
    Bind("/srv/glovebox/inner", "/run/glovebox/inner", read_only=True),
    Bind("/srv/glovebox/home", "/home/analyst", read_only=False),
    Bind("/srv/glovebox/data", "/data/nafld", read_only=False),
)
Recorded = dict[str, Any]


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HardeningProfile:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")  # the recording's
    return profile(Settings(home=tmp_path, sandbox=SandboxSettings(runtime="runsc", memory=768 * 1024**2, pids=64)))


@pytest.fixture
def recorded() -> Recorded:
    seen: Recorded = copy.deepcopy(RECORDED)
    seen["told"]["linux"]["seccomp"] = regrouped(seccomp_profile())
    return seen


def regrouped(seccomp: dict[str, Any]) -> dict[str, Any]:
    """The list as an engine may write it into the bundle: one name a rule, another order, no archMap."""
    rules = [{**rule, "names": [name]} for rule in seccomp["syscalls"] for name in rule["names"]]
    return {
        "defaultAction": seccomp["defaultAction"],
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": list(reversed(rules)),
    }


def observed(seen: Recorded) -> Observed:
    statuses = {int(pid): status for pid, status in seen["statuses"].items()}
    return Observed(
        tuple(seen["interfaces"]), 0, (), statuses, {}, tuple(seen["shared"]), seen["cgroup"], seen["oom_score"]
    )


def drift(wanted: HardeningProfile, seen: Recorded, **sentry: Any) -> list[str]:
    parts: dict[str, Any] = {
        "arguments": {int(pid): tuple(words) for pid, words in seen["arguments"].items()},
        "gofer_mounts": parse_mounts(seen["gofer_mountinfo"]),
        "own_user_namespace": True,
        "told": seen["told"],
        **sentry,
    }
    facts = sentry_facts(wanted, observed(seen), Sentry(**parts), int(seen["uid"]), BINDS)
    return [fact.name for fact in facts if not fact.holds]


# -- refusals ---------------------------------------------------------------------------------------------------------
def test_nothing_read_means_that_almost_nothing_holds(wanted: HardeningProfile) -> None:
    nothing = Observed((), 0, (), {}, {}, ("net",), {}, "")
    facts = list(sentry_facts(wanted, nothing, Sentry(), 20001, BINDS))
    assert [fact.name for fact in facts if fact.holds] == ["gVisor started with: loosening options"]


def arguments(change: Callable[[list[str]], list[str]]) -> Callable[[Recorded], None]:
    def apply(seen: Recorded) -> None:
        seen["arguments"] = {pid: change(words) for pid, words in seen["arguments"].items()}

    return apply


def told(*path: str, value: Any) -> Callable[[Recorded], None]:
    def apply(seen: Recorded) -> None:
        part = seen["told"]
        for name in path[:-1]:
            part = part[name]
        part[path[-1]] = value

    return apply


def mounts(old: str, new: str) -> Callable[[Recorded], None]:
    def apply(seen: Recorded) -> None:
        assert old in seen["gofer_mountinfo"]
        seen["gofer_mountinfo"] = seen["gofer_mountinfo"].replace(old, new)

    return apply


def statuses(name: str, value: str) -> Callable[[Recorded], None]:
    def apply(seen: Recorded) -> None:
        for pid, status in seen["statuses"].items():
            if seen["arguments"].get(pid, [""])[:1] != ["runsc-gofer"]:
                status[name] = value

    return apply


def writable_data(seen: Recorded) -> None:
    mounts("/data/nafld ro,", "/data/nafld rw,")(seen)
    mounts("overlay ro,", "overlay rw,")(seen)


def one_more_call(seen: Recorded) -> None:
    seen["told"]["linux"]["seccomp"]["syscalls"].append({"names": ["ptrace"], "action": "SCMP_ACT_ALLOW"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            arguments(lambda words: [w.replace("--network=none", "--network=host") for w in words]),
            "gVisor started with: network",
        ),
        (
            arguments(lambda words: [w for w in words if "--network" not in w]),
            "gVisor started with: network",
        ),
        (arguments(lambda words: [words[0], "--profile", *words[1:]]), "gVisor started with: loosening options"),
        (
            arguments(lambda words: [words[0], "--ignore-cgroups=true", *words[1:]]),
            "gVisor started with: loosening options",
        ),
        (arguments(lambda words: ["sh", *words[1:]]), "gVisor's processes"),
        (statuses("Seccomp", "0"), "host enforces on gVisor: Seccomp"),
        (statuses("NoNewPrivs", "0"), "host enforces on gVisor: NoNewPrivs"),
        (statuses("Uid", "0\t0\t0\t0"), "host enforces on gVisor: the sentry's user"),
        (writable_data, "host gives gVisor: /data/nafld kind"),
        (mounts(",nosymfollow - ext4", " - ext4"), "host gives gVisor: /home/analyst flags missing"),
        (mounts(" /run/glovebox/inner ", " /etc "), "host gives gVisor: unknown mounts"),
        (told("process", "noNewPrivileges", value=False), "gVisor was told: no new privileges"),
        (told("process", "user", value={"uid": 0, "gid": 0}), "gVisor was told: user"),
        (told("process", "capabilities", value={"bounding": ["CAP_SYS_PTRACE"]}), "gVisor was told: capabilities"),
        (told("process", "rlimits", value=[]), "gVisor was told: limit nofile"),
        (told("root", "readonly", value=False), "gVisor was told: read-only root"),
        (told("mounts", value=[]), "gVisor was told: /tmp options missing"),
        (one_more_call, "gVisor was told: system calls"),
        (told("linux", "seccomp", value=None), "gVisor was told: system calls"),
    ],
)
def test_each_weakening_is_drift(
    wanted: HardeningProfile, recorded: Recorded, change: Callable[[Recorded], None], named: str
) -> None:
    change(recorded)
    assert named in drift(wanted, recorded)


def test_the_hosts_user_namespace_is_drift(wanted: HardeningProfile, recorded: Recorded) -> None:
    assert drift(wanted, recorded, own_user_namespace=False) == ["host enforces on gVisor: the sentry's user namespace"]


def test_without_a_limit_on_memory_and_swap_together_it_does_not_hold(
    wanted: HardeningProfile, recorded: Recorded
) -> None:
    del recorded["cgroup"]["memory.memsw.limit_in_bytes"]
    found = [fact.name for fact in cgroup_facts(wanted, observed(recorded)) if not fact.holds]
    assert found == ["cgroup memory.memsw.limit_in_bytes"]


def test_a_bundle_of_another_container_is_not_believed() -> None:
    class Reading:
        """Answers as the host does, but with arguments that name someone else's bundle."""

        def shell(self, script: str) -> str:
            if "cmdline" in script:
                return "9\0runsc-gofer\x1fgofer\x1f--bundle\x1f/run/docker/other\x1f\0"
            assert "other" not in script
            return ""

    seen = Observed((), 0, (), {9: {}}, {}, (), {}, "")
    assert observe_sentry(Reading(), 9, "mine", seen).told == {}


# -- what holds -------------------------------------------------------------------------------------------------------
def test_a_real_one_holds(wanted: HardeningProfile, recorded: Recorded) -> None:
    assert drift(wanted, recorded) == []
    for facts in (cgroup_facts(wanted, observed(recorded)), network_facts(wanted, observed(recorded))):
        assert all(fact.holds for fact in facts)


def test_without_our_list_the_sentry_alone_answers_and_the_proof_says_so(
    wanted: HardeningProfile, recorded: Recorded
) -> None:
    sentry = Sentry(arguments={1: ("runsc-sandbox", "--network=none")})
    facts = {fact.name: fact for fact in sentry_facts(wanted, observed(recorded), sentry, 20001, BINDS)}
    assert facts["system calls are answered by"].observed == "the sentry"
    assert facts["system calls are answered by"].holds
    assert "gVisor was told: system calls" not in facts


def test_what_gvisor_shares_is_excused_for_no_other_runtime(tmp_path: Path, recorded: Recorded) -> None:
    plain = profile(Settings(home=tmp_path))
    found = [fact.name for fact in network_facts(plain, observed(recorded)) if not fact.holds]
    assert found == ["namespaces shared with the host"]


def test_the_digest_of_a_list_does_not_depend_on_its_order_but_on_every_condition() -> None:
    ours = seccomp_profile()
    assert calls_digest(ours) == calls_digest(regrouped(ours))
    assert calls_digest(ours) != calls_digest(seccomp_profile(loopback_inet=True))
