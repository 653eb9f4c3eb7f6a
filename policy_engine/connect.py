"""Which engine an installation uses, from its settings."""

from __future__ import annotations

from installation.settings import Settings
from policy_engine.port import PolicyEngine, unavailable


def connect(settings: Settings) -> PolicyEngine:
    """The engine named by ``policy_engine`` in the settings. Raises PolicyUnavailable when its token is missing."""
    if settings.policy_engine == "regopy":
        from policy_engine.in_process import InProcess  # loads a C++ library that a process using OPA does not need

        return InProcess()
    from policy_engine.opa_server import OpaServer  # its client is large, and `assess` asks no server

    token = settings.secrets / "opa.token"
    try:
        return OpaServer("127.0.0.1", settings.ports.opa, token.read_text("utf-8").strip())
    except OSError as missing:
        raise unavailable(
            "The policy engine's token was not found: set-up has not run here.", str(missing)
        ) from missing
