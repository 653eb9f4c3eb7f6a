"""An administrator's verbs: asked of policy here, done by provisioning, which owns projects and sandboxes.

The gate imports nothing of provisioning; `workbench` hands its verbs in as `egress_gate.service.hands.Provisioning`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person, project_facts
from egress_gate.service.errors import Malformed, no_such
from egress_gate.service.gate import Gate
from egress_gate.service.hands import Move, NewProject, Provisioning
from egress_gate.store import catalogue, overview
from egress_gate.store.catalogue import ProjectRow


def create_project(gate: Gate, hands: Provisioning, person: Person, wanted: NewProject, at: datetime) -> None:
    """A project that sees no data until a steward grants some."""
    may_create(gate, person, at)
    hands.create_project(wanted, person.name, at)


def may_create(gate: Gate, person: Person, at: datetime) -> None:
    """Raises NotAllowed for who may make no project."""
    may(gate.engine, person, "manage_projects", at).require("create a project")


def assess_project(
    gate: Gate, hands: Provisioning, person: Person, name: str, confirmed: tuple[str, ...], at: datetime
) -> None:
    """Confirm what of the checklist holds; it replaces an earlier assessment. Raises Malformed for an item of no checklist."""
    _require(gate, person, name, f"assess project {name}", at)
    asked = {row["item"] for row in hands.checklist(name, gate.engine)["items"]}
    if not asked.issuperset(confirmed):
        raise Malformed(
            f"Project {name} was not assessed.",
            why="An item is not of its checklist, which follows the data granted to it.",
            do="Load the page again and confirm what it shows.",
        )
    hands.assess_project(name, confirmed, person.name, at)


def move_project(
    gate: Gate, hands: Provisioning, person: Person, name: str, move: Move, reason: str, at: datetime
) -> None:
    """Freeze, thaw or close. A frozen project starts nothing, runs nothing and lets nothing leave, from this moment on."""
    _require(gate, person, name, f"{move.value} project {name}", at)
    hands.move_project(name, move, reason, person.name, at)


def extend_project(gate: Gate, hands: Provisioning, person: Person, name: str, until: datetime, at: datetime) -> None:
    _require(gate, person, name, f"extend project {name}", at)
    hands.extend_project(name, until, person.name, at)


def describe_project(
    gate: Gate, hands: Provisioning, person: Person, name: str, terms: Mapping[str, str], at: datetime
) -> None:
    """State anew what a project is: title, sponsor, legal basis, output plan. Its purpose stays: grants were given for it."""
    _require(gate, person, name, f"describe project {name}", at)
    hands.describe_project(name, {noun: text for noun, text in terms.items() if text}, person.name, at)


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


def may_manage(gate: Gate, person: Person, name: str, at: datetime) -> None:
    """Raises NotAllowed, before a form is read that only an administrator sends."""
    _require(gate, person, name, f"change project {name}", at)


def _require(gate: Gate, person: Person, name: str, doing: str, at: datetime) -> None:
    found = project_for_admin(gate, person, name, at)
    may(gate.engine, person, "manage_projects", at, project=project_facts(found)).require(doing)
