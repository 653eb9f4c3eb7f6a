"""The verbs' refusals and results, on a real store with stand-ins for engine and recomputer."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from egress_gate.domain.item import Item, ItemRefused, Kind
from egress_gate.domain.request import State, TransitionRefused
from egress_gate.domain.review import ReviewRefused, ReviewVerdict
from egress_gate.policy.facts import Person
from egress_gate.service.check import LostLease, check, claim
from egress_gate.service.deliver import download, revoke
from egress_gate.service.errors import Conflict, Gone, NotAllowed, NotFound, SandboxUnknown
from egress_gate.service.preview import preview
from egress_gate.service.release import prepare, release
from egress_gate.service.review import Opinion, review
from egress_gate.service.submit import Draft, caller, record_upload, resubmit, submit, withdraw
from egress_gate.service.worker import Worker
from egress_gate.store import releases, requests
from installation.fault import Fault
from ledger import bundle, certificate
from tests.unit.gate.factory import ADAM, AMIR, ANA, AUDREY, RAW, SMALL, STEFAN, STELLA, World, make_world

APPROVE = Opinion(ReviewVerdict.APPROVE, "Fine.")


@pytest.mark.parametrize("state", list(State))
def test_the_factory_reaches_every_state(world: World, state: State) -> None:
    assert world.at(state).state is state


# -- submit ---------------------------------------------------------------------------------------------------------


def test_an_unknown_sandbox_speaks_for_nobody(world: World) -> None:
    with pytest.raises(SandboxUnknown):
        caller(world.gate, "ffff")


def test_somebody_who_is_no_member_cannot_submit(world: World) -> None:
    with pytest.raises(NotAllowed):
        submit(world.gate, caller(world.gate, "5b"), world.draft(), world.clock())
    assert not world.entries("request.submitted")


def test_mistyped_sql_comes_back_at_once_and_is_not_stored(world: World) -> None:
    with pytest.raises(Fault) as refused:
        world.submitted("SELECT typo")
    assert refused.value.code == "sql-syntax"
    assert not world.entries("request.submitted")


def test_an_attempt_at_raw_records_is_refused_at_once_and_stays_on_record(world: World) -> None:
    row = world.submitted(RAW)
    assert row.state is State.REFUSED
    with world.gate.store.read() as c:
        decision = requests.decision(c, row.id, 1)
    assert decision is not None
    assert decision.reasons[0].code == "derivation-refused"
    assert [e["kind"] for e in world.entries()][-2:] == ["request.submitted", "request.decided"]


def test_the_same_key_twice_is_one_request(world: World) -> None:
    first = submit(world.gate, world.ana, world.draft(), world.clock(), "key-1")
    second = submit(world.gate, world.ana, world.draft(), world.clock(), "key-1")
    assert first.id == second.id
    assert len(world.entries("request.submitted")) == 1


def test_a_file_of_another_sandbox_cannot_be_named(world: World) -> None:
    digest = world.gate.blobs.put(b"a steward's evidence")
    draft = Draft("t", "p", "", (Item("notes", Kind.FILE, blob=digest),))
    with pytest.raises(NotAllowed):
        submit(world.gate, world.ana, draft, world.clock())
    record_upload(world.gate, world.ana, digest, 20, world.clock())
    record_upload(world.gate, world.ana, digest, 20, world.clock())
    assert submit(world.gate, world.ana, draft, world.clock()).state is State.SUBMITTED
    assert len(world.entries("upload.received")) == 1


def test_a_request_without_outputs_is_refused(world: World) -> None:
    with pytest.raises(ItemRefused):
        submit(world.gate, world.ana, replace(world.draft(), items=()), world.clock())


def test_the_ledger_keeps_digests_not_words(world: World) -> None:
    world.submitted(title="Patient Zhang has hepatitis")
    assert "Zhang" not in json.dumps(world.entries())


# -- check ----------------------------------------------------------------------------------------------------------


def test_a_safe_table_goes_to_review(world: World) -> None:
    row = world.checked()
    assert row.state is State.IN_REVIEW
    assert row.lease_until is None


def test_small_cells_are_protected_when_policy_says_so(world: World) -> None:
    row = world.checked(SMALL)
    assert row.state is State.IN_REVIEW
    with world.gate.store.read() as c:
        check_row = requests.checks(c, row.id, 1)[0]
    assessment = json.loads(world.gate.blobs.read(check_row.protected or ""))
    assert [cell["suppressed"] for cell in assessment["cells"]] == ["primary", "secondary", None]


def test_a_silent_engine_leaves_the_request_submitted_with_a_reason(world: World) -> None:
    held = world.checking()
    world.engine.away = True
    row = check(world.gate, held, world.clock())
    assert row.state is State.SUBMITTED
    assert world.row(row.id).trouble == {
        "code": "policy-unavailable",
        "what": "The policy engine is away.",
        "why": "It did not answer.",
        "do": "It is tried again.",
    }
    assert not world.entries("request.decided")


def test_a_verifier_that_is_away_leaves_the_request_submitted(world: World) -> None:
    world.recomputer.away = True
    assert world.checked().state is State.SUBMITTED


@pytest.mark.parametrize("answer", [None, {}, {"outcome": "release"}, {"outcome": "yes", "reasons": []}])
def test_an_unreadable_answer_releases_nothing(world: World, answer: object) -> None:
    world.engine.overrides["release/decision"] = lambda _: answer
    row = world.checked()
    assert row.state is State.SUBMITTED
    assert row.trouble is not None
    assert row.trouble["code"] == "policy-unreadable"


def test_an_unforeseen_error_in_the_check_releases_nothing(world: World) -> None:
    def explode(_: object) -> object:
        raise RuntimeError("the moon is wrong")

    world.engine.overrides["release/decision"] = explode
    row = world.submitted()
    worker = Worker(world.gate, world.clock)
    worker.round()
    held = world.row(row.id)
    assert held.state is State.SUBMITTED
    assert held.trouble is not None
    assert held.trouble["code"] == "check-broken"
    assert "moon" not in json.dumps(held.trouble)


def test_two_workers_do_not_hold_one_request(world: World) -> None:
    row = world.submitted()
    assert claim(world.gate, row.id, world.clock()) is not None
    assert claim(world.gate, row.id, world.clock()) is None


def test_a_dead_workers_request_is_taken_over(world: World) -> None:
    first = world.checking()
    world.clock.skip(minutes=11)
    second = claim(world.gate, first.id, world.clock())
    assert second is not None
    with pytest.raises(LostLease):
        check(world.gate, first, world.clock())
    assert check(world.gate, second, world.clock()).state is State.IN_REVIEW
    assert len(world.entries("request.decided")) == 1


def test_withdrawn_while_checking_is_withdrawn(world: World) -> None:
    held = world.checking()
    withdraw(world.gate, ANA, held.id, world.clock())
    with pytest.raises(LostLease):
        check(world.gate, held, world.clock())
    assert world.row(held.id).state is State.WITHDRAWN


def test_retries_during_an_outage_write_one_delay(world: World) -> None:
    row = world.submitted()
    world.engine.away = True
    worker = Worker(world.gate, world.clock)
    for _ in range(20):
        worker.round()
        world.clock.skip(minutes=1)
    assert len(world.entries("request.delayed")) == 1
    world.engine.away = False
    world.clock.skip(minutes=2)
    worker.round()
    assert world.row(row.id).state is State.IN_REVIEW


# -- review ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", list(ReviewVerdict))
def test_the_author_never_reviews_even_when_policy_would_let_them(world: World, verdict: ReviewVerdict) -> None:
    row = world.checked()
    world.engine.overrides["release/review"] = lambda _: {"allow": True, "complete": True, "reasons": []}
    steward_author = Person("ana", frozenset({"analysts", "stewards", "admins"}))
    with pytest.raises(ReviewRefused):
        review(world.gate, steward_author, row.id, Opinion(verdict, "Mine."), world.clock(), 1)
    assert world.row(row.id).state is State.IN_REVIEW


@pytest.mark.parametrize("person", [AMIR, ADAM, AUDREY])
def test_only_stewards_review(world: World, person: Person) -> None:
    row = world.checked()
    with pytest.raises((NotAllowed, NotFound)):
        review(world.gate, person, row.id, APPROVE, world.clock(), 1)


def test_a_no_of_policy_is_obeyed(world: World) -> None:
    row = world.checked()
    world.engine.overrides["release/review"] = lambda _: {
        "allow": False,
        "complete": True,
        "reasons": [{"code": "cooling-off", "message": "Wait a day.", "remedy": "Come back tomorrow."}],
    }
    with pytest.raises(NotAllowed) as refused:
        world.reviewed(row)
    assert refused.value.why == "Wait a day."
    assert refused.value.do == "Come back tomorrow."


def test_two_approvals_are_two_people(tmp_path: Path) -> None:
    world = make_world(tmp_path, approvals=2)
    row = world.checked()
    assert world.reviewed(row).state is State.IN_REVIEW
    with pytest.raises(ReviewRefused, match="already"):
        review(world.gate, STELLA, row.id, Opinion(ReviewVerdict.APPROVE, "Again."), world.clock(), 1)
    assert world.reviewed(row, by=STEFAN).state is State.APPROVED


def test_a_double_click_is_one_review(world: World) -> None:
    row = world.checked()
    assert world.reviewed(row).state is State.APPROVED
    assert world.reviewed(row).state is State.APPROVED
    assert len(world.entries("review.given")) == 1


def test_a_review_of_an_older_revision_is_refused(world: World) -> None:
    row = world.reviewed(world.checked(), ReviewVerdict.RETURN)
    resubmit(world.gate, ANA, row.id, world.draft(), world.clock())
    with pytest.raises(Conflict, match="no longer"):
        review(world.gate, STEFAN, row.id, APPROVE, world.clock(), 1)


def test_a_whole_cannot_be_approved_with_a_part_rejected(world: World) -> None:
    row = world.checked()
    opinion = Opinion(ReviewVerdict.APPROVE, "Fine.", {"table1": ReviewVerdict.REJECT})
    with pytest.raises(ReviewRefused, match="none of its outputs"):
        review(world.gate, STELLA, row.id, opinion, world.clock(), 1)


def test_two_stewards_at_once_have_one_outcome(world: World) -> None:
    row = world.checked()
    opinions = [(STELLA, ReviewVerdict.APPROVE), (STEFAN, ReviewVerdict.REJECT)]

    def decide(said: tuple[Person, ReviewVerdict]) -> str:
        try:
            return review(world.gate, said[0], row.id, Opinion(said[1], "Now."), world.clock(), 1).state.value
        except Fault as fault:
            return fault.code

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(decide, opinions))
    final = world.row(row.id).state
    assert final in (State.APPROVED, State.REJECTED)
    assert outcomes.count(final.value) == 1
    assert len(world.entries("request.approved")) + len(world.entries("request.rejected")) == 1


def test_a_return_makes_a_new_revision_and_keeps_the_old(world: World) -> None:
    row = world.reviewed(world.checked(), ReviewVerdict.RETURN)
    again = resubmit(world.gate, ANA, row.id, world.draft(SMALL, title="Second try"), world.clock())
    assert (again.revision, again.state) == (2, State.SUBMITTED)
    with world.gate.store.read() as c:
        assert requests.items(c, row.id, 1)[0].sql != requests.items(c, row.id, 2)[0].sql
        assert requests.reviews(c, row.id)[0].revision == 1


def test_somebody_else_cannot_resubmit(world: World) -> None:
    row = world.at(State.RETURNED)
    with pytest.raises((NotAllowed, NotFound, TransitionRefused)):
        resubmit(world.gate, STELLA, row.id, world.draft(), world.clock())


# -- release --------------------------------------------------------------------------------------------------------


def test_what_leaves_was_written_by_the_gate_without_the_suppressed_figures(world: World) -> None:
    row = world.released(SMALL)
    parcel = download(world.gate, ANA, world.release_of(row), world.clock())
    packed = zipfile.ZipFile(io.BytesIO(parcel.data))
    rows = list(csv.reader(io.StringIO(packed.read("data/table1.csv").decode())))
    assert rows == [
        ["sex", "n"],
        ["(total)", "15"],
    ]
    assert {"README.txt", "certificate.json", "ro-crate-metadata.json", "data/table1.parquet"} <= set(packed.namelist())


def test_every_download_is_recorded(world: World) -> None:
    number = world.release_of(world.released())
    for _ in range(3):
        download(world.gate, ANA, number, world.clock())
    assert len(world.entries("release.downloaded")) == 3


@pytest.mark.parametrize("person", [AMIR, STELLA, AUDREY])
def test_others_do_not_download(world: World, person: Person) -> None:
    number = world.release_of(world.released())
    with pytest.raises((NotAllowed, NotFound)):
        download(world.gate, person, number, world.clock())
    assert not world.entries("release.downloaded")


def test_a_revoked_release_gives_no_more_copies(world: World) -> None:
    row = world.released()
    number = world.release_of(row)
    revoke(world.gate, STELLA, number, "Wrong cohort.", world.clock())
    revoke(world.gate, STELLA, number, "Wrong cohort.", world.clock())
    with pytest.raises(Gone):
        download(world.gate, ANA, number, world.clock())
    assert len(world.entries("release.revoked")) == 1
    assert world.row(row.id).state is State.REVOKED


def test_the_author_cannot_revoke(world: World) -> None:
    number = world.release_of(world.released())
    with pytest.raises(NotAllowed):
        revoke(world.gate, ANA, number, "Hide it.", world.clock())


def test_altered_bytes_do_not_leave(world: World) -> None:
    row = world.reviewed(world.checked())
    with world.gate.store.read() as c:
        digest = requests.checks(c, row.id, 1)[0].protected
    altered = next(p for p in world.settings.blobs.rglob("*") if p.is_file() and (digest or "?")[4:] in p.name)
    altered.chmod(0o600)
    altered.write_bytes(altered.read_bytes().replace(b"9000", b"9001"))
    Worker(world.gate, world.clock).round()
    held = world.row(row.id)
    assert held.state is State.RELEASING
    assert held.trouble is not None
    assert not world.entries("request.released")


def test_another_release_of_the_same_data_sends_it_back_to_the_check(world: World) -> None:
    slow = world.reviewed(world.checked())
    world.released(title="Overtakes")
    again = release(world.gate, world.prepared(slow), world.clock())
    assert (again.state, again.revision) == (State.SUBMITTED, 2)
    held = claim(world.gate, again.id, world.clock())
    assert held is not None
    done = check(world.gate, held, world.clock())
    with world.gate.store.read() as c:
        assert requests.checks(c, done.id, 2)[0].audited_against == (1,)
    finished = release(world.gate, world.prepared(world.reviewed(done)), world.clock())
    assert finished.state is State.RELEASED


def test_a_release_that_died_is_finished_once(world: World) -> None:
    row = world.at(State.RELEASING)
    assert prepare(world.gate, row.id, world.clock()) is None
    world.clock.skip(minutes=11)
    held = world.prepared(row)
    assert release(world.gate, held, world.clock()).state is State.RELEASED
    with pytest.raises(LostLease):
        release(world.gate, row, world.clock())
    assert len(world.entries("request.released")) == 1


def test_the_same_release_has_the_same_bytes_but_for_the_signature(tmp_path: Path) -> None:
    packed = []
    for name in ("a", "b"):
        world = make_world(tmp_path / name)
        number = world.release_of(world.released())
        members = bundle.unpack(download(world.gate, ANA, number, world.clock()).data)
        members.pop("certificate.json")
        packed.append(members)
    assert packed[0] == packed[1]


def test_the_bundle_verifies_offline_and_an_altered_one_does_not(world: World) -> None:
    data = download(world.gate, ANA, world.release_of(world.released()), world.clock()).data
    verified = certificate.verify_bytes(data, world.gate.ledger_key)
    assert verified.ok, [c.message for c in verified.checks if not c.ok]
    assert not certificate.verify_bytes(data.replace(b"9000", b"9001"), world.gate.ledger_key).ok


def test_what_left_is_part_of_the_next_audit(world: World) -> None:
    world.released(SMALL)
    with world.gate.store.read() as c:
        earlier = releases.earlier(c, ["nafld/1"])
    assert earlier[0].suppressed == ({"sex": "F"}, {"sex": "M"})


def test_a_preview_shows_no_figure(world: World) -> None:
    shown = preview(world.gate, world.ana, SMALL, world.clock())
    assert shown["suppressed"] == 2
    assert "values" not in shown["cells"][0]
    assert "12" not in json.dumps(shown)
    assert not world.entries("request.submitted")


# -- withdraw -------------------------------------------------------------------------------------------------------


def test_withdrawing_twice_is_once(world: World) -> None:
    row = world.submitted()
    withdraw(world.gate, ANA, row.id, world.clock())
    withdraw(world.gate, ANA, row.id, world.clock())
    assert len(world.entries("request.withdrawn")) == 1


def test_nothing_is_withdrawn_after_release(world: World) -> None:
    row = world.released()
    with pytest.raises(TransitionRefused):
        withdraw(world.gate, ANA, row.id, world.clock())


def test_every_state_change_has_its_entry(world: World) -> None:
    world.released()
    kinds = [e["kind"] for e in world.entries()]
    assert kinds == [
        "project.created",
        "request.submitted",
        "request.claimed",
        "request.checked",
        "request.decided",
        "review.given",
        "request.approved",
        "request.claimed",
        "request.released",
    ]
