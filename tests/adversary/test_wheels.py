"""Wheels that try to leave their folder, to run at Python's start, or to be other than their lock and RECORD say."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from provisioning.domain.errors import ShelfRefused
from provisioning.domain.lock import check_beside, read_lock
from provisioning.intake.wheels import look, unpack
from provisioning.service import shelf
from store import schema
from tests.unit.provisioning.wheels import digest, lock_of, wheel
from tests.unit.provisioning.world import START, World

GOOD = "a" * 64


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def link(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr = 3, 0o120777 << 16
    return made


def test_an_honest_wheel_has_no_problems(tmp_path: Path) -> None:
    found = look(wheel(tmp_path))
    assert found.problems == ()
    assert (found.name, found.version, found.compiled) == ("demo", "1.0", False)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("../../etc/cron.d/x.txt", "leads out"),
        ("/etc/passwd.txt", "leads out"),
        ("demo/../../x.py", "leads out"),
        ("demo\\..\\x.py", "leads out"),
        ("C:/x.py", "leads out"),
        ("demo/./x.py", "leads out"),
        ("demo/new\nline.py", "leads out"),
        ("evil.pth", "start"),
        ("demo/evil.pth", "start"),
        ("demo-1.0.data/purelib/evil.pth", "start"),
        ("sitecustomize.py", "start"),
        ("usercustomize/__init__.py", "start"),
        ("demo-1.0.data/platlib/sitecustomize.py", "start"),
        ("demo.egg-link", "start"),
        ("json/__init__.py", "Python's own"),
        ("os.py", "Python's own"),
        ("demo/tool.exe", "kind"),
        ("demo/old.pyc", "kind"),
        ("demo/inner.whl", "kind"),
    ],
)
def test_what_must_not_be_in_a_wheel_is_named(tmp_path: Path, path: str, word: str) -> None:
    found = look(wheel(tmp_path, files={"demo/__init__.py": b"", path: b"import os\n"}))
    assert any(word in problem for problem in found.problems), found.problems


def test_a_link_in_a_wheel_is_found(tmp_path: Path) -> None:
    assert any("no plain file" in p for p in look(wheel(tmp_path, entries=(link("demo/l.py"),))).problems)


def test_a_file_beside_record_is_found(tmp_path: Path) -> None:
    assert look(wheel(tmp_path, unrecorded={"demo/more.py": b"x"})).problems == ("'demo/more.py' is not in RECORD",)


def test_a_changed_file_is_found(tmp_path: Path) -> None:
    found = look(wheel(tmp_path, record={"demo/__init__.py": digest(b"other")}))
    assert found.problems == ("'demo/__init__.py' differs from RECORD",)


def test_a_record_of_something_else_does_not_count(tmp_path: Path) -> None:
    inner = {"demo/x-1.dist-info/RECORD": b"demo/more.py,sha256=" + digest(b"x").encode() + b",1\n"}
    found = look(wheel(tmp_path, files={"demo/__init__.py": b"", **inner}, unrecorded={"demo/more.py": b"x"}))
    assert found.problems == ("'demo/more.py' is not in RECORD",)


def test_two_names_that_one_disk_takes_for_one_are_found(tmp_path: Path) -> None:
    found = look(wheel(tmp_path, files={"demo/a.py": b"1", "demo/A.py": b"2"}))
    assert "it holds one name twice" in found.problems


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    found = look(wheel(tmp_path, files={"demo/__init__.py": b"", "demo/zeros.bin": bytes(20_000_000)}))
    assert found.problems == ("'demo/zeros.bin' unpacks to far more than it seems",)


def test_a_program_under_another_name_is_found(tmp_path: Path) -> None:
    files = {"demo/__init__.py": b"", "demo/data.bin": b"\x7fELF....", "demo/lib.so": b"#!/bin/sh\n"}
    problems = look(wheel(tmp_path, files=files)).problems
    assert problems == ("'demo/data.bin' is a program under another name", "'demo/lib.so' is no library")


def test_another_package_s_metadata_is_found(tmp_path: Path) -> None:
    said = "Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n"
    assert look(wheel(tmp_path, metadata=said)).problems == ("its METADATA names another package or version",)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive at all" * 100])
def test_what_is_no_archive_is_a_problem_and_no_crash(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(data)
    assert look(path).problems == ("it cannot be read: BadZipFile",)
    odd = tmp_path / "demo.zip"
    odd.write_bytes(data)
    assert "its name is none of a wheel" in look(odd).problems[0]


def test_scripts_headers_and_data_are_not_laid_out(tmp_path: Path) -> None:
    files = {f"demo-1.0.data/{kind}/x.txt": b"x" for kind in ("scripts", "headers", "data", "purelib")}
    unpack(wheel(tmp_path, files=files), tmp_path / "site")
    assert sorted(p.name for p in (tmp_path / "site").iterdir()) == ["demo-1.0.dist-info", "x.txt"]


# -- the lock ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "line",
    [
        "demo",
        "demo==1.0",
        "demo>=1.0 --hash=sha256:" + GOOD,
        "demo==1.0 --hash=md5:" + "a" * 32,
        "demo @ https://example.org/demo.whl --hash=sha256:" + GOOD,
        "https://example.org/demo.whl",
        "-e .",
        "--index-url https://example.org",
        "--trusted-host example.org",
        "-r other.txt",
        "demo==1.0 --hash=sha256:" + GOOD + " --install-option=x",
        "demo==1.0; python_version > '3' --hash=sha256:" + GOOD,
        "../demo==1.0 --hash=sha256:" + GOOD,
        "",
    ],
)
def test_only_packages_with_version_and_hash_can_be_approved(line: str) -> None:
    with pytest.raises(ShelfRefused):
        read_lock(line)


def test_a_package_is_named_once_however_it_is_spelt() -> None:
    with pytest.raises(ShelfRefused):
        read_lock(f"my_demo==1.0 --hash=sha256:{GOOD}\nMy.Demo==1.1 --hash=sha256:{GOOD}\n")


def test_another_version_of_the_image_s_own_is_refused() -> None:
    image = read_lock(f"numpy==2.0 --hash=sha256:{GOOD}")
    check_beside(read_lock(f"numpy==2.0 --hash=sha256:{GOOD}"), image)
    with pytest.raises(ShelfRefused):
        check_beside(read_lock(f"NumPy==2.1 --hash=sha256:{GOOD}"), image)


# -- approval ---------------------------------------------------------------------------------------------------------
def copied(lock: Path, into: Path, wheels: Path | None) -> None:
    """Stands where pip stands; the integration test has pip."""
    for path in sorted((wheels or into).glob("*.whl")):
        shutil.copy(path, into)


def approve(world: World, *paths: Path, lock: str | None = None) -> shelf.Edition:
    text = lock_of(*paths) if lock is None else lock
    return shelf.approve(
        world.db, world.settings, lock=text, fetch=copied, actor="adam", at=START, wheels=paths[0].parent
    )


def left(world: World) -> list[str]:
    return [p.name for p in world.settings.shelf.iterdir()] if world.settings.shelf.exists() else []


def test_an_edition_is_stored_whole_with_its_entry(world: World, tmp_path: Path) -> None:
    made = approve(world, wheel(tmp_path / "in"))
    folder = world.settings.shelf / made.digest
    assert (folder / "site" / "demo" / "__init__.py").read_bytes() == b"ANSWER = 42\n"
    assert left(world) == [made.digest]
    (entry,) = world.entries("shelf.approved")
    assert entry["facts"]["sha256"] == made.digest
    assert entry["facts"]["packages"] == ["demo==1.0"]
    assert entry["facts"]["scan"]["vulnerabilities"] == "not looked up"
    with world.db.read() as c:
        assert shelf.folder_of(c, world.settings) == (made.digest, folder)


def test_the_same_wheels_again_leave_the_folder_that_a_sandbox_sees(world: World, tmp_path: Path) -> None:
    path = wheel(tmp_path / "in")
    folder = world.settings.shelf / approve(world, path).digest
    seen = folder.stat().st_ino
    approve(world, path)
    assert folder.stat().st_ino == seen


def test_a_bad_wheel_leaves_nothing(world: World, tmp_path: Path) -> None:
    good, bad = wheel(tmp_path / "in"), wheel(tmp_path / "in", "evil", files={"evil.pth": b"import os\n"})
    with pytest.raises(ShelfRefused) as refused:
        approve(world, good, bad)
    assert "evil.pth" in refused.value.why
    assert left(world) == []
    assert world.rows(schema.shelf_edition) == 0
    assert world.entries() == []


def test_a_wheel_that_the_lock_does_not_name_is_refused(world: World, tmp_path: Path) -> None:
    good = wheel(tmp_path / "in")
    wheel(tmp_path / "in", "other")
    with pytest.raises(ShelfRefused):
        approve(world, good, lock=lock_of(good))
    with pytest.raises(ShelfRefused):
        approve(world, good, lock=f"demo==1.0 --hash=sha256:{GOOD}\n")


def test_a_wheel_that_did_not_come_is_missed(world: World, tmp_path: Path) -> None:
    good = wheel(tmp_path / "in")
    with pytest.raises(ShelfRefused) as refused:
        approve(world, good, lock=lock_of(good) + f"missing==1.0 --hash=sha256:{GOOD}\n")
    assert "missing" in refused.value.why


def test_two_wheels_for_one_place_are_refused(world: World, tmp_path: Path) -> None:
    one = wheel(tmp_path / "in", "one", files={"shared/__init__.py": b"1"})
    two = wheel(tmp_path / "in", "two", files={"shared/__init__.py": b"2"})
    with pytest.raises(ShelfRefused) as refused:
        approve(world, one, two)
    assert "shared/__init__.py" in refused.value.why
    assert left(world) == []


def test_an_edition_whose_wheels_are_gone_starts_nothing(world: World, tmp_path: Path) -> None:
    made = approve(world, wheel(tmp_path / "in"))
    next((world.settings.shelf / made.digest / "wheels").iterdir()).unlink()
    with world.db.read() as c, pytest.raises(ShelfRefused):
        shelf.folder_of(c, world.settings)
