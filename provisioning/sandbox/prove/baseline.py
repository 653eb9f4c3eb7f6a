"""A plain container for comparison: the same image, started the way an unhardened DockerSpawner starts one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from installation.settings import Settings
from provisioning.sandbox.hardening import LABEL_HOME, LABEL_ROLE, home_label

UID = 1000  # what the usual notebook images run as; the comparison is with a careful user, not with root


@contextmanager
def plain_pair(
    settings: Settings, client: docker.DockerClient, program: Path, home: Path
) -> Iterator[tuple[str, str, str]]:
    """Two plain containers on the engine's bridge: the adversary's, the neighbour's, and the neighbour's address."""
    made: list[str] = []
    try:
        for name in ("plain", "plain-neighbour"):
            made.append(_start(settings, client, program, home / name))
        inspected = client.api.inspect_container(made[1])
        networks = inspected["NetworkSettings"].get("Networks") or {}
        address = next((str(each["IPAddress"]) for each in networks.values()), "")
        yield made[0], made[1], address
    finally:
        for container in made:
            client.api.remove_container(container, force=True, v=True)


def _start(settings: Settings, client: docker.DockerClient, program: Path, home: Path) -> str:
    home.mkdir(parents=True)
    home.chmod(0o777)
    token = secrets.token_hex(16)
    made = client.api.create_container(
        settings.sandbox.image,
        command=["sleep", "600"],
        user=str(UID),
        environment={"JUPYTERHUB_API_TOKEN": token, "JUPYTERHUB_API_URL": "http://172.17.0.1:8081/hub/api"},
        labels={LABEL_HOME: home_label(settings), LABEL_ROLE: "baseline"},
        host_config=client.api.create_host_config(
            binds=[f"{program}:/data/adversary:ro", f"{home}:/home/analyst:rw"],
            mem_limit=settings.sandbox.memory,  # even a plain deployment sets it, and this machine must survive the try
        ),
    )
    client.api.start(made["Id"])
    return str(made["Id"])


def facts_for_plain(facts: dict[str, Any], address: str) -> dict[str, Any]:
    """The same tries with ceilings that a machine survives where nothing refuses."""
    copied: dict[str, Any] = json.loads(json.dumps(facts))
    copied.update(neighbour_address=address, log_limit="")
    return copied
