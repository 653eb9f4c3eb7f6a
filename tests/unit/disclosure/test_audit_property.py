"""What the joint audit promises, checked by listing every table of counts that fits all releases."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_gate.disclosure.audit import COUNT, Atoms, AuditRules, Layer, PublishedTable, Verdict, audit

THRESHOLD = 3
LARGEST = 5
CODES = np.array(list(itertools.product(range(2), repeat=3)))  # three attributes of two values: eight atoms
ALL_TABLES = np.array(list(itertools.product(range(LARGEST + 1), repeat=8)), dtype=np.int8)


@dataclass(frozen=True)
class Made:
    by: tuple[int, ...]
    only: tuple[int, int] | None
    hide_small: bool


releases = st.builds(
    Made,
    st.lists(st.integers(0, 2), max_size=2, unique=True).map(tuple),
    st.none() | st.tuples(st.integers(0, 2), st.integers(0, 1)),
    st.booleans(),
)
counts = st.lists(st.integers(0, 3), min_size=8, max_size=8)


def publish(made: Made, truth: np.ndarray) -> PublishedTable:
    cell_of = np.zeros(8, dtype=np.int32)
    for attribute in made.by:
        cell_of = cell_of * 2 + CODES[:, attribute]
    if made.only is not None:
        cell_of = np.where(CODES[:, made.only[0]] == made.only[1], cell_of, -1)
    size = 2 ** len(made.by)
    value = np.bincount(cell_of[cell_of >= 0], weights=truth[cell_of >= 0], minlength=size)
    hidden = (value > 0) & (value < THRESHOLD) & made.hide_small
    low, high = np.where(hidden, -np.inf, value), np.where(hidden, np.inf, value)
    return PublishedTable("t", {COUNT: [Layer(cell_of.astype(np.int32), low, high)]})


def fitting(tables: list[PublishedTable]) -> np.ndarray:
    keep = np.ones(len(ALL_TABLES), dtype=bool)
    for table in tables:
        for layer in table.layers[COUNT]:
            for cell in range(layer.size):
                total = ALL_TABLES[:, layer.cell_of == cell].sum(axis=1)
                keep &= (total >= layer.low[cell]) & (total <= layer.high[cell])
    return ALL_TABLES[keep]


@settings(max_examples=40, deadline=None)
@given(counts, st.lists(releases, max_size=4), releases)
def test_proven_safe_means_no_small_set_is_known_to_be_small(
    figures: list[int], before: list[Made], after: Made
) -> None:
    truth = np.array(figures, dtype=float)
    earlier, new = [publish(m, truth) for m in before], publish(after, truth)
    answer = audit(new, earlier, Atoms(truth, truth.astype(np.int64)), AuditRules(THRESHOLD))
    together = fitting([*earlier, new])
    alone = fitting(earlier)
    if answer.verdict is not Verdict.PROVEN_SAFE:
        return
    for size in (1, 2, 3):
        for chosen in itertools.combinations(range(8), size):
            members = list(chosen)
            if not 0 < truth[members].sum() < THRESHOLD:
                continue
            known_before = alone[:, members].sum(axis=1).max() < THRESHOLD
            assert known_before or together[:, members].sum(axis=1).max() >= THRESHOLD


@settings(max_examples=40, deadline=None)
@given(counts, st.lists(releases, max_size=4), releases)
def test_a_finding_follows_from_the_releases_it_names(figures: list[int], before: list[Made], after: Made) -> None:
    truth = np.array(figures, dtype=float)
    earlier, new = [publish(m, truth) for m in before], publish(after, truth)
    answer = audit(new, earlier, Atoms(truth, truth.astype(np.int64)), AuditRules(THRESHOLD))
    for finding in answer.findings:
        used = [earlier[i] for i in finding.collides_with] + ([] if finding.already else [new])
        totals = fitting(used)[:, finding.atoms].sum(axis=1)
        assert totals.max() <= finding.interval[1] + 1e-6
        assert totals.min() >= finding.interval[0] - 1e-6
        assert finding.interval[1] < THRESHOLD
        if finding.kind == "exact":
            assert totals.min() == totals.max()


@settings(max_examples=20, deadline=None)
@given(counts, st.lists(releases, max_size=3), releases)
def test_same_releases_get_same_answer(figures: list[int], before: list[Made], after: Made) -> None:
    truth = np.array(figures, dtype=float)
    earlier, new = [publish(m, truth) for m in before], publish(after, truth)
    atoms = Atoms(truth, truth.astype(np.int64))
    one, two = (audit(new, earlier, atoms, AuditRules(THRESHOLD)) for _ in range(2))
    assert one.verdict == two.verdict
    assert [(f.target, f.interval, f.collides_with) for f in one.findings] == [
        (f.target, f.interval, f.collides_with) for f in two.findings
    ]


def test_nothing_is_safe_when_there_is_no_time() -> None:
    truth = np.array([1, 5, 4, 3, 5, 4, 2, 6], dtype=float)
    tables = [publish(Made((0, 1), None, hide_small=True), truth), publish(Made((1, 2), None, hide_small=True), truth)]
    answer = audit(tables[1], tables[:1], Atoms(truth, truth.astype(np.int64)), AuditRules(THRESHOLD), left=lambda: 0.0)
    assert answer.verdict is Verdict.NOT_PROVEN
    assert answer.open_targets > 0
