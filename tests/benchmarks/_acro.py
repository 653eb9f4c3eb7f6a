"""ACRO in a Python environment of its own, from hash-locked requirements; made once, beside the checkout's own environment."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from installation.settings import CHECKOUT

LOCK = CHECKOUT / "requirements" / "acro.txt"
PLACE = CHECKOUT / ".venv" / "acro"
WORKER = Path(__file__).with_name("_acro_worker.py")


def environment() -> Path:
    """The environment's Python. Raises CalledProcessError where the packages cannot be had."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    python, mark = PLACE / "bin" / "python", PLACE / ".made"
    PLACE.parent.mkdir(exist_ok=True)
    with (PLACE.parent / "acro.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists() or mark.read_text("utf-8") != digest:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(PLACE)], check=True)
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--require-hashes", "--requirement", str(LOCK)], check=True)
            mark.write_text(digest, "utf-8")
    return python


def ask(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the worker on a job: ACRO's own time, the process's peak memory in bytes, the cells that each check names, its
    status, and the table that it gives, as rows of labels and a value."""
    done = subprocess.run(
        [str(environment()), "-I", str(WORKER)],
        input=json.dumps(job).encode(),
        capture_output=True,
        check=False,
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "MPLBACKEND": "agg"},
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf-8", "replace")[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
    return answer
