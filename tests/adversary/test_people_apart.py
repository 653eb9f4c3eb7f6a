"""Counts of people over tables in which a person has several rows: their differences are people too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.assessed import assessed, table


@pytest.fixture
def labs(tmp_path: Path) -> Any:
    """Judges over a table of laboratory values, by default of public data, for which the decision is automatic."""

    def judged(rows: Iterable[tuple[Any, ...]], sql: str, *earlier: str, **more: Any) -> dict[str, Any]:
        tables = table(tmp_path, "v", "id,day,kind,site", [",".join(str(v) for v in row) for row in rows])
        return assessed(tmp_path, tables, sql, earlier, **{"classification": "public", **more})

    return judged


def visits(alone: int) -> list[tuple[Any, ...]]:
    """200 people with a row of day 1 and one of day 5, but for `alone` of them, who were there on day 1 only. Everybody is three
    times in the table, so that differences of rows are large."""
    rows: list[tuple[Any, ...]] = []
    for n in range(1, 201):
        rows += [(n, 1, "a", n % 2)] * 2
        rows.append((n, 1 if n <= alone else 5, "b", n % 2))
    return rows


PEOPLE = "SELECT count(DISTINCT id) AS n FROM v"


@pytest.mark.parametrize("alone", [1, 9])
def test_overlapping_filters_are_not_a_few_people_apart(labs: Any, alone: int) -> None:
    answer = labs(visits(alone), PEOPLE, f"{PEOPLE} WHERE day >= 5")
    assert answer["decision"] == "refuse", answer
    found = [f for f in answer["audit"] if f["kind"] == "exact"]
    assert found
    assert found[0]["collides_with"] == [0]


def test_the_other_way_round_is_the_same(labs: Any) -> None:
    answer = labs(visits(3), f"{PEOPLE} WHERE day >= 5", PEOPLE)
    assert answer["decision"] == "refuse"
    assert answer["audit"][0]["collides_with"] == [0]


def test_enough_people_between_them_wait_for_a_person_at_least(labs: Any) -> None:
    answer = labs(visits(60), PEOPLE, f"{PEOPLE} WHERE day >= 5")
    assert answer["decision"] == "review"
    assert answer["audit"] == []


def test_parts_that_overlap_in_few_people_are_refused(labs: Any) -> None:
    """By site, and in all: the sum of the parts is one more than the whole, which is who has been at both."""
    rows = [(n, 1, "a", n % 2) for n in range(1, 201)] * 2 + [(7, 1, "a", 0)]
    answer = labs(rows, "SELECT site, count(DISTINCT id) AS n FROM v GROUP BY site", PEOPLE)
    assert answer["decision"] == "refuse"
    rolled = labs(rows, "SELECT site, count(DISTINCT id) AS n FROM v GROUP BY ROLLUP (site)")
    assert rolled["decision"] == "refuse"


def test_whoever_is_in_no_part_is_found(labs: Any) -> None:
    """Two filters of one earlier table leave three people of the whole out."""
    rows = [(n, 9 if n <= 3 else n % 2, "a", 0) for n in range(1, 201) for _ in range(12)]
    parts = "SELECT day, count(DISTINCT id) AS n FROM v WHERE day < 5 GROUP BY day"
    answer = labs(rows, PEOPLE, parts)
    assert answer["decision"] == "refuse"
    assert answer["audit"][0]["collides_with"] == [0]


def test_rows_beside_people_do_not_tell_of_one_with_two_rows(labs: Any) -> None:
    rows = [(n, 1, "a", 0) for n in range(1, 201)] + [(7, 2, "b", 0)]
    answer = labs(rows, "SELECT count(*) AS n, count(DISTINCT id) AS people FROM v")
    assert answer["decision"] == "refuse"
    assert "min_contributors" in answer["cells"][0]["findings"]


def test_rows_beside_people_do_not_tell_of_the_one_with_many_rows(labs: Any) -> None:
    rows = [(n, 1, "a", 0) for n in range(1, 201)] + [(7, d, "b", 0) for d in range(2, 60)]
    answer = labs(rows, "SELECT count(*) AS n, count(DISTINCT id) AS people FROM v")
    assert answer["decision"] == "refuse"
    assert "dominance" in answer["cells"][0]["findings"]


@pytest.mark.parametrize("turned", [False, True])
def test_rows_and_people_of_two_releases_are_no_different(labs: Any, turned: bool) -> None:
    rows = [(n, 1, "a", 0) for n in range(1, 201)] + [(7, 2, "b", 0)]
    both = ["SELECT count(*) AS n FROM v", PEOPLE]
    new, earlier = both[::-1] if turned else both
    answer = labs(rows, new, earlier)
    assert answer["decision"] == "refuse"
    assert answer["audit"][0]["collides_with"] == [0]


def test_rows_of_one_person_are_no_group_of_ten(labs: Any) -> None:
    """Twelve kinds of test, all of one person, are twelve rows of one."""
    rows = [(n, n % 2, f"k{k}", 0) for n in range(1, 201) for k in range(12)]
    rows += [(999, 9, f"k{k}", 0) for k in range(12)]
    kinds = "SELECT kind, count(*) AS n FROM v WHERE day < 5 GROUP BY kind"
    answer = labs(rows, "SELECT count(*) AS n FROM v", kinds)
    assert answer["decision"] == "refuse"
    assert answer["audit"][0]["collides_with"] == [0]


def test_an_honest_table_of_visits_still_leaves(labs: Any) -> None:
    answer = labs(visits(60), "SELECT site, count(DISTINCT id) AS people, count(*) AS n FROM v GROUP BY site")
    assert answer["decision"] == "release"
