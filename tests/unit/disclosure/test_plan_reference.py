"""The plan on random tables of a few thousand rows, against one plain query for each grouping: every figure of every cell is the same."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import duckdb
import pytest

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.plan import plan
from egress_gate.verifier import execute
from egress_gate.verifier.port import Limits, TableFile, job

COLUMNS = {
    "id": "BIGINT",
    "name": "VARCHAR",
    "a": "VARCHAR",
    "b": "BIGINT",
    "c": "VARCHAR",
    "x": "DOUBLE",
    "y": "DOUBLE",
}
# How many rows a person has, and the measure x; y is counted, with values missing and zero.
SHAPES = {
    "long tail": (8, "exp(3 * random())"),
    "short tail": (8, "1 + random()"),
    "one row each": (1, "exp(3 * random())"),
    "zeros and missing": (
        6,
        "CASE WHEN random() < 0.4 THEN 0 WHEN random() < 0.2 THEN NULL ELSE exp(3 * random()) END",
    ),
    "all negative": (6, "-exp(3 * random())"),
    "one sign for each person": (6, "CASE WHEN id % 2 = 0 THEN 1 ELSE -1 END * exp(3 * random())"),
    "two signs": (6, "exp(3 * random()) - 5"),
    "no numbers": (6, "CASE WHEN random() < 0.01 THEN 'nan' WHEN random() < 0.01 THEN 'inf' ELSE 1 + random() END"),
    "whole numbers with ties": (12, "floor(3 * random())"),
}
QUESTIONS = (
    "SELECT a, b, c, count(*) AS n, sum(x) AS s FROM t GROUP BY CUBE (a, b, c)",
    "SELECT a, b, avg(x) AS m, count(y) AS n, count(DISTINCT {unit}) AS p FROM t GROUP BY ROLLUP (a, b)",
    "SELECT a, c, sum(x) FILTER (WHERE b > 2) AS s, sum(y) AS v FROM t GROUP BY GROUPING SETS ((a), (c))",
    "SELECT median(x) AS s, count(*) FILTER (WHERE c = 'c1') AS n FROM t WHERE b < 6",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, made = tmp_path_factory.mktemp("shapes"), {}
    with duckdb.connect() as con:
        con.execute("SET threads=1")
        con.execute("SELECT setseed(0.25)")
        for number, (shape, (rows, measure)) in enumerate(SHAPES.items()):
            person = (
                "i"
                if rows == 1
                else f"CASE WHEN random() < 0.02 THEN NULL ELSE CAST(floor({3000 // rows} * random()) AS BIGINT) END"
            )
            made[shape] = folder / f"{number}.parquet"
            con.execute(
                f"COPY (SELECT id, 'p' || id AS name, * EXCLUDE (id), CAST({measure} AS DOUBLE) AS x, "
                "CASE WHEN random() < 0.3 THEN NULL ELSE floor(4 * random()) END AS y FROM ("
                f"SELECT {person} AS id, CASE WHEN random() < 0.1 THEN NULL ELSE 'a' || CAST(floor(5 * random()) AS INT) END AS a, "
                "CAST(floor(7 * pow(random(), 3)) AS BIGINT) AS b, 'c' || CAST(floor(4 * random()) AS INT) AS c "
                f"FROM range(3000) r(i))) TO '{made[shape]}'"
            )
    return made


def measured(place: Path, sql: str, unit: str, ways: set[str]) -> tuple[Derivation, list[list[Any]]]:
    derivation = parse(sql, {"d.t": TableSchema("d", "t", COLUMNS, unit)})
    work = json.loads(job(plan(derivation), [TableFile("d", "t", place, unit)], Limits(threads=2), [str(place)]))
    with duckdb.connect() as con:
        execute.prepare(con, work["tables"], work["limits"])
        for step in work["steps"]:
            execute.take(con, step)
        ways |= {row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        return derivation, execute.fetch(con, work["statistics"][0], 10_000)


def reference(place: Path, derivation: Derivation, unit: str) -> list[list[Any]]:
    """People first, then cells: once for each grouping set, as the promise reads."""
    keys, found = [k.name for k in derivation.keys], []
    measures = {"n": "1", "s": "x", "m": "x", "v": "y", "p": unit}
    if "count(y)" in derivation.canonical_sql().lower().replace('"', ""):
        measures["n"] = "y"
    with duckdb.connect() as con:
        for chosen in derivation.grouping_sets:
            shown, who, cell = [], [], ["sum(r)", "count(u)"]
            for one in derivation.aggregates:
                kept = one.where.sql(dialect="duckdb") if one.where is not None else "true"
                number = f"CASE WHEN {kept} THEN {measures[one.name]} END"
                gone = f"coalesce({number}, 0) = 0" if one.chooses and one.func != "count" else f"{number} IS NULL"
                amount = f"count({number})" if one.func == "count" else f"sum({number})"
                who += [
                    f"{amount} AS s_{one.name}",
                    f"count({number}) AS c_{one.name}",
                    f"count(*) FILTER (WHERE {gone}) AS o_{one.name}",
                ]
                of_rows = one.func == "count" and (one.of_unit or not any(a.of_unit for a in derivation.aggregates))
                c, s, o = (f"{letter}_{one.name}" for letter in "cso")
                cell += [
                    f"count(*) FILTER (WHERE {c} > 0 AND u IS NOT NULL)",
                    f"sum({c})",
                    f"sum(abs({s}))",
                    "NULL" if of_rows else f"max(abs({s}), 2)",
                    f"count(*) FILTER (WHERE {s} <> 0 AND u IS NOT NULL)",
                    f"count(*) FILTER (WHERE {o} > 0 AND u IS NOT NULL)",
                ]
            shown = [k if k in chosen else f"NULL AS {k}" for k in keys] + [
                f"{int(k not in chosen)} AS g_{k}" for k in keys
            ]
            by = "".join(f"{k}, " for k in keys if k in chosen)
            where = f" WHERE {derivation.where.sql(dialect='duckdb')}" if derivation.where is not None else ""
            people = (
                f"SELECT {by}{unit} AS u, count(*) AS r, {', '.join(who)} FROM '{place}' t{where} GROUP BY {by}{unit}"
            )
            group = f" GROUP BY {by.removesuffix(', ')}" if by else ""
            rows = con.execute(f"SELECT {', '.join([*shown, *cell])} FROM ({people}){group}").fetchall()
            found += [[execute.plain(value) for value in row] for row in rows]
    return found


def same(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, list) and isinstance(theirs, list):
        # Nothing is as good as the zeros that people without a value add up to.
        width = max(len(mine), len(theirs))
        return all(
            same(a, b)
            for a, b in zip(
                [*mine, *[0.0] * (width - len(mine))], [*theirs, *[0.0] * (width - len(theirs))], strict=True
            )
        )
    if isinstance(mine, list) or isinstance(theirs, list):
        return not any(mine or theirs or [])
    if mine is None or theirs is None or isinstance(mine, str):
        return bool(mine == theirs)
    return math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("unit", ["id", "name"])
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_figure_is_that_of_one_plain_query_for_each_grouping(
    files: dict[str, Path], shape: str, unit: str
) -> None:
    for question in QUESTIONS:
        ways: set[str] = set()
        derivation, mine = measured(files[shape], question.format(unit=unit), unit, ways)
        theirs = reference(files[shape], derivation, unit)
        width = 2 * len(derivation.keys)
        expected = {tuple(row[:width]): row for row in theirs}
        assert len(mine) == len(expected)
        assert {tuple(row[:width]) for row in mine} == expected.keys()
        for row in mine:
            wanted = expected[tuple(row[:width])]
            assert len(row) == len(wanted)
            assert all(same(a, b) for a, b in zip(row, wanted, strict=True)), (question, row, wanted)
        assert ("crowd0" in ways) == (shape not in ("two signs", "one row each")), (question, ways)


def test_bitmaps_without_room_are_not_made(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ways: set[str] = set()
    question = QUESTIONS[0]
    derivation, roomy = measured(files["long tail"], question, "id", ways)
    monkeypatch.setattr("egress_gate.disclosure.crowds.MOST_BITS", 1000)
    monkeypatch.setattr("egress_gate.disclosure.crowds.MOST_SUMS", 0)
    cramped: set[str] = set()
    _, slow = measured(files["long tail"], question, "id", cramped)
    assert "crowd0" in ways
    assert "crowd0" not in cramped
    width = 2 * len(derivation.keys)
    wanted = {tuple(row[:width]): row for row in slow}
    assert all(same(a, b) for row in roomy for a, b in zip(row, wanted[tuple(row[:width])], strict=True))


def test_many_who_may_be_the_largest_are_added_up_margin_by_margin(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egress_gate.disclosure.crowds.MOST_SUMS", 0)
    test_every_figure_is_that_of_one_plain_query_for_each_grouping(files, "short tail", "id")


def test_a_long_query_draws_nothing_into_the_answer() -> None:
    with duckdb.connect() as con:
        execute.prepare(con, [], {"memory": 1 << 28})
        assert con.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (False,)
