"""The four roles. Each is a group of the hub; what a role may do, policy says."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    ANALYST = "analyst"
    STEWARD = "steward"
    ADMIN = "admin"
    AUDITOR = "auditor"

    @property
    def group(self) -> str:
        return f"{self.value}s"
