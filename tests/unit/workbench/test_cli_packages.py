"""`glovebox package`: what is refused leaves nothing, what is approved lies on the shelf and on the ledger. With the real pip."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from ledger.entry import Entry
from provisioning.service import shelf
from store import schema as s
from tests.unit.provisioning.wheels import lock_of, wheel
from tests.unit.provisioning.world import START, World
from workbench.cli import app


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(tmp_path / "home")
    monkeypatch.setenv("GLOVEBOX_HOME", str(made.home))
    yield made
    made.db.close()


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["package", *words])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


def locked(world: World, *paths: Path) -> tuple[str, str, str]:
    """A lock that names these wheels, and where they are."""
    lock = world.home / "shelf.txt"
    lock.write_text(lock_of(*paths), "ascii")
    return str(lock), "--wheels", str(paths[0].parent)


def asked(world: World, name: str) -> None:
    row = {"person": "ana", "project": "liver", "name": name, "reason": "Survival curves.", "state": "open"}
    with world.db.transaction(START) as t:
        t.execute(insert(s.package_request).values(asked_at=t.at, **row))
        t.record(Entry("package.asked", "ana", {"package": name, "person": "ana", "project": "liver"}, {}))


def state(world: World, number: int) -> tuple[str, str | None, str | None]:
    table = s.package_request
    with world.db.read() as c:
        row = c.execute(select(table.c.state, table.c.decided_by, table.c.answer).where(table.c.id == number)).one()
    return row.state, row.decided_by, row.answer


def nothing_happened(world: World) -> None:
    with world.db.read() as c:
        assert shelf.current(c) is None
    assert world.entries("shelf.approved") == []
    left = [p.name for p in world.settings.shelf.iterdir()] if world.settings.shelf.exists() else []
    assert left == []


# -- refused ----------------------------------------------------------------------------------------------------------
def test_a_wheel_that_runs_at_start_is_not_approved(world: World, tmp_path: Path) -> None:
    asked(world, "demo")
    bad = wheel(tmp_path / "in", files={"demo/__init__.py": b"", "evil.pth": b"import os\n"})
    assert "The packages were not approved." in run("approve", *locked(world, bad), "--by", "adam", code=1)
    nothing_happened(world)
    assert state(world, 1)[0] == "open"


def test_other_bytes_than_the_lock_names_are_not_approved(world: World, tmp_path: Path) -> None:
    words = locked(world, wheel(tmp_path / "in"))
    wheel(tmp_path / "in", files={"demo/__init__.py": b"ANSWER = 43\n"})
    assert "were not fetched" in run("approve", *words, "--by", "adam", code=1)
    nothing_happened(world)


def test_a_lock_without_hashes_is_not_approved(world: World, tmp_path: Path) -> None:
    lock = tmp_path / "loose.txt"
    lock.write_text("demo==1.0\n", "ascii")
    wheel(tmp_path / "in")
    run("approve", str(lock), "--wheels", str(tmp_path / "in"), "--by", "adam", code=1)
    nothing_happened(world)


@pytest.mark.parametrize("words", [("approve", "{lock}"), ("refuse", "1", "--reason", "No.")])
def test_nothing_is_decided_in_nobodys_name(world: World, tmp_path: Path, words: tuple[str, ...]) -> None:
    asked(world, "demo")
    lock = locked(world, wheel(tmp_path / "in"))[0]
    run(*(word.format(lock=lock) for word in words), code=2)
    nothing_happened(world)
    assert state(world, 1)[0] == "open"


def test_a_request_that_is_not_there_or_answered_cannot_be_refused(world: World) -> None:
    asked(world, "demo")
    run("refuse", "2", "--by", "adam", "--reason", "No.", code=1)
    run("refuse", "1", "--by", "adam", "--reason", "The image has it.")
    assert "glovebox package requests" in run("refuse", "1", "--by", "eve", "--reason", "Again.", code=1)
    assert state(world, 1) == ("refused", "adam", "The image has it.")
    assert len(world.entries("package.refused")) == 1


def test_a_request_is_not_refused_without_a_reason(world: World) -> None:
    asked(world, "demo")
    run("refuse", "1", "--by", "adam", "--reason", " ", code=1)
    assert state(world, 1)[0] == "open"
    assert world.entries("package.refused") == []


# -- done -------------------------------------------------------------------------------------------------------------
def test_an_approved_lock_is_the_shelf_and_answers_who_asked(world: World, tmp_path: Path) -> None:
    asked(world, "Demo")
    asked(world, "other")
    path = wheel(tmp_path / "in")
    assert "Edition 1 of the shelf has 1 packages" in run("approve", *locked(world, path), "--by", "adam")
    (package,) = json.loads(run("list", "--json"))["edition"]["packages"]
    assert (package["name"], package["version"]) == ("demo", "1.0")
    assert package["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    (entry,) = world.entries("shelf.approved")
    assert entry["actor"] == "adam"
    assert state(world, 1)[:2] == ("approved", "adam")
    assert [one["name"] for one in json.loads(run("requests", "--json"))["requests"]] == ["other"]


def test_a_refusal_is_on_the_ledger_with_its_reason(world: World) -> None:
    asked(world, "demo")
    run("refuse", "1", "--by", "adam", "--reason", "The image has it.")
    (entry,) = world.entries("package.refused")
    assert (entry["actor"], entry["facts"]) == ("adam", {"reason": "The image has it."})
    assert json.loads(run("requests", "--json")) == {"requests": []}


def test_an_empty_shelf_says_what_to_do(world: World) -> None:
    assert "./glovebox package approve" in run("list")
    assert json.loads(run("list", "--json")) == {"edition": None}


def test_tables_are_for_people(world: World, tmp_path: Path) -> None:
    asked(world, "other")
    run("approve", *locked(world, wheel(tmp_path / "in")), "--by", "adam")
    assert "demo" in run("list")
    assert "ana" in run("requests")
