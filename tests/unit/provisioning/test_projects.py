"""Projects, members and grants: what each verb refuses, and that what it does is on the record."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from provisioning.domain.errors import GrantRefused, NotFound, ProjectRefused, RegistrationRefused
from provisioning.domain.project import VALID_MOVES, ProjectState, move
from provisioning.service import projects
from store import schema
from tests.unit.provisioning.world import DAY, PURPOSE, START, World

AT = START + DAY


@pytest.mark.parametrize(("state", "to"), list(itertools.product(ProjectState, ProjectState)))
def test_a_project_moves_as_the_table_says(state: ProjectState, to: ProjectState) -> None:
    if to in VALID_MOVES[state]:
        assert move("liver", state, to) is to
    else:
        with pytest.raises(ProjectRefused):
            move("liver", state, to)


def test_nothing_leaves_a_closed_project() -> None:
    assert VALID_MOVES[ProjectState.CLOSED] == frozenset()


def test_a_project_is_created_and_recorded(world: World) -> None:
    world.project()
    (entry,) = world.entries("project.created")
    assert (entry["actor"], entry["subject"]) == ("adam", {"project": "liver"})
    assert entry["facts"]["purpose"] == PURPOSE


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../liver"},
        {"name": "Liver"},
        {"title": ""},
        {"purpose": " "},
        {"expires_at": START},
        {"sponsor": "a b"},
        {"actor": ""},
    ],
)
def test_a_bad_project_is_refused_and_leaves_nothing(world: World, changes: dict[str, Any]) -> None:
    wanted: dict[str, Any] = {
        "name": "liver",
        "title": "T",
        "purpose": "P",
        "sponsor": "adam",
        "expires_at": START + DAY,
        "actor": "adam",
        "at": START,
    }
    with pytest.raises((ProjectRefused, RegistrationRefused)):
        projects.create_project(world.db, **{**wanted, **changes})
    assert world.rows(schema.project) == 0
    assert world.entries() == []


def test_a_name_is_taken_once(world: World) -> None:
    world.project()
    with pytest.raises(ProjectRefused):
        world.project()


def test_members_come_and_go_and_come_again(world: World) -> None:
    world.project(members=(), level=0)
    for verb in (projects.add_member, projects.remove_member, projects.add_member):
        verb(world.db, project="liver", person="ana", actor="adam", at=AT)
    with world.db.read() as c:
        found = projects.project(c, "liver")
    assert found is not None
    assert found.members == ("ana",)
    assert [e["kind"] for e in world.entries()][1:] == ["member.added", "member.removed", "member.added"]


def test_members_are_not_added_or_removed_twice(world: World) -> None:
    world.project()
    with pytest.raises(ProjectRefused):
        projects.add_member(world.db, project="liver", person="ana", actor="adam", at=AT)
    with pytest.raises(ProjectRefused):
        projects.remove_member(world.db, project="liver", person="bo", actor="adam", at=AT)
    with pytest.raises(NotFound):
        projects.add_member(world.db, project="spleen", person="ana", actor="adam", at=AT)


def test_a_closed_project_takes_no_member_and_no_extension(world: World) -> None:
    world.project()
    projects.close_project(world.db, name="liver", reason="Done.", actor="adam", at=AT)
    with pytest.raises(ProjectRefused):
        projects.add_member(world.db, project="liver", person="bo", actor="adam", at=AT)
    with pytest.raises(ProjectRefused):
        projects.extend_project(world.db, name="liver", expires_at=AT + DAY, actor="adam", at=AT)
    with pytest.raises(ProjectRefused):
        projects.thaw_project(world.db, name="liver", reason="Again.", actor="adam", at=AT)


def test_an_extension_is_recorded_with_both_ends(world: World) -> None:
    world.project()
    projects.extend_project(world.db, name="liver", expires_at=START + 400 * DAY, actor="adam", at=AT)
    (entry,) = world.entries("project.extended")
    assert entry["facts"]["from"] < entry["facts"]["until"]
    with pytest.raises(ProjectRefused):
        projects.extend_project(world.db, name="liver", expires_at=AT, actor="adam", at=AT)


def test_a_grant_is_given_by_a_steward_and_recorded(world: World) -> None:
    world.ready()
    (entry,) = world.entries("grant.given")
    assert entry["actor"] == "stella"
    assert entry["subject"] == {"grant": "1", "project": "liver", "version": "nafld/1", "dataset": "nafld"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"actor": "adam"}, "Only a steward"),
        ({"actor": "ana"}, "Only a steward"),
        ({"purpose": "Marketing"}, "purpose"),
        ({"expires_at": START}, "past"),
    ],
)
def test_a_grant_on_other_terms_is_refused(world: World, changes: dict[str, Any], why: str) -> None:
    world.register()
    world.project()
    with pytest.raises(GrantRefused) as refused:
        world.grant(**changes)
    assert why in refused.value.why
    assert world.rows(schema.grant) == 0


def test_a_purpose_may_be_wrapped_over_lines(world: World) -> None:
    world.register()
    world.project()
    world.grant(purpose=PURPOSE.replace(" ", "\n  ", 1))
    with world.db.read() as c:
        assert projects.grants_of(c, "liver")[0].purpose == PURPOSE


def test_nothing_is_granted_to_a_frozen_project(world: World) -> None:
    world.register()
    world.project()
    projects.freeze_project(world.db, name="liver", reason="Audit.", actor="adam", at=AT)
    with pytest.raises(GrantRefused):
        world.grant(at=AT)


@pytest.mark.parametrize("version", ["nafld/2", "census/1"])
def test_what_is_not_registered_cannot_be_granted(world: World, version: str) -> None:
    world.register()
    world.project()
    with pytest.raises(NotFound):
        world.grant(version)


def test_a_grant_is_revoked_once_by_a_steward_with_a_reason(world: World) -> None:
    world.ready()
    with pytest.raises(GrantRefused):
        projects.revoke_grant(world.db, grant=1, reason="No.", actor="adam", at=AT)
    with pytest.raises(RegistrationRefused):
        projects.revoke_grant(world.db, grant=1, reason="", actor="stella", at=AT)
    projects.revoke_grant(world.db, grant=1, reason="Misused.", actor="stella", at=AT)
    with pytest.raises(GrantRefused):
        projects.revoke_grant(world.db, grant=1, reason="Twice.", actor="stella", at=AT)
    with pytest.raises(NotFound):
        projects.revoke_grant(world.db, grant=99, reason="None.", actor="stella", at=AT)
    assert len(world.entries("grant.revoked")) == 1


def test_a_grant_is_in_force_from_its_gift_to_its_end(world: World) -> None:
    world.ready()
    with world.db.read() as c:
        (grant,) = projects.grants_of(c, "liver")
    instant = timedelta(microseconds=1)
    assert grant.in_force(START)
    assert not grant.in_force(START - instant)
    assert grant.in_force(grant.expires_at - instant)
    assert not grant.in_force(grant.expires_at)


def test_members_do_not_assess_their_own_project(world: World) -> None:
    world.project(level=0)
    for changes in ({"actor": "ana"}, {"confirmed": ["no such item!"]}):
        with pytest.raises(ProjectRefused):
            projects.assess_project(
                world.db, **{"name": "liver", "confirmed": ["least_data"], "actor": "adam", "at": AT, **changes}
            )
    assert world.entries("project.assessed") == []
    made = projects.assess_project(world.db, name="liver", confirmed=["least_data"], actor="adam", at=AT)
    assert made.assessed == ("least_data",)
    (entry,) = world.entries("project.assessed")
    assert entry["facts"] == {"confirmed": ["least_data"]}


def bare(world: World) -> None:
    projects.create_project(
        world.db, name="liver", title="T", purpose=PURPOSE, sponsor="adam", expires_at=AT + DAY, actor="adam", at=AT
    )


def test_what_a_project_is_can_be_stated_later_and_its_purpose_cannot_change(world: World) -> None:
    bare(world)
    made = projects.describe_project(world.db, name="liver", actor="adam", at=AT, legal_basis=" Consent ")
    assert (made.stated, made.legal_basis) == (("legal_basis",), "Consent")
    made = projects.describe_project(
        world.db, name="liver", actor="adam", at=AT, legal_basis="Consent", output_plan="Tables", sponsor="eve"
    )
    assert (made.stated, made.sponsor, made.title) == (("legal_basis", "output_plan"), "eve", "T")
    first, second = world.entries("project.described")
    assert first["facts"] == {"legal_basis": "Consent", "before": {"legal_basis": ""}}
    assert second["facts"] == {
        "output_plan": "Tables",
        "sponsor": "eve",
        "before": {"output_plan": "", "sponsor": "adam"},
    }
    with pytest.raises(TypeError):
        projects.describe_project(world.db, name="liver", actor="adam", at=AT, purpose="x")  # type: ignore[call-arg]


@pytest.mark.parametrize("changes", [{}, {"title": "T"}, {"sponsor": "not a name"}, {"legal_basis": " "}])
def test_a_description_that_changes_nothing_or_cannot_be_is_refused(world: World, changes: dict[str, str]) -> None:
    bare(world)
    with pytest.raises((ProjectRefused, RegistrationRefused)):
        projects.describe_project(world.db, name="liver", actor="adam", at=AT, **changes)
    assert world.entries("project.described") == []


def test_a_closed_or_unknown_project_is_not_described(world: World) -> None:
    bare(world)
    projects.close_project(world.db, name="liver", reason="Done.", actor="adam", at=AT)
    for name, kind in (("liver", ProjectRefused), ("kidney", NotFound)):
        with pytest.raises(kind):
            projects.describe_project(world.db, name=name, actor="adam", at=AT, legal_basis="Consent")
