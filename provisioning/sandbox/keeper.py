"""The life of one sandbox on the engine: made, proved, handed over, removed. No hub and no policy here.

`open` returns only when the isolation is proved, the start is on the record and the doors answer for it; whatever fails
on the way, nothing of the sandbox is left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from installation.fault import Fault
from installation.settings import Settings
from provisioning.sandbox.doors_client import DoorsClient
from provisioning.sandbox.errors import EngineFault, ImageFault
from provisioning.sandbox.hardening import (
    LABEL_HOME,
    LABEL_ROLE,
    LABEL_SANDBOX,
    Bind,
    HardeningProfile,
    create_arguments,
    home_label,
    profile,
)
from provisioning.sandbox.isolation import OWN_KERNEL, Proof, demand, verify
from provisioning.sandbox.mounts import DATA, INNER, Folders, MountOrder, SandboxMounts, home_image
from provisioning.sandbox.privilege import Privilege, host_tool, privilege_for, run_all
from provisioning.sandbox.session_book import SessionBook

if TYPE_CHECKING:
    from provisioning.domain.mount_plan import MountPlan

_log = logging.getLogger("glovebox.sandbox")
Say = Callable[[str, int], Awaitable[None]]
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Opened:
    """A sandbox that an analyst may be let into."""

    sandbox_id: str
    container: str


class Keeper:
    """Opens and closes the sandboxes of one installation."""

    def __init__(self, settings: Settings, book: SessionBook, doors: DoorsClient, client: docker.DockerClient) -> None:
        self.settings = settings
        self.book = book
        self._doors = doors
        self._client = client
        self.privilege: Privilege = privilege_for(settings, client)
        self._mounts = SandboxMounts(settings, self.privilege)

    async def open(self, plan: MountPlan, server_name: str, prefix: str, say: Say) -> Opened:
        """Raises a Fault when any step fails; then the container, its mounts and its door are gone again."""
        sandbox_id = secrets.token_hex(8)
        try:
            return await self._open(plan, sandbox_id, server_name, prefix, say)
        except BaseException:
            # A cancelled spawn leaves nothing either; the removal itself must not be cancelled half-way.
            await asyncio.shield(self._discard(sandbox_id))
            raise

    async def close(self, sandbox_id: str, reason: str) -> None:
        """Ensure that the sandbox is gone and its end is on the record."""
        await self._doors.close(sandbox_id)
        await asyncio.to_thread(self.remove, sandbox_id)
        await asyncio.to_thread(self.book.stopped, sandbox_id, reason)

    async def state(self, sandbox_id: str) -> dict[str, Any] | None:
        """The engine's ``State`` of a sandbox's container, or None when there is none. Raises EngineFault when unknown."""
        return await asyncio.to_thread(self._state, sandbox_id)

    def container_name(self, sandbox_id: str) -> str:
        """Neutral on purpose: names of people and projects do not belong into the engine's lists."""
        return f"{self.settings.sandbox.container_prefix}-{sandbox_id}"

    # -- steps ----------------------------------------------------------------------------------------------------
    async def _open(self, plan: MountPlan, sandbox_id: str, server_name: str, prefix: str, say: Say) -> Opened:
        token = secrets.token_urlsafe(32)
        await say("Mounting the project's data, read-only, and your home.", 10)
        hardening = await asyncio.to_thread(self.hardening)
        order = self.order(plan, sandbox_id)
        binds = await asyncio.to_thread(self._mounts.prepare, order)
        await asyncio.to_thread(self._write_door, plan, sandbox_id, server_name, prefix, token)
        await say("Starting the sealed container.", 25)
        environment = sandbox_environment(plan.project, prefix, token)
        container, image = await asyncio.to_thread(self._run, hardening, order, binds, environment)
        await say("Proving its isolation from outside.", 45)
        proof = await asyncio.to_thread(self._prove, hardening, container, image, order, binds)
        if not proof.holds:
            await asyncio.to_thread(self.remove, sandbox_id)
            await asyncio.to_thread(self.book.refused, plan, sandbox_id, server_name, container, image, proof)
            demand(proof)
        await asyncio.to_thread(self.book.started, plan, sandbox_id, server_name, container, image, proof)
        await say(f"{len(proof.facts)} facts hold. Opening the session door.", 60)
        await self._doors.open(sandbox_id)
        await say("Waiting for the notebook server.", 70)
        await self._doors.wait_until_answering(sandbox_id, ANSWER_SECONDS)
        return Opened(sandbox_id, container)

    def binds(self, order: MountOrder) -> list[Bind]:
        """How the sandbox's folders are bound, without changing anything."""
        return self._mounts.binds(order)

    def hardening(self) -> HardeningProfile:
        return profile(self.settings, cgroup_version=cgroup_version(self._client))

    def order(self, plan: MountPlan, sandbox_id: str) -> MountOrder:
        return MountOrder(
            sandbox_id=sandbox_id,
            uid=plan.uid,
            home_image=home_image(self.settings, plan.person, plan.project),
            home_bytes=self.settings.sandbox.home_bytes,
            datasets={dataset.name: dataset.folder for dataset in plan.datasets},
        )

    def _write_door(self, plan: MountPlan, sandbox_id: str, server_name: str, prefix: str, token: str) -> None:
        facts = {
            "id": sandbox_id,
            "person": plan.person,
            "server_name": server_name,
            "prefix": prefix,
            "project": plan.project,
            "view": plan.view,
            "token": token,
        }
        path = Folders.of(self.settings, sandbox_id).door_file
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(facts, file)
        os.replace(part, path)

    def _run(
        self, hardening: HardeningProfile, order: MountOrder, binds: list[Bind], environment: dict[str, str]
    ) -> tuple[str, str]:
        labels = {LABEL_HOME: home_label(self.settings), LABEL_SANDBOX: order.sandbox_id, LABEL_ROLE: "sandbox"}
        try:
            image = str(self._client.images.get(self.settings.sandbox.image).id)
            arguments = create_arguments(
                hardening, image=image, user=order.uid, environment=environment, labels=labels, binds=binds
            )
            made = self._client.api.create_container(name=self.container_name(order.sandbox_id), **arguments)
            self._client.api.start(made["Id"])
            self._limit_terminals(hardening, str(made["Id"]))
        except ImageNotFound as absent:
            raise ImageFault(
                "The workspace was not started.",
                why="The sandbox image is not on this machine.",
                do="Ask the operator to run the set-up again: it builds what is missing.",
                private=str(absent),
            ) from absent
        except (APIError, DockerException, OSError) as failure:
            raise engine_fault("The workspace was not started.", failure) from failure
        return str(made["Id"]), image

    def _limit_terminals(self, hardening: HardeningProfile, container: str) -> None:
        """The engine has no such setting. A container that has ended already is left to the proof, which refuses it."""
        pid = int(self._client.api.inspect_container(container)["State"]["Pid"] or 0)
        if pid and hardening.runtime not in OWN_KERNEL:
            run_all(self.privilege, [host_tool("terminals", pid, hardening.terminals)])

    def _prove(
        self, hardening: HardeningProfile, container: str, image: str, order: MountOrder, binds: list[Bind]
    ) -> Proof:
        inspected = self._client.api.inspect_container(container)
        return verify(self.privilege, hardening, inspected, image_id=image, uid=order.uid, binds=binds)

    # -- the end --------------------------------------------------------------------------------------------------
    async def _discard(self, sandbox_id: str) -> None:
        """After a failed start: a removal that fails too is logged, so that the first failure is the one that is shown."""
        try:
            await self.close(sandbox_id, "the start failed")
        except Fault as second:
            _log.error("sandbox %s was not removed after a failed start: %s", sandbox_id, second.private or second)

    def remove(self, sandbox_id: str) -> None:
        try:
            self._client.api.remove_container(self.container_name(sandbox_id), force=True, v=True)
        except NotFound:
            pass
        except (APIError, DockerException, OSError) as failure:
            raise engine_fault("The workspace was not removed.", failure) from failure
        self._mounts.remove(sandbox_id)

    def _state(self, sandbox_id: str) -> dict[str, Any] | None:
        try:
            return dict(self._client.api.inspect_container(self.container_name(sandbox_id))["State"])
        except NotFound:
            return None
        except (APIError, DockerException, OSError) as failure:
            raise engine_fault("The workspace's state is not known.", failure) from failure


def sandbox_environment(project: str, prefix: str, token: str) -> dict[str, str]:
    """All that a sandbox is told. Nothing of the hub, and no name but the project's."""
    return {
        "GLOVEBOX_DATA": DATA,
        "GLOVEBOX_INNER": f"{INNER}/door.sock",
        "GLOVEBOX_PREFIX": prefix,
        "GLOVEBOX_PROJECT": project,
        "JUPYTER_TOKEN": token,
    }


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
