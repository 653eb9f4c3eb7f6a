"""Telling the doors about sandboxes, over their administration socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from provisioning.sandbox.errors import HandshakeFault

_QUICK = aiohttp.ClientTimeout(total=5)


class DoorsClient:
    """The doors of one installation. A socket's path may be long, so it is reached through its folder's descriptor."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def open(self, sandbox_id: str) -> None:
        """Ensure that the doors serve this sandbox. Raises HandshakeFault."""
        status, text = await self._call("PUT", f"/sandboxes/{sandbox_id}")
        if status >= 300:
            raise _refused(f"PUT {status}: {text[:500]}")

    async def close(self, sandbox_id: str, reason: str = "") -> None:
        """Ensure that the doors have forgotten this sandbox. Doors that are down have forgotten: they read folders at start.

        ``reason`` is for whoever still has its page open."""
        with contextlib.suppress(HandshakeFault):
            await self._call("DELETE", f"/sandboxes/{sandbox_id}", {"reason": reason})

    async def warn(self, sandbox_id: str, warnings: Sequence[str]) -> None:
        """Let the door show these sentences to the analyst. A door that is down cannot; the sandbox ends all the same."""
        with contextlib.suppress(HandshakeFault):
            await self._call("POST", f"/sandboxes/{sandbox_id}/warnings", {"warnings": list(warnings)})

    async def wait_until_answering(self, sandbox_id: str, seconds: float) -> None:
        """Return when the notebook server answers through the door. Raises HandshakeFault when it does not in time."""
        last, give_up = "", asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < give_up:
            with contextlib.suppress(HandshakeFault):
                status, last = await self._call("GET", f"/sandboxes/{sandbox_id}/health")
                if status == 200:
                    return
            await asyncio.sleep(0.03)
        raise HandshakeFault(
            "The workspace was not started.",
            why=f"Its notebook server did not answer within {seconds:.0f} seconds.",
            do="Start it again. If it happens again, stop other workspaces or ask the operator to look at the load.",
            private=last[:500],
        )

    async def _call(self, method: str, path: str, said: Mapping[str, Any] | None = None) -> tuple[int, str]:
        try:
            async with self._session() as session, session.request(method, f"http://doors{path}", json=said) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError) as silent:
            raise _refused(repr(silent)) from silent

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        folder = os.open(self._socket.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            connector = aiohttp.UnixConnector(path=f"/proc/self/fd/{folder}/{self._socket.name}")
            async with aiohttp.ClientSession(connector=connector, timeout=_QUICK) as session:
                yield session
        finally:
            os.close(folder)


def _refused(private: str) -> HandshakeFault:
    return HandshakeFault(
        "The workspace was not started.",
        why="The session door does not answer.",
        do="Ask the operator to look at `glovebox status`; trying again is safe.",
        private=private,
    )
