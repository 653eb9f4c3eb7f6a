"""Two throw-away sandboxes beside the installation: one for the adversary, one for its neighbour. No hub, no record."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError
from docker.utils.socket import frames_iter

from installation.settings import Settings
from provisioning.domain.standing import Standing
from provisioning.sandbox.errors import HandshakeFault
from provisioning.sandbox.hardening import OWN_KERNEL
from provisioning.sandbox.isolation import Proof
from provisioning.sandbox.keeper import Keeper, Opened
from provisioning.sandbox.mounts import Folders
from provisioning.sandbox.prove import as_kernel

_ADVERSARY = Path(__file__).parent / "adversary"
HOME_BYTES = 64 * 1024**2
UIDS = (61001, 61002, 61003)


@dataclass(frozen=True)
class ShownFolder:
    """The adversary's own program, shown to it as a dataset would be."""

    name: str
    version: str
    folder: Path
    tables: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Visit:
    """What the keeper needs to know of a throw-away sandbox; the shape of a mount plan."""

    person: str
    uid: int
    project: str
    datasets: tuple[ShownFolder, ...]
    purpose: str = "proof of isolation"
    view: str = "blind"
    limits: dict[str, Any] = field(default_factory=dict)
    grants: tuple[int, ...] = ()
    shelf: tuple[str, Path] | None = None


class NoRecord:
    """A throw-away sandbox serves nobody, so nobody's record is touched; its proofs are kept for the report."""

    def __init__(self) -> None:
        self.proofs: dict[str, Proof] = {}

    def projects(self, person: str, groups: Sequence[str]) -> list[Any]:
        return []

    def plan(self, person: str, groups: Sequence[str], project: str) -> Any:
        raise NotImplementedError("a throw-away sandbox is planned by its maker")

    def started(self, plan: Any, sandbox_id: str, server: str, container: str, image: str, proof: Proof) -> None:
        self.proofs[sandbox_id] = proof

    def stopped(self, sandbox_id: str, reason: str, used: Mapping[str, int] | None = None) -> None:
        return

    def measured(self, sandbox_id: str, used: Mapping[str, int]) -> None:
        return

    def refused(self, plan: Any, sandbox_id: str, server: str, container: str, image: str, proof: Proof) -> None:
        self.proofs[sandbox_id] = proof

    def open_sandboxes(self) -> dict[str, str]:
        return {}

    def standing(self, sandbox_id: str, live: Mapping[str, Mapping[str, int]]) -> Standing:
        return Standing()


class Knocker:
    """Asks a sandbox's notebook server whether it answers, as carefully as the session door does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def open(self, sandbox_id: str) -> None:
        return

    async def close(self, sandbox_id: str, reason: str = "") -> None:
        return

    async def warn(self, sandbox_id: str, warnings: Sequence[str]) -> None:
        return

    async def wait_until_answering(self, sandbox_id: str, seconds: float) -> None:
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            if await asyncio.to_thread(self.knock, sandbox_id) is not None:
                return
            await asyncio.sleep(0.1)
        raise HandshakeFault(
            "The proof was not made.",
            why="The notebook server in the throw-away sandbox did not answer.",
            do="Look at the machine's load and run the command again.",
        )

    def knock(self, sandbox_id: str, seconds: float = 5) -> float | None:
        """Seconds until the first bytes of an answer, or None without one."""
        start = time.monotonic()
        answer = self.ask(sandbox_id, "GET", "api/status", seconds=seconds, beginning=True)
        return time.monotonic() - start if b" 200 " in answer else None

    def ask(
        self, sandbox_id: str, method: str, path: str, body: bytes = b"", *, seconds: float, beginning: bool = False
    ) -> bytes:
        """The notebook server's answer, at most 64 KiB of it or its first bytes alone; empty without one."""
        folders = Folders.of(self._settings, sandbox_id)
        facts = json.loads(folders.door_file.read_text("utf-8"))
        request = f"{method} {facts['prefix']}{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        request += f"Content-Length: {len(body)}\r\nAuthorization: token {facts['token']}\r\n\r\n"
        folder = os.open(folders.serve, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            served = os.open("jupyter.sock", os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
            try:
                if not stat.S_ISSOCK(os.fstat(served).st_mode):
                    return b""
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(seconds)
                    client.connect(f"/proc/self/fd/{served}")
                    client.sendall(request.encode() + body)
                    return client.recv(64) if beginning else _all_of(client, 65536)
            finally:
                os.close(served)
        except OSError:
            return b""
        finally:
            os.close(folder)


def _all_of(client: socket.socket, most: int) -> bytes:
    answer = b""
    while len(answer) < most and (part := client.recv(most - len(answer))):
        answer += part
    return answer


@dataclass
class Stage:
    """The throw-away installation: settings, keeper, the two sandboxes and the words that must not be found."""

    settings: Settings
    keeper: Keeper
    book: NoRecord
    knocker: Knocker
    client: docker.DockerClient
    adversary: Opened
    neighbour: Opened
    names: tuple[str, ...]

    def start_inside(self, container: str, facts: dict[str, Any]) -> None:
        """Start the adversary's program in a container and leave it running."""
        self.client.api.exec_start(self._command(container, facts), detach=True)

    def run_inside(self, opened: Opened, facts: dict[str, Any]) -> Iterator[bytes]:
        """Run the adversary's program in a sandbox, under all that holds for an analyst there; its output as it comes."""
        if self.settings.sandbox.runtime not in OWN_KERNEL:
            yield from self._output(self._command(opened.container, facts))
            return
        self.client.api.exec_start(self._made(opened.container, as_kernel.write_spec(facts)))
        wanted = json.dumps({"name": as_kernel.KERNEL}).encode()
        answer = self.knocker.ask(opened.sandbox_id, "POST", "api/kernels", wanted, seconds=60)
        if b" 201 " not in answer[:20]:
            raise HandshakeFault(
                "The proof was not made.",
                why="The notebook server in the throw-away sandbox started no kernel.",
                do="Look at the machine's load and run the command again.",
                private=answer.decode("utf-8", "replace")[:1000],
            )
        yield from self._said_by_kernel(opened)
        kernel = str(json.loads(answer.partition(b"\r\n\r\n")[2])["id"])
        self.knocker.ask(opened.sandbox_id, "DELETE", f"api/kernels/{kernel}", seconds=30)

    def _said_by_kernel(self, opened: Opened) -> Iterator[bytes]:
        """What the adversary writes, asked for again and again: a stream out of a sandbox that dies would not end."""
        offset, end = 0, as_kernel.END.encode()
        while (self.keeper.containers.state(opened.sandbox_id) or {}).get("Running"):
            time.sleep(0.5)
            try:
                said = bytes(self.client.api.exec_start(self._made(opened.container, as_kernel.said_since(offset))))
            except (APIError, OSError):
                continue  # it has ended meanwhile, or has no room for one more process
            whole = said[: said.rfind(b"\n") + 1]
            if whole.startswith(b"{") or whole.startswith(end):
                offset += len(whole)
                yield whole
            if end in whole:
                return

    def run_plain(self, container: str, facts: dict[str, Any]) -> Iterator[bytes]:
        """The same in a container that has no notebook server."""
        yield from self._output(self._command(container, facts))

    def _output(self, command: str) -> Iterator[bytes]:
        channel: Any = self.client.api.exec_start(command, socket=True)
        try:
            for _, part in frames_iter(channel, tty=False):  # type: ignore[no-untyped-call]
                yield part
        finally:
            channel._response.close()
            channel.close()

    def _command(self, container: str, facts: dict[str, Any]) -> str:
        code = (
            "import sys; sys.path.insert(0, '/data'); from adversary.__main__ import main; sys.exit(main(sys.argv[1:]))"
        )
        return self._made(container, ["/opt/sandbox/bin/python", "-I", "-B", "-c", code, json.dumps(facts)])

    def _made(self, container: str, command: list[str]) -> str:
        return str(self.client.api.exec_create(container, command)["Id"])

    async def one_more(self) -> Opened:
        """Another sandbox for the adversary, for what may end it."""
        return await _open(self.keeper, Visit("adversary-2", UIDS[2], "proof-2", (self.program(),)))

    def program(self) -> ShownFolder:
        return copy_program(self.settings.datasets / "adversary")


async def set_stage(settings: Settings, client: docker.DockerClient) -> Stage:
    """Open both sandboxes with the installation's own profile. Raises a Fault, leaving nothing.

    The adversary's is one that waited, where sandboxes may wait, and the neighbour's is started cold: both ways are proved.
    """
    mark = secrets.token_hex(4)
    home = settings.run / f"prove-{mark}"
    sandbox = replace(
        settings.sandbox, home_bytes=HOME_BYTES, container_prefix=f"{settings.sandbox.container_prefix}-prove"
    )
    apart = replace(settings, home=home, sandbox=sandbox)
    program = copy_program(apart.datasets / "adversary")
    book, knocker = NoRecord(), Knocker(apart)
    keeper = Keeper(apart, book, knocker, client)  # type: ignore[arg-type]
    names = (f"person-{mark}", f"project-{mark}")
    try:
        if keeper.pool.possible:
            await keeper.pool.fill(1)
        one = await _open(keeper, Visit("adversary", UIDS[0], "proof", (program,)))
        other = await _open(keeper, Visit(names[0], UIDS[1], names[1], (program,)))
    except BaseException:
        clear_stage(apart, keeper, client)
        raise
    return Stage(apart, keeper, book, knocker, client, one, other, (*names, other.sandbox_id, other.container[:12]))


async def _open(keeper: Keeper, visit: Visit) -> Opened:
    async def silent(_: str, __: int) -> None:
        return

    plan: Any = visit
    return await keeper.open(plan, "", f"/user/{visit.person}/", silent)


def copy_program(folder: Path) -> ShownFolder:
    """The adversary's files and one table to try on, readable by every uid. What is there already is shown as it is."""
    if (folder / "table.csv").exists():
        return ShownFolder("adversary", "adversary/1", folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    for source in sorted(_ADVERSARY.glob("*.py")):
        shutil.copyfile(source, folder / source.name)
    (folder / "table.csv").write_text("id,value\n" + "\n".join(f"{n},{n % 7}" for n in range(2000)), "utf-8")
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o755)
    return ShownFolder("adversary", "adversary/1", folder)


def clear_stage(settings: Settings, keeper: Keeper, client: docker.DockerClient) -> None:
    """Ensure that nothing of the throw-away installation is left."""
    for folder in sorted(settings.sandboxes.iterdir()) if settings.sandboxes.exists() else []:
        keeper.remove(folder.name)
    shutil.rmtree(settings.home, ignore_errors=True)
