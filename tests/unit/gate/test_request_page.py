"""What a steward finds on a request's page: what changed, how it overlaps, a notebook that cannot run, what it waits for."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from egress_gate.desk.changes import changes
from egress_gate.desk.explain import sentence
from egress_gate.desk.i18n import Voice
from egress_gate.desk.notebook import text_view
from egress_gate.desk.picture import bars, grid
from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.domain.review import ReviewRefused, ReviewVerdict
from egress_gate.policy.facts import Person
from egress_gate.service.check import check, claim
from egress_gate.service.delegate import lend
from egress_gate.service.deliver import revoke
from egress_gate.service.errors import Conflict
from egress_gate.service.fakes import safe_table
from egress_gate.service.ports import AuditFinding
from egress_gate.service.release import prepare, release
from egress_gate.service.review import Opinion, review
from egress_gate.service.submit import Draft, record_upload, resubmit, submit
from egress_gate.store import requests
from egress_gate.store.requests import RequestRow
from egress_gate.store.standing import standings
from installation.fault import Fault
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import ANA, SAFE, SMALL, STEFAN, STELLA, World, make_world

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()


def notebook(*cells: object) -> bytes:
    return json.dumps({"nbformat": 4, "cells": list(cells)}).encode()


def code(*outputs: object) -> dict[str, object]:
    return {"cell_type": "code", "source": ["1 + 1"], "outputs": list(outputs)}


def with_two(world: World) -> RequestRow:
    """A request with a table and a notebook, in review."""
    hostile = notebook(
        {"cell_type": "markdown", "source": "<script>alert(1)</script>"},
        code({"output_type": "display_data", "data": {"text/html": "<img src=x onerror=alert(1)>", "image/png": PNG}}),
    )
    blob = world.gate.blobs.put(hostile)
    record_upload(world.gate, world.ana, blob, len(hostile), world.clock())
    items = (Item("table1", Kind.TABLE, sql=SMALL), Item("story.ipynb", Kind.FILE, blob=blob))
    row = submit(world.gate, world.ana, Draft("Two", "A paper", "Adults of 2019", items), world.clock())
    held = claim(world.gate, row.id, world.clock())
    assert held is not None
    return check(world.gate, held, world.clock())


# ---- what changed ---------------------------------------------------------------------------------------------------
def test_words_outputs_and_lines_that_changed_are_told() -> None:
    before = [Item("a", Kind.TABLE, sql="SELECT 1"), Item("gone", Kind.TABLE, sql="SELECT 2")]
    fit = Item("fit", Kind.REGRESSION, "SELECT x", None, {"formula": "y ~ x", "family": "ols"})
    now = [Item("a", Kind.TABLE, sql="SELECT 3"), fit]
    found = changes({"title": "Old", "context": "c"}, {"title": "New", "context": "c"}, before, now)
    assert [(c.item, c.what, c.how) for c in found] == [
        ("", "Title", "changed"),
        ("gone", "", "removed"),
        ("fit", "", "added"),
        ("a", "SQL", "changed"),
    ]
    assert ("-", "Old") in found[0].lines
    assert ("+", "New") in found[0].lines


def test_a_formula_or_a_file_that_changed_is_told() -> None:
    old = Item("fit", Kind.REGRESSION, "SELECT x", None, {"formula": "y ~ x", "family": "ols"})
    new = Item("fit", Kind.REGRESSION, "SELECT x", None, {"formula": "y ~ x + z", "family": "ols"})
    assert [c.what for c in changes({}, {}, [old], [new])] == ["Formula"]
    files = [Item("f", Kind.FILE, blob=digest * 64) for digest in "ab"]
    assert [c.what for c in changes({}, {}, files[:1], files[1:])] == ["File"]


def test_each_revisions_words_are_kept(world: World) -> None:
    row = world.reviewed(world.checked(title="First title"), ReviewVerdict.RETURN)
    resubmit(world.gate, ANA, row.id, world.draft(title="Second title"), world.clock())
    with world.gate.store.read() as c:
        assert requests.words(c, row.id, 1)["title"] == "First title"
        assert requests.words(c, row.id, 2)["title"] == "Second title"
        assert requests.words(c, row.id, 9)["title"] == "Second title"
    held = claim(world.gate, row.id, world.clock())
    assert held is not None
    check(world.gate, held, world.clock())
    page = signed_in(make_desk(world), "stella").get(f"{PREFIX}requests/{row.name}").text
    assert "Changed since the last revision" in page
    assert "- First title" in page
    assert "+ Second title" in page


# ---- one output and another -----------------------------------------------------------------------------------------
def test_each_output_has_its_own_verdict_and_reason(world: World) -> None:
    row = with_two(world)
    client = signed_in(make_desk(world), "stella")
    form = {"verdict": "return", "reason": "See the table.", "revision": "1", "item:table1": "return"}
    refused = client.post(f"{PREFIX}requests/{row.name}/review", data={**form, "note:table1": " "})
    assert refused.status_code == 403
    assert "question" in refused.text
    form |= {"item:story.ipynb": "approve", "note:table1": "Why <b>small</b>?"}
    assert client.post(f"{PREFIX}requests/{row.name}/review", data=form).status_code == 303
    page = signed_in(make_desk(world), "ana").get(f"{PREFIX}requests/{row.name}").text
    assert "Why &lt;b&gt;small&lt;/b&gt;?" in page
    assert world.row(row.id).state is State.RETURNED


@pytest.mark.parametrize(
    ("verdict", "items", "notes"),
    [
        (
            ReviewVerdict.APPROVE,
            {"table1": ReviewVerdict.REJECT, "story.ipynb": ReviewVerdict.RETURN},
            {"table1": "No.", "story.ipynb": "Why?"},
        ),
        (ReviewVerdict.REJECT, {"table1": ReviewVerdict.REJECT}, {}),
        (ReviewVerdict.REJECT, {"other": ReviewVerdict.REJECT}, {"other": "No."}),
        (ReviewVerdict.RETURN, {"table1": ReviewVerdict.RETURN}, {"table1": "x" * 4001}),
    ],
)
def test_verdicts_that_contradict_or_say_nothing_are_refused(
    world: World, verdict: ReviewVerdict, items: dict[str, ReviewVerdict], notes: dict[str, str]
) -> None:
    row = with_two(world)
    with pytest.raises(ReviewRefused):
        review(world.gate, STELLA, row.id, Opinion(verdict, "Said.", items, notes), world.clock(), 1)
    assert world.row(row.id).state is State.IN_REVIEW


# ---- pictures -------------------------------------------------------------------------------------------------------
def test_the_picture_puts_the_tables_that_share_most_first() -> None:
    made = grid(
        "mine",
        "SELECT sex, age, count(*) FROM t GROUP BY 1, 2",
        [
            ("R-1 x", "SELECT sex, count(*) FROM t WHERE z GROUP BY 1"),
            ("R-2 y", "SELECT sex, bmi, count(*) FROM t GROUP BY 1, 2"),
            ("R-3 broken", "not sql (("),
        ],
    )
    assert made is not None
    assert made.columns == ("sex", "age", "bmi")
    assert [(r.label, r.marks, r.same_records) for r in made.rows] == [
        ("mine", (True, True, False), True),
        ("R-2 y", (True, False, True), True),
        ("R-1 x", (True, False, False), False),
    ]


def test_there_is_no_picture_of_what_cannot_be_read() -> None:
    assert grid("a", "nonsense ((", [("R-1", "SELECT 1")]) is None
    assert grid("a", "SELECT sex, count(*) FROM t GROUP BY 1", []) is None


def test_intervals_are_drawn_on_one_scale_and_open_ends_reach_the_edge() -> None:
    made = bars(
        [
            {"target": "sex = F", "interval": ["3", "3"], "kind": "exact"},
            {"target": "sex = M", "interval": ["2", "inf"], "kind": "narrow"},
            {"target": "odd", "interval": ["nan", "?"], "kind": "narrow"},
        ]
    )
    assert [b.exact for b in made] == [True, False, False]
    assert made[0].width == 4
    assert made[1].x + made[1].width == pytest.approx(490)
    assert bars([]) == ()


# ---- notebooks ------------------------------------------------------------------------------------------------------
def test_a_notebook_is_shown_without_anything_that_runs(world: World) -> None:
    row = with_two(world)
    stella = signed_in(make_desk(world), "stella")
    page = stella.get(f"{PREFIX}requests/{row.name}").text
    frame = f"{PREFIX}requests/{row.name}/notebooks/story.ipynb"
    assert "<script>alert" not in page
    assert "onerror" not in page
    assert f'<iframe class="notebook-frame" sandbox src="{frame}"' in page
    inside = stella.get(frame)
    assert "<script" not in inside.text
    assert "onerror" not in inside.text
    assert "&lt;script&gt;alert(1)" in inside.text
    assert "[text/html]" in inside.text
    said = inside.headers["content-security-policy"]
    assert said.startswith("default-src 'none'; img-src data:;")
    assert "; sandbox;" in said
    assert inside.headers["x-frame-options"] == "SAMEORIGIN"
    author = signed_in(make_desk(world), "ana")
    assert author.get(frame).status_code == 404
    assert "data:image/png" not in author.get(f"{PREFIX}requests/{row.name}").text


def test_a_file_is_text_or_nothing() -> None:
    assert text_view("größe".encode()) == "größe"
    assert text_view(b"\x00\x01") is None
    assert text_view(b"\xff\xfe\xfa") is None


# ---- what it waits for ----------------------------------------------------------------------------------------------
def test_who_has_not_spoken_does_not_learn_how_others_stand(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", approvals=2)
    row = world.checked()
    world.reviewed(row)
    with world.gate.store.read() as c:
        blind = standings(c, STEFAN, [world.row(row.id)], stamp(world.clock()))[row.id]
        spoken = standings(c, STELLA, [world.row(row.id)], stamp(world.clock()))[row.id]
    assert (blind.spoken, blind.given, blind.missing) == (False, 0, ("nafld",))
    assert (spoken.spoken, spoken.given, spoken.missing, spoken.stuck) == (True, 1, (), False)
    assert "You have decided." in signed_in(make_desk(world), "stella").get(PREFIX + "queue").text
    assert "1 of 2 given" not in signed_in(make_desk(world), "stefan").get(PREFIX + "queue").text


def test_a_request_that_nobody_can_approve_says_so(tmp_path: Path) -> None:
    world = make_world(tmp_path / "home", approvals=3)
    row = world.checked()
    queue = signed_in(make_desk(world), "stella").get(PREFIX + "queue").text
    assert "Fewer people may approve than must" in queue
    lend(world.gate, STELLA, "nafld", "third", world.clock().replace(day=28), world.clock())
    with world.gate.store.read() as c:
        assert not standings(c, STELLA, [world.row(row.id)], stamp(world.clock()))[row.id].stuck


def test_what_waits_at_the_gate_stands_above_the_queue_with_its_reason(world: World) -> None:
    world.recomputer.away = True
    row = world.checked()
    queue = signed_in(make_desk(world), "stella").get(PREFIX + "queue").text
    assert "1 request waits at the gate" in queue
    assert "The verifier is away." in queue
    assert row.name in queue


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            'SELECT region AS "region", COUNT(*) AS "n" FROM "clinic"."visits" AS "visits" GROUP BY region',
            "Shows how many rows there are for each region, from visits.",
        ),
        ("SELECT a, sum(x) FROM t GROUP BY CUBE (a)", "Shows the sum of x for each a, with totals, from t."),
        (
            "SELECT a, avg(x) FROM t GROUP BY a HAVING count(*) > 9",
            "Shows the average of x for each a, from t, groups with COUNT(*) > 9 only.",
        ),
    ],
)
def test_a_derivation_in_a_sentence(sql: str, said: str) -> None:
    assert sentence(sql) == said


def test_the_sentence_follows_the_readers_language() -> None:
    assert sentence(SAFE, Voice("zh_Hans").text) == "显示行数,按 sex 分组,取自 nafld1。"


# ---- the cooling-off ------------------------------------------------------------------------------------------------
def restricted(world: World) -> None:
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(update(s.dataset).values(classification=4))
        t.record(Entry("dataset.registered", "adam", {"dataset": "nafld"}, {}))


def test_restricted_data_leaves_only_after_the_cooling_off(world: World) -> None:
    restricted(world)
    row = world.reviewed(world.checked())
    assert prepare(world.gate, row.id, world.clock()) is None
    for who in ("ana", "stella"):
        page = signed_in(make_desk(world), who).get(f"{PREFIX}requests/{row.name}").text
        assert "It leaves in" in page
    world.clock.skip(minutes=61)
    held = prepare(world.gate, row.id, world.clock())
    assert held is not None
    assert release(world.gate, held, world.clock()).state is State.RELEASED


def objected(world: World, row: RequestRow, by: Person, seen: State = State.APPROVED) -> RequestRow:
    opinion = Opinion(ReviewVerdict.REJECT, "I object.")
    return review(world.gate, by, row.id, opinion, world.clock(), row.revision, seen)


def test_another_steward_can_object_until_it_leaves_and_the_approver_cannot(world: World) -> None:
    restricted(world)
    row = world.reviewed(world.checked())
    with pytest.raises(ReviewRefused):
        objected(world, row, STELLA)
    with pytest.raises(Conflict):
        objected(world, row, STEFAN, State.IN_REVIEW)
    assert objected(world, row, STEFAN).state is State.REJECTED
    world.clock.skip(minutes=61)
    assert prepare(world.gate, row.id, world.clock()) is None


def test_a_steward_objects_from_the_page(world: World) -> None:
    restricted(world)
    row = world.reviewed(world.checked())
    form = {"verdict": "return", "reason": "Wait, which cohort?", "revision": "1", "seen": "approved"}
    client = signed_in(make_desk(world), "stefan")
    assert client.post(f"{PREFIX}requests/{row.name}/review", data=form).status_code == 303
    assert world.row(row.id).state is State.RETURNED


def test_nobody_approves_what_is_approved(world: World) -> None:
    row = world.reviewed(world.checked())
    with pytest.raises(Fault):
        world.reviewed(row, ReviewVerdict.APPROVE, STEFAN)
    page = signed_in(make_desk(world), "stefan").get(f"{PREFIX}requests/{row.name}").text
    assert "only one in review can be decided" in page
    assert 'value="return" required data-key="r"' in page


def test_a_revoked_release_says_so_wherever_it_stands_beside_another(tmp_path: Path) -> None:
    """In the list of what left from the same data, and among those that the audit collides with; another one says nothing of the kind."""
    world = make_world(tmp_path)
    first, second = world.released(), world.released(title="Again")
    gone, kept = world.release_of(first), world.release_of(second)
    told = AuditFinding("somebody", ("1", "1"), (gone, kept), "exact")
    world.recomputer.tables = {"joint": lambda q: replace(safe_table(q), audit_verdict="unsafe", audit=(told,))}
    row = world.checked("SELECT joint, count(*) FROM nafld.nafld1 GROUP BY joint")
    stella = signed_in(make_desk(world), "stella")
    before = stella.get(f"{PREFIX}requests/R-{row.id}").text
    assert "bg-pink-lt" not in before
    revoke(world.gate, STELLA, gone, "A mistake was found.", world.clock())
    page = stella.get(f"{PREFIX}requests/R-{row.id}").text
    listed = page.partition('<ul class="earlier">')[2].partition("</ul>")[0]
    assert listed.partition(f"R-{first.id}<")[2].partition("<details")[0].count("revoked") == 1
    assert "revoked" not in listed.partition(f"R-{second.id}<")[2].partition("<details")[0]
    collisions = page.partition("would be known exactly")[2].partition("</ul>")[0]
    assert collisions.partition(f"release {gone}")[2].partition(f"release {kept}")[0].count("revoked") == 1
    assert "revoked" not in collisions.partition(f"release {kept}")[2]
