"""Who may start a sandbox: every refusal with its message and entry, by the real policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policy_engine import Answer, PolicyUnavailable
from policy_engine.port import unavailable
from provisioning.domain.errors import AccessRefused, ProvisioningFault, RegistrationRefused
from provisioning.domain.mount_plan import MountPlan
from provisioning.service import projects, sessions
from store import schema
from tests.unit.provisioning.world import CHECKLIST, DAY, START, World

AT = START + DAY
ANALYST = ("analysts",)


def plan(
    world: World, person: str = "ana", project: str = "liver", groups: tuple[str, ...] = ANALYST, at: Any = AT
) -> MountPlan:
    return sessions.plan_session(world.db, world.engine, world.settings, person, groups, project, at)


def start(world: World, planned: MountPlan, sandbox: str = "ab12", at: Any = AT) -> None:
    sessions.sandbox_started(world.db, planned, sandbox, "", "container", "sha256:0", {"holds": True}, at)


def test_a_member_with_a_grant_gets_a_plan(world: World) -> None:
    world.ready()
    planned = plan(world)
    assert (planned.person, planned.uid, planned.project, planned.view) == ("ana", 200_000, "liver", "guarded")
    (mounted,) = planned.datasets
    assert (mounted.name, mounted.version, mounted.tables) == ("nafld", "nafld/1", ("people",))
    assert not mounted.folder.exists()  # a plan opens nothing: a sandbox that holds the version does
    with world.opened() as opened:
        assert opened == mounted.folder
        assert (opened / "people.parquet").stat().st_mode & 0o777 == 0o444
    assert planned.limits["bytes_per_hour"] > 0
    assert [choice.name for choice in sessions.projects_for(world.db, world.engine, "ana", ANALYST, AT)] == ["liver"]


def not_a_member(world: World) -> dict[str, Any]:
    return {"person": "eve"}


def no_analyst(world: World) -> dict[str, Any]:
    return {"groups": ("stewards",)}


def frozen(world: World) -> dict[str, Any]:
    projects.freeze_project(world.db, name="liver", reason="Audit.", actor="adam", at=AT)
    return {}


def closed(world: World) -> dict[str, Any]:
    projects.close_project(world.db, name="liver", reason="Done.", actor="adam", at=AT)
    return {}


def project_over(world: World) -> dict[str, Any]:
    return {"at": START + 300 * DAY}


def grant_over(world: World) -> dict[str, Any]:
    return {"at": START + 100 * DAY}


def revoked(world: World) -> dict[str, Any]:
    projects.revoke_grant(world.db, grant=1, reason="Misused.", actor="stella", at=AT)
    return {}


def left(world: World) -> dict[str, Any]:
    projects.remove_member(world.db, project="liver", person="ana", actor="adam", at=AT)
    return {}


def unknown(world: World) -> dict[str, Any]:
    return {"project": "spleen"}


@pytest.mark.parametrize(
    ("arrange", "code", "message"),
    [
        (not_a_member, "not_a_member", "You are not a member of this project."),
        (no_analyst, "not_an_analyst", "You are not in the group of analysts."),
        (frozen, "project_not_active", "The project is frozen or closed."),
        (closed, "project_not_active", "The project is frozen or closed."),
        (project_over, "project_expired", "The project's end date has passed."),
        (grant_over, "grant_expired", "A grant of this project has ended."),
        (revoked, "grant_revoked", "A grant of this project was revoked."),
        (left, "not_a_member", "You are not a member of this project."),
        (unknown, "unknown_project", "There is no project of this name."),
    ],
)
def test_each_refusal_says_why_and_is_on_the_record(
    world: World, arrange: Callable[[World], dict[str, Any]], code: str, message: str
) -> None:
    world.ready()
    asked = arrange(world)
    with pytest.raises(AccessRefused) as refused:
        plan(world, **asked)
    assert code in refused.value.reasons
    assert message in refused.value.why
    assert refused.value.public()["do"]
    (entry,) = world.entries("sandbox.refused")
    assert code in entry["facts"]["reasons"]
    assert entry["subject"]["project"] == asked.get("project", "liver")
    assert world.rows(schema.access_refusal) == 1
    if arrange is not unknown:
        person, groups = asked.get("person", "ana"), asked.get("groups", ANALYST)
        assert sessions.projects_for(world.db, world.engine, person, groups, asked.get("at", AT)) == []


def test_a_project_without_grants_does_not_start(world: World) -> None:
    world.project()
    with pytest.raises(AccessRefused) as refused:
        plan(world)
    assert refused.value.reasons == ("no_grant",)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\nb", "x" * 200])
def test_an_absurd_person_is_refused(world: World, name: str) -> None:
    world.ready()
    with pytest.raises(RegistrationRefused):
        plan(world, person=name)


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\nb", "\0"])
def test_an_absurd_project_is_refused_and_recorded_without_its_text(world: World, name: str) -> None:
    world.ready()
    with pytest.raises(AccessRefused):
        plan(world, project=name)
    assert world.entries("sandbox.refused")[0]["subject"]["project"] == "(not a name)"


class Says:
    """An engine that gives one answer."""

    def __init__(self, result: Any) -> None:
        self.result = result

    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        if self.result is None:
            raise unavailable("It is away.")
        return Answer(self.result, "fake", "0")


YES = {"allow": True, "reasons": [], "grants": [1], "view": "guarded", "limits": {}}


@pytest.mark.parametrize(
    "result",
    [
        {},
        [],
        "yes",
        {**YES, "allow": "true"},
        {**YES, "allow": 1},
        {**YES, "grants": []},
        {**YES, "grants": [2]},
        {**YES, "grants": None},
        {**YES, "view": "everything"},
        {key: value for key, value in YES.items() if key != "reasons"},
        {key: value for key, value in YES.items() if key != "limits"},
    ],
)
def test_an_answer_of_another_shape_starts_nothing(world: World, result: Any) -> None:
    world.ready()
    with pytest.raises(AccessRefused):
        sessions.plan_session(world.db, Says(result), world.settings, "ana", ANALYST, "liver", AT)


def test_without_policy_nothing_starts_and_nothing_is_recorded(world: World) -> None:
    world.ready()
    before = len(world.entries())
    with pytest.raises(PolicyUnavailable):
        sessions.plan_session(world.db, Says(None), world.settings, "ana", ANALYST, "liver", AT)
    assert len(world.entries()) == before


def test_everybody_has_one_user_id_for_ever(world: World) -> None:
    world.ready()
    projects.add_member(world.db, project="liver", person="bo", actor="adam", at=AT)
    assert [plan(world).uid, plan(world, person="bo").uid, plan(world).uid] == [200_000, 200_001, 200_000]
    assert [e["facts"]["uid"] for e in world.entries("person.added")] == [200_000, 200_001]


def test_the_newest_granted_version_is_mounted(world: World) -> None:
    world.ready()
    world.register(content="id,age,event\n1,51,MI\n")
    assert plan(world).datasets[0].version == "nafld/1"
    world.grant("nafld/2")
    assert [d.version for d in plan(world).datasets] == ["nafld/2"]


def test_sensitive_data_does_not_start_before_the_project_states_its_basis_and_plan(world: World) -> None:
    world.register()
    world.project(legal_basis="", output_plan="")
    world.grant()
    with pytest.raises(AccessRefused) as refused:
        plan(world)
    assert refused.value.reasons == ("no_legal_basis", "no_output_plan")
    assert "./glovebox project describe" in refused.value.do
    stated = {"legal_basis": "Consent, form 3", "output_plan": "Tables by age"}
    projects.describe_project(world.db, name="liver", actor="adam", at=AT, **stated)
    assert [d.version for d in plan(world).datasets] == ["nafld/1"]


def test_one_blind_dataset_makes_the_session_blind(world: World) -> None:
    world.ready()
    world.register("tax", classification=4, stewards=("stella",))
    world.grant("tax/1")
    with pytest.raises(AccessRefused) as refused:
        plan(world)
    assert refused.value.reasons == ("not_assessed",)
    projects.assess_project(world.db, name="liver", confirmed=CHECKLIST["4"], actor="adam", at=AT)
    planned = plan(world)
    assert planned.view == "blind"
    assert [d.name for d in planned.datasets] == ["nafld", "tax"]


def test_a_start_and_an_end_are_recorded_once(world: World) -> None:
    world.ready()
    start(world, plan(world))
    for _ in range(2):
        sessions.sandbox_stopped(world.db, "ab12", "The analyst stopped it.", AT + DAY)
    assert [e["kind"] for e in world.entries()][-2:] == ["sandbox.started", "sandbox.stopped"]
    assert world.entries("sandbox.started")[0]["facts"]["versions"] == ["nafld/1"]


@pytest.mark.parametrize("arrange", [frozen, closed, revoked, left])
def test_what_ended_between_plan_and_start_is_not_started(world: World, arrange: Callable[[World], Any]) -> None:
    world.ready()
    planned = plan(world)
    arrange(world)
    with pytest.raises(AccessRefused) as refused:
        start(world, planned)
    assert refused.value.reasons == ("ended_meanwhile",)
    assert world.rows(schema.sandbox) == 0
    assert len(world.entries("sandbox.refused")) == 1


@pytest.mark.parametrize(
    ("arrange", "word"),
    [
        (frozen, "frozen"),
        (closed, "closed"),
        (revoked, "revoked"),
        (left, "member"),
        (grant_over, "grant"),
        (project_over, "ended"),
    ],
)
def test_a_running_sandbox_is_stopped_when_its_right_ends(
    world: World, arrange: Callable[[World], dict[str, Any]], word: str
) -> None:
    world.ready()
    start(world, plan(world))
    assert sessions.sessions_to_stop(world.db, AT) == []
    at = arrange(world).get("at", AT)
    (found,) = sessions.sessions_to_stop(world.db, at)
    assert (found.sandbox, found.person, found.project) == ("ab12", "ana", "liver")
    assert word in found.reason
    sessions.sandbox_stopped(world.db, found.sandbox, found.reason, at)
    assert sessions.sessions_to_stop(world.db, at) == []


def test_a_sandbox_that_somebody_stops_may_run_no_longer(world: World) -> None:
    world.ready()
    start(world, plan(world))
    sessions.ask_to_stop(world.db, "ab12", "It copies without end.", AT, actor="adam")
    sessions.ask_to_stop(world.db, "ab12", "Again.", AT, actor="adam")
    (found,) = sessions.sessions_to_stop(world.db, AT)
    assert found.reason == "Stopped by adam: It copies without end."
    assert len(world.entries("sandbox.stop_asked")) == 1


@pytest.mark.parametrize(("sandbox", "reason"), [("zz", "Why not."), ("ab12", "  ")])
def test_no_stop_without_a_running_sandbox_and_a_reason(world: World, sandbox: str, reason: str) -> None:
    world.ready()
    start(world, plan(world))
    with pytest.raises(ProvisioningFault):
        sessions.ask_to_stop(world.db, sandbox, reason, AT, actor="adam")
    assert sessions.sessions_to_stop(world.db, AT) == []
