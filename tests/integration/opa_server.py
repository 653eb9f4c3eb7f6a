"""A real OPA server with our policies, for the gate's tests."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from installation.settings import Ports, Settings, home_folder
from policy_engine import opa_process


@dataclass
class RunningOpa:
    port: int
    token: str
    command: list[str]
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def start_again(self) -> None:
        self.process = _started(self.command, self.port)


def binary() -> str:
    """OPA from PATH, from the installation's tools, or from Go's folder."""
    places = [os.environ.get("PATH", ""), str(home_folder() / "tools" / "bin"), str(Path.home() / "go" / "bin")]
    found = shutil.which("opa", path=os.pathsep.join(places))
    if found is None:
        raise FileNotFoundError("OPA is not installed; run ./glovebox demo or ./glovebox test, which bring it")
    return found


@contextmanager
def running_opa(home: Path) -> Iterator[RunningOpa]:
    """Its own home, port and token; ended at exit."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = Settings(home=home, ports=Ports(opa=port))
    settings.secrets.mkdir(parents=True)
    settings.run.mkdir(parents=True)
    token = secrets.token_urlsafe(24)
    (settings.secrets / "opa.token").write_text(token)
    command = [binary(), *opa_process.prepare(settings)]
    made = RunningOpa(port, token, command, _started(command, port))
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.stop()


def _started(command: list[str], port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return process
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    process.kill()
    raise TimeoutError("OPA did not start")
