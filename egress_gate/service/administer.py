"""An administrator's verbs: asked of policy here, done by provisioning, which owns projects and sandboxes.

The gate imports nothing of provisioning; `workbench` hands its verbs in as `Provisioning`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person, project_facts
from egress_gate.service.errors import NotReady, no_such
from egress_gate.service.gate import Gate
from egress_gate.store import catalogue, overview
from egress_gate.store.catalogue import ProjectRow


class Move(StrEnum):
    """What becomes of a project."""

    FREEZE = "freeze"
    THAW = "thaw"
    CLOSE = "close"


class Provisioning(Protocol):
    """Each records its own ledger entry, in one transaction with the change. Each raises a `Fault` where it cannot be done."""

    def move_project(self, project: str, move: Move, reason: str, actor: str, at: datetime, /) -> None: ...

    def extend_project(self, project: str, until: datetime, actor: str, at: datetime, /) -> None: ...

    def add_member(self, project: str, person: str, actor: str, at: datetime, /) -> None: ...

    def remove_member(self, project: str, person: str, actor: str, at: datetime, /) -> None: ...

    def stop_sandbox(self, sandbox: str, reason: str, actor: str, at: datetime, /) -> None: ...


class NoProvisioning:
    """Refuses everything: for a desk that was started without provisioning's verbs."""

    def move_project(self, project: str, move: Move, reason: str, actor: str, at: datetime, /) -> None:
        raise _not_here()

    def extend_project(self, project: str, until: datetime, actor: str, at: datetime, /) -> None:
        raise _not_here()

    def add_member(self, project: str, person: str, actor: str, at: datetime, /) -> None:
        raise _not_here()

    def remove_member(self, project: str, person: str, actor: str, at: datetime, /) -> None:
        raise _not_here()

    def stop_sandbox(self, sandbox: str, reason: str, actor: str, at: datetime, /) -> None:
        raise _not_here()


def move_project(
    gate: Gate, hands: Provisioning, person: Person, name: str, move: Move, reason: str, at: datetime
) -> None:
    """Freeze, thaw or close. A frozen project starts nothing, runs nothing and lets nothing leave, from this moment on."""
    _require(gate, person, name, f"{move.value} project {name}", at)
    hands.move_project(name, move, reason, person.name, at)


def extend_project(gate: Gate, hands: Provisioning, person: Person, name: str, until: datetime, at: datetime) -> None:
    _require(gate, person, name, f"extend project {name}", at)
    hands.extend_project(name, until, person.name, at)


def add_member(gate: Gate, hands: Provisioning, person: Person, name: str, member: str, at: datetime) -> None:
    _require(gate, person, name, f"add a member to {name}", at)
    hands.add_member(name, member, person.name, at)


def remove_member(gate: Gate, hands: Provisioning, person: Person, name: str, member: str, at: datetime) -> None:
    _require(gate, person, name, f"remove a member of {name}", at)
    hands.remove_member(name, member, person.name, at)


def stop_sandbox(gate: Gate, hands: Provisioning, person: Person, sandbox: str, reason: str, at: datetime) -> None:
    """Ask that one running sandbox ends. Raises NotAllowed before it says whether there is such a sandbox."""
    may(gate.engine, person, "stop_sandbox", at).require("stop a sandbox")
    with gate.store.read() as c:
        if not overview.runs(c, sandbox):
            raise no_such("running sandbox")
    hands.stop_sandbox(sandbox, reason, person.name, at)


def project_for_admin(gate: Gate, person: Person, name: str, at: datetime) -> ProjectRow:
    """Raises NotAllowed, and NotFound only for somebody who may look at projects."""
    may(gate.engine, person, "view_admin", at).require("see the administration pages")
    with gate.store.read() as c:
        found = catalogue.project(c, name)
    if found is None:
        raise no_such("project")
    return found


def _require(gate: Gate, person: Person, name: str, doing: str, at: datetime) -> None:
    found = project_for_admin(gate, person, name, at)
    may(gate.engine, person, "manage_projects", at, project=project_facts(found)).require(doing)


def _not_here() -> NotReady:
    return NotReady(
        "Nothing was changed.",
        why="This desk runs without the part that changes projects.",
        do="Use the command line: ./glovebox project --help.",
    )
