"""Bytes come back as they were put or not at all."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.blobs import Blobs
from store.errors import BlobFault

DATA = b"what was reviewed is what leaves"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def everything(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 65, f"{'0' * 62}/.", f"{DIGEST}\n"])
def test_a_name_that_is_no_digest_is_refused(blobs: Blobs, name: str) -> None:
    for use in (blobs.read, blobs.open, blobs.has, blobs.path):
        with pytest.raises(BlobFault):
            use(name)


def test_missing_bytes_are_refused_plainly(blobs: Blobs) -> None:
    with pytest.raises(BlobFault) as fault:
        blobs.read(DIGEST)
    assert "not in the store" in fault.value.why
    assert not blobs.has(DIGEST)


@pytest.mark.parametrize("altered", [b"", DATA + b"!", DATA[:-1], DATA.replace(b"w", b"v")])
def test_altered_bytes_are_never_handed_out(blobs: Blobs, altered: bytes) -> None:
    blobs.put(DATA)
    blobs.path(DIGEST).write_bytes(altered)
    for use in (blobs.read, blobs.open, blobs.path):
        with pytest.raises(BlobFault):
            use(DIGEST)


def test_a_link_in_place_of_a_file_is_not_followed(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put(DATA)
    path, other = blobs.path(DIGEST), tmp_path / "same-bytes"
    other.write_bytes(DATA)
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(BlobFault):
        blobs.read(DIGEST)


def test_too_many_bytes_are_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs", limit=10)
    with pytest.raises(BlobFault):
        blobs.put(b"x" for _ in range(1_000_000))
    assert everything(tmp_path) == []
    blobs.put(b"x" * 10)


def test_a_stream_that_breaks_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield DATA
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        blobs.put(broken())
    assert everything(tmp_path) == []


def test_bytes_come_back_whole_and_streamed(blobs: Blobs) -> None:
    assert blobs.put(DATA[i : i + 5] for i in range(0, len(DATA), 5)) == DIGEST
    assert blobs.put(DATA) == DIGEST
    assert blobs.read(DIGEST) == DATA
    with blobs.open(DIGEST) as file:
        assert (file.read(4), file.read()) == (DATA[:4], DATA[4:])


def test_putting_again_heals_a_damaged_file(blobs: Blobs) -> None:
    blobs.put(DATA)
    blobs.path(DIGEST).write_bytes(b"damaged")
    blobs.put(DATA)
    assert blobs.read(DIGEST) == DATA


def test_only_the_owner_reads_them(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put(DATA)
    assert [p.stat().st_mode & 0o777 for p in everything(tmp_path)] == [0o600]
    folders = [p for p in (tmp_path / "blobs").rglob("*") if p.is_dir()]
    assert {p.stat().st_mode & 0o777 for p in folders} == {0o700}


def test_many_at_once_put_one_file(blobs: Blobs, tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        digests = list(pool.map(blobs.put, [DATA, b"other"] * 40))
    assert set(digests) == {DIGEST, hashlib.sha256(b"other").hexdigest()}
    assert len(everything(tmp_path)) == 2


def test_what_a_killed_put_left_is_swept_after_a_day(blobs: Blobs, tmp_path: Path) -> None:
    root = tmp_path / "blobs" / "sha256"
    old, young = root / ".old", root / ".young"
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    Blobs(tmp_path / "blobs")
    assert (old.exists(), young.exists()) == (False, True)
