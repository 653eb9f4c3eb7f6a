"""The hub's own process: started in a session of its own, known again by its process id and the moment it began."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from installation.settings import CHECKOUT, Settings

POLITE, FIRM = 20.0, 5.0
MARK = "GLOVEBOX_WORKBENCH"  # in the environment of the hub and of all that it starts: known again even when the hub is gone


def running(settings: Settings) -> int | None:
    """The process id of the running hub. A pid file whose process is gone, or whose number another program got, is none."""
    try:
        pid, _, began = (settings.run / "hub.pid").read_text("ascii").partition(" ")
        return int(pid) if began and beginning(int(pid)) == began.strip() else None
    except (OSError, ValueError):
        return None


def start(settings: Settings) -> int:
    """Start the hub; it goes on when this command ends. Its words go to ``hub.log``."""
    environ = {**os.environ, "GLOVEBOX_HOME": str(settings.home), "PYTHONPATH": str(CHECKOUT), "PYTHONSAFEPATH": "1"}
    environ[MARK] = str(settings.home)
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
            umask=0o077,
        )
    _remember(settings.run / "hub.pid", started.pid)
    return started.pid


def end(settings: Settings) -> bool:
    """Ask the hub to end, insist when it does not, and end what it left behind. False when nothing ran."""
    pid, all_of_them = running(settings), _ours(settings)
    if pid is not None:
        _signal(pid, signal.SIGTERM)
        _gone({pid: beginning(pid)}, POLITE)
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = _ours(settings)
        for member in left:
            _signal(member, number)
        if _gone(left, FIRM):
            break
    (settings.run / "hub.pid").unlink(missing_ok=True)
    return bool(all_of_them)


def left_over(settings: Settings) -> int:
    """How many processes of this installation run; with no hub they are left over."""
    return len(_ours(settings))


def _remember(path: Path, pid: int) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{pid} {beginning(pid)}", "ascii")
    fresh.replace(path)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the command's name, or none when the process is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[:1] in (["Z"], ["X"]) else fields


def alive(pid: int, since: str) -> bool:
    """Whether the process that began then still runs, and no other has its number."""
    return bool(since) and beginning(pid) == since


def beginning(pid: int) -> str:
    """When the process began, in the kernel's ticks since boot; empty when it is gone."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _ours(settings: Settings) -> dict[int, str]:
    """Every process that carries this installation's mark, with its beginning: the hub, its proxy and its services."""
    wanted = f"{MARK}={settings.home}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            marked = wanted in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone meanwhile, or somebody else's
        if marked and (began := beginning(int(folder.name))):
            found[int(folder.name)] = began
    return found


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _gone(processes: dict[int, str], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while any(began and beginning(pid) == began for pid, began in processes.items()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
