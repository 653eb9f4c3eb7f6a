"""What the sandbox's own messages say of its limits, from the kernel's files of either cgroup version."""

from __future__ import annotations

import errno
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from installation.settings import CHECKOUT


@pytest.fixture(scope="module")
def limits() -> ModuleType:
    path = CHECKOUT / "images" / "sandbox" / "told" / "glovebox_told" / "limits.py"
    spec = importlib.util.spec_from_file_location("told_limits", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=[1, 2])
def cgroup(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == 2:
        (tmp_path / "memory.max").write_text("629145600\n")
        (tmp_path / "pids.max").write_text("256\n")
        (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\noom_group_kill 0\n")
        return tmp_path
    for name in ("memory", "pids"):
        (tmp_path / name).mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("629145600\n")
    (tmp_path / "memory" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (tmp_path / "pids" / "pids.max").write_text("256\n")
    return tmp_path


def test_limits_and_kills_are_read(limits: ModuleType, cgroup: Path) -> None:
    assert limits.memory_limit(cgroup) == 629145600
    assert limits.process_limit(cgroup) == 256
    assert limits.killed_for_memory(cgroup) == 2


def test_a_kernel_that_says_nothing_is_no_kill_and_no_number(limits: ModuleType, tmp_path: Path) -> None:
    assert limits.killed_for_memory(tmp_path) == 0
    assert "its memory limit." in limits.memory_said(tmp_path)
    assert "only so many processes" in limits.explained(BlockingIOError(errno.EAGAIN, "again"), tmp_path)


def test_no_limit_is_said_as_none(limits: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert limits.memory_limit(tmp_path) is None


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (MemoryError(), "600.0 MiB of memory"),
        (BlockingIOError(errno.EAGAIN, "again"), "256 processes and threads"),
        (RuntimeError("can't start new thread"), "256 processes and threads"),
        (OSError(errno.ENOSPC, "full", "/nowhere/at/all"), "file system of"),
        (OSError(errno.EMFILE, "many"), "files open at once"),
        (OSError(errno.EFBIG, "big"), "several smaller ones"),
        (FileNotFoundError(errno.ENOENT, "none"), ""),
        (RuntimeError("something else"), ""),
    ],
)
def test_each_limit_has_its_words(limits: ModuleType, cgroup: Path, error: Exception, part: str) -> None:
    said = limits.explained(error, cgroup)
    assert part in said
    assert bool(said) == bool(part)
