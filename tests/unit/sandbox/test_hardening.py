"""The profile and the seccomp list, as data."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from installation.settings import SandboxSettings, Settings
from provisioning.sandbox.hardening import MIB, create_arguments, profile, verifier_profile
from provisioning.sandbox.seccomp import ABSENT, ALLOWED, seccomp_profile

_REFUSED = """
ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd mknod mknodat name_to_handle_at open_by_handle_at
personality modify_ldt shmget msgget semget mq_open io_setup vmsplice remap_file_pages fanotify_init adjtimex
memfd_create flock inotify_init1 preadv2 bpf perf_event_open userfaultfd keyctl add_key request_key mount
umount2 pivot_root chroot unshare setns init_module finit_module kexec_load reboot swapon sethostname
settimeofday clock_settime clock_adjtime syslog acct quotactl move_mount open_tree fsopen io_uring_setup
clone3 seccomp lookup_dcookie socketcall ipc iopl ioperm setuid setgid capset
"""
REFUSED = _REFUSED.split()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.mark.parametrize("call", REFUSED)
def test_dangerous_call_is_not_allowed(call: str) -> None:
    assert call not in ALLOWED


def test_a_call_is_either_allowed_or_absent() -> None:
    assert not set(ALLOWED) & set(ABSENT)


@pytest.mark.parametrize(("loopback", "families"), [(False, {1}), (True, {1, 2})])
def test_socket_families_are_allowed_by_equality_alone(loopback: bool, families: set[int]) -> None:
    rules = [rule for rule in seccomp_profile(loopback_inet=loopback)["syscalls"] if "socket" in rule["names"]]
    allowing = [rule for rule in rules if rule["action"] == "SCMP_ACT_ALLOW"]
    assert {rule["args"][0]["value"] for rule in allowing} == families
    assert all(len(rule["args"]) == 1 and rule["args"][0]["op"] == "SCMP_CMP_EQ" for rule in rules)
    assert {rule.get("errnoRet") for rule in rules} == {None, errno.EOPNOTSUPP}


def test_no_rule_allows_by_ordering_or_inequality() -> None:
    operators = {argument["op"] for rule in seccomp_profile()["syscalls"] for argument in rule["args"]}
    assert operators == {"SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"}


def test_default_refuses_and_no_32_bit_architecture_is_named() -> None:
    made = seccomp_profile()
    assert made["defaultAction"] == "SCMP_ACT_ERRNO"
    assert {entry["architecture"] for entry in made["archMap"]} == {"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"}
    assert all(not entry["subArchitectures"] for entry in made["archMap"])


def test_terminal_injection_is_not_among_the_allowed_controls() -> None:
    controls = [rule for rule in seccomp_profile()["syscalls"] if rule["names"] == ["ioctl"]]
    assert controls
    assert all(rule["args"][0]["valueTwo"] not in (0x5412, 0x541C) for rule in controls)


@pytest.mark.parametrize("uid", [0, -1])
def test_root_is_refused(settings: Settings, uid: int) -> None:
    with pytest.raises(ValueError, match="never runs as root"):
        create_arguments(profile(settings), image="x", user=uid, environment={}, labels={})


def test_memory_in_tmpfs_stays_below_the_limit(settings: Settings) -> None:
    made = profile(settings)
    assert made.tmp_bytes + made.shm_bytes + 2 * MIB < made.memory


def test_swappiness_is_only_asked_for_where_the_kernel_has_it(settings: Settings) -> None:
    one = create_arguments(profile(settings, cgroup_version=1), image="x", user=1000, environment={}, labels={})
    two = create_arguments(profile(settings, cgroup_version=2), image="x", user=1000, environment={}, labels={})
    assert one["host_config"]["MemorySwappiness"] == 0
    assert "MemorySwappiness" not in two["host_config"]
    assert two["host_config"]["MemorySwap"] == two["host_config"]["Memory"]


def test_only_limits_runtime_and_loopback_can_be_set(tmp_path: Path) -> None:
    """Whatever an operator sets, the sealing settings stay."""
    loose = Settings(home=tmp_path, sandbox=SandboxSettings(runtime="runsc", pids=9999, loopback_inet=True))
    host = create_arguments(profile(loose), image="x", user=1000, environment={}, labels={})["host_config"]
    assert host["NetworkMode"] == "none"
    assert host["CapDrop"] == ["ALL"]
    assert host["ReadonlyRootfs"] is True
    assert host["SecurityOpt"][0] == "no-new-privileges:true"


def test_verifier_has_the_same_hardening_without_mounts(settings: Settings) -> None:
    host = verifier_profile(settings)["host_config"]
    analyst = create_arguments(profile(settings), image="x", user=1000, environment={}, labels={})["host_config"]
    assert host == analyst
    assert host["Mounts"] == []
    assert "command" not in verifier_profile(settings)
    assert "entrypoint" not in verifier_profile(settings), "the gate talks to its verifier through the pipe"
