"""The desk's own description of its API, tried by schemathesis: what it sends back is what the description says, and nothing breaks.

In-process, without chance, with a bounded number of examples for each operation and role.
"""

from __future__ import annotations

from pathlib import Path

import schemathesis
from hypothesis import HealthCheck, given, settings

from egress_gate.desk.app import build_desk
from egress_gate.desk.security import Bucket
from tests.unit.gate.desks import PREFIX, make_desk
from tests.unit.gate.factory import make_world

ROLES = ("ana", "stella", "adam", "audrey")
EXAMPLES = 12


def test_the_api_does_what_it_says(tmp_path: Path, monkeypatch: object) -> None:
    """Every operation in each role: no fault of ours, documented statuses and shapes, one shape of every error."""
    world = make_world(tmp_path / "home")
    world.released()
    world.checked()
    monkeypatch.setattr(Bucket, "take", lambda *_: True)  # type: ignore[attr-defined]  # the rate has a test of its own
    described = schemathesis.openapi.from_asgi(f"{PREFIX}api/openapi.json", build_desk(make_desk(world)))
    tried = [_try(found.ok()) for found in described.get_all_operations()]
    assert len(tried) > 10
    assert min(tried) >= 1


def _try(operation: schemathesis.schemas.APIOperation) -> int:
    """How many examples were sent."""
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
        schemathesis.specs.openapi.checks.response_schema_conformance,
    ]
    sent = 0

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def run(case: schemathesis.Case) -> None:
        nonlocal sent
        for role in ROLES:
            answer = case.call(headers={"authorization": f"token token-{role}"})
            case.validate_response(answer, checks=checks)
            if answer.status_code >= 400:
                assert set(answer.json()) == {"code", "what", "why", "do"}, (case, answer.text)
            sent += 1

    run()
    return sent
