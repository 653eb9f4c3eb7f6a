"""What a release's statement must say, and how its parts must agree, whoever signed it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ledger.errors import CertificateFault

STATEMENT = "glovebox-release/1"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_TEXTS = ("request", "project", "author", "released_at")
_LISTS = ("lineage", "checks", "reviews", "files")
_LEFT = ("release", "review")


def require_statement(statement: Mapping[str, Any]) -> None:
    """Raises CertificateFault for a missing or malformed part, or for parts that contradict each other."""
    if statement.get("format") != STATEMENT:
        raise _fault(f"its format is not {STATEMENT}")
    _texts(statement, _TEXTS, "the release")
    if type(statement.get("revision")) is not int or not _TIME.fullmatch(statement["released_at"]):
        raise _fault("its revision or time is malformed")
    for field in _LISTS:
        if not isinstance(statement.get(field), list) or not all(isinstance(x, dict) for x in statement[field]):
            raise _fault(f"it has no list of {field}")
    _digests(statement["lineage"], "version", "a dataset version")
    _digests(statement["files"], "name", "a file")
    if not statement["lineage"] or not statement["files"] or not statement["checks"]:
        raise _fault("it names no data, no check or no file")
    _checks(statement["checks"], {v["version"] for v in statement["lineage"]})
    _decision(statement)


def _checks(checks: Sequence[Mapping[str, Any]], versions: set[str]) -> None:
    for check in checks:
        _texts(check, ("item", "checked_at"), "a check")
        if not _code_agrees(check.get("sql"), check.get("sql_sha256")):
            raise _fault(f"the digest of the code of {check['item']} is not that of its code")
        found = check.get("versions")
        if not isinstance(found, list) or not all(isinstance(v, str) and v in versions for v in found):
            raise _fault(f"{check['item']} comes from data that is not in the lineage")


def _code_agrees(sql: object, digest: object) -> bool:
    if sql is None:
        return digest is None
    return isinstance(sql, str) and digest == hashlib.sha256(sql.encode()).hexdigest()


def _decision(statement: Mapping[str, Any]) -> None:
    decision = statement.get("decision")
    if not isinstance(decision, dict):
        raise _fault("it has no decision")
    _texts(decision, ("outcome", "engine", "policy"), "the decision")
    obligations = decision.get("obligations")
    if decision["outcome"] not in _LEFT or not isinstance(obligations, dict):
        raise _fault("policy did not let it leave")
    needed = obligations.get("approvals")
    if type(needed) is not int:
        raise _fault("it does not say how many approvals were needed")
    for review in statement["reviews"]:
        _texts(review, ("reviewer", "verdict", "at"), "a review")
    approving = {r["reviewer"] for r in statement["reviews"] if r["verdict"] == "approve"}
    if statement["author"] in {r["reviewer"] for r in statement["reviews"]}:
        raise _fault("its author reviewed it")
    if decision["outcome"] == "review" and len(approving) < max(needed, 1):
        raise _fault(f"{needed} approvals were needed and {len(approving)} are in it")


def _digests(rows: Sequence[Mapping[str, Any]], name: str, what: str) -> None:
    for row in rows:
        _texts(row, (name, "sha256"), what)
        if not _SHA256.fullmatch(row["sha256"]):
            raise _fault(f"the digest of {what} is malformed")
    if len({row[name] for row in rows}) != len(rows):
        raise _fault(f"{what} stands in it twice")


def _texts(row: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    lacking = [name for name in names if not isinstance(row.get(name), str) or not row[name]]
    if lacking:
        raise _fault(f"{what} does not say its {', '.join(lacking)}")


def _fault(why: str) -> CertificateFault:
    return CertificateFault(
        "The statement was refused.", why=f"Because {why}.", do="Ask the desk for the release again."
    )
