"""`up`, `down` and `status`: one hub process in a session of its own, which manages the rest."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import docker
import httpx

from installation.settings import CHECKOUT, Settings
from provisioning.sandbox import hardening
from provisioning.sandbox.keeper import cgroup_version
from provisioning.sandbox.store_book import StoreBook
from provisioning.sandbox.sweeping import sweep
from workbench.errors import ProcessFault
from workbench.runtime.accounts import ensure_account
from workbench.runtime.hub_api import HubApi
from workbench.setup import secrets

PATIENCE = 90.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    name: str
    answers: bool
    address: str


def hub_pid(settings: Settings) -> int | None:
    """The running hub's process id; a pid file whose process is gone, or is another program's, counts as none."""
    try:
        pid = int((settings.run / "hub.pid").read_text("ascii"))
        command = open(f"/proc/{pid}/cmdline", "rb").read()  # noqa: SIM115 - /proc
    except (OSError, ValueError):
        return None
    return pid if b"jupyterhub" in command else None


def up(settings: Settings, say: Say) -> None:
    """Start the workbench and wait until every part answers. Already running: nothing happens. Raises ProcessFault."""
    if hub_pid(settings) is None:
        _before_start(settings, say)
        _start(settings)
    _wait_until_well(settings)


def _before_start(settings: Settings, say: Say) -> None:
    _refuse_taken_ports(settings)
    client = docker.from_env()
    try:
        _write_verifier_profile(settings, client)
        sweep(settings, StoreBook(settings), client)
    finally:
        client.close()
    for name, account in secrets.accounts(settings).items():
        ensure_account(settings, name, account["password"])


def _write_verifier_profile(settings: Settings, client: docker.DockerClient) -> None:
    made = hardening.verifier_profile(settings, cgroup_version=cgroup_version(client))
    target = settings.home / "verifier-profile.json"
    fresh = target.with_suffix(".new")
    fresh.write_text(json.dumps(made, indent=1), "utf-8")
    fresh.replace(target)


def _refuse_taken_ports(settings: Settings) -> None:
    taken = []
    for name, port in vars(settings.ports).items():
        host = settings.host if name == "public" else "127.0.0.1"
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                taken.append(f"{name} ({port})")
    if taken:
        raise ProcessFault(
            "The workbench did not start.",
            why=f"Another program listens on the port for {', '.join(taken)}.",
            do=f"Stop it, or set other ports under [ports] in {settings.home / 'settings.toml'}.",
        )


def _start(settings: Settings) -> None:
    environ = {**os.environ, "GLOVEBOX_HOME": str(settings.home), "PYTHONPATH": str(CHECKOUT)}
    environ["JUPYTERHUB_CRYPT_KEY"] = (settings.secrets / "hub.crypt").read_text("ascii").strip()
    command = [sys.executable, "-m", "jupyterhub", "-f", str(CHECKOUT / "jupyterhub_config.py")]
    with (settings.logs / "hub.log").open("ab") as log:
        started = subprocess.Popen(
            command,
            cwd=settings.home,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (settings.run / "hub.pid").write_text(str(started.pid), "ascii")


def parts(settings: Settings) -> list[Part]:
    """Every part of the workbench and whether it answers now."""
    api = HubApi(settings)
    try:
        hub = api.healthy()
    finally:
        api.close()
    found = [Part("hub", hub, f"127.0.0.1:{settings.ports.hub}")]
    found.append(Part("public proxy", _answers(f"{_public(settings)}/hub/login"), settings.url))
    found.append(Part("session door", settings.doors_socket.exists() and _listens(settings.ports.doors), "doors.sock"))
    found.append(Part("gate", settings.gate_socket.exists() and _listens(settings.ports.gate), "gate.sock"))
    if settings.policy_engine == "opa":
        found.append(
            Part(
                "policy engine",
                _answers(f"http://127.0.0.1:{settings.ports.opa}/health"),
                f"127.0.0.1:{settings.ports.opa}",
            )
        )
    return found


def _public(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.ports.public}"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=3, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def _wait_until_well(settings: Settings) -> None:
    deadline = time.monotonic() + PATIENCE
    missing = ["everything"]
    while time.monotonic() < deadline:
        if hub_pid(settings) is None:
            break
        missing = [part.name for part in parts(settings) if not part.answers]
        if not missing:
            return
        time.sleep(0.3)
    raise ProcessFault(
        "The workbench did not start.",
        why=f"Not answering: {', '.join(missing)}. {_last_words(settings)}",
        do=f"Look into {settings.logs / 'hub.log'}, mend what it names, then run ./glovebox up again.",
    )


def _last_words(settings: Settings) -> str:
    log = settings.logs / "hub.log"
    lines = log.read_text("utf-8", "replace").splitlines()[-40:] if log.exists() else []
    wrong = [line for line in lines if "Error" in line or "[E " in line or "[C " in line]
    return (wrong or lines or [""])[-1][:300]


def down(settings: Settings, say: Say) -> None:
    """Stop every sandbox, then the hub and all it manages, then remove what is mounted. Not running: only the last."""
    pid = hub_pid(settings)
    if pid is not None:
        _stop_sandboxes(settings, say)
        _end(pid)
        (settings.run / "hub.pid").unlink(missing_ok=True)
    client = docker.from_env()
    try:
        sweep(settings, StoreBook(settings), client)
    finally:
        client.close()


def _stop_sandboxes(settings: Settings, say: Say) -> None:
    api = HubApi(settings)
    try:
        stopped = api.stop_servers()
        if stopped:
            say(f"stopping the sandboxes of {', '.join(stopped)}")
        deadline = time.monotonic() + 30
        while stopped and time.monotonic() < deadline and any(u.get("server") or u.get("pending") for u in api.users()):
            time.sleep(0.3)
    except httpx.HTTPError as away:
        say(f"the hub could not be asked to stop the sandboxes ({away}); they are removed directly")
    finally:
        api.close()


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not os.path.exists(f"/proc/{pid}") or _is_zombie(pid):
            break
        time.sleep(0.1)
    else:
        os.kill(pid, signal.SIGKILL)
    try:
        os.killpg(pid, signal.SIGTERM)  # what the hub started in its session, should it have left any
    except (ProcessLookupError, PermissionError):
        return


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def status(settings: Settings) -> dict[str, Any]:
    """What runs, as a program would read it."""
    running = hub_pid(settings)
    sandboxes = StoreBook(settings).open_sandboxes() if running else {}
    return {
        "running": running is not None,
        "url": settings.url,
        "home": str(settings.home),
        "parts": [{"name": p.name, "answers": p.answers, "address": p.address} for p in parts(settings)],
        "sandboxes": [{"id": name, "container": container} for name, container in sorted(sandboxes.items())],
    }
