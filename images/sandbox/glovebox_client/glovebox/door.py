"""Talks HTTP over the one socket that leads out of a sandbox: the inner door. Standard library only."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from glovebox.errors import GateUnreachable, from_body

PATIENCE = 120.0
ANSWER_TYPE = "application/vnd.glovebox.answer+json"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("gate", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
    """Ask the gate and return its JSON. Raises Refused with the gate's own words, or GateUnreachable.

    ``body`` is JSON, or bytes, or an iterable of bytes that is streamed.
    """
    sent = {"Accept": "application/json", **(headers or {})}
    payload: bytes | Iterable[bytes] | None = body
    if body is not None and not isinstance(body, bytes) and not hasattr(body, "__next__"):
        payload = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    connection = _Connection(_socket_path(), PATIENCE)
    try:
        connection.request(method, path, body=payload, headers=sent, encode_chunked=True)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise unreachable() from error
    finally:
        connection.close()
    return _decoded(answer.status, text)


class Told(dict[str, Any]):
    """An answer of the gate, and the digest by which the session door knows it: a blind page shows the gate's own words."""

    digest = ""

    @property
    def mimebundle(self) -> dict[str, Any]:
        return {ANSWER_TYPE: {"digest": self.digest}} if self.digest else {}


def _decoded(status: int, text: bytes) -> Any:
    try:
        decoded = json.loads(text) if text else None
    except ValueError:
        decoded = None
        status = max(status, 500)
    if status >= 400:
        raise from_body(status, decoded)
    if not isinstance(decoded, dict):
        return decoded
    told = Told(decoded)
    told.digest = hashlib.sha256(text).hexdigest()
    return told


def mimebundle(facts: Any) -> dict[str, Any]:
    """What IPython shows beside text and HTML: which answer of the gate this is."""
    return facts.mimebundle if isinstance(facts, Told) else {}


def _socket_path() -> str:
    return os.environ.get("GLOVEBOX_INNER", "/run/glovebox/inner/door.sock")


def unreachable() -> GateUnreachable:
    return GateUnreachable(
        "The gate could not be asked.",
        "The inner door of this sandbox does not answer.",
        "Try again in a minute; what was acknowledged before is not lost.",
    )
