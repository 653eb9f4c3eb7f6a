"""A judged table as JSON: the evidence that is stored for stewards, and what an author may see before submitting."""

from __future__ import annotations

from typing import Any

from egress_gate.domain.protection import Method
from egress_gate.service.ports import Assessment


def assessment_json(made: Assessment) -> dict[str, Any]:
    """Everything the check established, for the blob store. No timings, so that the same input has the same digest."""
    altered = made.protection.method is not Method.SUPPRESS
    return {
        "format": "glovebox-assessment/1",
        **({"protection": made.protection.facts()} if altered else {}),
        "canonical_sql": made.canonical_sql,
        "keys": list(made.keys),
        "values": list(made.values),
        "cells": [
            {
                "key": dict(c.key),
                "values": dict(c.values),
                "contributors": c.contributors,
                "findings": list(c.findings),
                "suppressed": c.suppressed,
                **({"left_out": True} if c.left_out else {}),
                **({"released": None if c.released is None else dict(c.released)} if altered else {}),
            }
            for c in made.cells
        ],
        "audit": {
            "verdict": made.audit_verdict,
            "findings": [
                {
                    "target": a.target,
                    "interval": list(a.interval),
                    "collides_with": list(a.collides_with),
                    "kind": a.kind,
                }
                for a in made.audit
            ],
        },
        "completed": made.completed,
        "protected": made.protected,
    }


def author_preview(made: Assessment) -> dict[str, Any]:
    """What would be suppressed, without any figure: keys and a mark, rules and counts.

    Of a rounded table or one with noise no row is marked, and none that HAVING leaves out: which these are follows from the figures.
    """
    return {
        "protection": made.protection.facts(),
        "keys": list(made.keys),
        "values": list(made.values),
        "cells": [{"key": dict(c.key), "suppressed": c.suppressed} for c in made.cells],
        "suppressed": sum(c.suppressed is not None for c in made.cells),
        "findings": [f.public() for f in made.findings],
        "protected": made.protected,
        "completed": made.completed,
    }
