"""The launcher: what it refuses, what it makes, and that a run that was cut short is continued."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from installation.settings import CHECKOUT

LAUNCHER = CHECKOUT / "glovebox"


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The launcher as a module, at home in a checkout of its own."""
    spec = spec_from_loader("glovebox_launcher", SourceFileLoader("glovebox_launcher", str(LAUNCHER)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path / ".venv")
    folder = tmp_path / "requirements"
    folder.mkdir()
    for name in ("host", "dev"):
        (folder / f"{name}.txt").write_text("", "ascii")
    return module


def made(launcher: ModuleType, name: str) -> None:
    environment = launcher.ENVIRONMENT
    (environment / "bin").mkdir(parents=True, exist_ok=True)
    (environment / "bin" / "python").touch()
    (environment / "pyvenv.cfg").write_text("version = 3.11.7\n", "ascii")
    launcher.mark(name).write_text(launcher.environment_digest(name), "ascii")


def test_launcher_is_executable_and_needs_nothing_installed() -> None:
    assert os.access(LAUNCHER, os.X_OK)
    imports = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({str(LAUNCHER)!r}, run_name='looked-at')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert imports.returncode == 0, imports.stderr


def test_older_python_is_refused_in_three_parts(
    launcher: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher.sys, "version_info", (3, 10, 0))
    with pytest.raises(SystemExit) as ended:
        launcher.main()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert "why:" in said
    assert "do:" in said
    assert "Traceback" not in said


def test_no_environment_is_not_up_to_date(launcher: ModuleType) -> None:
    assert not launcher.up_to_date("host")


def test_environment_of_another_lock_is_not_up_to_date(launcher: ModuleType) -> None:
    made(launcher, "host")
    assert launcher.up_to_date("host")
    launcher.lock("host").write_text("duckdb==1.0\n", "ascii")
    assert not launcher.up_to_date("host")


def test_environment_for_running_is_not_enough_for_testing(launcher: ModuleType) -> None:
    made(launcher, "host")
    assert not launcher.up_to_date("dev")


def test_environment_for_testing_serves_running_too(launcher: ModuleType) -> None:
    made(launcher, "dev")
    assert launcher.up_to_date("host")
    assert launcher.up_to_date("dev")


def test_failed_installation_leaves_no_mark_and_says_what_to_do(
    launcher: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    made(launcher, "host")
    launcher.lock("host").write_text("x\n", "ascii")
    (launcher.ENVIRONMENT / "bin" / "python").unlink()
    pip = launcher.ENVIRONMENT / "bin" / "python"
    pip.write_text("#!/bin/sh\necho 'the digest differs' >&2\nexit 1\n", "ascii")
    pip.chmod(0o755)
    with pytest.raises(SystemExit):
        launcher.make("host")
    said = capsys.readouterr().err
    assert "the digest differs" in said
    assert "run the same command again" in said
    assert not launcher.up_to_date("host")


def test_missing_venv_module_is_said_where_it_cannot_be_installed(
    launcher: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    monkeypatch.setattr(launcher.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit):
        launcher.ensure_venv_module()
    assert "-venv" in capsys.readouterr().err


def test_every_requirement_is_locked_by_hash_and_names_no_index() -> None:
    for path in [*CHECKOUT.glob("requirements/*.txt"), *CHECKOUT.glob("images/**/requirements*.txt")]:
        text = path.read_text("utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "--index-url" not in text


def test_proxy_is_locked_by_digest_and_names_no_address() -> None:
    text = (CHECKOUT / "proxy" / "package-lock.json").read_text("utf-8")
    assert '"integrity": "sha512-' in text
    assert '"resolved"' not in text


@pytest.mark.parametrize("words", [["--help"], ["status", "--help"]])
def test_launcher_hands_over(words: list[str], tmp_path: Path) -> None:
    environ = {**os.environ, "GLOVEBOX_HOME": str(tmp_path)}
    done = subprocess.run([str(LAUNCHER), *words], capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    assert "Usage: glovebox" in done.stdout


def test_ci_runs_what_everybody_runs() -> None:
    script = CHECKOUT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "exec ./glovebox test" in script.read_text("utf-8")
    assert shutil.which("bash") is not None
