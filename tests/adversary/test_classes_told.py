"""That everybody of a group is in one category must not follow from what is published, whatever gives it: margins of one table, several
releases, keys, conditions inside aggregates or means. An attacker of our own, a linear programme over the whole grid, looks on."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.assessed import assessed, table

REGIONS, SEXES, AGES = "NSWE", "FM", "ab"
CELLS = list(itertools.product(REGIONS, SEXES, AGES, (0, 1)))
COLUMNS = {"region": 0, "sex": 1, "age": 2, "ill": 3}
Known = list[tuple[np.ndarray, float]]
FEW = 10


def held(key: Mapping[str, Any], where: Mapping[str, Any] | None = None) -> np.ndarray:
    """Which cells of the grid a key (None: the total) and a condition keep."""
    wanted = {n: v for n, v in {**key, **(where or {})}.items() if v is not None}
    return np.array([float(all(c[COLUMNS[n]] == v for n, v in wanted.items())) for c in CELLS])


def most(of: np.ndarray, known: Known) -> float:
    """How many people, at the most, a reader who knows `known` must believe to be in a part of the grid."""
    rows, values = np.array([r for r, _ in known]), np.array([v for _, v in known])
    made = linprog(-of, A_eq=rows, b_eq=values, bounds=(0, None), method="highs")
    assert made.status in (0, 3)
    return np.inf if made.status == 3 else -made.fun


def known_of(answer: Mapping[str, Any], where: Mapping[str, Any] | None = None) -> Known:
    """Published figures: n counts rows, m those who are ill, a their share."""
    found: Known = []
    for cell in answer["cells"]:
        if cell["suppressed"] is None:
            values = cell["values"]
            found.append((held(cell["key"], where), values["n"]))
            ill = values.get("m", values["a"] * values["n"] if "a" in values else None)
            if ill is not None:
                found.append((held({**cell["key"], "ill": 1}, where), ill))
    return found


def people(
    folder: Path, groups: Mapping[tuple[str, str], tuple[int, int]]
) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """`(ill, well)` of each region and age; sexes in turn."""
    rows = [
        (region, "FM"[n % 2], age, int(n < ill))
        for (region, age), (ill, well) in groups.items()
        for n in range(ill + well)
    ]
    return table(folder, "t", "id,region,sex,age,ill", [",".join(map(str, (n, *r))) for n, r in enumerate(rows)]), rows


TWO_FULL = {("N", "a"): (30, 0), ("S", "a"): (20, 20), ("W", "a"): (25, 0), ("E", "a"): (15, 25)}
ONE_EMPTY = {("N", "a"): (0, 30), ("S", "a"): (20, 20), ("W", "a"): (10, 25), ("E", "a"): (15, 25)}
TWO_EMPTY = {("N", "a"): (0, 30), ("S", "a"): (20, 20), ("W", "a"): (0, 25), ("E", "a"): (15, 25)}


@pytest.mark.parametrize("groups", [TWO_FULL, ONE_EMPTY, TWO_EMPTY], ids=["two full", "one empty", "two empty"])
@pytest.mark.parametrize("asked", [
    "region, ill, count(*) AS n FROM t GROUP BY CUBE (region, ill)",
    "region, count(*) AS n, count(*) FILTER (WHERE ill = 1) AS m FROM t GROUP BY ROLLUP (region)",
    "region, count(*) AS n, sum(ill) AS m FROM t GROUP BY ROLLUP (region)",
    "region, count(*) AS n, avg(ill) AS a FROM t GROUP BY ROLLUP (region)",
])  # fmt: skip
def test_margins_do_not_give_a_category_back(
    tmp_path: Path, asked: str, groups: Mapping[tuple[str, str], tuple[int, int]]
) -> None:
    tables, rows = people(tmp_path, groups)
    answer = assessed(tmp_path, tables, f"SELECT {asked}", protect=True)
    assert answer["decision"] == "review", answer["reasons"]
    assert any(c["suppressed"] is None for c in answer["cells"])
    known = known_of(answer)
    for region in REGIONS:
        for ill in (0, 1):
            if not any(r[0] == region and r[3] == ill for r in rows):
                assert most(held({"region": region, "ill": ill}), known) >= 1 - 1e-6, (region, ill)


def test_what_one_release_hides_another_does_not_tell(tmp_path: Path) -> None:
    """N is hidden, for all of it are well; the total beside the others would say so."""
    tables, _ = people(tmp_path, ONE_EMPTY)
    values = "count(*) AS n, count(*) FILTER (WHERE ill = 1) AS m"
    first = assessed(tmp_path, tables, f"SELECT region, {values} FROM t GROUP BY region", protect=True)
    hidden = [c["key"] for c in first["cells"] if c["suppressed"]]
    assert (first["decision"], hidden) == ("review", [{"region": "N"}])
    earlier = [{"sql": f"SELECT region, {values} FROM t GROUP BY region", "suppressed": hidden}]
    second = assessed(tmp_path, tables, f"SELECT {values} FROM t", earlier, protect=True)
    assert second["decision"] == "refuse"
    assert [(a["target"], a["interval"], a["collides_with"]) for a in second["audit"]] == [
        ("region = N", [0.0, 0.0], [0])
    ]
    harmless = assessed(
        tmp_path, tables, f"SELECT sex, {values} FROM t WHERE region <> 'N' GROUP BY sex", earlier, protect=True
    )
    assert harmless["decision"] == "review"


GROUPINGS = (
    ("CUBE (region, sex)", "region, sex"), ("ROLLUP (region, sex)", "region, sex"), ("CUBE (region, age)", "region, age"),
    ("ROLLUP (sex, age)", "sex, age"), ("region", "region"), ("GROUPING SETS ((region, sex), (age))", "region, sex, age"),
)  # fmt: skip
CONDITIONS: tuple[tuple[str, dict[str, str] | None], ...] = (
    ("", None),
    (" WHERE region = 'S'", {"region": "S"}),
    (" WHERE age = 'a'", {"age": "a"}),
)


@pytest.mark.parametrize("seed", range(12))
def test_three_releases_in_turn_tell_of_no_few_and_of_no_category(tmp_path: Path, seed: int) -> None:
    """Whatever is called safe: no part of the grid with few people is known exactly, nor that nobody of a hidden cell is ill or well."""
    chance = random.Random(seed)
    groups = {}
    for place in itertools.product(REGIONS, AGES):
        n = chance.choice([0, 2, 5, 12, 15, 30, 40])
        ill = chance.choice([0, 1, n // 2, max(n - 1, 0), n])
        groups[place] = (min(ill, n), n - min(ill, n))
    tables, rows = people(tmp_path, groups)
    earlier: list[dict[str, Any]] = []
    known: Known = []
    for _ in range(3):
        by, keys = chance.choice(GROUPINGS)
        said, where = chance.choice(CONDITIONS)
        more = chance.choice(["", ", count(*) FILTER (WHERE ill = 1) AS m"])
        sql = f"SELECT {keys}, count(*) AS n{more} FROM t{said} GROUP BY {by}"
        answer = assessed(tmp_path, tables, sql, earlier, protect=True)
        if answer["decision"] == "refuse" or answer["audit_verdict"] != "proven_safe":
            continue
        known += known_of(answer, where)
        hidden = [c["key"] for c in answer["cells"] if c["suppressed"]]
        earlier.append({"sql": sql, "suppressed": hidden})
        if known:
            _look(rows, known, [({**key, **(where or {})}, bool(more)) for key in hidden])


def _look(rows: Sequence[tuple[Any, ...]], known: Known, hidden: Sequence[tuple[dict[str, Any], bool]]) -> None:
    for keys in (("region", "sex"), ("region", "age"), ("sex", "age"), ("region", "sex", "age")):
        for values in itertools.product(*({"region": REGIONS, "sex": SEXES, "age": AGES}[k] for k in keys)):
            place = dict(zip(keys, values, strict=True))
            true = sum(all(r[COLUMNS[n]] == v for n, v in place.items()) for r in rows)
            if 0 < true < FEW:
                part = held(place)
                assert most(part, known) > true + 1e-6 or -most(-part, known) < true - 1e-6, place
    for key, conditioned in hidden:
        wanted = {n: v for n, v in key.items() if v is not None}
        mine = [r for r in rows if all(r[COLUMNS[n]] == v for n, v in wanted.items())]
        for ill in (0, 1) if conditioned and len(mine) >= FEW else ():
            if not any(r[3] == ill for r in mine):
                assert most(held({**wanted, "ill": ill}), known) >= 1 - 1e-6, (wanted, ill)
