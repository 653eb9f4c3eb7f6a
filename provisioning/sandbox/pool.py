"""Sandboxes that wait, sealed and with their modules imported, until someone claims one.

A waiting sandbox holds no secret and no identity: no name, no token, no data, no home, a number of nobody's. A claim brings home
and data in, hands the identity over a socket, and the proof is then made as for any other start. How many wait follows use
and free memory; where nothing may wait (a runtime with its own kernel, a kernel without id-mapped mounts), starts are cold.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from installation.fault import Fault
from installation.settings import Settings
from provisioning.sandbox.containers import Containers
from provisioning.sandbox.errors import HandshakeFault
from provisioning.sandbox.hardening import OWN_KERNEL, Bind
from provisioning.sandbox.mounts import Folders, SandboxMounts
from provisioning.sandbox.stage import StageMounts

_log = logging.getLogger("glovebox.sandbox.pool")
ROOM = ("/opt/sandbox/bin/python", "/opt/waiting/room.py")
CLAIM_SOCKET = "claim.sock"
READY_SECONDS = 120.0
REFILL_SECONDS = 2.0  # the analyst who has just come in goes first
RECENT_SECONDS = 600.0
EACH_BYTES = 160 * 1024**2
KEEP_FREE_BYTES = 2 * 1024**3
_FIRST_UID, _UIDS = 1 << 21, 1 << 20  # above every person's number


@dataclass(frozen=True)
class Waiting:
    """One sandbox that nobody has yet."""

    sandbox_id: str
    container: str
    image: str
    uid: int
    binds: tuple[Bind, ...]


def wanted(limit: int, claims: int, free_bytes: int) -> int:
    """How many should wait: one more than were claimed of late, as the limit and free memory allow."""
    return max(0, min(limit, claims + 1, (free_bytes - KEEP_FREE_BYTES) // EACH_BYTES))


def free_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes that the kernel says are available; 0 when it does not say, so that nothing waits."""
    for line in meminfo.read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


@dataclass
class Pool:
    """The waiting sandboxes of one installation. One event loop owns it."""

    settings: Settings
    containers: Containers
    mounts: SandboxMounts
    stage: StageMounts
    free: Callable[[], int] = free_memory
    waiting: deque[Waiting] = field(default_factory=deque)
    claimed_at: deque[float] = field(default_factory=deque)
    broken: str = ""
    _task: asyncio.Task[None] | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def possible(self) -> bool:
        sandbox = self.settings.sandbox
        return sandbox.waiting > 0 and sandbox.runtime not in OWN_KERNEL and not self.broken

    def start(self) -> None:
        """Keep the pool filled from now on; may be called again and again."""
        if self.possible and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._keep_filled())

    async def take(self) -> Waiting | None:
        """A waiting sandbox that is alive, or None. It belongs to the caller then, who removes it when the claim fails."""
        while self.waiting:
            one = self.waiting.popleft()
            self.claimed_at.append(time.monotonic())
            self._wake.set()
            state = await asyncio.to_thread(self.containers.state, one.sandbox_id)
            if state is not None and state.get("Running"):
                return one
            await self._drop(one.sandbox_id)
        self._wake.set()
        return None

    def give_up(self, why: str) -> None:
        """The host cannot do what a claim needs; starts are cold from now on."""
        _log.warning("no sandbox will wait: %s", why)
        self.broken = why

    async def fill(self, count: int) -> None:
        """Bring the number waiting up to ``count``. Raises a Fault when one cannot be made, leaving nothing of it."""
        while len(self.waiting) < count:
            self.waiting.append(await self._make())

    async def close(self) -> None:
        """Ensure that nothing waits any more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        while self.waiting:
            await self._drop(self.waiting.popleft().sandbox_id)

    def drain(self) -> None:
        """The same at the end of the process, when no event loop runs any more."""
        while self.waiting:
            self._drop_now(self.waiting.popleft().sandbox_id)

    def target(self) -> int:
        horizon = time.monotonic() - RECENT_SECONDS
        while self.claimed_at and self.claimed_at[0] < horizon:
            self.claimed_at.popleft()
        # What waits already has taken its memory: it is not counted against itself.
        free = self.free() + len(self.waiting) * EACH_BYTES
        return wanted(self.settings.sandbox.waiting, len(self.claimed_at), free)

    async def _keep_filled(self) -> None:
        while self.possible:
            try:
                await self._settle()
            except Fault as fault:
                _log.warning("no sandbox could be made to wait: %s", fault.private or fault)
                await asyncio.sleep(30)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 60)
            await asyncio.sleep(REFILL_SECONDS)

    async def _settle(self) -> None:
        while len(self.waiting) > self.target():
            await self._drop(self.waiting.pop().sandbox_id)
        await self.fill(self.target())

    async def _make(self) -> Waiting:
        sandbox_id, uid = secrets.token_hex(8), _FIRST_UID + secrets.randbelow(_UIDS)
        try:
            binds = await asyncio.to_thread(self.stage.prepare, sandbox_id, uid)
            container, image = await asyncio.to_thread(
                self.containers.run, sandbox_id, uid, binds, {}, role="waiting", command=ROOM
            )
            await self._until_ready(sandbox_id)
        except BaseException:
            await asyncio.shield(self._drop(sandbox_id))
            raise
        return Waiting(sandbox_id, container, image, uid, tuple(binds))

    async def _until_ready(self, sandbox_id: str) -> None:
        serve, give_up = Folders.of(self.settings, sandbox_id).serve, time.monotonic() + READY_SECONDS
        while time.monotonic() < give_up:
            if await asyncio.to_thread(_is_socket, serve):
                return
            await asyncio.sleep(0.1)
        raise _silent("it was not ready in time")

    async def _drop(self, sandbox_id: str) -> None:
        await asyncio.to_thread(self._drop_now, sandbox_id)

    def _drop_now(self, sandbox_id: str) -> None:
        try:
            self.containers.remove(sandbox_id)
            self.mounts.remove(sandbox_id)
        except Fault as fault:
            _log.warning("a waiting sandbox was not removed: %s", fault.private or fault)


def hand_over(serve: Path, environment: dict[str, str], seconds: float = 5) -> None:
    """Tell a waiting sandbox who it is. Opened as every sandbox-made socket is: no link is followed. Raises HandshakeFault."""
    folder = os.open(serve, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        door = os.open(CLAIM_SOCKET, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)
        try:
            if not stat.S_ISSOCK(os.fstat(door).st_mode):
                raise _silent("what it serves is not a socket")
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(seconds)
                client.connect(f"/proc/self/fd/{door}")
                client.sendall(json.dumps(environment).encode() + b"\n")
                if client.recv(16) != b"taken\n":
                    raise _silent("it did not take its identity")
        finally:
            os.close(door)
    except OSError as failure:
        raise _silent(str(failure)) from failure
    finally:
        os.close(folder)


def _is_socket(serve: Path) -> bool:
    try:
        folder = os.open(serve, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        mode = os.stat(CLAIM_SOCKET, dir_fd=folder, follow_symlinks=False).st_mode
        # Bound, then opened to the host, then listened on; the mode is set between the two.
        return stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o666
    except OSError:
        return False
    finally:
        os.close(folder)


def _silent(private: str) -> HandshakeFault:
    return HandshakeFault(
        "The workspace was not started.",
        why="A waiting sandbox did not answer.",
        do="Start it again; another one is made.",
        private=private,
    )
