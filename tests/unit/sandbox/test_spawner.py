"""The spawner as the hub sees it, with a keeper that opens nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from installation.fault import Fault
from installation.settings import Settings
from provisioning.sandbox.errors import IsolationDrift
from provisioning.sandbox.keeper import Keeper, Opened
from provisioning.sandbox.spawner import ProjectFault, SandboxSpawner
from tests.unit.sandbox.rig import Book, Plan


@dataclass
class SilentDoors:
    warned: list[tuple[str, ...]] = field(default_factory=list)

    async def warn(self, sandbox_id: str, warnings: tuple[str, ...]) -> None:
        self.warned.append(warnings)


@dataclass
class FakeKeeper(Keeper):
    """Opens in memory. Verified against the real one by the integration tests."""

    settings: Settings
    book: Book
    running: dict[str, dict[str, Any]] = field(default_factory=dict)
    fails: Fault | None = None
    pool: Any = field(default_factory=lambda: SimpleNamespace(start=lambda: None))
    meter: Any = field(default_factory=lambda: SimpleNamespace(look=lambda *_: {}, to_write=lambda _: None, live={}))
    _doors: Any = field(default_factory=SilentDoors)
    _warned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    async def open(
        self, plan: Any, server_name: str, prefix: str, say: Callable[[str, int], Awaitable[None]]
    ) -> Opened:
        await say("Starting the sealed container.", 25)
        if self.fails:
            raise self.fails
        opened = Opened(f"{len(self.running):08x}", "container")
        self.running[opened.sandbox_id] = {"Running": True, "prefix": prefix}
        return opened

    async def close(self, sandbox_id: str, reason: str) -> None:
        self.running.pop(sandbox_id, None)
        self.book.ended[sandbox_id] = reason

    def container_name(self, sandbox_id: str) -> str:
        return f"test-{sandbox_id}"

    async def state(self, sandbox_id: str) -> dict[str, Any] | None:
        return self.running.get(sandbox_id)


@pytest.fixture
def keeper(tmp_path: Path) -> FakeKeeper:
    return FakeKeeper(Settings(home=tmp_path), Book(plans={("ana", "liver"): Plan("ana", 20001, "liver")}))


@pytest.fixture
def spawner(keeper: FakeKeeper) -> SandboxSpawner:
    user = SimpleNamespace(name="ana", groups=[SimpleNamespace(name="analysts")], escaped_name="ana", settings={})
    hub = SimpleNamespace(base_url="/hub/", api_url="http://127.0.0.1:8081/hub/api", public_host="")
    made = SandboxSpawner(user=user, hub=hub, db=None, orm_spawner=None, keeper=keeper, api_token="the-hubs-secret")
    made.user_options = {"project": "liver"}
    return made


# -- refusals ---------------------------------------------------------------------------------------------------------
async def test_no_project_is_refused_with_a_remedy(spawner: SandboxSpawner, keeper: FakeKeeper) -> None:
    keeper.book.plans.clear()
    spawner.user_options = {}
    with pytest.raises(ProjectFault) as refusal:
        await spawner.start()
    assert "Ask an admin" in refusal.value.do
    assert not keeper.running


@pytest.mark.parametrize("given", [{"project": ["liver"]}, {"project": 7}, {"project": None}, {}])
async def test_odd_options_choose_nothing_when_there_is_a_choice(
    spawner: SandboxSpawner, keeper: FakeKeeper, given: dict[str, Any]
) -> None:
    keeper.book.plans[("ana", "kidney")] = Plan("ana", 20001, "kidney")
    spawner.user_options = given
    with pytest.raises(ProjectFault):
        await spawner.start()
    assert not keeper.running


async def test_drift_is_shown_on_the_hubs_failure_page(spawner: SandboxSpawner, keeper: FakeKeeper) -> None:
    keeper.fails = IsolationDrift("Not started.", why="Not proved.", do="Tell the operator.", private="CapBnd")
    with pytest.raises(IsolationDrift) as refusal:
        await spawner.start()
    page = refusal.value.jupyterhub_html_message  # type: ignore[attr-defined]
    assert "Not proved." in page
    assert "CapBnd" not in page
    assert spawner.sandbox_id == ""


async def test_nothing_of_the_hub_is_given_to_the_sandbox(spawner: SandboxSpawner) -> None:
    assert spawner.get_env() == {}


# -- the life ---------------------------------------------------------------------------------------------------------
async def test_start_answers_with_the_session_doors_address(spawner: SandboxSpawner, keeper: FakeKeeper) -> None:
    assert await spawner.start() == "http://127.0.0.1:8010"
    assert await spawner.poll() is None
    assert [state["prefix"] for state in keeper.running.values()] == ["/user/ana/"]


async def test_the_only_project_needs_no_choice(spawner: SandboxSpawner) -> None:
    spawner.user_options = {}
    await spawner.start()
    assert spawner.project == "liver"


async def test_state_survives_the_hub(spawner: SandboxSpawner, keeper: FakeKeeper) -> None:
    await spawner.start()
    state = spawner.get_state()
    again = SandboxSpawner(user=spawner.user, hub=spawner.hub, db=None, orm_spawner=None, keeper=keeper)
    again.load_state(state)
    assert await again.poll() is None
    assert (again.sandbox_id, again.project) == (spawner.sandbox_id, "liver")


async def test_an_end_is_noticed_and_says_why(spawner: SandboxSpawner, keeper: FakeKeeper) -> None:
    await spawner.start()
    ended = spawner.sandbox_id
    keeper.running[ended] = {"Running": False, "OOMKilled": True, "ExitCode": 137}
    assert await spawner.poll() == "the container ran out of memory"
    assert keeper.book.ended == {ended: "the container ran out of memory"}
    assert await spawner.poll() == 0


async def test_a_sandbox_whose_grant_ended_is_stopped(spawner: SandboxSpawner, keeper: FakeKeeper) -> None:
    await spawner.start()
    ended = spawner.sandbox_id
    keeper.book.over[ended] = "The grant on nafld/1 ended or was revoked."
    assert await spawner.poll() == "The grant on nafld/1 ended or was revoked."
    assert not keeper.running
    assert spawner.ended == "The grant on nafld/1 ended or was revoked."
    await spawner.start()
    assert spawner.ended == ""


async def test_a_warning_is_given_once(spawner: SandboxSpawner, keeper: FakeKeeper) -> None:
    await spawner.start()
    keeper.book.warnings = ("The grant of nafld/1 ends soon.",)
    for _ in range(3):
        assert await spawner.poll() is None
    assert keeper._doors.warned == [("The grant of nafld/1 ends soon.",)]


async def test_stop_twice_is_one_end(spawner: SandboxSpawner, keeper: FakeKeeper) -> None:
    await spawner.start()
    await spawner.stop()
    await spawner.stop()
    assert list(keeper.book.ended.values()) == ["stopped by the hub"]
    assert spawner.get_state().get("sandbox_id") is None


async def test_the_form_lists_the_open_projects(spawner: SandboxSpawner) -> None:
    page = await spawner.get_options_form()
    assert 'value="liver"' in page
    assert spawner.options_from_form({"project": ["liver"]}) == {"project": "liver"}


async def test_progress_says_what_is_being_done(spawner: SandboxSpawner) -> None:
    await spawner.start()
    events = []
    async for event in spawner.progress():
        events.append(event)
        if len(events) == 2:
            break
    assert [event["progress"] for event in events] == [5, 25]
