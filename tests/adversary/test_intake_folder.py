"""The intake folder: what a name, a link or a number from a browser could reach outside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from egress_gate.service.intake import Delivery, FileOptions, Reading
from installation.fault import Fault
from installation.settings import Settings
from workbench.runtime.arriving import clean
from workbench.runtime.intake import FOLDER, IntakeFolder

SECRET = "id,name\n1,secret\n"


@pytest.fixture
def folder(tmp_path: Path) -> IntakeFolder:
    settings = Settings(home=tmp_path / "home")
    made = IntakeFolder(settings)
    made.files()
    (settings.home / "secrets").mkdir(parents=True)
    (settings.home / "secrets" / "ledger.csv").write_text(SECRET)
    inside = settings.home / FOLDER
    (inside / "link.csv").symlink_to(settings.home / "secrets" / "ledger.csv")
    (inside / "folder.csv").mkdir()
    (inside / ".key").write_text(SECRET)
    os.mkfifo(inside / "pipe.csv")
    return made


def test_links_folders_pipes_and_other_kinds_are_no_files(folder: IntakeFolder) -> None:
    assert folder.files() == ()


@pytest.mark.parametrize(
    "name", ["link.csv", "folder.csv", "pipe.csv", ".key", "../secrets/ledger.csv", "/etc/passwd", "", "a\x00.csv"]
)
def test_nothing_outside_is_scanned_or_registered(folder: IntakeFolder, name: str) -> None:
    options = (FileOptions(name, "t"),)
    with pytest.raises(Fault):
        folder.scan(options, Reading(), {})
    with pytest.raises(Fault):
        folder.begin(Delivery("d", "D", "d", "p", 1, ("stella",), options), "adam")
    assert folder.jobs() == ()


@pytest.mark.parametrize("number", ["../../secrets/x", "..%2f..%2fx", "", "a" * 15, "ａ" * 16, "a" * 17])
def test_a_number_leads_to_no_other_file(folder: IntakeFolder, number: str) -> None:
    assert folder.job(number) is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../secrets/ledger.csv", "ledger.csv"),
        ("C:\\Windows\\a.csv", "a.csv"),
        ("/etc/cron.d/job.csv", "job.csv"),
        ("a\x00b\n.csv", "a_b_.csv"),
        ("fdp.\u202evsc.csv", "fdp._vsc.csv"),
        ("book.xlsx#secret.csv", "book.xlsx_secret.csv"),
        ("  .hidden.csv ", "hidden.csv"),
        ("e\u0301.csv", "é.csv"),
        ("<img src=x>.csv", "_img src=x_.csv"),
    ],
)
def test_a_name_from_a_browser_stays_a_name_in_the_folder(folder: IntakeFolder, name: str, kept: str) -> None:
    assert clean(name) == kept
    arriving = folder.receive(name, 4)
    arriving.write(b"id\n1")
    arriving.whole()
    arriving.keep()
    arriving.end()
    assert [one.name for one in folder.files()] == [kept]


@pytest.mark.parametrize("name", ["../.csv", "..", "/", "a.csv/", "a.csv\\", "a.sh", "a.csv\u200b", "\ud800.csv"])
def test_names_that_are_no_files_are_refused(folder: IntakeFolder, name: str) -> None:
    with pytest.raises(Fault):
        folder.receive(name, 4)
    assert folder.files() == ()
