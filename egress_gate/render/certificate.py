"""The facts a release certificate signs: data version → code → checks → policy → reviewers → digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from egress_gate.domain.finding import Severity, for_author
from egress_gate.store.requests import CheckRow, DecisionRow, RequestRow, ReviewRow


def certificate_facts(
    request: RequestRow,
    image: str | None,
    checks: Sequence[CheckRow],
    decision: DecisionRow,
    reviews: Sequence[ReviewRow],
    versions: Mapping[str, str],
    released_at: str,
    certified: Mapping[str, Mapping[str, Any]] | None = None,
    isolation: Mapping[str, Any] | None = None,
    shelf: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`versions`: dataset version id → its digest; `image`: what the sandbox ran; `shelf`: the approved
    packages beside it; `certified`: what a lane adds about an output, such as a
    regression's formula. Only digests and names, no figures."""
    return {
        "format": "glovebox-release/1",
        "request": request.name,
        "revision": request.revision,
        "project": request.project,
        "author": request.author,
        "sandbox": request.sandbox,
        "image": image,
        "isolation": dict(isolation) if isolation else None,
        "shelf": dict(shelf) if shelf else None,
        "released_at": released_at,
        "lineage": [{"version": v, "sha256": versions[v]} for v in sorted(versions)],
        "checks": [{**(certified or {}).get(k.item, {}), **_check(k)} for k in checks],
        "decision": {
            "outcome": decision.outcome.value,
            "engine": decision.engine,
            "policy": decision.policy_digest,
            "input": decision.input,
            "reasons": sorted({r.code for r in decision.reasons}),
            "obligations": decision.obligations.facts(),
        },
        "reviews": [
            {"reviewer": r.review.reviewer, "verdict": r.review.verdict.value, "at": r.reviewed_at} for r in reviews
        ],
    }


def _check(check: CheckRow) -> dict[str, Any]:
    sql = check.canonical_sql
    return {
        "item": check.item,
        "sql": sql,
        "sql_sha256": hashlib.sha256(sql.encode()).hexdigest() if sql else None,
        "rules": sorted({f.rule for f in for_author(check.findings) if f.severity is not Severity.INFO}),
        "evidence": check.assessment,
        "versions": list(check.lineage),
        "audited_against": list(check.audited_against),
        "checked_at": check.checked_at,
    }
