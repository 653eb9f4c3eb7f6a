"""Runs a notebook's code cells top to bottom. Stand-alone: nbclient of the sandbox's image, in a sealed container of its own.

Reads JSON on standard input: the sources of the code cells and the seconds for all of them. Writes JSON: the outputs of each cell, as the
kernel sent them. The kernel runs what an analyst wrote, under the same number: so this process cannot be traced, the kernel
inherits none of its streams, and whoever ends it ends the answer. What it writes is read as a stranger's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MAX_JOB = 32 * 1024 * 1024
MAX_OUTPUTS = 8 * 1024 * 1024
PR_SET_DUMPABLE = 4
WORK, RUNTIME = Path("/tmp/work"), Path("/tmp/rt")  # noqa: S108 - the only place that can be written in the container


class Stopped(Exception):
    """Why it did not run to its end, in a word of its own."""


def run(sources: list[str], seconds: float) -> list[list[dict[str, Any]]]:
    """The outputs of each cell. A cell that fails does not stop those after it: what differs is then shown for each. Raises Stopped."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError
    from nbformat import from_dict

    for folder in (WORK, RUNTIME):
        folder.mkdir(parents=True, exist_ok=True)
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
    cells = [{**empty, "source": text} for text in sources]
    notebook: Any = from_dict({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})  # type: ignore[no-untyped-call]
    # sockets beside a whole path: with a relative one each side looks in its own folder
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=str(RUNTIME / "kernel.json"))
    client = NotebookClient(
        notebook, km=manager, timeout=None, allow_errors=True, resources={"metadata": {"path": str(WORK)}}
    )

    async def whole() -> None:
        quiet: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            await asyncio.wait_for(client.async_execute(**quiet), seconds)
        finally:
            with contextlib.suppress(Exception):
                await manager.shutdown_kernel(now=True)

    started = time.monotonic()
    try:
        asyncio.run(whole())
    except (TimeoutError, DeadKernelError) as ended:
        raise Stopped("time" if time.monotonic() - started >= seconds else "kernel") from ended
    outputs = [[dict(one) for one in cell.outputs] for cell in notebook.cells]
    if len(json.dumps(outputs)) > MAX_OUTPUTS:
        raise Stopped("size")
    return outputs


def main() -> int:
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    answer = os.dup(1)
    os.dup2(2, 1)  # what a library prints is not the answer
    os.environ.update(HOME=str(WORK), JUPYTER_RUNTIME_DIR=str(RUNTIME), IPYTHONDIR="/tmp/ipython")  # noqa: S108
    raw = sys.stdin.buffer.read(MAX_JOB + 1)
    try:
        job = json.loads(raw)
        said: dict[str, Any] = {"cells": run([str(s) for s in job["sources"]], float(job["seconds"]))}
    except Stopped as why:
        said = {"stopped": str(why)}
    with open(answer, "wb") as out:
        out.write(json.dumps(said).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
