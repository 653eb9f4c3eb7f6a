"""The fast plan against the plain reading of its promise: every cell of every margin, computed by walking over the rows."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.plan import plan
from egress_gate.disclosure.tabulation import tabulate
from egress_gate.verifier.execute import run
from egress_gate.verifier.port import Limits, TableFile, job

COLUMNS = {"id": "BIGINT", "name": "VARCHAR", "a": "VARCHAR", "b": "BIGINT", "x": "DOUBLE", "i": "BIGINT"}
GROUPS = ("a, b", "CUBE (a, b)", "ROLLUP (a, b)", "GROUPING SETS ((a, b), ())", "GROUPING SETS ((a), (b))")
FILTERS = {"": lambda r: True, "x > 0": lambda r: r["x"] is not None and r["x"] > 0}
Row = dict[str, Any]

rows = st.lists(
    st.fixed_dictionaries({
        "id": st.one_of(st.none(), st.integers(1, 12)),
        "a": st.sampled_from(["p", "q", None]),
        "b": st.sampled_from([1, 2, 3]),
        "x": st.one_of(st.none(), st.sampled_from([0.0, -3.5, 2.0, 100.0, 7.25])),
        "i": st.one_of(st.none(), st.integers(-3, 50)),
    }),
    max_size=40,
)  # fmt: skip


def measure(folder: Path, data: list[Row], sql: str, unit: str | None) -> tuple[Derivation, list[Any], list[Any]]:
    place = folder / "t.parquet"
    frame = pd.DataFrame([{**r, "name": None if r["id"] is None else f"n{r['id']}"} for r in data], columns=[*COLUMNS])
    with duckdb.connect() as con:
        con.register("frame", frame.astype(object).where(frame.notna(), None))
        cast = ", ".join(f"CAST({c} AS {t}) AS {c}" for c, t in COLUMNS.items())
        con.execute(f"COPY (SELECT {cast} FROM frame) TO '{place}' (FORMAT parquet)")
    derivation = parse(sql, {"d.t": TableSchema("d", "t", COLUMNS, unit)})
    table = TableFile("d", "t", place, unit)
    made = run(json.loads(job(plan(derivation), [table], Limits(threads=1), [str(place)])))
    return derivation, made["values"], made["statistics"]


def naive(data: list[Row], group: frozenset[str], condition: str, unit: str | None) -> dict[tuple[Any, ...], Row]:
    """By key of one grouping set: n, sum and mean of x and i, and the promised figures, from first principles."""
    keep = FILTERS[condition]
    cells: dict[tuple[Any, ...], list[tuple[int, Row]]] = {}
    for number, row in enumerate(data):
        key = tuple(row[k] if k in group else "*" for k in ("a", "b"))
        cells.setdefault(key, []).append((number, row))
    if not group:
        cells.setdefault(("*", "*"), [])
    return {key: _cell(members, keep, unit) for key, members in cells.items()}


def _cell(members: list[tuple[int, Row]], keep: Any, unit: str | None) -> Row:
    def person(number: int, row: Row) -> Any:
        return ("row", number) if unit is None else row["id"]

    made: Row = {"rows": len(members), "people": len({person(n, r) for n, r in members} - {None})}
    taken = {
        "n": [(n, r, 1 if keep(r) else None) for n, r in members],
        "s": [(n, r, r["x"] if keep(r) else None) for n, r in members],
        "m": [(n, r, r["i"]) for n, r in members],
    }
    for name, found in taken.items():
        values = [v for _, _, v in found if v is not None]
        made[name] = len(values) if name == "n" else _sum(values) if name == "s" else _mean(values)
        by: dict[Any, list[float]] = {}
        for n, r, v in found:
            by.setdefault(person(n, r), []).extend([] if v is None else [v])
        sums = {p: sum(v) for p, v in by.items() if v}
        tops = sorted((abs(v) for v in sums.values()), reverse=True)
        outside = {
            person(n, r) for n, r, v in found if (not v if name == "s" and keep is not FILTERS[""] else v is None)
        }
        made[f"{name}?"] = (
            len(set(sums) - {None}),
            len(values),
            sum(tops),
            [0.0, 0.0] if name == "n" else [*tops, 0.0, 0.0][:2],  # of a count that stands alone nobody asks it
            len({p for p, v in sums.items() if v} - {None}),
            len(outside - {None}),
        )
    return made


def _sum(values: list[float]) -> float | None:
    return sum(values) if values else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


@pytest.mark.parametrize("unit", [None, "id", "name"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=rows,
    how=st.sampled_from(GROUPS),
    condition=st.sampled_from(sorted(FILTERS)),
    alone=st.booleans(),
    signed=st.booleans(),
)
def test_the_plan_measures_what_walking_over_the_rows_finds(
    tmp_path: Path, unit: str | None, data: list[Row], how: str, condition: str, alone: bool, signed: bool
) -> None:
    if not signed:  # nobody has contributions of two signs: people are told apart by bitmaps
        data = [{**row, **{k: None if row[k] is None else abs(row[k]) for k in ("x", "i")}} for row in data]
    if alone:  # every person has one row: the way without adding people up
        data = [{**row, "id": number} for number, row in enumerate(data, 1)]
    chosen = f" FILTER (WHERE {condition})" if condition else ""
    sql = f"SELECT a, b, count(*){chosen} AS n, sum(x){chosen} AS s, avg(i) AS m FROM t GROUP BY {how}"
    derivation, values, statistics = measure(tmp_path, data, sql, unit)
    table = tabulate(derivation, values, statistics)
    wanted: dict[tuple[Any, ...], Row] = {}
    for group in derivation.grouping_sets:
        wanted |= naive(data, group, condition, unit)
    found = {tuple("*" if k in c.totals else c.key[k] for k in ("a", "b")): c for c in table.cells}
    if data:
        assert found.keys() == wanted.keys()
    for key, cell in found.items():
        expected = wanted[key]
        assert (cell.rows, cell.contributors) == (expected["rows"], expected["people"])
        for name in ("n", "s", "m"):
            assert _close(cell.values[name], expected[name])
            stats = cell.stats[name]
            assert (stats.units, stats.rows, stats.nonzero, stats.left_out) == tuple(
                expected[f"{name}?"][i] for i in (0, 1, 4, 5)
            )
            assert _close(stats.total, expected[f"{name}?"][2])
            assert all(_close(a, b) for a, b in zip((stats.top1, stats.top2), expected[f"{name}?"][3], strict=True))


def _close(mine: float | None, theirs: float | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("repeats", list(itertools.product([1, 3], [1, 2])))
def test_rows_that_a_join_repeats_are_still_one_person_each(tmp_path: Path, repeats: tuple[int, int]) -> None:
    """Tables without a unit: their rows are the people, and a join on a key repeats them."""
    left, right = repeats
    files, schemas = [], {}
    for name, number in (("f", left), ("g", right)):
        place = tmp_path / f"{name}.parquet"
        with duckdb.connect() as con:
            con.execute(f"COPY (SELECT 's' AS size, 2.0 AS x FROM range({number})) TO '{place}' (FORMAT parquet)")
        files.append(TableFile("d", name, place, None))
        schemas[f"d.{name}"] = TableSchema("d", name, {"size": "VARCHAR", "x": "DOUBLE"}, None)
    derivation = parse(
        "SELECT f.size, count(*) AS n, sum(f.x) AS s FROM f JOIN g ON f.size = g.size GROUP BY f.size", schemas
    )
    work = json.loads(job(plan(derivation), files, Limits(threads=1), [str(f.path) for f in files]))
    made = run(work)
    (cell,) = tabulate(derivation, made["values"], made["statistics"]).cells
    assert (cell.rows, cell.values["n"], cell.contributors) == (left * right, left * right, min(left, right))
