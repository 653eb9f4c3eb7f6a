"""File systems: what can be written, run, followed or read that should not."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .trying import Observed, attempt, blocked, call, errno_name, opened, refused, unknown

Facts = dict[str, Any]
_NO = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENODEV, errno.ENXIO)
HOME, TMP, SHM, SERVE = "/home/analyst", "/tmp", "/dev/shm", "/run/glovebox/serve"  # noqa: S108 - inside the sandbox


def _write(path: str) -> Callable[[Facts], Observed]:
    return lambda _: refused(lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT)), *_NO)


for _name, _path in (
    ("root", "/adversary"),
    ("programs", "/usr/bin/python3"),
    ("packages", "/opt/sandbox/adversary.py"),
    ("passwords", "/etc/passwd"),
    ("core-pattern", "/proc/sys/kernel/core_pattern"),
    ("sysrq", "/proc/sysrq-trigger"),
    ("hotplug", "/sys/kernel/uevent_helper"),
    ("cgroup", "/sys/fs/cgroup/adversary"),
    ("inner-door", "/run/glovebox/inner/adversary"),
):
    attempt(f"write-{_name}", "filesystem", f"write {_path}")(_write(_path))


@attempt("write-dataset", "filesystem", "change, add to and remove from the dataset")
def write_dataset(facts: Facts) -> Observed:
    table = str(facts["table"])
    folder = os.path.dirname(table)
    said = []
    for action in (
        lambda: os.open(table, os.O_WRONLY),
        lambda: os.open(os.path.join(folder, "new"), os.O_WRONLY | os.O_CREAT),
        lambda: os.unlink(table),
        lambda: os.chmod(table, 0o700),
        lambda: os.rename(table, table + ".old"),
    ):
        observed, detail = refused(action, *_NO)
        if observed != "blocked":
            return observed, detail
        said.append(detail)
    return blocked(", ".join(said))


@attempt(
    "dataset-through-own-mount", "filesystem", "see the dataset's folder as the host's, not as an own read-only layer"
)
def own_mount(facts: Facts) -> Observed:
    folder = os.path.dirname(str(facts["table"]))
    for point, flags, kind, _ in _mounts():
        if point == folder:
            sealed = kind == "overlay" and "ro" in flags
            return blocked("an overlay of its own") if sealed else opened(f"{kind} {','.join(sorted(flags))}")
    return unknown("the dataset is no mount of its own")


def _run_from(folder: str) -> Callable[[Facts], Observed]:
    def run(_: Facts) -> Observed:
        if not os.access(folder, os.W_OK):
            return blocked("cannot be written")
        path = os.path.join(folder, "adversary.sh")
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 7\n")
        os.chmod(path, 0o700)
        child = os.fork()
        if child == 0:
            try:
                os.execv(path, [path])  # noqa: S606 - to see whether it may be run at all
            except OSError as refusal:
                os._exit(100 + min(refusal.errno or 0, 100))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.unlink(path)
        if code == 100 + errno.EACCES:
            return blocked("EACCES")
        return opened("it ran") if code == 7 else unknown(f"code {code}")

    return run


for _name, _folder in (("home", HOME), ("tmp", TMP), ("shm", SHM), ("serve", SERVE)):
    attempt(f"run-from-{_name}", "filesystem", f"run a file of one's own from {_folder}")(_run_from(_folder))


@attempt("link-in-served-folder", "filesystem", "have a link in the served folder followed")
def served_link(_: Facts) -> Observed:
    return _followed(SERVE)


@attempt("link-in-home", "filesystem", "have a link in the home followed")
def home_link(_: Facts) -> Observed:
    return _followed(HOME)


def _followed(folder: str) -> Observed:
    if not os.path.isdir(folder):
        return unknown(f"no {folder}")
    path = os.path.join(folder, "adversary.link")
    try:
        os.symlink("/etc/passwd", path)
    except OSError as refusal:
        return blocked(errno_name(refusal.errno or 0))
    try:
        return refused(lambda: os.close(os.open(path, os.O_RDONLY)), errno.ELOOP)
    finally:
        os.unlink(path)


@attempt("disks-and-memory", "filesystem", "open a disk, physical memory, a virtualisation or tunnel device")
def devices(_: Facts) -> Observed:
    paths = ("sda", "vda", "nvme0n1", "mem", "kmem", "port", "kvm", "fuse", "net/tun", "loop-control", "loop0", "kmsg")
    found = [path for path in paths if os.path.exists(f"/dev/{path}")]
    return opened(", ".join(found)) if found else blocked("none of 12 is there")


@attempt("hidden-kernel-files", "filesystem", "read the kernel's symbols, keys, locks, timers, memory map, module list")
def hidden(_: Facts) -> Observed:
    names = "kallsyms keys key-users locks timer_list iomem ioports modules kcore slabinfo vmallocinfo pagetypeinfo"
    return _shown([f"/proc/{name}" for name in names.split()])


@attempt("hidden-machine-files", "filesystem", "read the machine's boot line, disks, partitions, interrupts")
def machine(_: Facts) -> Observed:
    names = "cmdline partitions diskstats interrupts softirqs swaps buddyinfo zoneinfo vmstat schedstat devices misc"
    return _shown([f"/proc/{name}" for name in names.split()])


@attempt("hidden-device-tree", "filesystem", "read the machine's device tree, modules and firmware in /sys")
def tree(_: Facts) -> Observed:
    names = ("block", "bus", "class", "dev", "firmware", "kernel", "module", "power", "devices/virtual", "fs/ext4")
    found = [name for name in names if _entries(f"/sys/{name}")]
    return opened(", ".join(found)) if found else blocked("all empty")


@attempt("loop-files", "filesystem", "read which files of the host lie behind the loop devices")
def loop_files(_: Facts) -> Observed:
    found = []
    for folder in ("/sys/block", "/sys/devices/virtual/block", "/sys/class/block"):
        for name in _entries(folder):
            found += _entries(f"{folder}/{name}/loop")
    return opened(", ".join(found)) if found else blocked("no loop device is shown")


@attempt(
    "free-space-of-host",
    "filesystem",
    "measure the free space of the host's disk, a slow and noisy channel between sandboxes",
    known="the runtime itself needs fstatfs; writes by sandboxes are bounded, so the signal is small",
)
def free_space(_: Facts) -> Observed:
    result, number = call("statfs", ctypes.c_char_p(b"/"), ctypes.create_string_buffer(512))
    return opened("shown") if result == 0 else blocked(errno_name(number))


@attempt(
    "machine-load",
    "neighbours",
    "measure the load and free memory of the whole machine, a slow and noisy channel between sandboxes",
    known="whoever shares processors can time them; only a machine of one's own closes it",
)
def machine_load(_: Facts) -> Observed:
    return _shown(["/proc/loadavg", "/proc/stat", "/proc/meminfo"])


@attempt("host-paths-in-mounts", "filesystem", "read the host's folder names in the mount list")
def host_paths(facts: Facts) -> Observed:
    words = [str(word)[::-1] for word in facts.get("host_words", [])]
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        text = file.read()
    found = [word for word in words if word in text]
    return opened(", ".join(found)) if found else blocked(f"none of {len(words)} names")


@attempt("host-processes", "filesystem", "see processes that are not the sandbox's own")
def host_processes(_: Facts) -> Observed:
    names = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            names += _comm(entry)
    # tail is the prover's own, run in the sandbox to fetch what the adversary prints (`as_kernel`)
    own = {"tini", "jupyter-lab", "python", "python3", "python3.13", "sh", "bash", "sleep", "timeout", "tail"}
    strangers = sorted(set(names) - own)
    return opened(", ".join(strangers)) if strangers else blocked(f"{len(names)} processes, all its own")


def _comm(entry: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
        return [Path(f"/proc/{entry}/comm").read_text(encoding="utf-8").strip()]
    return []


def _shown(paths: list[str]) -> Observed:
    found = []
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if os.read(descriptor, 64):
                found.append(path)
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return opened(", ".join(found)) if found else blocked(f"nothing in {len(paths)} files")


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _mounts() -> list[tuple[str, set[str], str, str]]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        lines = [line.split(" - ") for line in file]
    split = [(before.split(), after.split()) for before, after in lines]
    return [(before[4], set(before[5].split(",")), after[0], before[3]) for before, after in split]
