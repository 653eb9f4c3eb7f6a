"""What is refused before anything is stored, and what is read from policy's answer."""

from __future__ import annotations

import pytest

from egress_gate.domain.decision import AnswerUnreadable, Outcome, verdict_from
from egress_gate.domain.finding import Finding, Severity, finding_from, worst
from egress_gate.domain.item import MAX_ITEMS, Item, ItemRefused, Kind, checked_items, checked_texts
from egress_gate.domain.review import Review, ReviewRefused, ReviewVerdict, checked_reason, checked_reviewer

GOOD = {
    "outcome": "review",
    "reasons": [{"code": "steward", "message": "A steward decides.", "remedy": ""}],
    "obligations": {"approvals": 1, "stewards_of": ["nafld"], "protect": False},
}


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "../../etc/passwd", "a..b", "a\\b", "a\x00", "a\n", " a", "a ", "-x" * 60, "=cmd()"]
)
def test_item_names_that_could_be_a_path_are_refused(name: str) -> None:
    with pytest.raises(ItemRefused):
        checked_items([Item(name, Kind.TABLE, sql="SELECT 1")])


@pytest.mark.parametrize("name", ["table1", "肝病 按性别", "Age-by-sex_(final) v2.1"])
def test_ordinary_names_pass(name: str) -> None:
    assert checked_items([Item(name, Kind.TABLE, sql="SELECT 1")])[0].name == name


def test_names_equal_but_for_case_are_refused() -> None:
    with pytest.raises(ItemRefused, match="same name"):
        checked_items([Item("A", Kind.TABLE, sql="x"), Item("a", Kind.TABLE, sql="y")])


@pytest.mark.parametrize("count", [0, MAX_ITEMS + 1])
def test_none_or_too_many_outputs(count: int) -> None:
    with pytest.raises(ItemRefused):
        checked_items([Item(f"t{i}", Kind.TABLE, sql="x") for i in range(count)])


@pytest.mark.parametrize("sql", [None, "", "  ", "x" * 20_001, "SELECT '\x00'"])
def test_a_table_needs_bounded_sql(sql: str | None) -> None:
    with pytest.raises(ItemRefused):
        checked_items([Item("t", Kind.TABLE, sql=sql)])


@pytest.mark.parametrize("blob", [None, "", "abc", "A" * 64, "../" + "a" * 61])
def test_a_file_needs_a_digest(blob: str | None) -> None:
    with pytest.raises(ItemRefused):
        checked_items([Item("f", Kind.FILE, blob=blob)])


@pytest.mark.parametrize(
    ("title", "purpose", "context"),
    [("", "p", ""), (" ", "p", ""), ("t", "", ""), ("t" * 201, "p", ""), ("t", "p\x00", "")],
)
def test_missing_words_are_refused(title: str, purpose: str, context: str) -> None:
    with pytest.raises(ItemRefused):
        checked_texts(title, purpose, context)


def test_a_verdict_is_read() -> None:
    verdict = verdict_from(GOOD)
    assert verdict.outcome is Outcome.REVIEW
    assert verdict.obligations.stewards_of == ("nafld",)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        "release",
        {},
        {**GOOD, "outcome": "allow"},
        {**GOOD, "outcome": None},
        {k: v for k, v in GOOD.items() if k != "obligations"},
        {k: v for k, v in GOOD.items() if k != "reasons"},
        {**GOOD, "reasons": "fine"},
        {**GOOD, "reasons": [{"code": "x"}]},
        {**GOOD, "outcome": "refuse", "reasons": []},
        {**GOOD, "obligations": {"approvals": True, "stewards_of": [], "protect": False}},
        {**GOOD, "obligations": {"approvals": -1, "stewards_of": [], "protect": False}},
        {**GOOD, "obligations": {"approvals": "1", "stewards_of": [], "protect": False}},
        {**GOOD, "obligations": {"approvals": 1, "protect": False}},
    ],
)
def test_an_answer_that_is_not_understood_is_no_permission(broken: object) -> None:
    with pytest.raises(AnswerUnreadable):
        verdict_from(broken)


def test_the_public_voice_of_a_finding_has_no_figures() -> None:
    finding = Finding("min_contributors", Severity.FAIL, 3, {"smallest": 2, "threshold": 10})
    assert finding.public() == {"rule": "min_contributors", "severity": "fail", "cells": 3}
    assert finding_from(finding.facts()) == finding


def test_an_unknown_severity_counts_as_the_worst() -> None:
    assert finding_from({"rule": "x", "severity": "shrug", "cells": 0}).severity is Severity.FAIL
    assert worst([Finding("a", Severity.INFO), Finding("b", Severity.WARN)]) is Severity.WARN


def test_the_author_cannot_review() -> None:
    with pytest.raises(ReviewRefused, match="author"):
        checked_reviewer("ana", "ana", [])


def test_nobody_reviews_twice() -> None:
    with pytest.raises(ReviewRefused, match="already"):
        checked_reviewer("stella", "ana", [Review("stella", ReviewVerdict.APPROVE, "ok")])


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 4001, "a\x00b"])
def test_a_review_needs_a_reason(reason: str) -> None:
    with pytest.raises(ReviewRefused):
        checked_reason(reason)
