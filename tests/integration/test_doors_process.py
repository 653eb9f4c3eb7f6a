"""The doors as the hub starts them: one process, real settings, store and policies; killed, started again, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp

from egress_gate.doors.connection import SocketConnector
from installation.settings import CHECKOUT, Settings
from tests.unit.doors.fakes import SERVICE, free_port, make_sandbox, make_settings


def _environment(home: Path) -> dict[str, str]:
    return {
        **os.environ, "GLOVEBOX_HOME": str(home), "JUPYTERHUB_API_URL": f"http://127.0.0.1:{free_port()}/hub/api",
        "JUPYTERHUB_API_TOKEN": "t", "JUPYTERHUB_CLIENT_ID": "service-session-door", "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_SERVICE_PREFIX": SERVICE,
    }  # fmt: skip


async def _start(settings: Settings) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "egress_gate.doors", cwd=CHECKOUT, env=_environment(settings.home),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                await _listed(settings)
                return process
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.1)
    raise AssertionError((await process.stderr.read()).decode() if process.stderr else "")


async def _listed(settings: Settings) -> list[str]:
    place = settings.doors_socket
    connector = SocketConnector(place.parent, place.name)
    async with aiohttp.ClientSession("http://doors", connector=connector) as admin, admin.get("/sandboxes") as answer:
        return [one["view"] for one in (await answer.json())["sandboxes"]]


def _settings(home: Path) -> Settings:
    settings = make_settings(home)
    text = (
        f'policy_engine = "regopy"\n[ports]\ndoors = {settings.ports.doors}\n[sandbox]\nimage = "glovebox/none:none"\n'
    )
    (home / "settings.toml").write_text(text)
    return settings


async def test_killed_and_started_again_it_opens_what_was_open(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    sandbox = make_sandbox(settings, view="open")
    for end in (signal.SIGKILL, signal.SIGTERM):
        process = await _start(settings)
        # Nothing is known of what this sandbox has mounted, so policy gives no view: it is not left open.
        assert await _listed(settings) in (["guarded"], ["blind"])
        async with aiohttp.ClientSession(f"http://127.0.0.1:{settings.ports.doors}") as browser:
            async with browser.get(f"{sandbox.prefix}api") as probe:
                assert probe.status == 503
            async with browser.get(
                f"{sandbox.prefix}lab", headers={"Accept": "text/html"}, allow_redirects=False
            ) as page:
                assert page.headers["Location"].startswith("/hub/api/oauth2/authorize?")
        process.send_signal(end)
        _, said = await process.communicate()
        assert process.returncode == (-9 if end is signal.SIGKILL else 0), said.decode()


async def test_without_a_hub_it_says_what_is_missing(tmp_path: Path) -> None:
    _settings(tmp_path)
    environment = {name: value for name, value in _environment(tmp_path).items() if not name.startswith("JUPYTERHUB")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "egress_gate.doors", cwd=CHECKOUT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert "JUPYTERHUB_API_URL" in said.decode()
    assert "./glovebox up" in said.decode()
