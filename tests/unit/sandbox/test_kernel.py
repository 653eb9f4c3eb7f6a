"""Reading what the kernel says: cgroup v1 and v2, mounts, limits; unreadable never holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from installation.settings import Settings
from provisioning.sandbox.containers import cgroup_version
from provisioning.sandbox.hardening import Bind, host_config, profile
from provisioning.sandbox.isolation import Proof, cgroup_facts, mount_facts, network_facts, process_facts
from provisioning.sandbox.kernel import Observed, cgroup_folders, parse_limits, parse_mounts
from provisioning.sandbox.mounts import Folders, MountOrder, mounts_below

NOTHING = Observed((), 0, (), {}, {}, ("net",), {}, "")


def test_cgroup_v1_folders_follow_each_controller() -> None:
    text = "8:pids:/docker/abc\n4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n"
    folders = cgroup_folders(text, 1)
    assert folders["pids.max"] == Path("/sys/fs/cgroup/pids/docker/abc")
    assert folders["cpu.cfs_quota_us"] == Path("/sys/fs/cgroup/cpu/docker/abc")


def test_cgroup_v2_has_one_folder() -> None:
    folders = cgroup_folders("0::/system.slice/docker-abc.scope\n", 2)
    assert set(folders.values()) == {Path("/sys/fs/cgroup/system.slice/docker-abc.scope")}


def test_cgroup_v2_limits_are_compared(tmp_path: Path) -> None:
    wanted = profile(Settings(home=tmp_path), cgroup_version=2)
    told = {"pids.max": "256", "memory.max": str(2 * 1024**3), "memory.swap.max": "0", "cpu.max": "100000 100000"}
    seen = Observed(("lo",), 0, (), {}, {}, (), told, "500")
    assert all(fact.holds for fact in cgroup_facts(wanted, seen))
    weaker = Observed(("lo",), 0, (), {}, {}, (), {**told, "memory.swap.max": "max"}, "500")
    assert [fact.name for fact in cgroup_facts(wanted, weaker) if not fact.holds] == ["cgroup memory.swap.max"]


@pytest.mark.parametrize("version", [1, 2])
def test_nothing_read_means_nothing_holds(tmp_path: Path, version: int) -> None:
    wanted = profile(Settings(home=tmp_path), cgroup_version=version)
    binds = [Bind("/x", "/run/glovebox/serve", read_only=False), Bind("/y", "/data/d", read_only=False)]
    for facts in (
        cgroup_facts(wanted, NOTHING),
        process_facts(wanted, NOTHING, 1000),
        mount_facts(wanted, NOTHING, binds),
        network_facts(wanted, NOTHING),
    ):
        assert not Proof(tuple(facts), wanted.digest, "runc").holds


def test_one_process_with_more_rights_is_drift(tmp_path: Path) -> None:
    wanted = profile(Settings(home=tmp_path))
    good = {"Uid": "7\t7\t7\t7", "Gid": "7\t7\t7\t7", "NoNewPrivs": "1", "Seccomp": "2"}
    good |= dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16)
    sound = Observed(("lo",), 0, (), {1: good}, {}, (), {}, "")
    assert all(fact.holds for fact in process_facts(wanted, sound, 7))
    mixed = Observed(("lo",), 0, (), {1: good, 2: {**good, "Seccomp": "0"}}, {}, (), {}, "")
    assert [fact.name for fact in process_facts(wanted, mixed, 7) if not fact.holds] == ["process Seccomp"]


def test_limits_are_read_by_the_kernels_names() -> None:
    text = (
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max open files            4096                 4096                 files     \n"
        "Max locked memory         65536                65536                bytes     \n"
    )
    assert parse_limits(text) == {"Max open files": ("4096", "4096"), "Max locked memory": ("65536", "65536")}


def test_mount_points_with_spaces_are_understood(tmp_path: Path) -> None:
    line = "43 27 0:39 / /srv/a\\040b/serve rw,nosuid - tmpfs tmpfs rw,size=1024k"
    assert parse_mounts(line)[0].point == "/srv/a b/serve"
    assert mounts_below(Path("/srv/a b"), line) == [Path("/srv/a b/serve")]
    assert mounts_below(Path("/srv/a"), line) == []


@pytest.mark.parametrize("name", ["../etc", "", "ABCDEF01", "0123456", "g" * 16, "0" * 65, "a/b"])
def test_a_sandbox_id_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a sandbox id"):
        Folders.of(Settings(home=tmp_path), name)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "a b", "a,b"])
def test_a_dataset_name_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a dataset name"):
        MountOrder("0123456789abcdef", 1000, tmp_path / "h.ext4", 1, {name: tmp_path})


# A container's mounts on cgroup v2, in the form in which a current engine's runc makes them: one cgroup2 file system, read-only.
V2_MOUNTS = """\
700 650 0:52 / / ro,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
701 700 0:55 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
702 700 0:56 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755,inode64
703 702 0:57 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts rw,gid=5,mode=620,ptmxmode=666,max=64
704 700 0:58 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
705 704 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot
706 702 0:54 / /dev/mqueue rw,nosuid,nodev,noexec,relatime - mqueue mqueue rw
707 702 0:59 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k,inode64
708 700 0:60 / /tmp rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=262144k,nr_inodes=16384,inode64
709 700 8:1 /r /etc/resolv.conf ro,relatime - ext4 /dev/sda1 rw
710 701 0:55 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw
711 701 0:56 /null /proc/kcore rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755,inode64
712 701 0:61 / /proc/acpi ro,relatime - tmpfs tmpfs ro,inode64
713 704 0:62 / /sys/firmware ro,relatime - tmpfs tmpfs ro,inode64
"""


def _mounts_on_v2(tmp_path: Path, text: str) -> list[str]:
    wanted = profile(Settings(home=tmp_path), cgroup_version=2)
    seen = Observed(("lo",), 0, parse_mounts(text), {}, {}, (), {}, "")
    return [fact.name for fact in mount_facts(wanted, seen, []) if not fact.holds]


def test_mounts_of_a_current_engine_on_cgroup_v2_hold(tmp_path: Path) -> None:
    assert _mounts_on_v2(tmp_path, V2_MOUNTS) == []


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ("/sys/fs/cgroup ro,", "/sys/fs/cgroup rw,", "/sys/fs/cgroup read-only"),
        ("/proc/sys ro,", "/proc/sys rw,", "/proc/sys read-only"),
        ("/sys/firmware ro,relatime - tmpfs tmpfs ro", "/sys/firmware rw,relatime - sysfs sysfs rw", "unknown mounts"),
        ("/proc/kcore rw,nosuid - tmpfs tmpfs", "/proc/kcore rw,nosuid - proc proc", "unknown mounts"),
        ("/null /proc/kcore rw", "/ /proc/kcore rw", "unknown mounts"),
        ("/dev/mqueue rw", "/run/docker.sock rw", "unknown mounts"),
        ("/tmp rw,nosuid,nodev,noexec", "/tmp rw,nosuid,nodev", "/tmp flags missing"),
        (",nr_inodes=16384", "", "/tmp flags missing"),
        (",max=64", "", "terminals"),
    ],
)
def test_each_weaker_mount_on_cgroup_v2_is_drift(tmp_path: Path, was: str, becomes: str, named: str) -> None:
    assert was in V2_MOUNTS
    assert named in _mounts_on_v2(tmp_path, V2_MOUNTS.replace(was, becomes))


@pytest.mark.parametrize("version", ["1", "2", "", None])
def test_the_engine_says_which_cgroup_it_has(version: str | None) -> None:
    """Engines before 20.10 say nothing, and know version 1 alone."""

    class Engine:
        def info(self) -> dict[str, str | None]:
            return {"CgroupVersion": version} if version is not None else {}

    assert cgroup_version(Engine()) == (2 if version == "2" else 1)  # type: ignore[arg-type]


def test_on_cgroup_v2_the_engine_is_told_no_swappiness(tmp_path: Path) -> None:
    """It refuses the container otherwise."""
    assert "MemorySwappiness" not in host_config(profile(Settings(home=tmp_path), cgroup_version=2))
    assert host_config(profile(Settings(home=tmp_path), cgroup_version=1))["MemorySwappiness"] == 0
