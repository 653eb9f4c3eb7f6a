"""One process: the desk on loopback TCP, the analyst API on a private unix socket, and the worker in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from egress_gate.desk.analyst_api import build_analyst_api
from egress_gate.desk.app import build_desk
from egress_gate.desk.context import Desk
from egress_gate.notify.channels import channels_of
from egress_gate.notify.notifier import Notifier
from egress_gate.service.reexecution import Reexecutions
from egress_gate.service.worker import Worker
from installation.settings import Settings
from store import clock

log = logging.getLogger("glovebox.gate")
_QUEUE = 128


class Server(uvicorn.Server):
    """Signals are handled once, for both servers together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def private_socket(path: Path) -> socket.socket:
    """A listening unix socket (0600) at `path`, however long the path is; a stale one is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            made.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.umask(before)
    finally:
        os.close(folder)
    made.listen(_QUEUE)
    return made


def loopback_socket(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.listen(_QUEUE)
    return made


def run(settings: Settings, desk: Desk) -> None:
    """Serve until a signal says stop; the worker finishes the step it is in."""
    asyncio.run(_serve(settings, desk))


async def _serve(settings: Settings, desk: Desk) -> None:
    analyst = Server(_config(build_analyst_api(desk.gate, clock.now)))
    public = Server(_config(build_desk(desk)))
    stop = threading.Event()
    worker = threading.Thread(target=Worker(desk.gate, clock.now).run, args=(stop,), name="worker", daemon=True)
    notebooks = Reexecutions(desk.gate, clock.now)
    running = threading.Thread(target=notebooks.run, args=(stop,), name="notebooks", daemon=True)
    notifier = Notifier(desk.gate.store, channels_of(settings), clock.now)
    telling = threading.Thread(target=notifier.run, args=(stop,), name="notifier", daemon=True)
    loop = asyncio.get_running_loop()

    def leave() -> None:
        stop.set()
        analyst.should_exit = public.should_exit = True

    for signal in (2, 15):
        loop.add_signal_handler(signal, leave)
    worker.start()
    telling.start()
    running.start()
    log.info("the gate serves %s and 127.0.0.1:%s", settings.gate_socket, settings.ports.gate)
    sockets = private_socket(settings.gate_socket), loopback_socket(settings.ports.gate)
    await asyncio.gather(analyst.serve([sockets[0]]), public.serve([sockets[1]]))
    stop.set()
    await asyncio.to_thread(worker.join, 30)
    await asyncio.to_thread(telling.join, 30)
    await asyncio.to_thread(running.join, 5)  # a run that was cut short is taken up again after the start


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64 * 1024,
    )
