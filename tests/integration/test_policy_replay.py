"""Other numbers over past requests, with the real verifier's queries on real rows and the real policies."""

from __future__ import annotations

import json
from dataclasses import replace as changed
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import update

from egress_gate.domain.decision import Outcome
from egress_gate.domain.request import State
from egress_gate.service import trial
from egress_gate.service.recompute import SealedRecomputer
from egress_gate.service.replay import Replayed, Report, replay
from egress_gate.service.worker import Worker
from egress_gate.verifier.in_process import Subprocess
from ledger.entry import Entry
from policy_engine.in_process import InProcess
from store import schema as s
from tests.unit.gate.factory import World, make_world

LARGE = "SELECT site, count(*) AS n FROM nafld1 WHERE site < 't' GROUP BY site"  # ten sites of 15
SMALL = "SELECT site, count(*) AS n FROM nafld1 WHERE site >= 't' GROUP BY site"  # eight sites of 7
PAY = "SELECT sex, sum(pay) AS pay FROM nafld1 GROUP BY sex"  # one woman earns 30 % of all women's


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """R-1 was released, R-2 refused, R-3 is in review."""
    made = make_world(tmp_path_factory.mktemp("replay") / "home")
    rows(made)
    recomputer = SealedRecomputer(made.settings, Subprocess())
    made.gate = changed(made.gate, engine=InProcess(), recomputer=recomputer)
    for sql in (LARGE, SMALL, PAY):
        row = made.submitted(sql)
        Worker(made.gate, made.clock).round()
        if sql == LARGE:
            made.reviewed(made.row(row.id))
            Worker(made.gate, made.clock).round()
    assert [made.row(n).state for n in (1, 2, 3)] == [State.RELEASED, State.REFUSED, State.IN_REVIEW]
    return made


def rows(made: World) -> None:
    sites = [f"s{n}" for n in range(10) for _ in range(15)] + [f"t{n}" for n in range(8) for _ in range(7)]
    people = range(len(sites))
    pay = [60.0 if n == 0 else 1.0 for n in people]
    frame = pd.DataFrame({"id": people, "site": sites, "sex": ["F" if n % 2 == 0 else "M" for n in people], "pay": pay})
    folder: Path = made.settings.datasets / "nafld-1"
    folder.mkdir(parents=True)
    frame.to_parquet(folder / "nafld1.parquet", index=False)
    columns = [
        {"name": n, "type": t, "meaning": ""}
        for n, t in (("id", "BIGINT"), ("site", "VARCHAR"), ("sex", "VARCHAR"), ("pay", "DOUBLE"))
    ]
    with made.gate.store.transaction(made.clock()) as t:
        t.execute(update(s.dataset_table).values(columns=json.dumps(columns), rows=len(frame)))
        t.record(Entry("dataset.registered", "adam", {"dataset": "nafld"}, {}))


def with_numbers(world: World, **numbers: object) -> Report:
    data = json.loads(trial.in_force("levels"))
    data["levels"]["3"].update(numbers)
    return replay(world.gate, trial.engine_with("levels", json.dumps(data)))


def of(report: Report, request: str) -> Replayed:
    return next(d for d in report.differences if d.request == request)


def test_the_policies_in_force_differ_in_nothing_and_measure_nothing(world: World) -> None:
    report = replay(world.gate, InProcess())
    assert (report.asked, report.measured, report.differences) == (3, 0, ())


def test_a_stricter_threshold_would_have_refused_what_was_released(world: World) -> None:
    found = of(with_numbers(world, min_contributors=20), "R-1")
    assert (found.before, found.after, found.state) == (Outcome.REVIEW, Outcome.REFUSE, State.RELEASED)
    assert "raw_records" in found.reasons_after
    (output,) = found.outputs
    assert sorted(c.key["site"] for c in output.cells) == [f"s{n}" for n in range(10)]
    assert {(c.rules_before, c.hidden_before) for c in output.cells} == {((), None)}
    assert all("min_contributors" in c.rules_after for c in output.cells)


def test_a_looser_threshold_would_have_let_a_steward_see_what_was_refused(world: World) -> None:
    report = with_numbers(world, min_contributors=5)
    found = of(report, "R-2")
    assert (found.before, found.after) == (Outcome.REFUSE, Outcome.REVIEW)
    assert "R-1" not in {d.request for d in report.differences}
    assert report.measured == 3


def test_a_stricter_share_hides_a_cell_that_one_person_dominates(world: World) -> None:
    found = of(with_numbers(world, dominance_k_percent=30), "R-3")
    cells = {c.key["sex"]: c for o in found.outputs for c in o.cells}
    assert "dominance" in cells["F"].rules_after
    assert "dominance" not in cells["F"].rules_before
