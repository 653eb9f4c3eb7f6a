"""Asking the rules: one port, the real OPA server or the same Rego in-process, and no answer that was not given."""

from policy_engine.connect import connect
from policy_engine.port import Answer, PolicyEngine, PolicyUnavailable

__all__ = ["Answer", "PolicyEngine", "PolicyUnavailable", "connect"]
