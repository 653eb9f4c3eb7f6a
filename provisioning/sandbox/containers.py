"""The engine's side of sandboxes: start one with the profile, look at it, remove it. Library errors end here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from installation.settings import Settings
from provisioning.sandbox.errors import EngineFault, ImageFault
from provisioning.sandbox.hardening import (
    CPU_PERIOD,
    LABEL_HOME,
    LABEL_ROLE,
    LABEL_SANDBOX,
    OWN_KERNEL,
    QUIET_ENTRYPOINT,
    SERVER,
    Bind,
    HardeningProfile,
    create_arguments,
    home_label,
    profile,
)
from provisioning.sandbox.privilege import Privilege, host_tool, run_all


class Containers:
    """Containers of one installation, by sandbox id. Their names are neutral: no person, no project."""

    def __init__(self, settings: Settings, client: docker.DockerClient, privilege: Privilege) -> None:
        self._settings = settings
        self._client = client
        self._privilege = privilege
        self._hardening: HardeningProfile | None = None

    def hardening(self) -> HardeningProfile:
        """The profile for this engine. Raises EngineFault."""
        if self._hardening is None:
            self._hardening = profile(self._settings, cgroup_version=cgroup_version(self._client))
        return self._hardening

    def name(self, sandbox_id: str) -> str:
        return f"{self._settings.sandbox.container_prefix}-{sandbox_id}"

    def run(
        self,
        sandbox_id: str,
        uid: int,
        binds: Sequence[Bind],
        environment: dict[str, str],
        *,
        role: str = "sandbox",
        command: Sequence[str] = SERVER,
        hardening: HardeningProfile | None = None,
    ) -> tuple[str, str]:
        """Start a container; its id and its image's. Raises ImageFault or EngineFault."""
        hardening = hardening or self.hardening()
        labels = {LABEL_HOME: home_label(self._settings), LABEL_SANDBOX: sandbox_id, LABEL_ROLE: role}
        try:
            image = str(self._client.images.get(self._settings.sandbox.image).id)
            arguments = create_arguments(
                hardening,
                image=image,
                user=uid,
                environment=environment,
                labels=labels,
                binds=binds,
                command=command,
                entrypoint=QUIET_ENTRYPOINT,
            )
            container = str(self._client.api.create_container(name=self.name(sandbox_id), **arguments)["Id"])
            self._client.api.start(container)
            self._limit_terminals(container)
        except ImageNotFound as absent:
            raise ImageFault(
                "The workspace was not started.",
                why="The sandbox image is not on this machine.",
                do="Ask the operator to run the set-up again: it builds what is missing.",
                private=str(absent),
            ) from absent
        except (APIError, DockerException, OSError) as failure:
            raise engine_fault("The workspace was not started.", failure) from failure
        return container, image

    def narrow(self, container: str, hardening: HardeningProfile) -> None:
        """Give a running container the limits of ``hardening``. Raises EngineFault; it then has the old ones, or some of each,
        and is not to be handed over."""
        wanted = {
            "Memory": hardening.memory,
            "MemorySwap": hardening.memory,
            "CpuPeriod": CPU_PERIOD,
            "CpuQuota": hardening.cpu_quota,
            "PidsLimit": hardening.pids,
        }
        api = self._client.api  # whose own method for this knows no limit of processes
        try:
            url = f"{api.base_url}/v{api.api_version}/containers/{container}/update"
            api.post(url, json=wanted, timeout=api.timeout).raise_for_status()
        except (APIError, DockerException, OSError) as failure:
            raise engine_fault("The workspace was not started.", failure) from failure

    def inspect(self, container: str) -> dict[str, Any]:
        """The engine's own description. Raises EngineFault."""
        try:
            return dict(self._client.api.inspect_container(container))
        except (APIError, DockerException, OSError) as failure:
            raise engine_fault("The workspace's state is not known.", failure) from failure

    def state(self, sandbox_id: str) -> dict[str, Any] | None:
        """The engine's ``State``, or None when there is no such container. Raises EngineFault when that is not known."""
        try:
            return dict(self._client.api.inspect_container(self.name(sandbox_id))["State"])
        except NotFound:
            return None
        except (APIError, DockerException, OSError) as failure:
            raise engine_fault("The workspace's state is not known.", failure) from failure

    def remove(self, sandbox_id: str) -> None:
        """Ensure that the container is gone. Raises EngineFault."""
        try:
            self._client.api.remove_container(self.name(sandbox_id), force=True, v=True)
        except NotFound:
            return
        except (APIError, DockerException, OSError) as failure:
            raise engine_fault("The workspace was not removed.", failure) from failure

    def _limit_terminals(self, container: str) -> None:
        """The engine has no such setting. A container that has ended already is left to the proof, which refuses it."""
        hardening = self.hardening()
        pid = int(self._client.api.inspect_container(container)["State"]["Pid"] or 0)
        if pid and hardening.runtime not in OWN_KERNEL:
            run_all(self._privilege, [host_tool("terminals", pid, hardening.terminals)])


def cgroup_version(client: docker.DockerClient) -> int:
    """1 or 2, as the engine says; 1 for engines too old to say."""
    try:
        return int(client.info().get("CgroupVersion") or 1)
    except (APIError, DockerException, OSError) as failure:
        raise engine_fault("The workspace was not started.", failure) from failure


def engine_fault(what: str, failure: Exception) -> EngineFault:
    return EngineFault(
        what,
        why="The Docker engine does not answer or refused.",
        do="Ask the operator to look at Docker and the hub's log; trying again is safe.",
        private=str(failure),
    )
