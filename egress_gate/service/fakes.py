"""Stand-ins for the gate's ports, for tests and for trying the desk by hand. Each says loudly that it is one."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from egress_gate.disclosure.scan.judge import Evidence, Found
from egress_gate.domain.finding import Finding, Severity
from egress_gate.service.errors import RecomputerAway
from egress_gate.service.ports import (
    Assessment,
    AuditFinding,
    JudgedCell,
    ModelAssessment,
    ModelQuestion,
    Question,
    ScanAnswer,
    ScanQuestion,
    SourceTable,
)
from installation.fault import Fault
from policy_engine import Answer, PolicyUnavailable


class FakeInUse(UserWarning):
    """A stand-in is doing what a real part should do."""


class PlainData:
    """`DataVault` over files that were never sealed: there is nothing to open."""

    def __init__(self) -> None:
        warnings.warn("Data is read unsealed.", FakeInUse, stacklevel=2)

    def opened(self, wanted: Mapping[str, Mapping[str, str]], /) -> AbstractContextManager[None]:
        return nullcontext()


class SqlRefused(Fault):
    code = "derivation-refused"


class SqlMistyped(Fault):
    code = "sql-syntax"


def safe_table(question: Question) -> Assessment:
    """Two published cells from the first source."""
    versions = tuple(sorted({t.version for t in question.sources}))
    return Assessment(
        canonical_sql=question.sql,
        versions=versions,
        keys=("sex",),
        values=("n",),
        cells=(
            JudgedCell({"sex": "F"}, {"n": 9000}, 9000),
            JudgedCell({"sex": "M"}, {"n": 8549}, 8549),
        ),
        findings=(),
        audit_verdict="proven_safe",
        audit=(),
        completed=True,
        protected=False,
    )


def risky_table(question: Question) -> Assessment:
    """One small cell; suppressed with its partner when the question asks for protection."""
    hidden = ("primary", "secondary") if question.protect else (None, None)
    cells = (
        JudgedCell({"sex": "F"}, {"n": 3}, 3, ("min_contributors",), hidden[0]),
        JudgedCell({"sex": "M"}, {"n": 12}, 12, (), hidden[1]),
        JudgedCell({"sex": None}, {"n": 15}, 15),
    )
    severity = Severity.WARN if question.protect else Severity.FAIL
    audit = (AuditFinding("sex=F", ("3", "3"), (), "exact"),)
    return Assessment(
        canonical_sql=question.sql,
        versions=tuple(sorted({t.version for t in question.sources})),
        keys=("sex",),
        values=("n",),
        cells=cells,
        findings=(Finding("min_contributors", severity, 1, {"smallest": 3}),),
        audit_verdict="proven_safe" if question.protect else "unsafe",
        audit=() if question.protect else audit,
        completed=True,
        protected=question.protect,
    )


@dataclass
class FakeRecomputer:
    """Judges by a word in the SQL: ``small``, ``raw``, ``typo``, ``down``; everything else is safe."""

    tables: Mapping[str, Callable[[Question], Assessment]] = field(default_factory=dict)
    away: bool = False

    def __post_init__(self) -> None:
        warnings.warn("figures come from a fake recomputer", FakeInUse, stacklevel=2)

    def parse(self, sql: str, sources: Sequence[SourceTable], /) -> tuple[str, tuple[str, ...]]:
        if "typo" in sql:
            raise SqlMistyped("The SQL has a mistake.", why="It cannot be read.", do="Correct it.")
        if "raw" in sql:
            raise SqlRefused("Raw records cannot leave.", why="There is no aggregate.", do="Use GROUP BY.")
        return sql, tuple(sorted({t.version for t in sources}))

    def assess(self, question: Question, /) -> Assessment:
        if self.away or "down" in question.sql:
            raise RecomputerAway("The verifier is away.", why="It did not start.", do="It is tried again.")
        self.parse(question.sql, question.sources)
        for word, made in self.tables.items():
            if word in question.sql:
                return made(question)
        return risky_table(question) if "small" in question.sql else safe_table(question)

    def together(self, questions: Sequence[Question], /) -> Mapping[str, tuple[Mapping[str, Any], ...]]:
        return {}

    def parse_model(self, formula: str, sql: str, sources: Sequence[SourceTable], /) -> tuple[str, str]:
        return formula, self.parse(sql, sources)[0]

    def refit(self, question: ModelQuestion, /) -> ModelAssessment:
        implied = self.assess(
            Question(question.name, question.sql, question.sources, question.parameters, question.earlier)
        )
        leaving = {
            "format": "glovebox-regression/1",
            "family": question.family,
            "formula": question.formula,
            "terms": [],
        }
        return ModelAssessment(
            question.formula,
            question.sql,
            implied.versions,
            implied.findings,
            implied.completed,
            None if implied.findings else leaving,
            {},
            implied,
        )

    def scan(self, question: ScanQuestion, /) -> ScanAnswer:
        """A record of nafld1 is wherever ``person-17`` stands."""
        if self.away:
            raise RecomputerAway("The verifier is away.", why="It did not start.", do="It is tried again.")
        found = tuple(
            Found("record", where, line, line, ("54", "person-17"), "nafld.nafld1", ("age", "id"), 1, 30.0)
            for where, text in question.texts
            for line, words in enumerate(text.splitlines(), 1)
            if "person-17" in words
        )
        evidence = Evidence((), min(1, len(found)), 30.0 if found else 0.0, 0.0, found)
        return ScanAnswer(evidence, 1.0, 0, sum(len(text.split()) for _, text in question.texts))


@dataclass
class FakeEngine:
    """A small policy of its own, close enough to ``policies/`` for the verbs' tests; `away` makes it silent."""

    away: bool = False
    approvals: int = 1
    overrides: dict[str, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        warnings.warn("decisions come from a fake policy engine", FakeInUse, stacklevel=2)

    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        self.asked.append((entry_point, facts))
        if self.away:
            raise PolicyUnavailable("The policy engine is away.", why="It did not answer.", do="It is tried again.")
        override = self.overrides.get(entry_point)
        result = json.loads(json.dumps((override or _RULES[entry_point])(facts)))
        if override is None and entry_point == "release/decision":
            result["obligations"]["approvals"] = self.approvals
        return Answer(result=result, engine="fake", policy_digest="0" * 64)


def _parameters(facts: dict[str, Any]) -> dict[str, Any]:
    return {"min_contributors": 10, "protect": False, "max_cells": 10_000, "files": ["md", "png", "jpg", "ipynb"]}


def _decision(facts: dict[str, Any]) -> dict[str, Any]:
    items = facts["items"]
    datasets = sorted({v["dataset"] for i in items for v in i["lineage"]})
    obligations = {"approvals": 1, "stewards_of": datasets, "protect": False}
    failed = sorted({f["rule"] for i in items for f in i["findings"] if f["severity"] == "fail"})
    unfinished = any(not i["checks_completed"] for i in items)
    if "min_contributors" in failed and not unfinished and not facts["parameters"].get("protect"):
        obligations["protect"] = True
        return {"outcome": "review", "reasons": [_reason("small-cells")], "obligations": obligations}
    if failed or unfinished:
        return {
            "outcome": "refuse",
            "reasons": [_reason(r) for r in failed or ["unfinished"]],
            "obligations": obligations,
        }
    return {"outcome": "review", "reasons": [_reason("steward")], "obligations": obligations}


def _reason(code: str) -> dict[str, str]:
    return {"code": code, "message": f"Because of {code}.", "remedy": "Ask a steward."}


def _form(facts: dict[str, Any]) -> dict[str, Any]:
    wanted = {"title": 3, "purpose": 5, "context": 10}
    places = [{"where": w, "code": f"no_{w}"} for w, least in wanted.items() if facts["texts"][w] < least]
    places += [{"where": i["name"], "code": "no_count"} for i in facts["items"] if not _counted(i)]
    reasons = [_reason(code) for code in sorted({p["code"] for p in places})]
    return {"allow": not places, "reasons": reasons, "places": places}


def _counted(item: dict[str, Any]) -> bool:
    return item["kind"] not in ("table", "figure") or item["counted"] is True


def _review(facts: dict[str, Any]) -> dict[str, Any]:
    person, request = facts["person"], facts["request"]
    allow = (
        "stewards" in person["groups"]
        and _steward_of_data(person, request)
        and person["name"] != request["author"]
        and person["name"] not in request["project_members"]
        and request["state"] in _open_to(facts["action"])
    )
    given = {r["reviewer"] for r in facts["reviews"] if r["verdict"] == "approve"} | {person["name"]}
    needed = facts["obligations"].get("approvals", 99)
    covered = all(given & set(request["stewards"].get(d, [])) for d in facts["obligations"].get("stewards_of", []))
    complete = allow and len(given) >= needed and covered
    return {"allow": allow, "complete": complete, "reasons": [] if allow else [_reason("not-a-reviewer")]}


def _cells(facts: dict[str, Any]) -> dict[str, Any]:
    approving = [set(r["approved"]) for r in facts["reviews"] if r["verdict"] == "approve"]
    clean = [o["id"] for o in facts["outputs"] if not o["findings"]]
    off = [{"id": o["id"], "reasons": [_reason(f) for f in o["findings"]]} for o in facts["outputs"] if o["findings"]]
    leaves = [name for name in clean if approving and all(name in ticked for ticked in approving)]
    types = ["picture", "text"]
    wanted = [{"type": one, "approvals": 1} for one in types]
    return {"types": types, "approvals": wanted, "off": off, "leaves": leaves}


def _open_to(action: str) -> tuple[str, ...]:
    return ("in_review", "approved") if action in ("return", "reject") else ("in_review",)


def _leave(facts: dict[str, Any]) -> dict[str, Any]:
    if facts["project"]["state"] != "active":
        return {"allow": False, "reasons": [_reason("project_not_active")], "wait_seconds": 0}
    waited, must = facts["request"]["approved_seconds"], 3600 if 4 in facts["request"]["classifications"] else 0
    wait = 0 if waited is None else max(0, math.ceil(must - waited))
    return {"allow": not wait, "reasons": [_reason("cooling_off")] if wait else [], "wait_seconds": wait}


def _rerun(facts: dict[str, Any]) -> dict[str, Any]:
    person, request = facts["person"], facts["request"]
    steward = "stewards" in person["groups"] and _steward_of_data(person, request)
    required = 4 in request["classifications"]
    no = []
    if facts["action"] == "ask":
        no += [] if steward and person["name"] != request["author"] else ["rerun_not_yours"]
        no += [] if (request["state"], request["project_state"]) == ("in_review", "active") else ["rerun_not_now"]
        no += ["rerun_often"] if len(facts["runs"]) >= 5 else []
    elif required and not any(r["state"] == "done" for r in facts["runs"]):
        no.append("rerun_missing")
    return {"allow": not no, "reasons": [_reason(r) for r in sorted(no)], "required": required, "seconds": 600}


def _desk(facts: dict[str, Any]) -> dict[str, Any]:
    allow = bool(_desk_allows(facts["action"], facts["person"], facts))
    return {"allow": allow, "reasons": [] if allow else [_reason("role")]}


def _desk_allows(action: str, person: dict[str, Any], facts: dict[str, Any]) -> Any:
    groups, request = set(person["groups"]), facts.get("request") or {}
    own = request.get("author") == person["name"]
    if action == "submit":
        project = facts.get("project")
        return person["name"] in project["members"] if project else own
    if action == "view_request":
        return own or "auditors" in groups or ("stewards" in groups and _steward_of_data(person, request))
    if action == "withdraw":
        return own
    if action == "download":
        stopped = facts["release"]["revoked"] or request["project_state"] == "frozen"
        return (own or person["name"] in request["project_members"]) and not stopped
    if action in ("manage_projects", "stop_sandbox", "register_dataset"):
        return "admins" in groups
    if action == "manage_people":
        account = facts["account"]
        stays = not account["password"] or not account["known"]
        return "admins" in groups and account["name"] != person["name"] and stays
    if action == "revoke":
        return _steward_of_data(person, request) and not own
    if action in ("describe_dataset", "grant", "revoke_grant"):
        return "stewards" in groups and person["name"] in facts["dataset"]["stewards"]
    if action == "view_ledger":
        return "auditors" in groups
    if action == "view_trail":
        return "auditors" in groups or ("stewards" in groups and _steward_of_data(person, facts["sandbox"]))
    if action == "view_admin":
        return bool(groups & {"auditors", "admins"})
    if action in ("view_dataset", "view_twin_report"):
        supervises = {"admins", "auditors"} if action == "view_dataset" else {"admins"}
        named = person["name"] in (facts.get("dataset") or {}).get("stewards", [])
        return bool(groups & supervises) or ("stewards" in groups and named)
    if action == "view_shelf":
        return bool(groups & {"analysts", "admins"})
    if action == "view_package_requests":
        return "admins" in groups
    return action in ("approve", "return", "reject", "review") and "stewards" in groups and not own


def _steward_of_data(person: dict[str, Any], request: dict[str, Any]) -> bool:
    return any(person["name"] in people for people in request.get("stewards", {}).values())


def _quota(facts: dict[str, Any]) -> dict[str, Any]:
    def fits(grant: dict[str, Any], name: str, most: int) -> bool:
        return bool(grant["used"].get(name, 0) + facts["adds"].get(name, 1) <= most)

    counted = {
        "submit": ("requests", "releases"),
        "release": ("releases", "released_cells", "released_bytes"),
    }[facts["stage"]]
    allow = all(fits(g, n, most) for g in facts["grants"] for n, most in g["quotas"].items() if n in counted)
    return {"allow": allow, "reasons": [] if allow else [_reason("quota_spent")]}


def _assessment(facts: dict[str, Any]) -> dict[str, Any]:
    """One item for all data; policy has a list for each level."""
    words = {"item": "purpose_needs_it", "en": "The purpose needs it.", "zh": "目的需要它。", "law": ["PIPL 6"]}
    done = words["item"] in facts["assessed"]
    rows = [{**words, "confirmed": done}] if facts["levels"] else []
    lacking = [] if done or not rows else [words["item"]]
    unknown = sorted(set(facts["assessed"]) - {words["item"]})
    return {"complete": bool(rows) and done, "items": rows, "lacking": lacking, "unknown": unknown}


_RULES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "release/parameters": _parameters,
    "release/decision": _decision,
    "release/form": _form,
    "release/review": _review,
    "release/leave": _leave,
    "release/rerun": _rerun,
    "release/cells": _cells,
    "access/desk": _desk,
    "access/assessment": _assessment,
    "usage/quota": _quota,
}
