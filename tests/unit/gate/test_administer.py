"""An administrator's buttons: what policy allows, what provisioning does, and what a freeze stops."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from egress_gate.domain.request import State
from egress_gate.service import administer
from egress_gate.service.check import LostLease
from egress_gate.service.deliver import download
from egress_gate.service.errors import NotAllowed, NotFound, NotReady
from egress_gate.service.hands import Move, no_provisioning
from egress_gate.service.release import prepare, release
from egress_gate.service.worker import Worker
from installation.fault import Fault
from provisioning.service import sessions
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ADAM, ANA, AUDREY, STELLA, World, make_world
from workbench.runtime.provisioning_hands import ProvisioningHands


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def freeze(world: World, move: Move = Move.FREEZE) -> None:
    hands = ProvisioningHands(world.database)
    administer.move_project(world.gate, hands, ADAM, "liver", move, "Looked odd.", world.clock())


def work(world: World) -> None:
    Worker(world.gate, world.clock).round()


@pytest.mark.parametrize("person", [ANA, STELLA, AUDREY])
def test_only_an_administrator_freezes(world: World, person: object) -> None:
    with pytest.raises(NotAllowed):
        administer.move_project(
            world.gate,
            ProvisioningHands(world.database),
            person,
            "liver",
            Move.FREEZE,
            "No.",
            world.clock(),  # type: ignore[arg-type]
        )
    assert world.entries("project.frozen") == []


def test_a_freeze_is_one_entry_with_its_reason(world: World) -> None:
    freeze(world)
    (entry,) = world.entries("project.frozen")
    assert (entry["actor"], entry["facts"]) == ("adam", {"reason": "Looked odd.", "from": "active"})
    with pytest.raises(Fault):
        freeze(world)
    assert len(world.entries("project.frozen")) == 1


def test_a_freeze_stops_the_projects_sandboxes(world: World) -> None:
    freeze(world)
    stopped = {s.sandbox: s.reason for s in sessions.sessions_to_stop(world.database, world.clock())}
    assert stopped == {"5a": "Project liver is frozen.", "5b": "Project liver is frozen."}


def test_what_was_approved_waits_while_the_project_is_frozen_and_leaves_after(world: World) -> None:
    approved = world.reviewed(world.checked())
    freeze(world)
    before = len(world.entries())
    work(world)
    work(world)
    assert world.row(approved.id).state is State.APPROVED
    assert len(world.entries()) == before
    freeze(world, Move.THAW)
    work(world)
    assert world.row(approved.id).state is State.RELEASED


def test_policy_says_no_even_when_the_worker_would_take_it_up(world: World) -> None:
    approved = world.reviewed(world.checked())
    freeze(world)
    assert prepare(world.gate, approved.id, world.clock()) is None


def test_a_freeze_between_taking_up_and_writing_stops_the_release(world: World) -> None:
    held = world.prepared(world.reviewed(world.checked()))
    freeze(world)
    with pytest.raises(LostLease):
        release(world.gate, held, world.clock())
    assert world.entries("request.released") == []


def test_a_freeze_in_the_very_last_moment_stops_the_release(world: World) -> None:
    """Policy said yes, then the project was frozen, then the transaction began."""
    held = world.prepared(world.reviewed(world.checked()))
    world.engine.overrides["release/leave"] = lambda _: (freeze(world), {"allow": True, "reasons": []})[1]
    with pytest.raises(LostLease):
        release(world.gate, held, world.clock())
    assert world.entries("request.released") == []


def test_a_frozen_project_gives_no_copies(world: World) -> None:
    row = world.released()
    freeze(world)
    with pytest.raises(NotAllowed):
        download(world.gate, ANA, world.release_of(row), world.clock())
    assert world.entries("release.downloaded") == []
    freeze(world, Move.THAW)
    assert download(world.gate, ANA, world.release_of(row), world.clock()).data


def test_one_sandbox_is_stopped_and_the_other_goes_on(world: World) -> None:
    hands = ProvisioningHands(world.database)
    administer.stop_sandbox(world.gate, hands, ADAM, "5a", "It copies without end.", world.clock())
    asked = {s.sandbox: s.reason for s in sessions.sessions_to_stop(world.database, world.clock())}
    assert asked["5a"] == "Stopped by adam: It copies without end."
    (entry,) = world.entries("sandbox.stop_asked")
    assert entry["subject"] == {"sandbox": "5a", "person": "ana", "project": "liver"}


def test_an_unknown_sandbox_cannot_be_stopped(world: World) -> None:
    with pytest.raises(NotFound):
        administer.stop_sandbox(world.gate, ProvisioningHands(world.database), ADAM, "zz", "No.", world.clock())


def test_members_come_and_go_and_the_end_moves(world: World) -> None:
    hands, at = ProvisioningHands(world.database), world.clock()
    administer.add_member(world.gate, hands, ADAM, "liver", "amir", at)
    administer.remove_member(world.gate, hands, ADAM, "liver", "ana", at)
    administer.extend_project(world.gate, hands, ADAM, "liver", at + timedelta(days=700), at)
    found = administer.project_for_admin(world.gate, AUDREY, "liver", at)
    assert found.members == ("amir",)
    assert found.expires_at > "2028"
    kinds = [e["kind"] for e in world.entries()]
    assert kinds[-3:] == ["member.added", "member.removed", "project.extended"]


def test_the_plan_is_stated_anew_and_the_purpose_stays(world: World) -> None:
    """What it was is in the entry too: a steward who granted by the old legal basis can see what became of it."""
    desk = make_desk(world)
    adam = signed_in(desk, "adam")
    page = f"{PREFIX}admin/projects/liver"
    before = administer.project_for_admin(world.gate, AUDREY, "liver", world.clock())
    said = {"title": "Livers", "output_plan": "One table a month.", "purpose": "Something else."}
    assert adam.post(f"{page}/terms", data=said).status_code == 303
    found = administer.project_for_admin(world.gate, AUDREY, "liver", world.clock())
    assert (found.title, found.purpose) == ("Livers", before.purpose)
    (entry,) = world.entries("project.described")
    assert entry["facts"]["output_plan"] == "One table a month."
    assert entry["facts"]["before"]["title"] == before.title
    assert "One table a month." in adam.get(page).text
    again = adam.post(f"{page}/terms", data={"title": "Livers", "output_plan": "One table a month."})
    assert again.status_code == 422
    assert "Nothing would be different." in again.text
    assert len(world.entries("project.described")) == 1


def test_a_desk_without_provisioning_changes_nothing(world: World) -> None:
    with pytest.raises(NotReady):
        administer.move_project(world.gate, no_provisioning(), ADAM, "liver", Move.FREEZE, "Odd.", world.clock())


def test_the_pages_show_what_was_done(world: World) -> None:
    desk = make_desk(world)
    adam = signed_in(desk, "adam")
    assert 'value="freeze"' in adam.get(f"{PREFIX}admin/projects/liver").text
    sent = adam.post(f"{PREFIX}admin/projects/liver/state", data={"move": "freeze", "reason": "Looked odd."})
    assert sent.headers["location"] == f"{PREFIX}admin/projects/liver"
    page = adam.get(f"{PREFIX}admin/projects/liver").text
    assert "This project is frozen." in page
    assert 'value="thaw"' in page
    adam.post(f"{PREFIX}admin/sandboxes/5a/stop", data={"reason": "Odd."})
    assert "stopping" in adam.get(f"{PREFIX}admin").text
    seen = signed_in(desk, "audrey").get(f"{PREFIX}admin/projects/liver").text
    assert "This project is frozen." in seen
    assert "<button" not in seen.partition("request-grid")[2].partition("</main>")[0]


def test_the_authors_page_says_why_it_waits(world: World) -> None:
    approved = world.reviewed(world.checked())
    freeze(world)
    page = signed_in(make_desk(world), "ana").get(f"{PREFIX}requests/{approved.name}").text
    assert "The project is frozen or closed" in page


def test_a_fault_of_provisioning_is_told_in_its_words(world: World) -> None:
    adam = signed_in(replace(make_desk(world)), "adam")
    answer = adam.post(f"{PREFIX}admin/projects/liver/members", data={"member": "ana"})
    assert answer.status_code == 422
    assert "ana is a member of liver already." in answer.text
