"""Asks policy ``session/sign_in``: only the owner of a server enters it; no answer is no."""

from __future__ import annotations

import asyncio

from egress_gate.doors.errors import PolicyAway
from egress_gate.doors.sandboxes import Sandbox
from policy_engine import PolicyEngine, PolicyUnavailable

DEFAULT_REASON = "Only the person who started a server may enter it."


class PolicyPorter:
    """`sign_in.Porter` over the policy engine. Fails closed on silence and on any answer that is not a plain yes."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine

    async def may_enter(self, person: str, sandbox: Sandbox) -> str | None:
        facts = {"person": {"name": person}, "sandbox": {"owner": sandbox.person}}
        try:
            answer = await asyncio.to_thread(self._engine.query, "session/sign_in", facts)
        except PolicyUnavailable as error:
            raise PolicyAway(
                "You could not be let in.",
                why="The policy engine, which decides who enters, does not answer.",
                do="Try again in a minute; if it stays so, tell the operator.",
                private=str(error),
            ) from error
        result = answer.result
        if isinstance(result, dict) and result.get("allow") is True and person == sandbox.person:
            return None
        reasons = result.get("reasons") if isinstance(result, dict) else None
        if isinstance(reasons, list) and reasons and isinstance(reasons[0], dict):
            return str(reasons[0].get("message") or DEFAULT_REASON)
        return DEFAULT_REASON
