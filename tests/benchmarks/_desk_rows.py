"""An installation that has been in use for a year, for `bench desk`: rows as the verbs leave them, written in bulk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, insert, select

from egress_gate.domain.item import Item, Kind
from egress_gate.domain.review import ReviewVerdict
from egress_gate.service.check import check, claim
from egress_gate.service.submit import Draft, record_upload, submit
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp
from store.database import Transaction
from tests.unit.gate.factory import SAFE, START, World
from workbench.runtime import intake

JOB = "a" * 16
SPEC = {
    "mark": "bar",
    "encoding": {"x": {"field": "sex", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}},
}
NOTEBOOK = {
    "nbformat": 4,
    "cells": [
        {"cell_type": "markdown", "source": "# A story"},
        *({"cell_type": "code", "source": f"{n} + 1", "outputs": []} for n in range(40)),
    ],
}
ENDS = ("released", "rejected", "withdrawn", "refused")


def fill(world: World, requests: int, open_ones: int) -> None:
    """`requests` in all. Four are real: R-1 was released, R-2 is in review, so is R-3, with a figure and a notebook; R-4 was returned."""
    world.released()
    world.checked()
    _with_figure_and_notebook(world)
    world.reviewed(world.checked(), ReviewVerdict.RETURN)
    _intake(world)
    scale = max(1, requests // 100)
    with world.gate.store.transaction(world.clock()) as t:
        _projects(t, scale)
        _requests(t, requests, open_ones, scale)
        _sessions(t, requests)
        for n in range(requests):
            project = _project(n, scale)
            t.record(Entry("request.submitted", _person(n, scale), {"request": f"R-{n + 5}", "project": project}, {}))


def _with_figure_and_notebook(world: World) -> None:
    data = json.dumps(NOTEBOOK).encode()
    blob = world.gate.blobs.put(data)
    record_upload(world.gate, world.ana, blob, len(data), world.clock())
    items = (
        Item("fig", Kind.FIGURE, SAFE, None, {"spec": SPEC}),
        Item("story.ipynb", Kind.FILE, blob=blob),
        Item("table1", Kind.TABLE, sql=SAFE),
    )
    row = submit(world.gate, world.ana, Draft("Three", "A paper", "All adults of 2019", items), world.clock())
    held = claim(world.gate, row.id, world.clock())
    if held is not None:
        check(world.gate, held, world.clock())


def _intake(world: World) -> None:
    folder = world.settings.home / intake.FOLDER
    folder.mkdir(mode=0o700)
    lines = [f"{n},{n % 90},{'F' if n % 2 else 'M'},{50 + n % 40}" for n in range(2_000)]
    (folder / "visits.csv").write_text("\n".join(["id,age,sex,weight", *lines]) + "\n", "utf-8")
    job = {"id": JOB, "dataset": "visits", "actor": "adam", "begun_at": stamp(START), "state": "registered"}
    intake.write(world.settings, {**job, "version": "nafld/1"})


def _person(n: int, scale: int) -> str:
    return "ana" if n % 10 == 0 else f"p{n % (4 * scale):05}"


def _project(n: int, scale: int) -> str:
    return "liver" if n % 10 == 0 else f"study{n % (2 * scale):05}"


def _projects(t: Transaction, scale: int) -> None:
    """Per hundred requests: two projects, four people, one dataset with two versions, ten grants."""
    now, later = stamp(START), stamp(START + timedelta(days=365))
    made = {"created_at": now, "created_by": "adam", "expires_at": later, "sponsor": "clinic", "state": "active"}
    studies = [f"study{n:05}" for n in range(2 * scale)]
    people = [f"p{n:05}" for n in range(4 * scale)]
    sets = [f"set{n:04}" for n in range(scale)]
    _put(t, s.project, ({"name": p, "title": f"Study {p}", "purpose": "Survival", **made} for p in studies))
    _put(t, s.person, ({"name": p, "uid": 30_000 + n} for n, p in enumerate(people)))
    _put(
        t,
        s.project_member,
        ({"project": studies[n % len(studies)], "person": p, "added_at": now} for n, p in enumerate(people)),
    )
    register = {"registered_at": now, "registered_by": "adam"}
    words = {"description": "", "provider": "clinic", "classification": 3}
    _put(t, s.dataset, ({"name": d, "title": f"Data {d}", **words, **register} for d in sets))
    _put(t, s.dataset_steward, ({"dataset": d, "person": p} for d in sets for p in ("stella", "stefan")))
    versions = [(d, number) for d in sets for number in (1, 2)]
    state = {"digest": "d" * 64, "state": "available", **register}
    _put(
        t,
        s.dataset_version,
        ({"id": f"{d}/{n}", "dataset": d, "number": n, "folder": f"{d}-{n}", **state} for d, n in versions),
    )
    columns = json.dumps([{"name": f"c{n}", "type": "BIGINT", "meaning": ""} for n in range(30)])
    table = {"name": "t", "file": "t.parquet", "digest": "e" * 64, "rows": 10_000, "bytes": 1, "unit": "c0"}
    _put(t, s.dataset_table, ({"version": f"{d}/{n}", "columns": columns, **table} for d, n in versions))
    given = {"purpose": "Survival", "granted_by": "stella", "granted_at": now, "expires_at": later}
    _put(
        t,
        s.grant,
        (
            {"project": "liver" if n % 10 == 0 else studies[n % len(studies)], "version": _version(n, scale), **given}
            for n in range(10 * scale)
        ),
    )


def _version(n: int, scale: int) -> str:
    return "nafld/1" if n % 10 == 0 else f"set{n % scale:04}/{1 + n % 2}"


def _requests(t: Transaction, requests: int, open_ones: int, scale: int) -> None:
    """A tenth of everything is ana's, in her project, from the dataset of the real ones."""
    real = {name: _like(t, table) for name, table in (("check", s.item_check), ("decision", s.decision))}
    left = _like(t, s.release)
    rows = range(5, requests + 1)
    state = {n: "in_review" if n <= open_ones else ENDS[n // 10 % 4] for n in rows}
    words = {"purpose": "p", "context": "c"}
    at = {n: stamp(START + timedelta(minutes=n)) for n in rows}
    base = {"sandbox": "5a", "revision": 1, **words}
    _put(
        t,
        s.release_request,
        (
            {
                "id": n,
                "project": _project(n, scale),
                "author": _person(n, scale),
                "title": f"Table {n}",
                "state": state[n],
                "risk": n % 100,
                "created_at": at[n],
                "updated_at": at[n],
                **base,
            }
            for n in rows
        ),
    )
    _put(t, s.request_words, ({"request": n, "revision": 1, "title": f"Table {n}", **words} for n in rows))
    item = {"revision": 1, "name": "table1", "kind": "table"}
    _put(t, s.request_item, ({"request": n, "sql": _sql(n), **item} for n in rows))
    _put(
        t,
        s.item_check,
        (
            {**real["check"], "request": n, "lineage": json.dumps([_version(n, scale)]), "canonical_sql": _sql(n)}
            for n in rows
        ),
    )
    _put(t, s.decision, ({**real["decision"], "id": n, "request": n, "decided_at": at[n]} for n in rows))
    reviewed = [n for n in rows if state[n] in ("released", "rejected")]
    said = {"revision": 1, "reviewer": "stella", "reason": "Looked at it."}
    verdict = {"released": "approve", "rejected": "reject"}
    _put(
        t,
        s.review,
        ({"request": n, "verdict": verdict[state[n]], "reviewed_at": at[n], **said} for n in reviewed),
    )
    gone = [n for n in rows if state[n] == "released"]
    _put(t, s.release, ({**left, "id": n, "request": n, "released_at": at[n]} for n in gone))
    shape = {"item": "table1", "suppressed": "[]"}
    _put(
        t,
        s.released_table,
        ({"release": n, "version": _version(n, scale), "canonical_sql": _sql(n), **shape} for n in gone),
    )
    size = {"item": "table1", "cells": 20, "bytes": 2_000}
    _put(t, s.release_size, ({"release": n, "versions": json.dumps([_version(n, scale)]), **size} for n in gone))
    _put(t, s.download, ({"release": n, "person": _person(n, scale), "downloaded_at": at[n]} for n in gone))
    told = {"word": "review_wanted", "told_at": stamp(START)}
    _put(
        t,
        s.notice,
        (
            {"seq": 10**6 + n, "person": "stella", "request": f"R-{n}", "project": _project(n, scale), **told}
            for n in rows
        ),
    )


def _sql(n: int) -> str:
    return f"SELECT sex, count(*) AS n FROM nafld1 WHERE age > {n % 90} GROUP BY sex"


def _sessions(t: Transaction, requests: int) -> None:
    """As many sandboxes as requests, twenty of them running, and as many executed cells of ana's."""
    made = {"server_name": "s", "container": "c", "image_digest": "sha256:0", "view": "open", "versions": '["nafld/1"]'}
    scale = max(1, requests // 100)
    begun = {n: stamp(START + timedelta(minutes=n)) for n in range(requests)}
    _put(
        t,
        s.sandbox,
        (
            {
                "id": f"b{n:08x}",
                "person": _person(n, scale),
                "project": _project(n, scale),
                "started_at": begun[n],
                "stopped_at": None if n < 20 else begun[n],
                **made,
            }
            for n in range(requests)
        ),
    )
    event = {"sandbox": "5a", "kind": "cell", "digest": "c" * 64, "bytes": 300}
    _put(t, s.session_event, ({"time": begun[n], **event} for n in range(requests)))
    refused = {"reasons": '["no_grant"]', "refused_at": stamp(START)}
    _put(t, s.access_refusal, ({"person": _person(n, scale), "project": "liver", **refused} for n in range(scale)))
    wanted = {"project": "liver", "reason": "Plots", "state": "open", "asked_at": stamp(START)}
    _put(t, s.package_request, ({"person": _person(n, scale), "name": f"pack{n}", **wanted} for n in range(scale)))


def _like(t: Transaction, table: Table) -> Mapping[str, Any]:
    """The first row that a verb wrote."""
    row = t.execute(select(table).limit(1)).mappings().first()
    if row is None:
        raise LookupError(table.name)
    return dict(row)


def _put(t: Transaction, table: Table, rows: Iterator[Mapping[str, Any]]) -> None:
    listed = [dict(row) for row in rows]
    if listed:
        t.execute(insert(table), listed)
