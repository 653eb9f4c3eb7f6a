"""The life of one sandbox: made or claimed, proved, handed over, removed. No hub and no policy here.

`open` returns only when the isolation is proved, the start is on the record and the doors answer for it; whatever fails
on the way, nothing of the sandbox is left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

from installation.fault import Fault
from installation.settings import Settings
from provisioning.sandbox.containers import Containers
from provisioning.sandbox.doors_client import DoorsClient
from provisioning.sandbox.errors import EngineFault, HandshakeFault, MountFault
from provisioning.sandbox.hardening import Bind, HardeningProfile
from provisioning.sandbox.isolation import Proof, demand, verify
from provisioning.sandbox.limits import narrowed
from provisioning.sandbox.meter import Meter
from provisioning.sandbox.mounts import DATA, INNER, Folders, MountOrder, SandboxMounts, home_image
from provisioning.sandbox.pool import Pool, Waiting, hand_over
from provisioning.sandbox.privilege import Privilege, privilege_for
from provisioning.sandbox.session_book import SessionBook
from provisioning.sandbox.stage import StageMounts
from vault import Vault

if TYPE_CHECKING:
    from provisioning.domain.mount_plan import MountedDataset, MountPlan
    from provisioning.domain.standing import Standing

_log = logging.getLogger("glovebox.sandbox")
Say = Callable[[str, int], Awaitable[None]]
ANSWER_SECONDS = 120.0


@dataclass(frozen=True)
class Opened:
    """A running sandbox: its container, the number it runs under, and what is mounted into it."""

    sandbox_id: str
    container: str
    image: str = ""
    uid: int = 0
    hardening: HardeningProfile | None = None  # the installation's own, when policy narrows nothing
    binds: tuple[Bind, ...] = ()
    appeared: tuple[Bind, ...] = ()

    @property
    def was_waiting(self) -> bool:
        return any(bind.slave for bind in self.binds)


class Keeper:
    """Opens and closes the sandboxes of one installation."""

    def __init__(self, settings: Settings, book: SessionBook, doors: DoorsClient, client: docker.DockerClient) -> None:
        self.settings = settings
        self.book = book
        self.privilege: Privilege = privilege_for(settings, client)
        self.containers = Containers(settings, client, self.privilege)
        self._doors = doors
        self._mounts = SandboxMounts(settings, self.privilege)
        self._vault = Vault(settings)
        self.meter = Meter(self.privilege, lambda: self.hardening().cgroup_version)
        self.ended: dict[str, str] = {}  # person → why their last sandbox was stopped, when it was not by them
        self._warned: dict[str, tuple[str, ...]] = {}
        self.pool = Pool(settings, self.containers, self._mounts, StageMounts(settings, self.privilege))

    async def open(self, plan: MountPlan, server_name: str, prefix: str, say: Say) -> Opened:
        """Raises a Fault when any step fails; then the container, its mounts and its door are gone again."""
        waiting = await self.pool.take() if self.pool.possible else None
        if waiting is not None:
            try:
                return await self._guarded(waiting.sandbox_id, self._claim(plan, waiting, server_name, prefix, say))
            except (MountFault, HandshakeFault, EngineFault) as failed:
                _log.warning("a waiting sandbox could not be claimed: %s", failed.private or failed)
        sandbox_id = secrets.token_hex(8)
        return await self._guarded(sandbox_id, self._make(plan, sandbox_id, server_name, prefix, say))

    async def close(self, sandbox_id: str, reason: str) -> None:
        """Ensure that the sandbox is gone, and its end and what it used are on the record."""
        await self._doors.close(sandbox_id, reason)
        used = await asyncio.to_thread(self._last_look, sandbox_id)
        await asyncio.to_thread(self.remove, sandbox_id)
        await asyncio.to_thread(self.book.stopped, sandbox_id, reason, used)
        self.meter.forget(sandbox_id)
        self._warned.pop(sandbox_id, None)

    async def standing(self, sandbox_id: str, state: Mapping[str, Any]) -> Standing:
        """Measure a running sandbox, and say whether it may go on. Its analyst is warned through the door."""
        await asyncio.to_thread(self.meter.look, sandbox_id, int(state.get("Pid") or 0))
        due = self.meter.to_write(sandbox_id)
        if due is not None:
            await asyncio.to_thread(self.book.measured, sandbox_id, due)
        found = await asyncio.to_thread(self.book.standing, sandbox_id, self.meter.live)
        if found.over is None and self._warned.get(sandbox_id, ()) != found.warnings:
            await self._doors.warn(sandbox_id, found.warnings)
            self._warned[sandbox_id] = found.warnings
        return found

    def _last_look(self, sandbox_id: str) -> dict[str, int]:
        """What it used, measured once more while it is there. An end is recorded even when that fails."""
        try:
            state = self.containers.state(sandbox_id) or {}
            return dict(self.meter.look(sandbox_id, int(state.get("Pid") or 0), now=True))
        except Fault as fault:
            _log.warning("sandbox %s was not measured at its end: %s", sandbox_id, fault.private or fault)
            return dict(self.meter.live.get(sandbox_id, {}))

    async def state(self, sandbox_id: str) -> dict[str, Any] | None:
        """The engine's ``State`` of a sandbox, or None when there is none. Raises EngineFault when that is not known."""
        return await asyncio.to_thread(self.containers.state, sandbox_id)

    def container_name(self, sandbox_id: str) -> str:
        return self.containers.name(sandbox_id)

    def hardening(self) -> HardeningProfile:
        return self.containers.hardening()

    def prove(self, opened: Opened) -> Proof:
        """What engine and kernel say about a running sandbox, compared with the profile."""
        return verify(
            self.privilege,
            opened.hardening or self.hardening(),
            self.containers.inspect(opened.container),
            image_id=opened.image,
            uid=opened.uid,
            binds=opened.binds,
            appeared=opened.appeared,
        )

    def remove(self, sandbox_id: str) -> None:
        """Ensure that container and mounts are gone. Raises a Fault."""
        self.containers.remove(sandbox_id)
        self._mounts.remove(sandbox_id)
        self._vault.release(sandbox_id)

    # -- the two ways to a running container ------------------------------------------------------------------------
    async def _make(self, plan: MountPlan, sandbox_id: str, server_name: str, prefix: str, say: Say) -> Opened:
        token = secrets.token_urlsafe(32)
        await say("Mounting the project's data, read-only, and your home.", 10)
        hardening = narrowed(self.hardening(), plan.limits)
        order = await asyncio.to_thread(self._order, plan, sandbox_id)
        binds = await asyncio.to_thread(self._mounts.prepare, order)
        await asyncio.to_thread(self._write_door, plan, sandbox_id, server_name, prefix, token)
        await say("Starting the sealed container.", 25)
        environment = sandbox_environment(plan.project, prefix, token)
        container, image = await asyncio.to_thread(
            self.containers.run, sandbox_id, order.uid, binds, environment, hardening=hardening
        )
        opened = Opened(sandbox_id, container, image, order.uid, hardening, tuple(binds))
        return await self._hand_to_analyst(plan, opened, server_name, say)

    async def _claim(self, plan: MountPlan, waiting: Waiting, server_name: str, prefix: str, say: Say) -> Opened:
        token = secrets.token_urlsafe(32)
        await say("Bringing the project's data, read-only, and your home into a waiting container.", 25)
        hardening = narrowed(self.hardening(), plan.limits)
        if hardening != self.hardening():
            await asyncio.to_thread(self.containers.narrow, waiting.container, hardening)
        order = await asyncio.to_thread(self._order, plan, waiting.sandbox_id)
        appeared = await asyncio.to_thread(self._fill, order, waiting.uid)
        await asyncio.to_thread(self._write_door, plan, waiting.sandbox_id, server_name, prefix, token)
        serve = Folders.of(self.settings, waiting.sandbox_id).serve
        await asyncio.to_thread(hand_over, serve, sandbox_environment(plan.project, prefix, token))
        opened = Opened(
            waiting.sandbox_id, waiting.container, waiting.image, waiting.uid, hardening, waiting.binds, tuple(appeared)
        )
        return await self._hand_to_analyst(plan, opened, server_name, say)

    def _fill(self, order: MountOrder, shown_uid: int) -> list[Bind]:
        try:
            return self.pool.stage.fill(order, shown_uid)
        except MountFault as fault:
            if "mount_setattr" in (fault.private or ""):  # a kernel without id-mapped mounts: it will not learn them
                self.pool.give_up(fault.private or fault.why)
            raise

    async def _hand_to_analyst(self, plan: MountPlan, opened: Opened, server_name: str, say: Say) -> Opened:
        """Prove, record, open the door: in this order, and nothing is open before the proof holds."""
        await say("Proving its isolation from outside.", 45)
        proof = await asyncio.to_thread(self.prove, opened)
        facts = (plan, opened.sandbox_id, server_name, opened.container, opened.image, proof)
        if not proof.holds:
            await asyncio.to_thread(self.remove, opened.sandbox_id)
            await asyncio.to_thread(self.book.refused, *facts)
            demand(proof)
        await asyncio.to_thread(self.book.started, *facts)
        await say(f"{len(proof.facts)} facts hold. Opening the session door.", 60)
        await self._doors.open(opened.sandbox_id)
        await say("Waiting for the notebook server.", 70)
        await self._doors.wait_until_answering(opened.sandbox_id, ANSWER_SECONDS)
        return opened

    async def _guarded(self, sandbox_id: str, start: Awaitable[Opened]) -> Opened:
        try:
            return await start
        except BaseException:
            # A cancelled spawn leaves nothing either; the removal itself must not be cancelled half-way.
            await asyncio.shield(self._discard(sandbox_id))
            raise

    async def _discard(self, sandbox_id: str) -> None:
        """After a failed start: a removal that fails too is logged, so that the first failure is the one that is shown."""
        try:
            await self.close(sandbox_id, "the start failed")
        except Fault as second:
            _log.error("sandbox %s was not removed after a failed start: %s", sandbox_id, second.private or second)

    # -- parts ------------------------------------------------------------------------------------------------------
    def _order(self, plan: MountPlan, sandbox_id: str) -> MountOrder:
        """What to mount, with every dataset of the plan open and held for this sandbox. Raises VaultFault."""
        return MountOrder(
            sandbox_id=sandbox_id,
            uid=plan.uid,
            home_image=home_image(self.settings, plan.person, plan.project),
            home_bytes=self.settings.sandbox.home_bytes,
            datasets={each.name: self._folder(each, sandbox_id) for each in plan.datasets},
            shelf=plan.shelf[1] if plan.shelf else None,
        )

    def _folder(self, dataset: MountedDataset, sandbox_id: str) -> Path:
        """A registered version has digests and lies in the vault; the proof's own program has none and lies open."""
        if not dataset.digests:
            return dataset.folder
        return self._vault.hold(dataset.version, dataset.digests, sandbox_id)

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


def sandbox_environment(project: str, prefix: str, token: str) -> dict[str, str]:
    """All that a sandbox is told. Nothing of the hub, and no name but the project's and the prefix in its own address."""
    return {
        "GLOVEBOX_DATA": DATA,
        "GLOVEBOX_INNER": f"{INNER}/door.sock",
        "GLOVEBOX_PREFIX": prefix,
        "GLOVEBOX_PROJECT": project,
        "JUPYTER_TOKEN": token,
    }
