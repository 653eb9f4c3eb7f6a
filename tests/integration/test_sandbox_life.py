"""A sandbox on the real engine: it is proved, it works for an analyst, it ends without a trace."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import docker
import pytest

from installation.settings import Settings
from provisioning.sandbox import containers, isolation, keeper
from provisioning.sandbox.errors import EngineFault, ImageFault, IsolationDrift, MountFault
from provisioning.sandbox.isolation import Fact
from provisioning.sandbox.keeper import Opened
from provisioning.sandbox.mounts import Folders, home_image, mounts_below
from provisioning.sandbox.privilege import ThroughEngine
from provisioning.sandbox.sweeping import sweep
from tests.unit.sandbox.rig import Rig, door_facts, get_status, served_socket

pytestmark = pytest.mark.docker
pytest_plugins = ["tests.unit.sandbox.fixtures"]


# -- refusals ---------------------------------------------------------------------------------------------------------
async def test_drift_refuses_the_start_and_leaves_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = containers.create_arguments

    def careless(*args: Any, **kwargs: Any) -> dict[str, Any]:
        arguments = honest(*args, **kwargs)
        arguments["host_config"]["CapDrop"] = []
        return arguments

    monkeypatch.setattr(containers, "create_arguments", careless)
    with pytest.raises(IsolationDrift) as refusal:
        await rig.open()
    assert "process CapBnd" in (refusal.value.private or "")
    assert not rig.book.begun
    assert len(rig.book.refusals) == 1
    assert {fact.name for fact in next(iter(rig.book.refusals.values())).drift} >= {
        "capabilities dropped",
        "process CapBnd",
    }
    assert not rig.client.containers.list(all=True, filters={"name": rig.settings.sandbox.container_prefix})
    assert not mounts_below(rig.settings.sandboxes)
    assert not list(rig.settings.sandboxes.iterdir())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SecurityOpt": ["no-new-privileges:true"]}, "security options"),
        ({"NetworkMode": "bridge"}, "network interfaces"),
        ({"SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"]}, "process Seccomp"),
        ({"MaskedPaths": []}, "masked paths"),
        ({"ReadonlyRootfs": False}, "/ read-only"),
        ({"PidsLimit": 0}, "cgroup pids.max"),
        ({"Memory": 0, "MemorySwap": 0}, "cgroup memory"),
        ({"Ulimits": []}, "max open files"),
        ({"Tmpfs": {"/tmp": "rw,exec,size=64m,mode=1777"}}, "/tmp flags missing"),
        ({"Binds": ["/etc:/mnt/etc:ro"]}, "unknown mounts"),
        ({"PidMode": "host"}, "namespaces shared with the host"),
        ({"IpcMode": "host"}, "namespaces shared with the host"),
        ({"Privileged": True}, "privileged"),
    ],
)
async def test_each_weakening_is_seen_from_outside(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], named: str
) -> None:
    honest = containers.create_arguments

    def weakened(*args: Any, **kwargs: Any) -> dict[str, Any]:
        arguments = honest(*args, **kwargs)
        arguments["host_config"].update(change)
        return arguments

    monkeypatch.setattr(containers, "create_arguments", weakened)
    with pytest.raises(IsolationDrift) as refusal:
        await rig.open()
    assert named in (refusal.value.private or "")


async def test_a_home_in_use_is_not_mounted_twice(rig: Rig) -> None:
    first = await rig.open()
    with pytest.raises(MountFault) as refusal:
        await rig.open()
    assert "in use" in refusal.value.why
    assert get_status(rig.settings, first.sandbox_id) == 200


async def test_a_missing_image_says_what_to_do(rig: Rig) -> None:
    rig.keeper.containers._settings = rig.with_settings(image="glovebox/sandbox:never-built")
    with pytest.raises(ImageFault) as refusal:
        await rig.open()
    assert "set-up" in refusal.value.do
    assert not list(rig.settings.sandboxes.iterdir())


async def test_a_silent_engine_is_a_clear_fault(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError("no daemon")

    monkeypatch.setattr(rig.client.api, "inspect_container", silent)
    with pytest.raises(EngineFault) as refusal:
        await rig.keeper.state("abcdef01")
    assert refusal.value.public()["code"] == "sandbox-engine"


async def test_a_door_that_refuses_leaves_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def shut(_: str) -> None:
        raise EngineFault("The workspace was not started.", why="The session door does not answer.", do="Try again.")

    monkeypatch.setattr(rig.doors, "open", shut)
    with pytest.raises(EngineFault):
        await rig.open()
    assert list(rig.book.ended.values()) == ["the start failed"]
    assert not list(rig.settings.sandboxes.iterdir())


# -- what an analyst gets ---------------------------------------------------------------------------------------------
def test_the_proof_of_the_start_is_recorded(standing_rig: Rig, standing: Opened) -> None:
    proof = standing_rig.book.proofs[standing.sandbox_id].described()
    assert proof["holds"] is True
    assert len(proof["facts"]) > 50
    assert json.loads(json.dumps(proof)) == proof


def test_jupyter_answers_on_the_socket(standing_rig: Rig, standing: Opened) -> None:
    assert get_status(standing_rig.settings, standing.sandbox_id) == 200
    assert get_status(standing_rig.settings, standing.sandbox_id, "lab") == 200


def test_door_file_is_the_hosts_alone(standing_rig: Rig, standing: Opened) -> None:
    folders = Folders.of(standing_rig.settings, standing.sandbox_id)
    assert folders.root.stat().st_mode & 0o777 == 0o700
    assert folders.door_file.stat().st_mode & 0o777 == 0o600
    assert door_facts(standing_rig.settings, standing.sandbox_id)["person"] == "ana"


async def test_a_kernel_computes_with_pandas_and_duckdb(standing_rig: Rig, standing: Opened) -> None:
    code = (
        "import duckdb, pandas, os\n"
        "frame = duckdb.sql(\"SELECT sum(age) AS total FROM '/data/nafld/nafld.csv'\").df()\n"
        "print(int(frame.total[0]), pandas.__version__.split('.')[0], os.getuid())"
    )
    assert await run_in_kernel(standing_rig, standing, code) == "110 3 20001\n"


def test_the_engine_has_no_pipe_into_the_sandbox(standing_rig: Rig, standing: Opened) -> None:
    code = "import os; print([os.readlink(f'/proc/1/fd/{n}') for n in (0, 1, 2)])"
    assert standing_rig.inside(standing, code) == "['/dev/null', '/tmp/server.log', '/tmp/server.log']\n"


def test_the_dataset_cannot_be_changed(standing_rig: Rig, standing: Opened) -> None:
    said = standing_rig.inside(standing, "open('/data/nafld/new.csv', 'w')")
    assert "Read-only file system" in said or "Permission denied" in said
    said = standing_rig.inside(standing, "open('/data/nafld/nafld.csv', 'a')")
    assert "Read-only file system" in said or "Permission denied" in said


async def test_the_home_persists_for_a_project_and_no_other(rig: Rig) -> None:
    first = await rig.open()
    rig.inside(first, "open('/home/analyst/note.txt', 'w').write('mine')")
    await rig.keeper.close(first.sandbox_id, "test")
    other = await rig.open(rig.plan(project="kidney"))
    assert "note.txt" not in rig.inside(other, "import os; print(os.listdir('/home/analyst'))")
    again = await rig.open()
    assert rig.inside(again, "print(open('/home/analyst/note.txt').read())") == "mine\n"


async def test_a_member_of_the_docker_group_needs_no_root(
    engine: docker.DockerClient, sandbox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounts and kernel facts through the helper container, cold and claimed: the same proof."""

    def helped(settings: Settings, client: docker.DockerClient) -> ThroughEngine:
        return ThroughEngine(client, settings.sandbox.image, {})

    monkeypatch.setattr(keeper, "privilege_for", helped)
    rig = Rig(tmp_path / "home", engine, waiting=1)
    try:
        cold = await rig.open()
        await rig.keeper.pool.fill(1)
        claimed = await rig.open(rig.plan(project="kidney"))
        assert (cold.was_waiting, claimed.was_waiting) == (False, True)
        assert all(rig.book.proofs[each.sandbox_id].holds for each in (cold, claimed))
        for each in (cold, claimed):
            await rig.keeper.close(each.sandbox_id, "test")
        assert not mounts_below(rig.settings.sandboxes)
    finally:
        rig.close()


# -- the end ----------------------------------------------------------------------------------------------------------
async def test_closing_twice_leaves_nothing(rig: Rig) -> None:
    opened = await rig.open()
    await rig.keeper.close(opened.sandbox_id, "stopped by the hub")
    await rig.keeper.close(opened.sandbox_id, "stopped by the hub")
    assert rig.book.ended == {opened.sandbox_id: "stopped by the hub"}
    assert not mounts_below(rig.settings.sandboxes)
    assert await rig.keeper.state(opened.sandbox_id) is None


async def test_sweep_keeps_the_living_and_clears_what_a_crash_left(rig: Rig) -> None:
    living = await rig.open()
    dead = await rig.open(rig.plan(project="kidney"))
    stranger = await rig.open(rig.plan(project="heart"))
    rig.client.containers.get(dead.container).kill()
    del rig.book.begun[stranger.sandbox_id]  # the crash came before the record
    starting = await rig.open(rig.plan(project="lung"))
    del rig.book.begun[starting.sandbox_id]  # and this one is just being started by a living process
    (Folders.of(rig.settings, stranger.sandbox_id).root / "owner").write_text("1 12345\n")
    swept = sweep(rig.settings, rig.book, rig.client)  # type: ignore[arg-type]
    assert swept.kept == [living.sandbox_id]
    assert set(swept.removed) == {dead.sandbox_id, stranger.sandbox_id}
    assert swept.closed == [dead.sandbox_id]
    assert {each.name for each in rig.settings.sandboxes.iterdir()} == {living.sandbox_id, starting.sandbox_id}
    assert get_status(rig.settings, living.sandbox_id) == 200


def test_a_proof_without_facts_does_not_hold() -> None:
    assert not isolation.Proof((), "digest", "runc").holds
    assert not isolation.Proof((Fact("a", "1", "2"),), "digest", "runc").holds


async def run_in_kernel(rig: Rig, opened: Opened, code: str) -> str:
    """Run code as a browser would: the kernel's websocket, through the served socket."""
    facts = door_facts(rig.settings, opened.sandbox_id)
    headers = {"Authorization": f"token {facts['token']}"}
    base = f"http://localhost{facts['prefix']}api/kernels"
    connector = aiohttp.UnixConnector(path=served_socket(rig.settings, opened.sandbox_id))
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        async with session.post(base, json={"name": "python3"}) as made:
            kernel = (await made.json())["id"]
        async with asyncio.timeout(60), session.ws_connect(f"{base}/{kernel}/channels") as channel:
            return await _execute(channel, code)


async def _execute(channel: aiohttp.ClientWebSocketResponse, code: str) -> str:
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": uuid.uuid4().hex}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = {"channel": "shell", "header": {**header, "version": "5.3", "date": ""}, "parent_header": {}}
    await channel.send_json({**message, "metadata": {}, "content": content, "buffers": []})
    output = ""
    async for frame in channel:
        answer = frame.json()
        if answer["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        if answer["msg_type"] == "stream":
            output += answer["content"]["text"]
        if answer["msg_type"] == "error":
            output += "\n".join(answer["content"]["traceback"])
        if answer["msg_type"] == "execute_reply":
            return output
    return output


def test_homes_of_different_pairs_never_share_a_file(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    pairs = [("a-b", "c"), ("a", "b-c"), ("a", "b"), ("../a", "b"), ("a", "../b"), ("A", "b"), ("ä", "b")]
    images = {home_image(settings, *pair) for pair in pairs}
    assert len(images) == len(pairs)
    assert all(image.parent == settings.homes for image in images)
