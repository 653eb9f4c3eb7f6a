"""The program inside a sealed container: no network, no capability, read-only root, only the tables of its plan, read-only.

The hardening is the sandbox's own, written by the workbench at start (`verifier-profile.json`), because the gate imports nothing of
provisioning. The program is handed in as a read-only file, so that what ran is what this checkout holds.
"""

from __future__ import annotations

import contextlib
import copy
import json
import socket
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from egress_gate.disclosure.plan import Plan
from egress_gate.verifier.port import (
    MAX_ANSWER,
    PROGRAM,
    REFIT,
    RERUN,
    SCAN,
    Limits,
    Measured,
    ModelPlan,
    Rerun,
    ScanPlan,
    TableFile,
    VerifierAway,
    job,
    read_answer,
    read_facts,
    read_rerun,
    refit_job,
    scan_job,
)
from installation.settings import Settings

_INSIDE = "/data"
_PROGRAMS = "/verifier"


class SealedContainer:
    """One container for one plan, removed when it has answered."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._profile = settings.home / "verifier-profile.json"

    def measure(self, plan: Plan, tables: Sequence[TableFile], limits: Limits) -> Measured:
        inside = _places(tables)
        return read_answer(*self._run((PROGRAM,), job(plan, tables, limits, inside), tables, inside, limits.seconds))

    def refit(self, plan: ModelPlan, tables: Sequence[TableFile], limits: Limits) -> Mapping[str, Any]:
        inside = _places(tables)
        return read_facts(*self._run(REFIT, refit_job(plan, tables, limits, inside), tables, inside, limits.seconds))

    def rerun(self, sources: Sequence[str], tables: Sequence[TableFile], seconds: float) -> Rerun:
        """A notebook's code in a fresh container: the tables where a sandbox has them, no home, no door."""
        inside = [f"{_INSIDE}/{t.dataset}/{t.path.name}" for t in tables]
        data = json.dumps({"sources": list(sources), "seconds": seconds}).encode()
        image = self._image()
        return read_rerun(*self._run(RERUN, data, tables, inside, seconds, image), image, len(sources))

    def _image(self) -> str:
        """The identity of the image that its name means now."""
        try:
            with contextlib.closing(docker.from_env()) as client:
                return str(client.images.get(self._settings.sandbox.image).id)
        except (DockerException, RequestException) as away:
            raise _away("The container engine does not answer.", away) from away

    def scan(self, plan: ScanPlan, tables: Sequence[TableFile], limits: Limits) -> Mapping[str, Any]:
        inside = _places(tables)
        return read_facts(*self._run(SCAN, scan_job(plan, tables, limits, inside), tables, inside, limits.seconds))

    def _run(
        self,
        programs: Sequence[Path],
        data: bytes,
        tables: Sequence[TableFile],
        inside: Sequence[str],
        seconds: float,
        image: str | None = None,
    ) -> tuple[bytes, bytes]:
        """The first of the programs, with the others beside it, over the tables: what it wrote on both streams."""
        try:
            client = docker.from_env(timeout=int(seconds) + 30)
        except DockerException as away:
            raise _away("The container engine does not answer.", away) from away
        with contextlib.closing(client):
            try:
                named = {"image": image} if image else {}
                made = client.api.create_container(**{**self._arguments(programs, tables, inside), **named})
                container = str(made["Id"])
            except (DockerException, RequestException, OSError, ValueError) as away:
                raise _away("The verifier's container was not made.", away) from away
            try:
                return _converse(client, container, data, seconds + 20)
            except (DockerException, RequestException, OSError) as away:
                raise _away("The verifier's container did not run.", away) from away
            finally:
                with contextlib.suppress(NotFound, APIError, DockerException, RequestException):
                    client.api.remove_container(container, force=True, v=True)

    def _arguments(
        self, programs: Sequence[Path], tables: Sequence[TableFile], inside: Sequence[str]
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = copy.deepcopy(json.loads(self._profile.read_text("utf-8")))
        host = arguments["host_config"]
        binds = [f"{one.resolve()}:{_PROGRAMS}/{one.name}:ro" for one in programs]
        binds += [f"{Path(t.path).resolve()}:{place}:ro" for t, place in zip(tables, inside, strict=True)]
        host["Binds"] = [*(host.get("Binds") or []), *binds]
        arguments |= {
            "command": [f"{_PROGRAMS}/{programs[0].name}"],
            "entrypoint": ["python3", "-I"],
            "name": f"{self._settings.sandbox.container_prefix}-verifier-{uuid.uuid4().hex[:12]}",
            "stdin_open": True,
            "host_config": host | {"LogConfig": {"Type": "none", "Config": {}}},
            "tty": False,
        }
        return arguments


def _places(tables: Sequence[TableFile]) -> list[str]:
    return [f"{_INSIDE}/{number}.{t.format}" for number, t in enumerate(tables)]


def _converse(client: docker.DockerClient, container: str, data: bytes, patience: float) -> tuple[bytes, bytes]:
    """Hand the job in on standard input and read both streams to their end. A container that takes too long is killed.

    The streams come from the attached socket and not from the engine's log, which is small and would cut an answer.
    """
    attached = client.api.attach_socket(container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    raw: socket.socket = getattr(attached, "_sock", attached)
    raw.settimeout(patience + 10)
    timer = threading.Timer(patience, _kill, (client, container))
    timer.daemon = True
    try:
        client.api.start(container)
        timer.start()
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        return _streams(raw)
    finally:
        timer.cancel()
        attached.close()
        raw.close()  # the wrapper leaves the connection open


def _streams(raw: socket.socket) -> tuple[bytes, bytes]:
    """Standard output and error from the engine's frames: stream number, three zeros, length, bytes."""
    streams: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
    while len(header := _exactly(raw, 8)) == 8:
        chunk = _exactly(raw, int.from_bytes(header[4:], "big"))
        stream = streams.get(header[0])
        if stream is not None and len(stream) <= MAX_ANSWER:
            stream += chunk
    return bytes(streams[1]), bytes(streams[2])


def _exactly(raw: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        chunk = raw.recv(min(65536, size - len(parts)))
        if not chunk:
            break
        parts += chunk
    return bytes(parts)


def _kill(client: docker.DockerClient, container: str) -> None:
    with contextlib.suppress(DockerException, RequestException):
        client.api.kill(container)


def _away(why: str, cause: Exception) -> VerifierAway:
    return VerifierAway(
        "The table could not be recomputed just now.",
        why=why,
        do="Nothing is lost: it is tried again.",
        private=repr(cause),
    )
