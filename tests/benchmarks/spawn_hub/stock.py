"""The hub with DockerSpawner as it comes, the same image, and a notebook server that only listens on TCP instead."""

import os

from tests.benchmarks.spawn_hub.common import PERSON, common

c = get_config()  # noqa: F821 - given by traitlets
common(c)
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = os.environ["BENCH_IMAGE"]
c.DockerSpawner.prefix = os.environ["BENCH_PREFIX"]
c.DockerSpawner.remove = True
c.DockerSpawner.pull_policy = "never"
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.network_name = "bridge"
c.DockerSpawner.port = 8888
c.DockerSpawner.cmd = [
    "jupyter-lab",
    "--ServerApp.sock=",
    "--ServerApp.ip=0.0.0.0",
    "--ServerApp.port=8888",
    f"--ServerApp.base_url=/user/{PERSON}/",
    "--ServerApp.root_dir=/tmp",
    "--ServerApp.allow_root=True",
]
c.DockerSpawner.environment = {"GLOVEBOX_SERVE": ""}
