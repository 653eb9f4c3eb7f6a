"""Faults of the sandbox room.

Fault
└── SandboxFault           sandbox
    ├── ImageFault         sandbox-image      the image could not be made or is not there
    ├── EngineFault        sandbox-engine     Docker does not answer or refused
    ├── MountFault         sandbox-mount      a mount could not be made or removed
    ├── HandshakeFault     sandbox-door       the door or the notebook server did not answer
    ├── LimitsFault        sandbox-limits     policy answered limits that cannot be applied
    └── IsolationDrift     sandbox-isolation  what is in force is not what the profile asks for
"""

from __future__ import annotations

from typing import ClassVar

from installation.fault import Fault


class SandboxFault(Fault):
    code: ClassVar[str] = "sandbox"


class ImageFault(SandboxFault):
    code: ClassVar[str] = "sandbox-image"


class EngineFault(SandboxFault):
    code: ClassVar[str] = "sandbox-engine"


class MountFault(SandboxFault):
    code: ClassVar[str] = "sandbox-mount"


class HandshakeFault(SandboxFault):
    code: ClassVar[str] = "sandbox-door"


class IsolationDrift(SandboxFault):
    """Carries what differed, for the ledger and the log; the person sees only that the sandbox was refused."""

    code: ClassVar[str] = "sandbox-isolation"
