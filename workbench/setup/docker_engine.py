"""Docker: used where it runs; where there is none and we are root on Debian or Ubuntu, installed and started."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import docker
from docker.errors import DockerException

from installation.settings import Settings
from workbench.errors import SetupFault
from workbench.setup import debian
from workbench.setup.step import Progress

PATIENCE = 60.0


def version() -> str | None:
    """The running engine's version, or None when none answers."""
    try:
        client = docker.from_env(timeout=10)
    except DockerException:
        return None
    try:
        return str(client.version()["Version"])
    except (DockerException, OSError):
        return None
    finally:
        client.close()


def ensure(settings: Settings, progress: Progress) -> str:
    """A running engine that this user may use. Raises SetupFault."""
    running = version()
    if running is None:
        _refuse_named_engine()
        _require_root()
        if shutil.which("dockerd") is None:
            debian.install(["docker.io"], progress)
        debian.ensure_programs({"iptables": "iptables"}, progress)
        progress("starting the engine")
        _start(settings)
        running = _wait(settings)
    debian.ensure_programs({"mkfs.ext4": "e2fsprogs", "mount": "mount", "nsenter": "util-linux"}, progress)
    return running


def _refuse_named_engine() -> None:
    """An engine that somebody chose by name is theirs to start."""
    if named := os.environ.get("DOCKER_HOST"):
        raise SetupFault(
            "Docker cannot be used.",
            why=f"DOCKER_HOST names {named}, and no engine answers there.",
            do="Start that engine, or unset DOCKER_HOST to use this machine's own.",
        )


def _require_root() -> None:
    if os.geteuid() == 0:
        return
    socket = Path("/var/run/docker.sock")
    why = "The engine is there, but your account may not use it." if socket.exists() else "No engine is running."
    raise SetupFault(
        "Docker cannot be used.",
        why=why,
        do="Have an administrator add you to the group docker (usermod -aG docker NAME, then sign in again), or run as root.",
    )


def _start(settings: Settings) -> None:
    """Through systemd where it rules, else as a process of its own session that outlives this command."""
    if Path("/run/systemd/system").exists() and shutil.which("systemctl"):
        subprocess.run(["systemctl", "start", "docker"], capture_output=True, check=False)
        return
    _forget_killed(Path("/var/run/docker.pid"), "dockerd")
    _forget_killed(Path("/var/run/docker/containerd/containerd.pid"), "containerd")
    with (settings.logs / "dockerd.log").open("ab") as log:
        subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _forget_killed(file: Path, program: str) -> None:
    """Remove the pid file of an engine that was killed: its number may be another program's by now, and the engine would wait for it."""
    try:
        running = Path(f"/proc/{file.read_text('ascii').strip()}/comm").read_text("ascii").strip()
    except (OSError, ValueError):
        running = ""
    if running != program:
        file.unlink(missing_ok=True)


def _wait(settings: Settings) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (running := version()) is not None:
            return running
        time.sleep(0.3)
    log = settings.logs / "dockerd.log"
    last = log.read_text("utf-8", "replace").strip().splitlines()[-1:] if log.exists() else []
    raise SetupFault(
        "Docker did not start.",
        why=f"No engine answered within {PATIENCE:.0f} s. {' '.join(last)}",
        do=f"Look into {log} and mend what it names, then run the same command again.",
    )
