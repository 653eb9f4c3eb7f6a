"""The port that every caller of a policy sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from installation.fault import Fault


class PolicyUnavailable(Fault):
    """No decision could be had: engine away, an error, a time-out, or no defined answer. Callers do nothing then."""

    code = "policy-unavailable"


@dataclass(frozen=True)
class Answer:
    """What the policy said, which engine said it, and the digest of the policies it had really loaded."""

    result: Any
    engine: str
    policy_digest: str


class PolicyEngine(Protocol):
    def query(self, entry_point: str, facts: dict[str, Any], /) -> Answer:
        """Evaluate ``data.<entry point>.answer`` with ``facts`` as input. Raises PolicyUnavailable."""
        ...


def unavailable(why: str, private: str | None = None) -> PolicyUnavailable:
    return PolicyUnavailable(
        "No decision could be made, so nothing was done.",
        why=why,
        do="Try again in a minute; if it stays so, ask an administrator to run ./glovebox status.",
        private=private,
    )
