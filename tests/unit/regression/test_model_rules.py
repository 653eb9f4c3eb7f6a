"""The rules of a refitted model at their edges: on either side of each of the policy's numbers."""

from __future__ import annotations

from typing import Any

import pytest

from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.regression.judge import ModelParameters, leaving, model_findings
from egress_gate.disclosure.rules import Parameters

RULES = Parameters(min_contributors=10, dominance_n=2, dominance_k=0.9, p=0.1)
MODEL = ModelParameters(residual_df=10, leverage=0.5, shift=1.0, count_base=10, digits=4)
QUIET = {
    "effective": [40.0, 40.0],
    "top1": [0.1, 0.1],
    "top2": [0.2, 0.2],
    "leverage": 0.2,
    "shift": [0.1, 0.2],
    "outcome": 0.3,
}
FACTS: dict[str, Any] = {
    "units": 60,
    "residual_df": 57,
    "patterns": 50,
    "columns": 3,
    "fit": {"names": []},
    "influence": QUIET,
    "differing": [],
}


def broken(rules: Parameters = RULES, **changes: Any) -> set[tuple[str, str]]:
    told = {k: v for k, v in changes.items() if k in QUIET}
    facts = {**FACTS, **{k: v for k, v in changes.items() if k not in QUIET}, "influence": {**QUIET, **told}}
    return {(f.rule, f.severity) for f in model_findings(facts, rules, MODEL)}


def test_an_ordinary_model_breaks_nothing() -> None:
    assert broken() == set()


@pytest.mark.parametrize(("changes", "finding"), [
    ({"residual_df": 9}, ("degrees_of_freedom", "fail")),
    ({"units": 9}, ("min_contributors", "fail")),
    ({"patterns": 3}, ("saturated", "fail")),
    ({"patterns": 12}, ("saturated", "warn")),
    ({"effective": [40.0, 9.99]}, ("influence", "fail")),
    ({"top2": [0.1, 0.9]}, ("influence", "fail")),
    ({"leverage": 0.5}, ("influence", "fail")),
    ({"shift": [0.1, 1.001]}, ("influence", "fail")),
    ({"shift": [0.1, None]}, ("influence", "fail")),
    ({"outcome": 0.9}, ("dominance", "fail")),
    ({"differing": [0, 9]}, ("joint_narrow", "fail")),
])  # fmt: skip
def test_beyond_its_edge_each_rule_is_broken_alone(changes: dict[str, Any], finding: tuple[str, str]) -> None:
    assert broken(**changes) == {finding}


@pytest.mark.parametrize("changes", [
    {"residual_df": 10},
    {"units": 10},
    {"patterns": 13},
    {"effective": [40.0, 10.0]},
    {"top2": [0.1, 0.899]},
    {"top1": [0.95, 0.1]},  # the two largest count
    {"leverage": 0.499},
    {"shift": [0.1, 1.0]},
    {"outcome": 0.899},
    {"differing": [0, 10]},
])  # fmt: skip
def test_at_its_edge_no_rule_is_broken(changes: dict[str, Any]) -> None:
    assert broken(**changes) == set()


def test_where_one_contributor_counts_the_largest_alone_is_looked_at() -> None:
    one = Parameters(min_contributors=10, dominance_n=1, dominance_k=0.75, p=0.1)
    assert broken(one, top1=[0.75, 0.1]) == {("influence", "fail")}
    assert broken(one, top1=[0.749, 0.1], top2=[0.99, 0.1]) == set()


@pytest.mark.parametrize(("word", "rule"), [
    ("nobody", "min_contributors"), ("separation", "separation"), ("not converged", "separation"),
    ("exact", "degenerate"), ("collinear", "degenerate"), ("a word that nobody knows", "unfit"),
])  # fmt: skip
def test_what_could_not_be_refitted_is_a_failure_by_name(word: str, rule: str) -> None:
    assert {(f.rule, f.severity) for f in model_findings({"refused": word}, RULES, MODEL)} == {(rule, "fail")}


@pytest.mark.parametrize("change", [
    {"min_residual_df": 0}, {"max_leverage_percent": 0}, {"max_leverage_percent": 100}, {"max_shift_percent": 0}, {"count_base": 0},
    {"digits": 0}, {"digits": None},
])  # fmt: skip
def test_numbers_that_would_switch_a_rule_off_are_refused(change: dict[str, Any]) -> None:
    whole = {"min_residual_df": 10, "max_leverage_percent": 50, "max_shift_percent": 100, "count_base": 10, "digits": 4}
    assert ModelParameters.read({"regression": whole}) == MODEL
    with pytest.raises(JudgementFault):
        ModelParameters.read({"regression": {**whole, **change}})


def test_no_fit_leaves_nothing() -> None:
    assert leaving({"fit": None}, None, "ols", MODEL) is None  # type: ignore[arg-type]
