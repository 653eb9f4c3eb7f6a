"""The hub with our spawner, our doors, the real policy and the real record."""

import os
import sys

from installation.settings import CHECKOUT, load
from provisioning.sandbox.spawner import SandboxSpawner
from tests.benchmarks.spawn_hub.common import common

c = get_config()  # noqa: F821 - given by traitlets
settings = load()
common(c)
c.JupyterHub.spawner_class = SandboxSpawner
environment = {"GLOVEBOX_HOME": str(settings.home), "PYTHONPATH": str(CHECKOUT)}
c.JupyterHub.services += [
    {
        "name": "session-door",
        "url": f"http://127.0.0.1:{settings.ports.doors}",
        "command": [sys.executable, "-m", "egress_gate.doors"],
        "environment": environment,
        "api_token": os.environ["BENCH_DOOR_TOKEN"],
        "oauth_no_confirm": True,
    }
]
