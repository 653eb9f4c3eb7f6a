"""Making the image: keyed by everything that goes in, and each step refuses with a remedy."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException

from installation.settings import Settings
from provisioning.sandbox import image
from provisioning.sandbox.errors import ImageFault


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small copy of the image's sources that a test may change."""
    for name in ("base/Dockerfile", "packages/Dockerfile", "sandbox/Dockerfile", "sandbox/glovebox_client/a.py"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_text(name, "utf-8")
    (tmp_path / "images/sandbox/requirements.txt").write_text("x==1 --hash=sha256:00\n", "utf-8")
    monkeypatch.setattr(image, "IMAGES", tmp_path / "images")
    monkeypatch.setattr(image, "LOCK", tmp_path / "images/sandbox/requirements.txt")
    return tmp_path / "images"


# -- refusals ---------------------------------------------------------------------------------------------------------
def test_without_an_engine_the_remedy_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(**_: Any) -> None:
        raise DockerException("no socket")

    monkeypatch.setattr(docker, "from_env", absent)
    with pytest.raises(ImageFault) as refusal:
        image.ensure_image(settings)
    assert "Start Docker" in refusal.value.do


def test_neither_registry_nor_mmdebstrap_is_a_clear_fault(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise APIError("lookup failed")

    client = SimpleNamespace(images=SimpleNamespace(pull=refuse))
    monkeypatch.setattr(image, "_client", lambda: client)
    monkeypatch.setattr(image, "_image_id", lambda *_: None)
    monkeypatch.setattr(image.shutil, "which", lambda _: None)
    with pytest.raises(ImageFault) as refusal:
        image.build_base(settings)
    assert "mmdebstrap" in refusal.value.do
    assert "lookup failed" in (refusal.value.private or "")


def test_a_failed_fetch_is_not_taken_for_a_whole_one(
    settings: Settings, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        (Path(command[command.index("--dest") + 1]) / "half.whl").write_text("half")
        return subprocess.CompletedProcess(command, 1, "", "ERROR: hashes do not match\n")

    monkeypatch.setattr(image.subprocess, "run", fails)
    with pytest.raises(ImageFault) as refusal:
        image.fetch_wheels(settings)
    assert "hashes do not match" in refusal.value.why
    with pytest.raises(ImageFault):
        image.fetch_wheels(settings)


def test_wheels_are_fetched_by_hash_and_never_built(
    settings: Settings, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def succeeds(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(image.subprocess, "run", succeeds)
    folder = image.fetch_wheels(settings)
    assert image.fetch_wheels(settings) == folder
    assert len(asked) == 1
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps"} <= set(asked[0])


# -- keys -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("changed", ["sandbox/Dockerfile", "sandbox/glovebox_client/a.py"])
def test_a_changed_source_is_another_image_on_the_same_packages(sources: Path, changed: str) -> None:
    before, packages = image.image_key(image.packages_tag("base")), image.packages_tag("base")
    (sources / changed).write_text("changed", "utf-8")
    assert image.image_key(image.packages_tag("base")) != before
    assert image.packages_tag("base") == packages


def test_a_new_source_is_another_image(sources: Path) -> None:
    before = image.image_key("packages")
    (sources / "sandbox/glovebox_client/b.py").write_text("", "utf-8")
    assert image.image_key("packages") != before


def test_a_changed_lock_is_other_packages(sources: Path) -> None:
    before = image.packages_tag("base")
    image.LOCK.write_text("x==2\n", "utf-8")
    assert image.packages_tag("base") != before


def test_compiled_files_do_not_matter(sources: Path) -> None:
    before = image.image_key("packages")
    (sources / "sandbox/glovebox_client/__pycache__").mkdir()
    (sources / "sandbox/glovebox_client/__pycache__/a.pyc").write_text("", "utf-8")
    assert image.image_key("packages") == before


def test_a_build_context_is_the_same_whoever_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text", "utf-8")
    path.chmod(0o600)
    with image._context([(path, "file")]) as spool, tarfile.open(fileobj=spool) as tar:
        (member,) = tar.getmembers()
    assert (member.uid, member.gid, member.mtime, member.mode) == (0, 0, 0, 0o644)


# -- the real one -----------------------------------------------------------------------------------------------------
def test_no_recipe_names_a_registry_or_runs_with_a_network() -> None:
    for recipe in ("packages", "sandbox"):
        text = (image.IMAGES / recipe / "Dockerfile").read_text("utf-8")
        assert "apt-get" not in text
        assert "http" not in text
