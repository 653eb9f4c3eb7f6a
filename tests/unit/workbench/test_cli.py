"""The command line: help everywhere, every command documented, faults in three parts, JSON alone on standard output."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from installation.settings import CHECKOUT, Settings
from tests.conftest import glovebox
from workbench import console
from workbench.checks import pages, tools
from workbench.cli import app
from workbench.commands.names import moment
from workbench.errors import ProcessFault, WorkbenchFault
from workbench.runtime import hub_process, process
from workbench.setup import secrets

COMMANDS = [words for words, _ in pages.commands()]
WANTED = {
    "demo", "up", "down", "status", "check", "fix", "test", "bench", "prove", "assess", "verify", "doctor",
    "policy replay", "ledger verify", "ledger export", "ledger show", "dataset add", "dataset list", "user add",
}  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_help(words: str) -> None:
    said = CliRunner().invoke(app, [*words.split(), "--help"])
    assert said.exit_code == 0, said.output
    assert "Usage:" in said.output
    assert len(said.output.splitlines()) > 3


def test_no_wanted_command_is_missing() -> None:
    assert set(COMMANDS) >= WANTED


def test_every_command_and_setting_is_documented() -> None:
    wrong = [name for name in pages.differing() if name.endswith(("cli.md", "settings.md"))]
    assert wrong == [], "run ./glovebox fix"


def test_page_that_differs_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert pages.differing(lambda: {page: "new"}) == ["page.md"]
    pages.write(lambda: {page: "new"})
    assert pages.differing(lambda: {page: "new"}) == []


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text("{}", "ascii")
    (tmp_path / "bad.json").write_text("{", "ascii")
    assert [line.split(":")[0] for line in tools.broken_json(tmp_path)] == ["bad.json"]


def test_fault_is_three_parts_without_traceback(settings: Settings) -> None:
    (settings.home / "settings.toml").write_text("nonsense = 1", "ascii")
    said = glovebox(settings, "status")
    assert said.returncode == 1
    assert said.stdout == ""
    assert "nonsense" in said.stderr
    assert "why:" in said.stderr
    assert "do:" in said.stderr
    assert "Traceback" not in said.stderr


def test_fault_with_json_is_one_document(settings: Settings) -> None:
    said = glovebox(settings, "user", "list", "--json")
    assert said.returncode == 1
    assert set(json.loads(said.stdout)["error"]) == {"code", "what", "why", "do"}


@pytest.mark.parametrize("words", ["up", "down", "doctor", "dataset list"])
def test_state_folder_that_cannot_be_one_is_refused_in_three_parts(words: str, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("no folder", "ascii")
    environ = {**os.environ, "GLOVEBOX_HOME": str(taken), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "workbench", *words.split()]
    said = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    assert str(taken) in said.stdout + said.stderr
    assert taken.read_text("ascii") == "no folder"


def test_folder_that_is_missing_is_refused_in_three_parts(settings: Settings, tmp_path: Path) -> None:
    secrets.ensure(settings, print)
    said = glovebox(settings, "ledger", "export", str(tmp_path / "missing" / "ledger.jsonl"), "--json")
    assert said.returncode == 1
    assert "missing" in json.loads(said.stdout)["error"]["why"]
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("address", ["postgresql://127.0.0.1:1/x", "no address", "nonsense://x"])
def test_store_that_is_away_is_said_in_three_parts(
    address: str, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    monkeypatch.setenv("GLOVEBOX_HOME", str(settings.home))
    said = CliRunner().invoke(app, ["project", "list", "--json"])
    assert said.exit_code == 1
    assert "DATABASE_URL" in json.loads(said.stdout)["error"]["do"]


def test_damaged_store_is_said_in_three_parts(settings: Settings) -> None:
    secrets.ensure(settings, print)
    (settings.home / "glovebox.sqlite").write_bytes(b"no database at all" * 1000)
    for words in ("project list", "doctor"):
        said = glovebox(settings, *words.split())
        assert said.returncode == 1
        assert "not a database" in said.stdout + said.stderr
        assert "Traceback" not in said.stderr


def test_stopped_engine_is_said_in_three_parts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.ensure(settings, print)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{settings.home}/nobody.sock")
    for words in (["up"], ["down"], ["prove"]):
        said = glovebox(settings, *words)
        assert said.returncode == 1, words
        assert "ocker" in said.stderr
        assert "do:" in said.stderr
        assert "Traceback" not in said.stderr


def test_taken_port_is_named_and_nothing_is_started(settings: Settings) -> None:
    secrets.ensure(settings, print)
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.ports.gate))
        other.listen()
        with pytest.raises(ProcessFault) as refused:
            process.up(settings, print)
    assert f"gate ({settings.ports.gate})" in refused.value.why
    assert "settings.toml" in refused.value.do
    assert hub_process.running(settings) is None


def test_error_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), console.faults_in_three_parts():
        1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "/var/x"), "cannot be written"),
        (PermissionError(errno.EACCES, "Permission denied", "/var/x"), "may not use /var/x"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/var/x"), "/var/x cannot be used"),
        (ConnectionError(), "no message"),
    ],
)
def test_what_the_machine_refuses_is_said_in_words(broken: OSError, said: str) -> None:
    fault = console.in_three_parts(broken)
    assert said in fault.why
    assert fault.do


def test_empty_ledger_has_no_checkpoint_to_keep(settings: Settings) -> None:
    secrets.ensure(settings, print)
    said = glovebox(settings, "ledger", "checkpoint")
    assert said.returncode == 1
    assert said.stdout == ""
    assert "no entry" in said.stderr


def test_status_of_what_does_not_run(settings: Settings) -> None:
    said = glovebox(settings, "status", "--json")
    assert said.returncode == 3
    assert json.loads(said.stdout)["running"] is False


def test_stopping_what_does_not_run_is_no_error(settings: Settings) -> None:
    secrets.ensure(settings, print)
    assert glovebox(settings, "down").returncode == 0


def test_dataset_that_cannot_be_read_is_refused_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    broken = tmp_path / "people.csv"
    broken.write_text("id,age\n1,2\n2,3,4\n", "ascii")
    words = ["--by", "adam", "--title", "t", "--description", "d", "--provider", "p", "--level", "3", "--steward", "s"]
    secrets.ensure(settings, print)
    said = glovebox(settings, "dataset", "add", "people", str(broken), *words, "--unit", "id")
    assert said.returncode == 1
    assert "line 3" in said.stderr
    assert json.loads(glovebox(settings, "dataset", "list", "--json").stdout) == {"datasets": []}


def test_dataset_project_and_grant_by_hand(settings: Settings, tmp_path: Path) -> None:
    table = tmp_path / "people.csv"
    table.write_text("id,age\n" + "".join(f"{n},{20 + n}\n" for n in range(30)), "ascii")
    secrets.ensure(settings, print)
    about = ["--title", "t", "--description", "d", "--provider", "p", "--level", "sensitive", "--steward", "stella"]
    steps = [
        ["dataset", "add", "people", str(table), "--by", "adam", *about, "--unit", "id"],
        [
            "project",
            "create",
            "p1",
            "--by",
            "adam",
            "--title",
            "T",
            "--purpose",
            "why",
            "--until",
            "30d",
            "--member",
            "ana",
        ],
        ["grant", "give", "p1", "people/1", "--by", "stella", "--until", "20d"],
        ["ledger", "verify"],
    ]
    for words in steps:
        said = glovebox(settings, *words)
        assert said.returncode == 0, said.stderr
    project = json.loads(glovebox(settings, "project", "list", "--json").stdout)["projects"][0]
    assert project["members"] == ["ana"]
    assert [g["version"] for g in project["grants"]] == ["people/1"]
    refused = glovebox(settings, "grant", "give", "p1", "people/1", "--by", "ana", "--until", "20d")
    assert refused.returncode == 1
    assert "steward" in refused.stderr


def test_broken_ledger_copy_is_refused(settings: Settings, tmp_path: Path) -> None:
    secrets.ensure(settings, print)
    project = ["project", "create", "p1", "--by", "adam", "--title", "T", "--purpose", "why", "--until", "30d"]
    assert glovebox(settings, *project).returncode == 0
    copy = tmp_path / "ledger.jsonl"
    assert glovebox(settings, "ledger", "export", str(copy)).returncode == 0
    assert glovebox(settings, "verify", str(copy)).returncode == 0
    line = json.loads(copy.read_text("utf-8"))
    line["body"] = base64.b64encode(base64.b64decode(line["body"]).replace(b"adam", b"evil")).decode()
    copy.write_text(json.dumps(line) + "\n", "utf-8")
    said = glovebox(settings, "verify", str(copy), "--json")
    assert said.returncode == 1
    assert json.loads(said.stdout)["ok"] is False


def test_list_of_benchmarks_is_said_and_nothing_else(settings: Settings) -> None:
    said = glovebox(settings, "bench", "--list", "--json")
    assert said.returncode == 0
    assert {one["name"] for one in json.loads(said.stdout)["benchmarks"]} >= {"spawn", "gate", "door"}
    assert said.stderr == ""


def test_unknown_benchmark_is_refused_with_those_there_are(settings: Settings) -> None:
    said = glovebox(settings, "bench", "no-such-thing")
    assert said.returncode == 1
    assert "spawn" in said.stderr


@pytest.mark.parametrize("text", ["tomorrow", "12", "d", "2027-13-01", "999999999999d"])
def test_unreadable_end_is_refused(text: str) -> None:
    with pytest.raises(WorkbenchFault):
        moment(text, datetime(2027, 1, 1, tzinfo=UTC))


def test_end_includes_its_day() -> None:
    at = datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert moment("2027-03-31", at) == datetime(2027, 4, 1, tzinfo=UTC)
    assert moment("2d", at) == datetime(2027, 1, 3, 12, tzinfo=UTC)


def test_process_id_of_another_program_is_not_the_hub(settings: Settings) -> None:
    settings.run.mkdir(parents=True)
    (settings.run / "hub.pid").write_text(f"{os.getpid()} 1", "ascii")
    assert hub_process.running(settings) is None


def test_left_over_process_is_ended_and_others_are_not(settings: Settings) -> None:
    settings.run.mkdir(parents=True)
    sleeper = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    ours = {**os.environ, hub_process.MARK: str(settings.home)}
    theirs = {**os.environ, hub_process.MARK: f"{settings.home}-other"}
    with (
        subprocess.Popen(sleeper, env=ours, stdout=subprocess.PIPE) as left,
        subprocess.Popen(sleeper, env=theirs, stdout=subprocess.PIPE) as other,
    ):
        for one in (left, other):
            assert one.stdout is not None
            one.stdout.readline()
        assert hub_process.left_over(settings) == 1
        assert hub_process.end(settings)
        assert left.wait(10) == -signal.SIGTERM
        assert other.poll() is None
        other.kill()


def test_checks_cover_what_the_issue_names(opa_binary: str) -> None:
    names = {tool.name for tool in tools.checks(Settings(home=CHECKOUT / "var"))}
    assert names >= {"ruff", "ruff format", "mypy", "import-linter", "opa fmt", "opa check", "generated pages"}
    assert opa_binary
