"""What both hubs share: one user, one token that may start and stop servers, everything on loopback."""

from __future__ import annotations

import os
from typing import Any

PERSON = "bench"


def common(c: Any) -> None:
    port = int(os.environ["BENCH_HUB_PORT"])
    c.JupyterHub.proxy_class = "tests.benchmarks.spawn_hub.null_proxy.NullProxy"
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
    c.JupyterHub.bind_url = f"http://127.0.0.1:{port + 1}"
    c.JupyterHub.db_url = "sqlite:///:memory:"
    c.JupyterHub.authenticator_class = "dummy"
    c.Authenticator.allow_all = True
    c.JupyterHub.load_groups = {"analysts": {"users": [PERSON]}}
    c.JupyterHub.tornado_settings = {
        "slow_spawn_timeout": 120
    }  # the answer to the request comes when the server is there
    c.JupyterHub.load_roles = [
        {
            "name": "bench",
            "services": ["bench"],
            "scopes": ["admin:users", "admin:servers", "access:servers", "list:users"],
        }
    ]
    c.JupyterHub.services = [{"name": "bench", "api_token": os.environ["BENCH_TOKEN"]}]
