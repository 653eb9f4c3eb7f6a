"""Set-up steps: they name what failed, and running again continues with it."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

import docker.errors
import pytest
from rich.console import Console

from installation.fault import Fault
from installation.settings import Settings
from workbench.errors import SetupFault
from workbench.setup import debian, docker_engine, opa, programs, secrets
from workbench.setup.step import Progress, Step, run_steps


def quiet(_: str) -> None:
    """Progress that nobody reads."""


def test_failed_step_is_named_and_later_steps_do_not_run(settings: Settings) -> None:
    ran: list[str] = []

    def fails(_: Settings, __: Progress) -> str:
        raise Fault("The archive was cut short.", why="The disk is full.", do="Make room.")

    def later(_: Settings, __: Progress) -> str:
        ran.append("later")
        return "there"

    with pytest.raises(SetupFault) as refused:
        run_steps(settings, [Step("sandbox image", fails), Step("browser", later)], Console(file=io.StringIO()))
    assert "sandbox image" in refused.value.what
    assert refused.value.why == "The disk is full."
    assert ran == []


@pytest.mark.parametrize(
    "broken",
    [
        SetupFault("apt-get update failed.", why="No network.", do="Mend it."),
        OSError(errno.ENOSPC, "No space left on device"),
        docker.errors.DockerException("no engine"),
    ],
)
def test_whatever_fails_in_a_step_the_step_is_named_and_running_again_continues(
    settings: Settings, broken: Exception
) -> None:
    ran: list[str] = []
    hurdles = [broken]

    def fails_once(_: Settings, __: Progress) -> str:
        if hurdles:
            raise hurdles.pop()
        return "there"

    def kept(_: Settings, __: Progress) -> str:
        ran.append("kept" if ran else "made")
        return ran[-1]

    steps = [Step("keys", kept), Step("sandbox image", fails_once)]
    with pytest.raises(SetupFault) as refused:
        run_steps(settings, steps, Console(file=io.StringIO()))
    assert refused.value.what.startswith("Set-up step “sandbox image” failed.")
    assert refused.value.why
    assert refused.value.do
    run_steps(settings, steps, Console(file=io.StringIO()))
    assert ran == ["made", "kept"]


def test_engine_that_somebody_named_is_not_started_for_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "version", lambda: None)
    monkeypatch.setattr(docker_engine, "_start", lambda _: pytest.fail("another engine was started"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(SetupFault) as refused:
        docker_engine.ensure(settings, quiet)
    assert "DOCKER_HOST" in refused.value.why


def test_each_step_says_what_it_did_and_how_long_it_took(settings: Settings) -> None:
    shown = io.StringIO()
    run_steps(settings, [Step("keys", lambda *_: "made")], Console(file=shown))
    assert "1/1 keys" in shown.getvalue()
    assert "made" in shown.getvalue()
    assert " s" in shown.getvalue()


def test_secrets_are_for_the_owner_alone_and_stay(settings: Settings) -> None:
    before = os.umask(0)
    try:
        assert secrets.ensure(settings, quiet) == "made"
    finally:
        os.umask(before)
    first = {path.name: path.read_bytes() for path in settings.secrets.iterdir()}
    assert secrets.ensure(settings, quiet) == "there"
    assert {path.name: path.read_bytes() for path in settings.secrets.iterdir()} == first
    assert stat.S_IMODE(settings.secrets.stat().st_mode) == 0o700
    for path in settings.secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_interrupted_secret_is_made_anew(settings: Settings) -> None:
    settings.secrets.mkdir(parents=True)
    (settings.secrets / ".proxy.token.new").write_text("half", "ascii")
    secrets.ensure(settings, quiet)
    assert len((settings.secrets / "proxy.token").read_text("ascii")) == 64


def test_passwords_differ_and_are_long() -> None:
    made = {secrets.password() for _ in range(50)}
    assert len(made) == 50
    assert min(map(len, made)) >= 19


def test_missing_program_without_root_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupFault) as refused:
        debian.ensure_programs({"no-such-program-at-all": "no-such-package"}, quiet)
    assert "no-such-package" in refused.value.what
    assert "apt-get install no-such-package" in refused.value.do


def test_engine_that_may_not_be_used_names_the_group(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "version", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupFault) as refused:
        docker_engine.ensure(settings, quiet)
    assert "docker" in refused.value.do


@pytest.fixture
def no_opa(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opa, "binary", lambda _: None)
    monkeypatch.setattr(opa, "_build", lambda *_: False)


@pytest.mark.usefixtures("no_opa")
def test_without_opa_the_policies_run_in_process_and_it_is_said_loudly(settings: Settings) -> None:
    from installation.settings import load

    assert "NO OPA" in opa.ensure(settings, quiet)
    assert load(settings.home).policy_engine == "regopy"


@pytest.mark.usefixtures("no_opa")
def test_download_with_another_digest_is_dropped(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOVEBOX_OPA_URL", "https://127.0.0.1:9/opa")
    monkeypatch.setenv("GLOVEBOX_OPA_SHA256", "0" * 64)
    monkeypatch.setattr(opa.urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"something else"))
    said: list[str] = []
    assert "NO OPA" in opa.ensure(settings, said.append)
    assert any("another digest" in line for line in said)
    assert not (settings.tools / "bin" / "opa").exists() or (settings.tools / "bin" / "opa").stat().st_size > 1000


def test_without_gvisor_the_step_says_so_loudly_and_other_tests_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "")
    assert "NO GVISOR" in programs.ensure_gvisor(settings, quiet)
