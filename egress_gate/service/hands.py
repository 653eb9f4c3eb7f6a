"""What the desk asks of the rooms beside it: provisioning, which owns projects and grants. `workbench` hands the verbs in.

The gate imports nothing of provisioning: the command line and the desk call the same functions, which lie there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn, Protocol, cast

from egress_gate.service.errors import NotReady
from egress_gate.service.ports import PolicyEngine


class Move(StrEnum):
    """What becomes of a project."""

    FREEZE = "freeze"
    THAW = "thaw"
    CLOSE = "close"


@dataclass(frozen=True)
class NewProject:
    """What a project is to be. ``datasets``: which data it means to use; only a steward's grant lets it."""

    name: str
    title: str
    purpose: str
    sponsor: str
    until: datetime
    members: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    legal_basis: str = ""
    output_plan: str = ""


@dataclass(frozen=True)
class NewGrant:
    """A steward's consent, as it is asked for."""

    project: str
    version: str
    until: datetime
    quotas: Mapping[str, int] = field(default_factory=dict)


class Provisioning(Protocol):
    """Each records its own ledger entry, in one transaction with the change. Each raises a `Fault` where it cannot be done."""

    def create_project(self, wanted: NewProject, actor: str, at: datetime, /) -> None: ...

    def checklist(self, project: str, engine: PolicyEngine, /) -> Mapping[str, Any]:
        """``{"complete", "items": [{"item", "en", "zh", "law", "confirmed"}], "lacking"}`` for the data granted to the project."""
        ...

    def assess_project(self, project: str, confirmed: tuple[str, ...], actor: str, at: datetime, /) -> None: ...

    def move_project(self, project: str, move: Move, reason: str, actor: str, at: datetime, /) -> None: ...

    def extend_project(self, project: str, until: datetime, actor: str, at: datetime, /) -> None: ...

    def describe_project(self, project: str, terms: Mapping[str, str], actor: str, at: datetime, /) -> None:
        """`terms`: any of title, sponsor, legal_basis, output_plan; an empty text leaves what is there. The purpose stays."""
        ...

    def add_member(self, project: str, person: str, actor: str, at: datetime, /) -> None: ...

    def remove_member(self, project: str, person: str, actor: str, at: datetime, /) -> None: ...

    def stop_sandbox(self, sandbox: str, reason: str, actor: str, at: datetime, /) -> None: ...

    def give_grant(self, wanted: NewGrant, actor: str, at: datetime, /) -> None: ...

    def change_quotas(
        self, grant: int, quotas: Mapping[str, int], reason: str, actor: str, at: datetime, /
    ) -> None: ...

    def describe_dataset(self, dataset: str, parts: Mapping[str, Any], actor: str, at: datetime, /) -> None: ...

    def revoke_grant(self, grant: int, reason: str, actor: str, at: datetime, /) -> None: ...


class _Nobody:
    def __getattr__(self, verb: str) -> Callable[..., NoReturn]:
        def refuse(*_: Any) -> NoReturn:
            raise NotReady(
                "Nothing was changed.",
                why="This desk runs without the part that changes projects, people and data.",
                do="Use the command line: ./glovebox --help.",
            )

        return refuse


def no_provisioning() -> Provisioning:
    """Refuses everything: for a desk that was started without provisioning's verbs."""
    return cast(Provisioning, _Nobody())
