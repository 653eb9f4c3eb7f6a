"""Tables of one request, attacked together: no hidden small cell may be bounded closer than its rule requires."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_gate.disclosure import TableCell
from egress_gate.disclosure.linear import forever
from egress_gate.disclosure.linking import Drawing, DrawnCell, Together, protect_together
from egress_gate.disclosure.suppression import count_level
from tests.unit.disclosure.lp_auditor import Key, interval

THRESHOLD = 5
POINTS = list(itertools.product(range(3), range(2), range(2)))  # region, sex, age; region 2 is another country
COLUMNS = {"region": lambda p: p[0], "sex": lambda p: p[1], "age": lambda p: p[2], "country": lambda p: p[0] // 2}
SETS = [s for n in range(3) for s in itertools.combinations(COLUMNS, n)]


def table(counts: Sequence[int], grouping_sets: Sequence[tuple[str, ...]]) -> list[DrawnCell]:
    """A GROUPING SETS table over the points; groups of no people are not listed, as in SQL."""
    cells = []
    for chosen in grouping_sets:
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, point in enumerate(POINTS):
            groups.setdefault(tuple(COLUMNS[name](point) for name in chosen), []).append(number)
        for members in groups.values():
            n = sum(counts[i] for i in members)
            if n:
                small = 0 < n < THRESHOLD
                level = count_level(n, THRESHOLD)
                cells.append(DrawnCell(np.array(members), {"people": float(n)}, {"people": level}, small, n**0.5 + 1))
    return cells


def published_and_hidden(
    drawing: Drawing, answer: Together
) -> tuple[list[TableCell], list[dict[Key, float]], set[Key]]:
    """What the reader of the request holds, for the auditor: every cell under its own name, and every atom, hidden."""
    cells = [TableCell(("atom", i), float(n)) for i, n in enumerate(drawing.atoms["people"])]
    hidden: set[Key] = {c.key for c in cells}
    relations: list[dict[Key, float]] = []
    for t, one in enumerate(drawing.tables):
        for i, cell in enumerate(one):
            key: Key = (t, i)
            level = cell.levels["people"]
            cells.append(TableCell(key, cell.values["people"], cell.primary, level.lower, level.upper))
            relations.append({key: -1.0} | {("atom", int(a)): 1.0 for a in cell.atoms})
            if i in answer.hidden[t]:
                hidden.add(key)
    return cells, relations, hidden


def too_close(drawing: Drawing, answer: Together) -> list[Key]:
    cells, relations, hidden = published_and_hidden(drawing, answer)
    found = []
    for c in cells:
        if not c.primary:
            continue
        if c.key not in hidden:
            found.append(c.key)
            continue
        low, high = interval(cells, relations, hidden, c.key)
        if low > c.value - min(c.lower, c.value) + 1e-5 or high < c.value + c.upper - 1e-5:
            found.append(c.key)
    return found


def protected(counts: Sequence[int], *tables: Sequence[tuple[str, ...]]) -> tuple[Drawing, Together]:
    drawing = Drawing([table(counts, sets) for sets in tables], {"people": np.array(counts, dtype=float)})
    return drawing, protect_together(drawing, forever)


counts = st.lists(st.integers(0, 14), min_size=len(POINTS), max_size=len(POINTS))
requests = st.lists(st.lists(st.sampled_from(SETS), min_size=1, max_size=4, unique=True), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(counts, requests)
def test_no_small_cell_of_a_request_is_bounded_closer_than_its_rule(
    counts: list[int], tables: list[list[tuple[str, ...]]]
) -> None:
    drawing, answer = protected(counts, *tables)
    if answer.safe:
        assert too_close(drawing, answer) == []
    else:
        assert any(c.primary for one in drawing.tables for c in one)


@settings(max_examples=20, deadline=None)
@given(counts, requests)
def test_the_same_request_gets_the_same_pattern(counts: list[int], tables: list[list[tuple[str, ...]]]) -> None:
    assert protected(counts, *tables)[1] == protected(counts, *tables)[1]


BIG = [20] * len(POINTS)


def test_a_margin_in_another_table_is_part_of_the_problem() -> None:
    """Region by sex has one small cell; the second table prints the region's total, from which it follows."""
    counts = list(BIG)
    counts[POINTS.index((0, 0, 0))], counts[POINTS.index((0, 0, 1))] = 1, 1
    drawing, alone = protected(counts, [("region", "sex")])
    assert [len(h) for h in alone.hidden] == [1]
    assert too_close(drawing, alone) == []
    drawing, answer = protected(counts, [("region", "sex")], [("region",), ("sex",)])
    assert answer.safe
    assert sum(len(h) for h in answer.hidden) > 1
    assert too_close(drawing, answer) == []
    careless = Together((alone.hidden[0], frozenset()), safe=True, optimal=True)
    assert too_close(drawing, careless)


def test_a_region_alone_in_its_country_is_hidden_in_both_tables() -> None:
    """No set of the request holds region and country together; that one region is one country is still seen."""
    counts = [3 if p == (2, 0, 0) else 0 if p[0] == 2 else 20 for p in POINTS]
    drawing, answer = protected(counts, [("region",)], [("country",)])
    assert answer.safe
    names = [(t, tuple(drawing.tables[t][i].atoms)) for t, one in enumerate(answer.hidden) for i in one]
    country = tuple(i for i, p in enumerate(POINTS) if p[0] == 2)
    assert {(0, country), (1, country)} <= set(names)
    assert too_close(drawing, answer) == []


def test_regions_that_add_up_to_a_published_country_are_protected() -> None:
    counts = [1 if p == (0, 0, 0) else 0 if p[0] == 0 else 20 for p in POINTS]
    drawing, answer = protected(counts, [("region",), ("country",)])
    assert answer.safe
    assert too_close(drawing, answer) == []
    assert sum(len(h) for h in answer.hidden) >= 2


def test_what_cannot_be_protected_is_said() -> None:
    """The whole is one person: with nothing else to hide it among, its hiding alone still leaves it open upwards."""
    counts = [1 if i == 0 else 0 for i in range(len(POINTS))]
    drawing, answer = protected(counts, [()])
    assert answer.hidden == (frozenset({0}),)
    assert answer.safe
    assert too_close(drawing, answer) == []


@pytest.mark.parametrize("figure", [7.0, 3.0])
def test_people_who_stand_in_several_groups_tie_nothing(figure: float) -> None:
    """A figure that its atoms do not add up to gives no relation, so nothing is concluded from it."""
    cell = DrawnCell(np.array([0, 1]), {"people": figure}, {"people": count_level(3, THRESHOLD)}, True, 1.0)
    answer = protect_together(Drawing([[cell]], {"people": np.array([2.0, 3.0])}), forever)
    assert answer.hidden == (frozenset({0}),)
