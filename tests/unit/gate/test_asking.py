"""The analyst's form: what it will not send, what it shows before, and that trying out stores nothing."""

from __future__ import annotations

import json
import re
from unittest.mock import ANY

import pytest
from sqlalchemy import func, select

from egress_gate.desk.ask_form import _output, form_from
from egress_gate.domain.decision import AnswerUnreadable
from egress_gate.domain.item import Kind
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewVerdict
from egress_gate.policy.ask import stops_from
from egress_gate.service.preflight import counted, preflight
from egress_gate.service.submit import Draft
from policy_engine import PolicyUnavailable
from store import schema as s
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ANA, RAW, SAFE, SMALL, STELLA, World

WORDS = {"title": "Sex ratio", "purpose": "Table 1 of the paper", "context": "Adults with a first visit in 2019."}


def fields(sql: str = SAFE, **more: str) -> dict[str, str]:
    return {"sandbox": "5a", **WORDS, "name.0": "table1", "kind.0": "table", "sql.0": sql, "do": "send", **more}


def stored(world: World) -> int:
    with world.gate.store.read() as c:
        return int(c.execute(select(func.count()).select_from(s.release_request)).scalar_one())


@pytest.mark.parametrize(
    "broken",
    [
        fields(context="Table 1"),
        fields(purpose=""),
        fields(title=""),
        fields("SELECT sex, avg(age) AS mean FROM nafld1 GROUP BY sex"),
        fields(RAW),
        fields("SELECT typo, count(*) AS n"),
        fields(**{"name.0": "../table"}),
        fields(**{"kind.0": "figure", "spec.0": "not json"}),
        fields(**{"kind.0": "regression", "formula.0": ""}),
        fields(**{"name.1": "TABLE1", "kind.1": "table", "sql.1": SAFE}),
    ],
)
def test_the_form_does_not_send_what_would_come_back(world: World, broken: dict[str, str]) -> None:
    answer = signed_in(make_desk(world), "ana").post(PREFIX + "new", data=broken)
    assert answer.status_code == 422
    assert 'class="stop"' in answer.text
    assert stored(world) == 0


def test_trying_out_stores_nothing_and_shows_no_figure(world: World) -> None:
    before = len(world.entries())
    page = signed_in(make_desk(world), "ana").post(PREFIX + "new", data=fields(SMALL, do="check")).text
    assert "left out" in page
    assert ">3<" not in page
    assert ">15<" not in page
    assert stored(world) == 0
    shown = world.entries()[before:]
    assert [e["kind"] for e in shown] == ["preview.shown"]
    assert shown[0]["facts"] == {"content": ANY, "outputs": 1, "outcome": "review", "versions": ANY}


def test_rows_that_will_be_left_out_are_seen_before_they_are_sent(world: World) -> None:
    client = signed_in(make_desk(world), "ana")
    asked = client.post(PREFIX + "new", data=fields(SMALL))
    assert asked.status_code == 200
    assert "2 rows will be left out" in asked.text
    assert stored(world) == 0
    sent = client.post(PREFIX + "new", data=fields(SMALL, accepted="yes"))
    assert sent.status_code == 303
    assert stored(world) == 1


def test_a_form_sent_twice_is_one_request(world: World) -> None:
    client = signed_in(make_desk(world), "ana")
    first = client.post(PREFIX + "new", data=fields(key="k1"))
    second = client.post(PREFIX + "new", data=fields(key="k1"))
    assert first.headers["location"] == second.headers["location"] == f"{PREFIX}requests/R-1"
    assert stored(world) == 1


@pytest.mark.parametrize(("who", "sandbox", "status"), [("amir", "5a", 404), ("ana", "5b", 404), ("amir", "5b", 403)])
def test_nobody_asks_from_anothers_workbench_or_project(world: World, who: str, sandbox: str, status: int) -> None:
    answer = signed_in(make_desk(world), who).post(PREFIX + "new", data=fields(sandbox=sandbox))
    assert answer.status_code == status
    assert stored(world) == 0


def test_the_form_is_answered_no_while_policy_is_away(world: World) -> None:
    world.engine.overrides["release/form"] = lambda _: {"allow": False}
    assert signed_in(make_desk(world), "ana").post(PREFIX + "new", data=fields()).status_code == 503
    world.engine.away = True
    with pytest.raises(PolicyUnavailable):
        preflight(world.gate, world.ana.sandbox, world.draft(context="Long enough a context"), world.clock())
    assert stored(world) == 0


def test_a_verifier_that_is_away_does_not_lose_the_request(world: World) -> None:
    world.recomputer.away = True
    client = signed_in(make_desk(world), "ana")
    assert "It can be sent all the same" in client.post(PREFIX + "new", data=fields(do="check")).text
    assert client.post(PREFIX + "new", data=fields()).status_code == 303
    assert stored(world) == 1


@pytest.mark.parametrize(
    "answer", [None, {}, {"allow": True}, {"allow": False, "reasons": [], "places": []}, {"reasons": [{"code": "x"}]}]
)
def test_an_answer_about_the_form_that_is_not_understood_sends_nothing(answer: object) -> None:
    with pytest.raises(AnswerUnreadable):
        stops_from(answer)


def test_a_returned_request_comes_back_filled_in_and_goes_as_its_next_revision(world: World) -> None:
    row = world.reviewed(world.checked(context="Table 2, ten-year bands."), ReviewVerdict.RETURN)
    client = signed_in(make_desk(world), "ana")
    page = client.get(f"{PREFIX}requests/{row.name}/revise").text
    assert "Table 2, ten-year bands." in page
    assert "Looked at it." in page
    sent = client.post(f"{PREFIX}requests/{row.name}/revise", data=fields("SELECT age, count(*) AS n FROM nafld1"))
    assert sent.status_code == 303
    now = world.row(row.id)
    assert (now.state, now.revision) == (State.SUBMITTED, 2)


def test_only_a_returned_request_of_ones_own_is_changed(world: World) -> None:
    row = world.checked()
    assert signed_in(make_desk(world), "ana").get(f"{PREFIX}requests/{row.name}/revise").status_code == 403
    world.reviewed(row, ReviewVerdict.RETURN)
    assert signed_in(make_desk(world), "stella").get(f"{PREFIX}requests/{row.name}/revise").status_code == 403
    assert signed_in(make_desk(world), "amir").get(f"{PREFIX}requests/{row.name}/revise").status_code == 404


def test_outputs_are_added_and_removed_without_losing_what_was_typed(world: World) -> None:
    client = signed_in(make_desk(world), "ana")
    more = client.post(PREFIX + "new", data=fields(do="add")).text
    assert 'value="table2"' in more
    assert "Adults with a first visit" in more
    two = fields(**{"name.1": "second", "kind.1": "table", "sql.1": SMALL, "do": "remove:0"})
    fewer = client.post(PREFIX + "new", data=two).text
    assert "second" in fewer
    assert 'name="name.1"' not in fewer


def test_words_of_the_form_are_never_markup(world: World) -> None:
    hostile = "<script>alert(1)</script>"
    page = signed_in(make_desk(world), "ana").post(PREFIX + "new", data=fields(title=hostile, do="check")).text
    assert hostile not in page


def test_unknown_kinds_and_families_read_as_plain_ones() -> None:
    form = form_from({"name.0": "x", "kind.0": "file", "family.0": "magic"})
    assert form.outputs[0].kind is Kind.TABLE
    assert form.outputs[0].family == "ols"


@pytest.mark.parametrize(
    ("sql", "is_counted"),
    [
        (SAFE, True),
        ("SELECT sex, count(DISTINCT id) FROM t GROUP BY sex", True),
        ("SELECT sex, avg(x) FROM t GROUP BY sex", False),
        ("SELECT sex, avg(x) FROM t GROUP BY sex HAVING count(*) > 3", False),
        ("SELECT (", False),
        (None, False),
    ],
)
def test_a_count_must_be_among_what_leaves(sql: str | None, is_counted: bool) -> None:
    assert counted(sql) is is_counted


def test_the_page_of_a_request_says_when_it_is_no_longer_up_to_date(world: World) -> None:
    row = world.checked()
    client = signed_in(make_desk(world), "ana")
    page = client.get(f"{PREFIX}requests/{row.name}").text
    seen = re.search(r"live\?seen=([\w.]+)", page)
    assert seen
    address = f"{PREFIX}requests/{row.name}/live?seen={seen[1]}"
    assert client.get(address).status_code == 204
    world.reviewed(row, ReviewVerdict.RETURN)
    assert "returned" in client.get(address).text
    assert client.get(f"{PREFIX}requests/{row.name}/live").status_code == 200


def test_an_answer_by_the_steward_is_news_and_a_private_note_is_not(world: World) -> None:
    from egress_gate.service.converse import say
    from egress_gate.store.messages import Audience

    row = world.checked()
    author = signed_in(make_desk(world), "ana")
    address = f"{PREFIX}requests/{row.name}/live?seen=in_review.1.0"
    say(world.gate, STELLA, row.id, Audience.REVIEWERS, "Look at age.", world.clock())
    assert author.get(address).status_code == 204
    say(world.gate, STELLA, row.id, Audience.AUTHOR, "Why age?", world.clock())
    assert "Something new was said" in author.get(address).text


def test_the_rehearsal_asks_policy_what_the_check_will_ask(world: World) -> None:
    draft = Draft(WORDS["title"], WORDS["purpose"], WORDS["context"], world.draft(SAFE).items)
    preflight(world.gate, world.ana.sandbox, draft, world.clock())
    rehearsed = [facts for entry, facts in world.engine.asked if entry == "release/decision"][-1]
    assert rehearsed["request"]["author"] == ANA.name
    world.checked(SAFE, **WORDS)
    checked = [facts for entry, facts in world.engine.asked if entry == "release/decision"][-1]
    assert rehearsed["items"] == checked["items"]
    assert rehearsed["parameters"] == checked["parameters"]


def test_a_protection_that_was_asked_for_comes_back_in_the_next_revision() -> None:
    how = '{"method": "noise", "bounds": {"pay": [0, 90]}}'
    form = form_from(fields(**{"protection.0": how}))
    item = form.draft()[0].items[0]
    assert item.declared["protection"] == json.loads(how)
    assert _output(item).item().declared == item.declared


def test_a_protection_that_is_no_object_is_told() -> None:
    _, stops = form_from(fields(**{"protection.0": "round"})).draft()
    assert len(stops) == 1
