"""Unix sockets, reached without following anything that a sandbox can write.

A sandbox can put a symlink to another of the host's sockets where its own should be. So the folder is opened as a
folder, the name in it with ``O_PATH|O_NOFOLLOW``, it must *be* a socket on the same small file system, and the
connection goes through ``/proc/self/fd/N``, which cannot be exchanged in between. That also lifts the 107-byte limit
on socket paths.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.client_exceptions import UnixClientConnectorError

FULL_BACKLOG_PAUSE = 0.02


@contextlib.contextmanager
def folder_handle(folder: Path) -> Iterator[int]:
    """A descriptor for ``folder`` itself: it must be a folder, its last step no symlink. Held only while used."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def socket_handle(folder: Path, name: str) -> Iterator[int]:
    """A descriptor for the socket ``name`` in ``folder``. Raises OSError when it is anything but a socket there."""
    with folder_handle(folder) as parent:
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            found, home = os.fstat(handle), os.fstat(parent)
            if not stat.S_ISSOCK(found.st_mode) or found.st_dev != home.st_dev:
                raise OSError(f"{name} is not a socket of that folder")
            yield handle
        finally:
            os.close(handle)


async def connect(folder: Path, name: str) -> socket.socket:
    """A connected, non-blocking stream socket. Waits while the backlog is full; the caller sets the time."""
    while True:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            with socket_handle(folder, name) as handle:
                made.connect(f"/proc/self/fd/{handle}")
            return made
        except BlockingIOError:
            made.close()
            await asyncio.sleep(FULL_BACKLOG_PAUSE)
        except BaseException:
            made.close()
            raise


def listen(folder: Path, name: str, mode: int, backlog: int = 128) -> socket.socket:
    """Bind ``name`` in ``folder``, replacing what an earlier process left there, with exactly ``mode``."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        with folder_handle(folder) as parent:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)
            made.bind(f"/proc/self/fd/{parent}/{name}")
            os.chmod(name, mode, dir_fd=parent)
        made.listen(backlog)
    except BaseException:
        made.close()
        raise
    return made


class SocketConnector(aiohttp.BaseConnector):
    """aiohttp's connection pool over one unix socket, looked up anew for every new connection."""

    def __init__(self, folder: Path, name: str, **options: Any) -> None:
        super().__init__(**options)
        self._folder = folder
        self._name = name

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        try:
            async with asyncio.timeout(timeout.sock_connect):
                made = await connect(self._folder, self._name)
        except OSError as error:  # TimeoutError among them
            raise UnixClientConnectorError(self._name, req.connection_key, error) from error
        _, protocol = await self._loop.create_connection(self._factory, sock=made)
        return protocol
