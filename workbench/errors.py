"""Faults of the workbench. Fault └── WorkbenchFault ├── SetupFault └── ProcessFault"""

from __future__ import annotations

from installation.fault import Fault


class WorkbenchFault(Fault):
    code = "workbench"


class SetupFault(WorkbenchFault):
    """A set-up step failed; running the same command again continues with it."""

    code = "setup"


class ProcessFault(WorkbenchFault):
    """The workbench did not start, or did not stop."""

    code = "process"
