"""Huge pages are a matter of speed: the bytes stay what they were, and a kernel that has none refuses nobody the data."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vault import pages
from vault.pages import collapse, collapse_soon

MIB = 1024 * 1024


@pytest.fixture
def shared(request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = Path(f"/dev/shm/glovebox-pages-{os.getpid()}")
    folder.mkdir(mode=0o700)
    yield folder
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()


@pytest.mark.parametrize("size", [0, 1, 2 * MIB - 1, 2 * MIB, 5 * MIB + 17, 70 * MIB])
def test_a_file_reads_the_same_in_any_pages(shared: Path, size: int) -> None:
    data = os.urandom(min(size, 3 * MIB)) * (size // (3 * MIB) + 1)
    (shared / "f").write_bytes(data[:size])
    done = collapse(shared / "f")
    assert done in (0, size // (2 * MIB) * 2 * MIB)
    assert (shared / "f").read_bytes() == data[:size]


def test_what_is_not_there_or_not_on_a_tmpfs_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "on-disk").write_bytes(bytes(4 * MIB))
    assert collapse(tmp_path / "missing") == 0
    assert collapse(tmp_path / "on-disk") in (0, 4 * MIB)
    assert (tmp_path / "on-disk").read_bytes() == bytes(4 * MIB)


def test_a_kernel_without_it_leaves_the_file_alone(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def old(*_: object) -> int:
        ctypes.set_errno(errno.EINVAL)
        return -1

    monkeypatch.setattr(pages._libc, "madvise", old)
    (shared / "f").write_bytes(b"x" * 4 * MIB)
    collapse_soon([shared / "f", shared / "gone"]).join(30)
    assert (shared / "f").read_bytes() == b"x" * 4 * MIB
