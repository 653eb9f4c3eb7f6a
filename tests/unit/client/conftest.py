"""A gate on a unix socket that answers what a test lays down, and the sandbox's library in front of it."""

from __future__ import annotations

import http.server
import importlib
import json
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CLIENT = Path(__file__).resolve().parents[3] / "images" / "sandbox" / "glovebox_client"


REHEARSAL = ("POST", "/v1/rehearsal")


class Gate(http.server.BaseHTTPRequestHandler):
    """Answers what the test laid down, and remembers what was asked."""

    protocol_version = "HTTP/1.1"
    answers: dict[tuple[str, str], tuple[int, Any]] = {}  # noqa: RUF012 - set anew by each test
    asked: list[tuple[str, str, Any, dict[str, str]]] = []  # noqa: RUF012

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length) if length else b""
        sent = json.loads(raw) if "json" in self.headers.get("Content-Type", "") else raw
        self.asked.append((self.command, self.path, sent, dict(self.headers)))
        status, body = self.answers.get((self.command, self.path), (404, None))
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = _answer

    def address_string(self) -> str:
        return "sandbox"

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def glovebox(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(CLIENT))
    yield importlib.import_module("glovebox")
    importlib.import_module("glovebox.tables").forget()
    for name in [name for name in sys.modules if name.partition(".")[0] == "glovebox"]:
        del sys.modules[name]


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Gate]]:
    path = str(tmp_path / "door.sock")
    monkeypatch.setenv("GLOVEBOX_INNER", path)
    Gate.answers, Gate.asked = {REHEARSAL: (200, {"outcome": "review", "outputs": [], "reasons": [], "away": ""})}, []
    with Server(path, Gate) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Gate
        server.shutdown()
        thread.join()
