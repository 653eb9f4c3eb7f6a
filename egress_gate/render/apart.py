"""A program of the gate's run apart from it: what it reads was written by somebody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run_apart(program: Path, given: bytes, seconds: int, memory: int) -> bytes:
    """What `program` says of `given`: a process of its own, isolated Python, no environment; it holds itself to `seconds` of processor
    time and `memory` bytes. Raises OSError and subprocess.SubprocessError."""
    done = subprocess.run(
        [sys.executable, "-I", str(program), str(seconds), str(memory)],
        input=given,
        capture_output=True,
        check=True,
        timeout=3 * seconds,
        env={},
        cwd="/",
    )
    return done.stdout
