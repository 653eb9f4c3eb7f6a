"""What one sandbox will see: the answer of access policy turned into folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VIEWS = ("open", "guarded", "blind")
DATA, TWIN = "data", "twin"


@dataclass(frozen=True)
class MountedDataset:
    """``folder`` is where the version lies while a sandbox holds it; ``digests``: file name to SHA-256, as registered.

    ``stands_for``: the version with the data, when what is mounted in its place is its synthetic twin.
    """

    name: str
    version: str
    folder: Path
    tables: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)
    stands_for: str = ""

    @property
    def granted(self) -> str:
        """The version that the grant names, and that requests are recomputed on."""
        return self.stands_for or self.version


@dataclass(frozen=True)
class MountPlan:
    """Everything the spawner needs; made only by `service.sessions.plan_session`."""

    person: str
    uid: int
    project: str
    purpose: str
    view: str
    limits: Mapping[str, Any] = field(default_factory=dict)
    grants: tuple[int, ...] = ()
    datasets: tuple[MountedDataset, ...] = ()
    works_on: str = DATA
    shelf: tuple[str, Path] | None = None  # digest and folder of the package shelf's edition

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise ValueError(f"not a view: {self.view!r}")
        if self.works_on not in (DATA, TWIN):
            raise ValueError(f"a sandbox does not work on {self.works_on!r}")
