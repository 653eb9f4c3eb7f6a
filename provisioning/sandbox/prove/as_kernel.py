"""Run a program inside a sandbox as an analyst's notebook kernel: a descendant of the first process, with all its limits.

A command that the engine runs in a container is, under gVisor, no descendant: the sentry does not put the system-call list over
it. What an analyst runs is one, so the adversary must be one too.
"""

from __future__ import annotations

import json
from typing import Any

KERNEL = "adversary"
OUTPUT = "/tmp/adversary.out"  # noqa: S108 - inside the sandbox
END = "the adversary has ended"
PYTHON = "/opt/sandbox/bin/python"

_WRITE_SPEC = """
import json, os, sys
folder = os.path.expanduser(f"~/.local/share/jupyter/kernels/{sys.argv[1]}")
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "kernel.json"), "w") as file:
    json.dump({"argv": json.loads(sys.argv[2]), "display_name": "x", "language": "python"}, file)
open(sys.argv[3], "w").close()
"""
# It stays until it is ended from outside: a kernel that ends by itself would be started again.
_PROGRAM = """
import os, sys, time
sys.path.insert(0, "/data")
output = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)
os.dup2(output, 1)
from adversary.__main__ import main
try:
    main(sys.argv[1:2])
finally:
    os.write(output, sys.argv[3].encode() + b"\\n")
    time.sleep(3600)
"""


def write_spec(facts: dict[str, Any]) -> list[str]:
    """The command that makes the adversary known to the notebook server as a kernel."""
    argv = [PYTHON, "-I", "-B", "-c", _PROGRAM, json.dumps(facts), OUTPUT, END]
    return [PYTHON, "-I", "-c", _WRITE_SPEC, KERNEL, json.dumps(argv), OUTPUT]


def said_since(offset: int) -> list[str]:
    """The command that prints what the adversary has said after its first ``offset`` bytes."""
    return ["/usr/bin/tail", "-c", f"+{offset + 1}", OUTPUT]
