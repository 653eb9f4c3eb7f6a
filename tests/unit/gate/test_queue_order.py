"""What a steward sees first: the queue by risk, then by age; and the brake on every sender."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from egress_gate.desk.app import build_desk
from egress_gate.desk.security import Bucket
from egress_gate.domain.finding import Finding, Severity
from egress_gate.service.risk import risk_of
from egress_gate.store.views import HIGH, MEDIUM, next_in_queue, queue
from ledger.entry import Entry
from store import schema as s
from tests.unit.gate.desks import PREFIX, make_desk
from tests.unit.gate.factory import SMALL, STELLA, World

NOTE, LOOK, BROKEN = (Finding("zero", severity, 1, {}) for severity in (Severity.INFO, Severity.WARN, Severity.FAIL))


@pytest.mark.parametrize(("findings", "level", "files", "incomplete", "risk"), [
    ([], 1, 0, 0, 5),
    ([NOTE] * 9, 1, 0, 0, 5),
    ([LOOK], 1, 0, 0, 15),
    ([LOOK, NOTE, BROKEN], 1, 0, 0, 45),
    ([BROKEN, LOOK, BROKEN, BROKEN], 1, 0, 0, 65),
    ([], 4, 0, 0, 20),
    ([], 1, 3, 0, 20),
    ([], 1, 0, 2, 25),
    ([BROKEN, BROKEN], 4, 1, 1, 100),
])  # fmt: skip
def test_risk_grows_with_the_two_worst_findings_level_files_and_open_checks(
    findings: list[Finding], level: int, files: int, incomplete: int, risk: int
) -> None:
    assert risk_of(findings, level, files, incomplete) == risk


def test_the_riskier_band_comes_first_and_within_one_the_older(world: World) -> None:
    rows = [world.checked() for _ in range(5)]
    assert world.checked(SMALL).risk > rows[0].risk
    risks = [MEDIUM - 1, HIGH, MEDIUM, HIGH - 1, HIGH + 9]
    with world.gate.store.transaction(world.clock()) as t:
        for row, risk in zip(rows, risks, strict=True):
            t.execute(update(s.release_request).where(s.release_request.c.id == row.id).values(risk=risk))
        t.record(Entry("request.checked", "gate", {"request": rows[0].name}, {}))
    with world.gate.store.read() as c:
        found = [r.id for r in queue(c, STELLA).rows]
        following = next_in_queue(c, STELLA, rows[1].id)
    wanted = [rows[n].id for n in (1, 4, 2, 3, 0)]
    assert [number for number in found if number in wanted] == wanted
    assert following is not None
    assert following.id == rows[4].id


def test_a_sender_in_a_hurry_is_slowed_and_others_are_not() -> None:
    clock = [0.0]
    bucket = Bucket(rate=20, burst=3, clock=lambda: clock[0])
    assert [bucket.take("ana") for _ in range(4)] == [True, True, True, False]
    assert bucket.take("amir")
    clock[0] += 0.04  # less than one in twenty seconds
    assert not bucket.take("ana")
    clock[0] += 0.02
    assert bucket.take("ana")
    assert not bucket.take("ana")
    clock[0] += 3600
    assert [bucket.take("ana") for _ in range(4)] == [True, True, True, False]


def test_the_desk_says_too_many_in_three_parts_and_does_nothing(world: World) -> None:
    client = TestClient(build_desk(make_desk(world)), base_url="http://testserver", follow_redirects=False)
    answers = [client.get(PREFIX + "health") for _ in range(400)]
    hurried = next(a for a in answers if a.status_code == 429)
    assert [a.status_code for a in answers[:200]].count(429) == 0
    assert hurried.headers["x-content-type-options"] == "nosniff"
    for part in ("Too many requests.", "Each sender has a rate.", "Wait a few seconds and go on."):
        assert part in hurried.text
