"""Projects, grants and accounts made on the pages: who may, what is on the record, and that a refused form loses nothing."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from egress_gate.policy.facts import Person
from egress_gate.service import accounts, granting
from egress_gate.service.delegate import lend
from egress_gate.service.errors import NotAllowed, NotFound
from egress_gate.service.hands import NewGrant
from installation.fault import Fault
from installation.roles import Role
from ledger.entry import Entry
from provisioning.service import projects
from store import schema as s
from tests.unit.gate.desks import PREFIX, FakeAccounts, make_desk, signed_in
from tests.unit.gate.factory import ADAM, ANA, AUDREY, STEFAN, STELLA, World, make_world
from tests.unit.gate.registered import SCRIPT
from workbench.runtime.provisioning_hands import ProvisioningHands

KIDNEY = {
    "name": "kidney",
    "title": "Kidney study",
    "purpose": "Survival after dialysis",
    "sponsor": "clinic",
    "until": "2027-12-31",
    "members": "ana\namir, ana",
    "datasets": "nafld",
    "legal_basis": "Consent, form 3",
    "output_plan": "Two tables",
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def test_a_project_made_on_the_page_is_what_the_command_line_makes(world: World) -> None:
    adam = signed_in(make_desk(world), "adam")
    sent = adam.post(f"{PREFIX}admin/new-project", data=KIDNEY)
    assert sent.headers["location"] == f"{PREFIX}admin/projects/kidney"
    with world.database.read() as c:
        made = projects.project(c, "kidney")
    assert made is not None
    assert (made.members, made.datasets, made.sponsor) == (("amir", "ana"), ("nafld",), "clinic")
    assert (made.legal_basis, made.output_plan) == ("Consent, form 3", "Two tables")
    entries = [e for e in world.entries() if e["subject"].get("project") == "kidney"]  # type: ignore[attr-defined]
    assert [(e["kind"], e["actor"]) for e in entries] == [("project.created", "adam")] + [("member.added", "adam")] * 2
    page = adam.get(f"{PREFIX}admin/projects/kidney").text
    for shown in ("Survival after dialysis", "Consent, form 3", "Two tables", "amir"):
        assert shown in page


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"until": "2020-01-01"}, "Its end lies in the past."),
        ({"until": "soon"}, "The date could not be read."),
        ({"name": "liver"}, "There is one of this name."),
        ({"name": "Two words"}, "cannot be the name of a project"),
        ({"purpose": " "}, "The purpose was not accepted."),
        ({"datasets": "never"}, "There is no dataset never."),
        ({"members": "ana; drop"}, "cannot be the name of a person"),
    ],
)
def test_a_bad_form_comes_back_with_everything_that_was_typed(world: World, wrong: dict[str, str], why: str) -> None:
    sent = {**KIDNEY, "output_plan": f"Two tables {SCRIPT}", **wrong}
    before = len(world.entries())
    answer = signed_in(make_desk(world), "adam").post(f"{PREFIX}admin/new-project", data=sent)
    assert answer.status_code in (404, 422)
    assert len(world.entries()) == before
    assert why in answer.text
    for typed in ("Kidney study", "Consent, form 3", "Two tables &lt;script&gt;"):
        assert typed in answer.text
    assert SCRIPT not in answer.text


def test_a_reason_that_is_too_long_is_still_in_its_field(world: World) -> None:
    adam = signed_in(make_desk(world), "adam")
    answer = adam.post(f"{PREFIX}admin/projects/liver/state", data={"move": "freeze", "reason": "It is odd. " * 500})
    assert answer.status_code == 422
    assert "It is odd. It is odd." in answer.text
    assert world.entries("project.frozen") == []


def test_an_administrator_confirms_the_checklist_of_the_data_that_was_granted(world: World) -> None:
    adam = signed_in(make_desk(world), "adam")
    address = f"{PREFIX}admin/projects/liver"
    assert "0 of 1 confirmed" in adam.get(address).text
    assert "目的需要它" in adam.get(address, headers={"accept-language": "zh-CN"}).text
    bad = adam.post(f"{address}/assessment", data={"confirmed": ["purpose_needs_it", "moon_is_full"]})
    assert bad.status_code == 422
    assert 'value="purpose_needs_it" checked' in bad.text
    adam.post(f"{address}/assessment", data={"confirmed": ["purpose_needs_it"]})
    (entry,) = world.entries("project.assessed")
    assert (entry["actor"], entry["facts"]) == ("adam", {"confirmed": ["purpose_needs_it"]})
    assert "Everything is confirmed." in adam.get(address).text


def test_a_member_does_not_assess_their_own_project(world: World) -> None:
    adam = signed_in(make_desk(world), "adam")
    adam.post(f"{PREFIX}admin/projects/liver/members", data={"member": "adam"})
    answer = adam.post(f"{PREFIX}admin/projects/liver/assessment", data={"confirmed": ["purpose_needs_it"]})
    assert answer.status_code == 422
    assert world.entries("project.assessed") == []


GRANT = {"project": "liver", "version": "1", "until": "2027-06-30", "quota.cells": "500", "quota.requests": ""}


def test_a_steward_grants_with_an_end_and_quotas_changes_and_revokes_them(world: World) -> None:
    desk = make_desk(world)
    stella = signed_in(desk, "stella")
    assert stella.post(f"{PREFIX}data/nafld/grants", data=GRANT).headers["location"] == f"{PREFIX}data/nafld#grants"
    (given,) = world.entries("grant.given")
    assert given["actor"] == "stella"
    assert given["facts"]["quotas"] == {"cells": 500}  # type: ignore[index]
    number = int(given["subject"]["grant"])  # type: ignore[index]
    stella.post(f"{PREFIX}data/nafld/grants/{number}/quotas", data={"quota.cells": "9", "reason": "Enough."})
    (changed,) = world.entries("grant.quotas_changed")
    assert (changed["facts"]["from"], changed["facts"]["to"]) == ({"cells": 500}, {"cells": 9})  # type: ignore[index]
    stella.post(f"{PREFIX}data/nafld/grants/{number}/revoke", data={"reason": "Consent ended."})
    assert world.entries("grant.revoked")[0]["actor"] == "stella"
    page = stella.get(f"{PREFIX}data/nafld").text
    assert "revoked" in page
    assert f"grants/{number}/revoke" not in page


@pytest.mark.parametrize(
    "wrong", [{"quota.cells": "-1"}, {"quota.cells": "many"}, {"quota.moons": "5"}, {"until": ""}, {"project": "moon"}]
)
def test_a_bad_grant_is_not_given_and_nothing_is_lost(world: World, wrong: dict[str, str]) -> None:
    answer = signed_in(make_desk(world), "stella").post(f"{PREFIX}data/nafld/grants", data={**GRANT, **wrong})
    project = wrong.get("project", "liver")
    assert answer.status_code in (404, 422)
    assert 'role="alert"' in answer.text
    assert f'maxlength="63" autocomplete="off" list="asking" value="{project}"' in answer.text
    assert world.entries("grant.given") == []


def test_stewards_see_which_projects_ask_for_their_data_until_one_is_granted(world: World) -> None:
    desk = make_desk(world)
    signed_in(desk, "adam").post(f"{PREFIX}admin/new-project", data=KIDNEY)
    stella = signed_in(desk, "stella")
    assert "Survival after dialysis" in stella.get(f"{PREFIX}data/nafld").text
    assert "Survival after dialysis" not in signed_in(desk, "adam").get(f"{PREFIX}data/nafld").text
    stella.post(f"{PREFIX}data/nafld/grants", data={**GRANT, "project": "kidney"})
    assert "asks for this data" not in stella.get(f"{PREFIX}data/nafld").text


@pytest.mark.parametrize("person", [ANA, ADAM, AUDREY])
def test_only_a_steward_of_the_data_grants_it(world: World, person: Person) -> None:
    at, hands = world.clock(), ProvisioningHands(world.database)
    wanted = NewGrant("liver", "nafld/1", at + timedelta(days=9))
    with pytest.raises((NotAllowed, NotFound)):
        granting.give_grant(world.gate, hands, person, "nafld", wanted, at)
    with pytest.raises((NotAllowed, NotFound)):
        granting.revoke_grant(world.gate, hands, person, "nafld", 1, "No.", at)
    assert world.entries("grant.given") == world.entries("grant.revoked") == []


def test_a_lent_vote_gives_no_grants(world: World) -> None:
    at, hands, sven = world.clock(), ProvisioningHands(world.database), Person("sven", frozenset({"stewards"}))
    lend(world.gate, STELLA, "nafld", "sven", at + timedelta(days=30), at)
    with pytest.raises(NotFound):
        granting.revoke_grant(world.gate, hands, sven, "nafld", 1, "No.", world.clock())


def test_a_grant_is_reached_only_through_its_own_dataset(world: World) -> None:
    """A steward of other data names the grant's number below their own dataset."""
    with world.database.transaction(world.clock()) as t:
        made = {"title": "Sheep", "description": "", "provider": "farm", "classification": 1, "registered_by": "adam"}
        t.execute(insert(s.dataset).values(name="sheep", registered_at=t.at, **made))
        t.execute(insert(s.dataset_steward).values(dataset="sheep", person="sven"))
        t.record(Entry("dataset.registered", "adam", {"dataset": "sheep"}, {}))
    sven, hands, at = Person("sven", frozenset({"stewards"})), ProvisioningHands(world.database), world.clock()
    with pytest.raises(NotFound):
        granting.revoke_grant(world.gate, hands, sven, "sheep", 1, "No.", at)
    with pytest.raises(NotFound):
        granting.give_grant(world.gate, hands, sven, "sheep", NewGrant("liver", "nafld/1", at + timedelta(9)), at)


def test_an_account_is_made_with_a_password_shown_once(world: World) -> None:
    known = FakeAccounts()
    adam = signed_in(make_desk(world, known), "adam")
    answer = adam.post(f"{PREFIX}admin/people", data={"name": "nils", "role": "steward"})
    assert "secret-of-nils" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "secret-of-nils" not in adam.get(f"{PREFIX}admin/people").text
    assert known.groups["nils"] == ("stewards",)
    (entry,) = world.entries("account.role_given")
    assert (entry["actor"], entry["subject"]) == ("adam", {"person": "nils"})
    assert entry["facts"] == {"role": "steward", "password": "new"}
    assert "secret" not in str(world.entries())
    again = adam.post(f"{PREFIX}admin/people", data={"name": "nils", "role": "admin"})
    assert again.status_code == 409
    assert known.groups["nils"] == ("stewards",)
    assert 'value="nils"' in again.text


def test_another_role_keeps_the_password_and_a_disabled_account_is_gone(world: World) -> None:
    known = FakeAccounts()
    adam = signed_in(make_desk(world, known), "adam")
    sent = adam.post(f"{PREFIX}admin/people/nora/role", data={"role": "auditor", "password": "new"})
    assert sent.headers["location"] == f"{PREFIX}admin/people"
    assert world.entries("account.role_given")[0]["facts"] == {"role": "auditor"}
    assert known.groups["nora"] == ("auditors",)
    assert adam.post(f"{PREFIX}admin/people/nora/disable", data={"reason": " "}).status_code == 422
    assert adam.post(f"{PREFIX}admin/people/nora/disable", data={"reason": "Left."}).status_code == 303
    assert "nora" not in known.groups
    assert world.entries("account.disabled")[0]["facts"] == {"reason": "Left."}
    assert adam.post(f"{PREFIX}admin/people/nora/role", data={"role": "admin"}).status_code == 404
    assert world.entries("account.role_given")[1:] == []


@pytest.mark.parametrize("name", ["stella", "stefan", "ana", "nora"])
def test_no_administrator_gets_a_password_to_an_account_that_was_somebodys(world: World, name: str) -> None:
    """Disabled and made anew, it would let an administrator decide as a steward, or see data as a member."""
    known = FakeAccounts()
    adam = signed_in(make_desk(world, known), "adam")
    adam.post(f"{PREFIX}admin/people/{name}/disable", data={"reason": "Away."})
    assert name not in known.groups
    answer = adam.post(f"{PREFIX}admin/people", data={"name": name, "role": "steward"})
    assert answer.status_code == 403
    assert name not in known.groups


@pytest.mark.parametrize("person", [ANA, STELLA, AUDREY])
def test_only_an_administrator_changes_accounts(world: World, person: Person) -> None:
    known = FakeAccounts()
    with pytest.raises(NotAllowed):
        accounts.give_role(world.gate, known, person, "nora", Role.ADMIN, world.clock())
    with pytest.raises(NotAllowed):
        accounts.disable(world.gate, known, person, "nora", "No.", world.clock())
    assert known.groups["nora"] == ("analysts",)


def test_nobody_changes_their_own_account(world: World) -> None:
    known = FakeAccounts()
    with pytest.raises(NotAllowed):
        accounts.give_role(world.gate, known, ADAM, "adam", Role.STEWARD, world.clock())
    page = signed_in(make_desk(world, known), "adam").get(f"{PREFIX}admin/people").text
    assert "admin/people/nora/role" in page
    assert "admin/people/adam/role" not in page


def test_what_the_hub_refused_is_on_the_record_too(world: World) -> None:
    known = FakeAccounts()
    known.give_role = lambda *_: known._answer()  # type: ignore[method-assign,assignment,return-value]
    known.everybody, listed = lambda: listed, known.everybody()  # type: ignore[method-assign]
    known.away = True
    with pytest.raises(Fault):
        accounts.give_role(world.gate, known, ADAM, "nora", Role.ADMIN, world.clock())
    kinds = [e["kind"] for e in world.entries()][-2:]
    assert kinds == ["account.role_given", "account.change_failed"]
    with world.database.read() as c:
        assert c.execute(select(s.account_change.c.failed_at)).scalar_one() is not None


def test_an_account_that_the_hub_did_not_make_can_be_tried_again(world: World) -> None:
    known = FakeAccounts()
    adam = signed_in(make_desk(world, known), "adam")
    working, known.give_role = known.give_role, lambda *_: known._answer()  # type: ignore[method-assign,assignment,return-value]
    listing, known.everybody = known.everybody, lambda: ()  # type: ignore[method-assign]
    known.away = True
    assert adam.post(f"{PREFIX}admin/people", data={"name": "nils", "role": "analyst"}).status_code == 503
    known.away, known.give_role, known.everybody = False, working, listing  # type: ignore[method-assign]
    assert "secret-of-nils" in adam.post(f"{PREFIX}admin/people", data={"name": "nils", "role": "analyst"}).text


def test_the_page_stands_while_the_hub_is_away(world: World) -> None:
    known = FakeAccounts()
    known.away = True
    page = signed_in(make_desk(world, known), "adam").get(f"{PREFIX}admin/people")
    assert page.status_code == 200
    assert "Who has an account is not known at the moment." in page.text
    assert "stella" in page.text


def test_auditors_see_people_and_grants_and_no_buttons(world: World) -> None:
    desk = make_desk(world)
    for path in ("admin/people", "admin/projects", "admin/projects/liver", "data/nafld"):
        main = signed_in(desk, "audrey").get(PREFIX + path).text.partition("<main")[2].partition("</main>")[0]
        changing = re.sub(r'<form[^>]*role="search".*?</form>', "", main, flags=re.DOTALL)
        assert not re.search(r"<form|<button", changing), path
    assert STEFAN.name in signed_in(desk, "audrey").get(f"{PREFIX}admin/data").text
