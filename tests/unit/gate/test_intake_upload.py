"""Files from a browser into the intake folder: refusals first, then what a whole one leaves behind."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import logging
import os
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from egress_gate.desk import upload_api
from egress_gate.desk.app import build_desk
from egress_gate.desk.context import Desk
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import World, make_world
from workbench.runtime import arriving
from workbench.runtime.intake import IntakeFolder

ROWS = "id,姓名\n1,王小明\n".encode()
OCTETS = {"content-type": "application/octet-stream"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path / "home")
    IntakeFolder(made.settings).files()
    return made


@pytest.fixture
def adam(world: World) -> TestClient:
    return signed_in(make_desk(world), "adam")


def left(world: World) -> list[str]:
    return sorted(os.listdir(world.settings.home / "intake"))


def upload(client: TestClient, name: str, body: bytes = ROWS, **headers: str) -> Any:
    return client.post(f"{PREFIX}api/v1/intake/files", params={"name": name}, content=body, headers=OCTETS | headers)


def limited(world: World, most: int) -> Desk:
    return replace(make_desk(world), intake=IntakeFolder(replace(world.settings, upload_bytes=most)))


# -- refusals -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["ana", "stella", "audrey", "nobody"])
def test_only_an_administrator_sends_files(world: World, who: str) -> None:
    answer = upload(signed_in(make_desk(world), who), "visits.csv")
    assert answer.status_code == 403
    assert left(world) == []


def test_a_cookie_alone_sends_nothing(world: World, adam: TestClient) -> None:
    del adam.headers["x-csrf-token"]
    assert upload(adam, "visits.csv").json()["code"] == "forged"
    form = adam.post(f"{PREFIX}api/v1/intake/files", params={"name": "a.csv"}, files={"file": ("a.csv", ROWS)})
    assert form.status_code == 403
    assert left(world) == []


@pytest.mark.parametrize(
    "name", ["run.exe", "archive.zip", "csv", ".csv", "..csv", "notes", "a.csv.gz", "___.csv", "表" * 70 + ".csv", ""]
)
def test_other_kinds_and_names_are_refused_in_three_parts(world: World, adam: TestClient, name: str) -> None:
    answer = upload(adam, name)
    assert answer.status_code == 422
    assert all(answer.json()[part] for part in ("what", "why", "do"))
    assert left(world) == []


def test_a_file_over_the_limit_of_the_settings_is_refused(world: World) -> None:
    adam = signed_in(limited(world, len(ROWS)), "adam")
    assert upload(adam, "whole.csv").status_code == 201
    answer = upload(adam, "large.csv", ROWS + b"\n")
    assert answer.status_code == 413
    assert "upload_bytes" in answer.json()["why"]
    assert left(world) == ["whole.csv"]


def test_without_uploads_the_page_offers_none(world: World, adam: TestClient) -> None:
    assert 'id="upload"' in adam.get(f"{PREFIX}admin/intake").text
    closed = signed_in(limited(world, 0), "adam")
    assert 'id="upload"' not in closed.get(f"{PREFIX}admin/intake").text
    assert upload(closed, "visits.csv").status_code == 413


def test_a_name_that_is_taken_keeps_its_file(world: World, adam: TestClient) -> None:
    assert upload(adam, "visits.csv").status_code == 201
    (world.settings.home / "intake" / "link.csv").symlink_to("nowhere")
    for name in ("visits.csv", "link.csv"):
        assert upload(adam, name, b"other").status_code == 409
    assert (world.settings.home / "intake" / "visits.csv").read_bytes() == ROWS


def test_a_name_taken_while_it_arrives_keeps_its_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = world.settings.home / "intake" / "visits.csv"
    whole = arriving.Arriving.whole

    def first(self: arriving.Arriving) -> Any:
        path.write_text("the other's", "utf-8")
        return whole(self)

    monkeypatch.setattr(arriving.Arriving, "whole", first)
    assert upload(signed_in(make_desk(world), "adam"), "visits.csv").status_code == 409
    assert path.read_text("utf-8") == "the other's"


def test_a_full_disk_is_said_and_leaves_nothing(
    world: World, adam: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(arriving.os, "write", full)
    answer = upload(adam, "visits.csv")
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["why"]) == (422, "The disk has no room for it.")
    monkeypatch.setattr(arriving, "SPARE", 2**62)
    assert upload(adam, "visits.csv").json()["why"] == "The disk has no room for it."
    assert left(world) == []


# -- what comes in pieces ----------------------------------------------------------------------------------------------
def in_pieces(desk: Desk, pieces: Iterator[bytes | None], length: int, while_it_comes: Any = None) -> dict[str, Any]:
    """The application called with a body piece by piece; None for a browser that leaves."""

    async def receive() -> dict[str, Any]:
        piece = next(pieces, b"")
        if while_it_comes is not None:
            while_it_comes()
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {**OCTETS, "authorization": "token token-adam", "content-length": str(length)}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"{PREFIX}api/v1/intake/files",
        "raw_path": b"",
        "root_path": "",
        "query_string": b"name=visits.csv",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    asyncio.run(build_desk(desk)(scope, receive, send))
    body = b"".join(m.get("body", b"") for m in sent)
    return {"status": sent[0]["status"], **json.loads(body)}


@pytest.mark.parametrize("end", [None, b""])
def test_what_does_not_come_whole_leaves_nothing(world: World, end: bytes | None) -> None:
    answer = in_pieces(make_desk(world), iter([ROWS, ROWS, end]), 3 * len(ROWS))
    assert answer["status"] == 422
    assert left(world) == []


def test_more_than_was_announced_is_refused(world: World) -> None:
    assert in_pieces(make_desk(world), iter([ROWS, ROWS]), len(ROWS))["status"] == 422
    assert left(world) == []


def test_a_sender_that_stands_still_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def still() -> AsyncIterator[bytes]:
        yield ROWS
        await asyncio.sleep(3600)

    monkeypatch.setattr(upload_api, "STANDS_STILL", 0.05)
    monkeypatch.setattr(upload_api.Request, "stream", lambda _: still())
    assert in_pieces(make_desk(world), iter([]), 10**6)["why"] == "It stopped coming."
    assert left(world) == []


def test_it_has_no_name_before_it_is_whole_and_is_never_held_whole(world: World) -> None:
    piece, count = b"x" * 65_536, 512
    seen: set[str] = set()
    desk = make_desk(world)
    tracemalloc.start()
    answer = in_pieces(desk, iter([piece] * count), len(piece) * count, lambda: seen.update(left(world)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer["status"] == 201
    assert answer["sha256"] == hashlib.sha256(piece * count).hexdigest()
    assert seen == set()
    assert left(world) == ["visits.csv"]
    assert peak < len(piece) * count / 2


# -- what a whole one leaves -------------------------------------------------------------------------------------------
def test_a_whole_file_lies_in_the_folder_with_its_digest(
    world: World, adam: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = upload(adam, "C:\\data\\访问 2026.csv")
    assert answer.json() == {"name": "访问 2026.csv", "bytes": len(ROWS), "sha256": hashlib.sha256(ROWS).hexdigest()}
    path = world.settings.home / "intake" / "访问 2026.csv"
    assert path.read_bytes() == ROWS
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"adam sent '访问 2026.csv' to the intake folder: {len(ROWS)} bytes" in caplog.text
    assert "访问 2026.csv" in adam.get(f"{PREFIX}admin/intake").text


def test_a_file_is_removed_and_nothing_outside_the_folder(world: World, adam: TestClient) -> None:
    upload(adam, "visits.csv")
    gone = adam.post(f"{PREFIX}admin/intake/files/remove", data={"name": "visits.csv"})
    assert gone.status_code == 303
    assert left(world) == []
    again = adam.post(f"{PREFIX}admin/intake/files/remove", data={"name": "../glovebox.sqlite"})
    assert again.status_code == 422
    assert world.settings.home.joinpath("glovebox.sqlite").exists()
