"""Published instances through the stand-alone engine, audited by programmes that share no code with it."""

from __future__ import annotations

import csv
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_gate.disclosure import (
    Effort,
    Hierarchy,
    TableCell,
    read_correspondence,
    read_hrc,
    read_jj,
    suppress,
    write_jj,
)
from egress_gate.disclosure.linear import TableInconsistent
from egress_gate.disclosure.suppression import InstanceUnreadable, audit
from installation.settings import CHECKOUT
from tests.unit.disclosure.lp_auditor import interval, unprotected

SDC = CHECKOUT.parent / "shared" / "data" / "sdc"
Key = tuple[Hashable, ...]

# Fischetti and Salazar-Gonzalez (2001), figure 1: investment of enterprises by activity and region.
INVESTMENT = {
    "I": (20.0, 50.0, 10.0),
    "II": (8.0, 19.0, 22.0),
    "III": (17.0, 32.0, 12.0),
}
FLAT = [Hierarchy.flat("Total", INVESTMENT), Hierarchy.flat("Total", "ABC")]


def investment(**sensitive: float) -> list[TableCell]:
    """The table with its margins; (II, C) is sensitive and needs what `sensitive` says. Hiding costs the value."""
    grid = np.array(list(INVESTMENT.values()))
    cells = []
    for i, row in enumerate([*INVESTMENT, "Total"]):
        for j, column in enumerate([*"ABC", "Total"]):
            value = float(grid[slice(None) if row == "Total" else i, slice(None) if column == "Total" else j].sum())
            wanted = {"primary": True, **sensitive} if (row, column) == ("II", "C") else {}
            cells.append(TableCell((row, column), value, cost=value, **wanted))
    return cells


def relations_of(cells: Sequence[TableCell], hierarchies: Sequence[Hierarchy]) -> list[dict[Key, float]]:
    """Written out here, not taken from the engine: each cell of a parent code against the cells of its children."""
    there = {c.key for c in cells}
    found = []
    for key in there:
        for d, code in enumerate(key):
            parts = [(*key[:d], part, *key[d + 1 :]) for part in hierarchies[d].children.get(code, ())]
            if parts:
                found.append({key: -1.0} | {p: 1.0 for p in parts if p in there})
    return found


def test_the_investment_table_gets_the_published_pattern_and_interval() -> None:
    cells = investment(lower=5.0, upper=5.0)
    answer = suppress(cells, hierarchies=FLAT)
    assert answer.safe
    assert answer.optimal
    assert answer.suppressed == {("II", "A"), ("II", "C"), ("III", "A"), ("III", "C")}
    assert answer["II", "C"].interval == pytest.approx((5.0, 30.0))
    assert answer.cost == 22 + 8 + 17 + 12
    assert unprotected(cells, relations_of(cells, FLAT), answer.suppressed) == []


def test_a_pattern_that_subtraction_undoes_is_called_unsafe() -> None:
    cells = investment(lower=1.0, upper=1.0)
    judged = audit(cells, [("II", "C"), ("II", "A")], hierarchies=FLAT)
    assert judged.unprotected == (("II", "C"),)
    assert judged["II", "C"].interval == pytest.approx((22.0, 22.0))


def test_sliding_protection_asks_for_a_width_wherever_it_lies() -> None:
    """25 wide is what the published pattern gives; 26 needs a dearer one."""
    just = suppress(investment(sliding=25.0), hierarchies=FLAT)
    wider = suppress(investment(sliding=26.0), hierarchies=FLAT)
    assert (just.optimal, wider.optimal) == (True, True)
    assert just.cost == 59
    low, high = wider["II", "C"].interval
    assert high - low >= 26 - 1e-6
    assert wider.cost > just.cost
    cells = investment(sliding=26.0)
    assert unprotected(cells, relations_of(cells, FLAT), wider.suppressed) == []
    assert unprotected(cells, relations_of(cells, FLAT), just.suppressed) == [("II", "C")]


def test_what_no_pattern_can_give_is_said_and_not_called_safe() -> None:
    """Below 22 the public knows of no more than 22: an interval that reaches -1 does not exist."""
    answer = suppress(investment(lower=23.0), hierarchies=FLAT)
    assert answer.unprotected == (("II", "C"),)
    assert not answer.safe


def test_a_fixed_cell_stays_published_and_the_pattern_goes_round_it() -> None:
    cells = [
        TableCell(c.key, c.value, c.primary, c.lower, c.upper, cost=c.cost, fixed=c.key == ("III", "A"))
        for c in investment(lower=5.0, upper=5.0)
    ]
    answer = suppress(cells, hierarchies=FLAT)
    assert ("III", "A") not in answer.suppressed
    assert answer.safe
    assert unprotected(cells, relations_of(cells, FLAT), answer.suppressed) == []


def test_a_margin_that_is_not_the_sum_of_its_parts_is_refused() -> None:
    cells = investment(lower=5.0)
    cells[0] = TableCell(("I", "A"), 21.0)
    with pytest.raises(TableInconsistent):
        suppress(cells, hierarchies=FLAT)


@pytest.mark.parametrize(
    ("cells", "more"),
    [
        ([TableCell(("a",), 1.0), TableCell(("a",), 1.0)], {"relations": []}),
        ([TableCell(("a",), 1.0)], {"relations": [{("b",): 1.0}]}),
        ([TableCell(("a",), 1.0)], {}),
        ([TableCell(("a",), 1.0)], {"hierarchies": [Hierarchy({}), Hierarchy({})]}),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(cells: list[TableCell], more: Mapping[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        suppress(cells, **more)  # type: ignore[arg-type]


def test_jj_form_says_the_same_table() -> None:
    cells = investment(lower=5.0, upper=5.0, sliding=12.0)
    relations = relations_of(cells, FLAT)
    read, tied = read_jj(write_jj(cells, relations))
    assert [(c.value, c.primary, c.sliding, c.cost) for c in read] == [
        (c.value, c.primary, c.sliding, c.cost) for c in cells
    ]
    number = {c.key: i for i, c in enumerate(cells)}
    hidden = {number[k] for k in suppress(cells, relations=relations).suppressed}
    assert {key[0] for key in suppress(read, relations=tied).suppressed} == hidden


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0\n2\n0 1 1 s 0 9 0 0 0\n",
        "0\n1\n0 1 1 q 0 9 0 0 0\n0\n",
        "0\n1\n0 1 1 s 0 9 0 0 0\n1\n5 1 : 0 (1)\n",
        "0\n1\n0 1 1 s 0 9 0 0 0\n2\n0 1 : 0 (1)\n",
    ],
)
def test_a_broken_jj_file_is_refused(text: str) -> None:
    with pytest.raises(InstanceUnreadable):
        read_jj(text)


def test_the_published_hrc_file_is_read() -> None:
    tree = read_hrc((SDC / "tauargus_region2.hrc.txt").read_text("utf-8"), "Total")
    assert tree.children["Total"] == ("Nr", "Os", "Ws", "Zd")
    assert tree.children["Ws"] == ("8", "9", "10")
    assert sum(len(parts) for parts in tree.children.values()) == 4 + 12


def test_a_code_without_a_parent_is_refused() -> None:
    with pytest.raises(InstanceUnreadable):
        read_hrc("North\n@@1\n", "Total")


# ---- rtauargus: turnover by activity or region and by size or legal form, hierarchies of three levels ----------------
CORRESPONDENCE = {"ACTIVITY": "rtauargus_activity_corr_table.csv", "NUTS": "rtauargus_nuts23_fr_corr_table.csv"}
# file: rare (1 or 2 units), dominated (largest over 85 %), as its authors publish them
PRIMARIES = {"act_size": (52, 25), "act_cj": (35, 25), "nuts_size": (55, 17), "nuts_cj": (45, 20)}


def turnover(name: str) -> tuple[list[TableCell], list[Hierarchy], tuple[int, int]]:
    """The table with protection of 10 % of the value; hiding costs the value."""
    with (SDC / f"rtauargus_turnover_{name}.csv").open(encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    first, second = list(rows[0])[:2]
    with (SDC / CORRESPONDENCE[first]).open(encoding="utf-8") as source:
        codes = [list(r.values()) for r in csv.DictReader(source)]
    tree = read_correspondence(codes, "Total", {r[first] for r in rows} - {"Total"})
    flat = Hierarchy.flat("Total", sorted({r[second] for r in rows} - {"Total"}))
    cells, rare, dominated = [], 0, 0
    for r in rows:
        n, total, largest = float(r["N_OBS"]), float(r["TOT"]), float(r["MAX"])
        few = 0 < n < 3
        one = not few and total > 0 and largest > 0.85 * total
        rare, dominated = rare + few, dominated + one
        need = 0.1 * total if few or one else 0.0
        cells.append(TableCell((r[first], r[second]), total, few or one, need, need, cost=total))
    return cells, [tree, flat], (rare, dominated)


@pytest.mark.parametrize("name", PRIMARIES)
def test_published_hierarchical_tables_are_protected(name: str) -> None:
    cells, trees, found = turnover(name)
    assert found == PRIMARIES[name]
    answer = suppress(cells, hierarchies=trees, effort=Effort(search=False, exact_intervals=False))
    assert answer.safe
    assert unprotected(cells, relations_of(cells, trees), answer.suppressed) == []


def test_the_optimum_hides_as_many_cells_as_tau_argus_with_its_commercial_solver() -> None:
    cells, trees, _ = turnover("act_size")
    answer = suppress(cells, hierarchies=trees, effort=Effort(exact_intervals=False))
    assert answer.optimal
    assert sum(c.suppressed == "secondary" for c in answer.cells) == 64
    heuristic = suppress(cells, hierarchies=trees, effort=Effort(search=False, exact_intervals=False))
    assert heuristic.cost >= answer.cost
    assert unprotected(cells, relations_of(cells, trees), answer.suppressed) == []


grids = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=4), min_size=3, max_size=3).filter(
    lambda rows: len({len(r) for r in rows}) == 1
)


@settings(max_examples=40, deadline=None)
@given(grids, st.integers(1, 8), st.integers(0, 12))
def test_random_tables_keep_what_they_promise(grid: list[list[int]], level: int, sliding: int) -> None:
    """Small cells with upper and sliding protection: the answer's own intervals are those of the auditor."""
    values = np.array(grid)
    trees = [Hierarchy.flat("T", range(values.shape[0])), Hierarchy.flat("T", range(values.shape[1]))]
    cells = []
    for row in [*range(values.shape[0]), "T"]:
        for column in [*range(values.shape[1]), "T"]:
            part = values[slice(None) if row == "T" else row, slice(None) if column == "T" else column]
            value = float(np.sum(part))
            small = 0 < value < 6 and "T" not in (row, column)
            need = {"primary": True, "upper": float(level), "sliding": float(sliding)} if small else {}
            cells.append(TableCell((row, column), value, **need))
    answer = suppress(cells, hierarchies=trees)
    relations = relations_of(cells, trees)
    assert sorted(map(str, answer.unprotected)) == sorted(map(str, unprotected(cells, relations, answer.suppressed)))
    for one in answer.cells:
        if one.suppressed and one.exact:
            low, high = interval(cells, relations, answer.suppressed, one.key)
            assert one.interval[0] == pytest.approx(low, abs=1e-5)
            assert one.interval[1] == high or one.interval[1] == pytest.approx(high, abs=1e-5)
