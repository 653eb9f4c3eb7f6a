"""Faults of provisioning.

Fault
└── ProvisioningFault
    ├── RegistrationRefused   a registration that is incomplete, contradictory or misnamed
    ├── RowsRefused           a file with rows that cannot be read; names their lines
    ├── FileRefused           a file that cannot be read at all
    ├── NotFound              a dataset, version, project or grant that does not exist
    ├── ProjectRefused        a change that a project's state or terms do not allow
    ├── GrantRefused          a grant that may not be given or revoked so
    ├── ShelfRefused          packages that may not lie on the shelf
    └── AccessRefused         a sandbox that may not start; carries policy's reasons
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from installation.fault import Fault


class ProvisioningFault(Fault):
    code = "provisioning"


class RegistrationRefused(ProvisioningFault):
    code = "registration-refused"


class FileRefused(RegistrationRefused):
    code = "file-refused"


@dataclass(frozen=True)
class BadRow:
    """Where a row could not be read, and why; never what stood in it."""

    line: int
    column: str | None
    problem: str

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        return f"{where}: {self.problem}"


class RowsRefused(FileRefused):
    """``rows`` are the first bad rows in order of their lines."""

    code = "rows-refused"

    def __init__(self, what: str, *, why: str, do: str, rows: Sequence[BadRow]) -> None:
        super().__init__(what, why=why, do=do)
        self.rows = tuple(rows)


class NotFound(ProvisioningFault):
    code = "not-found"


class ProjectRefused(ProvisioningFault):
    code = "project-refused"


class GrantRefused(ProvisioningFault):
    code = "grant-refused"


class ShelfRefused(ProvisioningFault):
    code = "shelf-refused"


class AccessRefused(ProvisioningFault):
    """``reasons`` are the codes that policy gave."""

    code = "access-refused"

    def __init__(
        self, what: str, *, why: str, do: str, reasons: Sequence[str] = (), private: str | None = None
    ) -> None:
        super().__init__(what, why=why, do=do, private=private)
        self.reasons = tuple(reasons)


def not_found(noun: str, name: str, listing: str) -> NotFound:
    return NotFound(
        f"There is no {noun} {name}.", why="Nothing is registered under this name.", do=f"Look it up: {listing}."
    )
