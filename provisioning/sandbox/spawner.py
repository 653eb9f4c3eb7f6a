"""The hub's spawner: one sealed container per analyst and project, proved before the analyst gets it.

A `DockerSpawner` in what the hub sees (state, options, progress, logs); what is started and how is the keeper's and the
hardening profile's, and none of the hub's environment reaches the container. The address returned is the session door's.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from dockerspawner import DockerSpawner
from traitlets import Instance, Unicode, default

from installation.fault import Fault
from installation.settings import Settings, home_folder, load
from provisioning.sandbox.containers import engine_fault
from provisioning.sandbox.doors_client import DoorsClient
from provisioning.sandbox.errors import SandboxFault
from provisioning.sandbox.forms import project_form, show_on_spawn_page
from provisioning.sandbox.keeper import Keeper
from provisioning.sandbox.session_book import SessionBook
from provisioning.sandbox.store_book import StoreBook


class ProjectFault(SandboxFault):
    """The spawn form came without a project, or with one that is not the person's to choose."""

    code = "sandbox-project"


@dataclass(frozen=True)
class Told:
    """One line of the progress page."""

    percent: int
    message: str


class SandboxSpawner(DockerSpawner):  # type: ignore[misc]
    """Opens a sandbox for the project chosen in the form and answers with the session door's address."""

    glovebox_home = Unicode(config=True, help="The installation's state folder; GLOVEBOX_HOME by default.")
    keeper = Instance(Keeper, help="Opens and closes sandboxes; made once for the hub's process.")
    sandbox_id = Unicode(help="The running sandbox, empty when there is none.")
    project = Unicode(help="The running sandbox's project.")

    _keepers: dict[str, Keeper] = {}  # noqa: RUF012 - one per state folder and process, shared by every user's spawner

    @default("glovebox_home")
    def _default_home(self) -> str:
        return str(home_folder())

    @default("keeper")
    def _default_keeper(self) -> Keeper:
        if self.glovebox_home not in self._keepers:
            made = make_keeper(load(Path(self.glovebox_home)))
            atexit.register(made.pool.drain)  # what waits is this process's, and goes with it
            self._keepers[self.glovebox_home] = made
        return self._keepers[self.glovebox_home]

    @default("remove")
    def _default_remove(self) -> bool:
        return True

    @default("options_form")
    def _default_options_form(self) -> Any:
        return SandboxSpawner.choose_project

    @default("http_timeout")
    def _default_http_timeout(self) -> int:
        return 30

    @default("start_timeout")
    def _default_start_timeout(self) -> int:
        return 180

    # -- the form -------------------------------------------------------------------------------------------------
    async def choose_project(self) -> str:
        """The spawn form: projects the person may open now. A fault is shown in place of the form."""
        self.keeper.pool.start()
        try:
            return project_form(await asyncio.to_thread(self.keeper.book.projects, self.user.name, self._groups()))
        except Fault as fault:
            self.log.warning("projects of %s not listed: %s", self.user.name, fault.private or fault)
            return str(getattr(show_on_spawn_page(fault), "jupyterhub_html_message", ""))

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return lambda form: {"project": (form.get("project") or [""])[0]}

    def _groups(self) -> list[str]:
        return sorted(group.name for group in self.user.groups)

    async def _chosen_project(self) -> str:
        wanted = self.user_options.get("project") or ""
        if not isinstance(wanted, str):
            wanted = ""
        if wanted:
            return wanted
        choices = await asyncio.to_thread(self.keeper.book.projects, self.user.name, self._groups())
        if len(choices) == 1:
            return str(choices[0].asked)
        raise ProjectFault(
            "The workspace was not started.",
            why="No project is open to you now." if not choices else "No project was chosen.",
            do="Ask an admin to add you to a project." if not choices else "Choose a project in the form.",
        )

    @property
    def ended(self) -> str:
        """Why the person's last sandbox was stopped, for the hub's pages; empty when they stopped it themselves."""
        return self.keeper.ended.get(self.user.name, "")

    # -- the life -------------------------------------------------------------------------------------------------
    async def start(self) -> str:
        """The session door's address, once the sandbox is proved and answers. Raises a Fault that the hub's page shows."""
        self._told: list[Told] = []
        self.keeper.ended.pop(self.user.name, None)
        try:
            project = await self._chosen_project()
            await self._say("Asking whether the project is open to you.", 5)
            plan = await asyncio.to_thread(self.keeper.book.plan, self.user.name, self._groups(), project)
            if self.sandbox_id:
                await self.keeper.close(self.sandbox_id, "replaced by a new start")
            opened = await self.keeper.open(plan, self.name or "", self._prefix(), self._say)
        except Fault as fault:
            self.log.warning("sandbox of %s not started: %s %s", self.user.name, fault.what, fault.private or fault.why)
            raise show_on_spawn_page(fault) from fault
        finally:
            self.keeper.pool.start()  # after this start, which is not to share its processors with one that waits
        self.sandbox_id, self.project, self.object_id = opened.sandbox_id, plan.project, opened.container
        self.object_name = self.keeper.container_name(opened.sandbox_id)
        return f"http://127.0.0.1:{self.keeper.settings.ports.doors}"

    async def poll(self) -> int | str | None:
        """None while the sandbox runs and may run. When it ended, or its right to run did, it is removed, with the reason."""
        if not self.sandbox_id:
            return 0
        state, over = await self.keeper.state(self.sandbox_id), None
        if state is not None and state.get("Running"):
            over = (await self.keeper.standing(self.sandbox_id, state)).over
            if over is None:
                return None
        reason = over or _end_of(state)
        await self.keeper.close(self.sandbox_id, reason)
        self._forget()
        self.keeper.ended[self.user.name] = reason
        return reason

    async def stop(self, now: bool = False) -> None:
        """Ensure that the sandbox is gone. The home stays."""
        if self.sandbox_id:
            await self.keeper.close(self.sandbox_id, "stopped by the hub")
        self._forget()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What the start is doing, as it does it; the hub's progress page shows it."""
        shown = 0
        while True:
            told = getattr(self, "_told", [])
            for line in told[shown:]:
                yield {"progress": line.percent, "message": line.message}
            shown = len(told)
            await asyncio.sleep(0.1)

    async def _say(self, message: str, percent: int) -> None:
        self._told.append(Told(percent, message))

    def _prefix(self) -> str:
        prefix = str(self.server.base_url if self.server else f"/user/{self.user.escaped_name}/")
        return prefix if prefix.endswith("/") else prefix + "/"

    def _forget(self) -> None:
        self.sandbox_id, self.project, self.object_id = "", "", ""
        self.clear_state()

    # -- what the hub keeps and what it must not give ------------------------------------------------------------------
    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        if self.sandbox_id:
            state.update(sandbox_id=self.sandbox_id, project=self.project)
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.sandbox_id = state.get("sandbox_id", "")
        self.project = state.get("project", "")

    def clear_state(self) -> None:
        super().clear_state()
        self.sandbox_id, self.project = "", ""

    def get_env(self) -> dict[str, str]:
        """Nothing: no hub address, no token. What a sandbox is told stands in `keeper.sandbox_environment`."""
        return {}


def make_keeper(settings: Settings, book: SessionBook | None = None) -> Keeper:
    """The keeper of an installation. Raises EngineFault when Docker does not answer."""
    try:
        client = docker.from_env(timeout=60)
    except DockerException as absent:
        raise engine_fault("The workspace was not started.", absent) from absent
    return Keeper(settings, book or StoreBook(settings), DoorsClient(settings.doors_socket), client)


def _end_of(state: dict[str, Any] | None) -> str:
    if state is None:
        return "the container was gone"
    if state.get("OOMKilled"):
        return "the container ran out of memory"
    return f"the container ended with code {state.get('ExitCode')}"
