"""What a hostile analyst tries from inside: each attempt is a cell that prints ``blocked: how`` or ``OPEN``.

Every TCP attempt has a positive control: a real neighbour container on Docker's own network answers the host (`reachable`),
so a failure inside is the sandbox's doing and not a dead target's.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import docker
from docker.errors import APIError, DockerException

_TRY = """
def attempt(act):
    try:
        seen = act()
    except BaseException as error:
        print('blocked:', type(error).__name__ + ':', error)
    else:
        print('OPEN:', repr(seen)[:80])
"""


@dataclass(frozen=True)
class Escape:
    name: str
    code: str


def escapes(hub: str, target: str, port: int) -> list[Escape]:
    """The attempts, aimed at the real hub API address ``hub`` and at a listener on ``target``:``port`` of a neighbour."""
    connect = "import socket\nattempt(lambda: socket.create_connection(({host!r}, {port}), timeout=3).recv(1))"
    host, _, hub_port = hub.rpartition(":")
    return [
        Escape("TCP to the neighbour container", connect.format(host=target, port=port)),
        Escape("TCP to the hub's API", connect.format(host=host, port=int(hub_port))),
        Escape(
            "hub admin API over HTTP",
            f"import urllib.request\nattempt(lambda: urllib.request.urlopen('http://{hub}/hub/api/users', timeout=3).read(9))",
        ),
        Escape(
            "UDP datagram",
            f"import socket\nattempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ({target!r}, {port})))",
        ),
        Escape("DNS look-up", "import socket\nattempt(lambda: socket.getaddrinfo('example.org', 443))"),
        Escape("IPv6", "import socket\nattempt(lambda: socket.socket(socket.AF_INET6).connect(('2001:db8::1', 443)))"),
        Escape(
            "VM socket to the hypervisor",
            "import socket\nattempt(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))",
        ),
        Escape("raw packets", "import socket\nattempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))"),
        Escape(
            "Docker's socket",
            "import socket\ns = socket.socket(socket.AF_UNIX)\nattempt(lambda: s.connect('/var/run/docker.sock'))",
        ),
        Escape("writing to the dataset", "attempt(lambda: open('/data/nafld/nafld1.parquet', 'r+b'))"),
        Escape("a new file beside the dataset", "attempt(lambda: open('/data/nafld/note.txt', 'w'))"),
        Escape(
            "a hub credential in the environment",
            "import os\nattempt(lambda: [os.environ[k] for k in os.environ if 'JUPYTERHUB' in k or 'API_TOKEN' in k][0])",
        ),
    ]


PREPARE = _TRY

NEIGHBOUR_PORT = 4000
_GREETER = f"""
import socket
server = socket.create_server(('0.0.0.0', {NEIGHBOUR_PORT}))
while True:
    caller, _ = server.accept()
    caller.sendall(b'!')
    caller.close()
"""


@contextmanager
def neighbour(image: str, prefix: str) -> Iterator[str]:
    """A container of somebody else's on Docker's ordinary bridge, greeting every caller; yields its address.

    Raises docker's errors where the engine cannot start it: the demo then has no positive control and must fail.
    """
    client = docker.from_env()
    made = client.containers.run(
        image,
        command=["python3", "-c", _GREETER],
        entrypoint="",
        detach=True,
        name=f"{prefix}-demo-neighbour-{time.time_ns():x}",
    )
    try:
        made.reload()
        yield str(made.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])
    finally:
        try:
            made.remove(force=True)
        except (APIError, DockerException) as error:
            print(f"   could not remove the neighbour container {made.name}: {error}")
        client.close()


def reachable(address: str, port: int, patience: float = 10) -> bool:
    """The positive control: from the host the target answers within ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((address, port), timeout=2) as caller:
                return caller.recv(1) == b"!"
        except OSError:
            time.sleep(0.2)
    return False
