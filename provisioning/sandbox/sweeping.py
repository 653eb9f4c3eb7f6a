"""What a crash leaves is cleared: containers, mounts and folders that no record calls running, records that nothing runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import docker
from docker.errors import APIError, DockerException, NotFound

from installation.settings import Settings
from provisioning.sandbox.containers import engine_fault
from provisioning.sandbox.hardening import LABEL_HOME, LABEL_SANDBOX, home_label
from provisioning.sandbox.mounts import SandboxMounts
from provisioning.sandbox.ownership import owner_lives
from provisioning.sandbox.privilege import privilege_for
from provisioning.sandbox.session_book import SessionBook
from vault import Vault


@dataclass
class Swept:
    """What a sweep did, by sandbox id."""

    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def sweep(settings: Settings, book: SessionBook, client: docker.DockerClient) -> Swept:
    """Ensure that engine, mounts and record agree. Running sandboxes are kept, and so is what a living process is about to
    start or lets wait, so that it may be run beside a hub."""
    swept = Swept()
    running = _containers(settings, client)
    recorded = book.open_sandboxes()
    alive = {sandbox for sandbox, (_, runs) in running.items() if runs and sandbox in recorded}
    swept.kept = sorted(alive)
    alive |= _in_progress(settings, running)
    mounts = SandboxMounts(settings, privilege_for(settings, client))
    for sandbox, (container, _) in sorted(running.items()):
        if sandbox not in alive:
            _remove(client, container)
            swept.removed.append(sandbox)
    for folder in sorted(settings.sandboxes.iterdir()) if settings.sandboxes.exists() else []:
        if folder.name not in alive:
            mounts.remove(folder.name)
            swept.removed.append(folder.name)
    Vault(settings).close_unheld(alive)
    for sandbox in sorted(set(recorded) - alive):
        book.stopped(sandbox, "found ended when the workbench started")
        swept.closed.append(sandbox)
    swept.removed = sorted(set(swept.removed))
    return swept


def _in_progress(settings: Settings, running: dict[str, tuple[str, bool]]) -> set[str]:
    """Sandboxes without a record whose maker lives: a start before its record, or one that waits for a claim."""
    folders = settings.sandboxes.iterdir() if settings.sandboxes.exists() else ()
    return {each.name for each in folders if running.get(each.name, ("", True))[1] and owner_lives(each)}


def _containers(settings: Settings, client: docker.DockerClient) -> dict[str, tuple[str, bool]]:
    """Sandbox id to container id and whether it runs; helpers and the verifier are nobody's sandbox."""
    try:
        listed = client.api.containers(all=True, filters={"label": f"{LABEL_HOME}={home_label(settings)}"})
    except (APIError, DockerException, OSError) as failure:
        raise engine_fault("What a crash left was not cleared.", failure) from failure
    labelled = ((each["Labels"].get(LABEL_SANDBOX), each) for each in listed)
    return {name: (str(each["Id"]), each["State"] == "running") for name, each in labelled if name}


def _remove(client: docker.DockerClient, container: str) -> None:
    try:
        client.api.remove_container(container, force=True, v=True)
    except NotFound:
        return
    except (APIError, DockerException, OSError) as failure:
        raise engine_fault("What a crash left was not cleared.", failure) from failure
