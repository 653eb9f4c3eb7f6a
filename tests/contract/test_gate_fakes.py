"""The stand-in policy engine answers as the real OPA with the real policies does, on everything the verbs ask."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from egress_gate.service.fakes import FakeEngine, FakeInUse
from policy_engine.opa_server import OpaServer
from tests.integration.opa_server import running_opa

PEOPLE = {
    "ana": ["analysts"],
    "amir": ["analysts"],
    "stella": ["stewards"],
    "sven": ["stewards"],
    "adam": ["admins"],
    "audrey": ["auditors"],
    "nobody": [],
}
REQUEST = {
    "id": "R-1",
    "author": "ana",
    "project": "liver",
    "project_members": ["ana"],
    "project_state": "active",
    "state": "in_review",
    "stewards": {"nafld": ["stefan", "stella"]},
}
SANDBOX = {"stewards": {"nafld": ["stefan", "stella"]}}
RELEASE = {"id": 1, "revoked": False}
PROJECT = {"name": "liver", "state": "active", "expires_at": "2027-01-01T00:00:00.000000Z", "members": ["ana"]}
NOW = "2026-11-23T09:00:00.000000Z"
ACCOUNT = {"name": "nora", "known": True, "password": False}
DATASET = {"name": "nafld", "stewards": ["stella"]}
ACTIONS = (
    "view_request", "withdraw", "download", "revoke", "view_ledger", "view_admin", "view_trail", "view_dataset",
    "view_twin_report", "view_shelf", "view_package_requests", "manage_projects",
    "stop_sandbox", "register_dataset", "grant", "revoke_grant", "manage_people",
    "describe_dataset", "nonsense",
)  # fmt: skip
LINEAGE = [{"version": "nafld/1", "dataset": "nafld", "classification": 3, "stewards": ["stella"]}]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaServer]:
    with running_opa(tmp_path_factory.mktemp("opa")) as opa:
        client = OpaServer("127.0.0.1", opa.port, opa.token)
        yield client
        client.close()


@pytest.fixture
def fake() -> FakeEngine:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FakeInUse)
        return FakeEngine()


@pytest.mark.parametrize(("name", "action"), list(product(PEOPLE, ACTIONS)))
def test_the_desk(real: OpaServer, fake: FakeEngine, name: str, action: str) -> None:
    person = {"name": name, "groups": PEOPLE[name]}
    about = {
        "request": REQUEST,
        "release": RELEASE,
        "sandbox": SANDBOX,
        "dataset": DATASET,
        "account": ACCOUNT,
    }
    facts = {"person": person, "action": action, **about, "now": NOW}
    assert fake.query("access/desk", facts).result["allow"] == real.query("access/desk", facts).result["allow"]


@pytest.mark.parametrize("levels", [[], [1], [3]])
@pytest.mark.parametrize("assessed", [[], ["purpose_needs_it"], ["moon_is_full"]])
def test_the_checklist(real: OpaServer, fake: FakeEngine, levels: list[int], assessed: list[str]) -> None:
    """The stand-in's one item is on every real list."""
    facts = {"levels": levels, "assessed": assessed}
    expected, got = (engine.query("access/assessment", facts).result for engine in (real, fake))
    assert set(got) == set(expected)
    assert got["unknown"] == expected["unknown"]
    assert set(got["lacking"]) <= set(expected["lacking"])
    shown = {row["item"]: row for row in expected["items"]}
    for row in got["items"]:
        assert set(row) == set(shown[row["item"]])
        assert row["confirmed"] == shown[row["item"]]["confirmed"]


@pytest.mark.parametrize("name", PEOPLE)
def test_submitting(real: OpaServer, fake: FakeEngine, name: str) -> None:
    facts = {"person": {"name": name, "groups": PEOPLE[name]}, "action": "submit", "project": PROJECT, "now": NOW}
    assert fake.query("access/desk", facts).result["allow"] == real.query("access/desk", facts).result["allow"]


@pytest.mark.parametrize(("name", "action"), list(product(PEOPLE, ("approve", "return", "reject"))))
def test_reviewing(real: OpaServer, fake: FakeEngine, name: str, action: str) -> None:
    facts: dict[str, Any] = {
        "action": action,
        "person": {"name": name, "groups": PEOPLE[name]},
        "request": {**REQUEST, "classifications": [3]},
        "held": [],
        "reviews": [],
        "obligations": {"approvals": 1, "stewards_of": ["nafld"], "protect": False},
        "now": NOW,
    }
    expected, got = real.query("release/review", facts).result, fake.query("release/review", facts).result
    assert got["allow"] == expected["allow"]
    if action == "approve":
        assert got["complete"] == expected["complete"]


@pytest.mark.parametrize("context", [0, 9, 10])
@pytest.mark.parametrize(
    ("kind", "counted"), [("table", True), ("table", False), ("figure", False), ("regression", False)]
)
def test_the_form(real: OpaServer, fake: FakeEngine, context: int, kind: str, counted: bool) -> None:
    texts = {"title": 3, "purpose": 5, "context": context}
    facts = {"texts": texts, "items": [{"name": "t", "kind": kind, "counted": counted}]}
    expected, got = real.query("release/form", facts).result, fake.query("release/form", facts).result
    assert got["allow"] == expected["allow"]
    assert {s["where"] for s in got["places"]} == {s["where"] for s in expected["places"]}


@pytest.mark.parametrize(
    ("findings", "protected", "completed"),
    [
        ([], False, True),
        ([], False, False),
        ([{"rule": "raw_records", "severity": "fail", "cells": 20, "figures": {}}], False, True),
        ([{"rule": "min_contributors", "severity": "fail", "cells": 1, "figures": {}}], False, True),
        ([{"rule": "min_contributors", "severity": "warn", "cells": 1, "figures": {}}], True, True),
        ([{"rule": "derivation_refused", "severity": "fail", "cells": 0, "figures": {}}], False, True),
    ],
)
def test_deciding(
    real: OpaServer, fake: FakeEngine, findings: list[dict[str, Any]], protected: bool, completed: bool
) -> None:
    parameters = real.query("release/parameters", {"classifications": [3], "kinds": ["table"]}).result
    item = {"name": "t", "kind": "table", "sql": "SELECT 1", "lineage": LINEAGE, "findings": findings}
    facts = {
        "request": {"id": "R-1", "author": "ana", "project": "liver", "purpose": "p"},
        "parameters": parameters,
        "items": [{**item, "protected": protected, "checks_completed": completed}],
        "now": NOW,
    }
    expected, got = real.query("release/decision", facts).result, fake.query("release/decision", facts).result
    assert got["outcome"] == expected["outcome"]
    assert set(got["obligations"]) == set(expected["obligations"])


def test_every_finding_the_gate_makes_itself_is_known_to_the_policy(real: OpaServer) -> None:
    source = Path(__file__).parents[2] / "policies" / "data" / "rules.json"
    text = source.read_text("utf-8")
    for rule in ("not_recomputed", "unreadable", "raw_records", "derivation_refused"):
        assert f'"{rule}"' in text


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("action", ["ask", "approve"])
@pytest.mark.parametrize(("state", "level", "runs"), [("in_review", 3, 0), ("in_review", 4, 1), ("approved", 4, 0)])
def test_running_a_notebook_anew(
    real: OpaServer, fake: FakeEngine, name: str, action: str, state: str, level: int, runs: int
) -> None:
    done = [{"state": "done", "agrees": True, "result": "abc"}] * runs
    facts = {
        "action": action,
        "person": {"name": name, "groups": PEOPLE[name]},
        "request": {**REQUEST, "state": state, "classifications": [level]},
        "runs": done,
        "now": NOW,
    }
    said, meant = (engine.query("release/rerun", facts).result for engine in (real, fake))
    assert {k: said[k] for k in ("allow", "required", "seconds")} == {
        k: meant[k] for k in ("allow", "required", "seconds")
    }
    assert [r["code"] for r in said["reasons"]] == [r["code"] for r in meant["reasons"]]
