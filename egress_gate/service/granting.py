"""A steward's consent on the desk: asked of policy here, given by provisioning."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.errors import no_such
from egress_gate.service.gate import Gate
from egress_gate.service.hands import NewGrant, Provisioning
from egress_gate.store import sheets


def give_grant(gate: Gate, hands: Provisioning, person: Person, dataset: str, wanted: NewGrant, at: datetime) -> None:
    """Grant a version of the dataset to a project. Raises NotFound for a dataset that one does not look after."""
    _require(gate, person, dataset, "grant", at)
    if wanted.version.rpartition("/")[0] != dataset:
        raise no_such("version of this dataset")
    hands.give_grant(wanted, person.name, at)


def revoke_grant(
    gate: Gate, hands: Provisioning, person: Person, dataset: str, number: int, reason: str, at: datetime
) -> None:
    """Take a grant back: sandboxes that use it are stopped within seconds."""
    _require(gate, person, dataset, "revoke_grant", at)
    _of(gate, dataset, number)
    hands.revoke_grant(number, reason, person.name, at)


def change_quotas(
    gate: Gate,
    hands: Provisioning,
    person: Person,
    dataset: str,
    number: int,
    quotas: Mapping[str, int],
    reason: str,
    at: datetime,
) -> None:
    """Other quotas for a grant. What was used stays counted."""
    _require(gate, person, dataset, "grant", at)
    _of(gate, dataset, number)
    hands.change_quotas(number, quotas, reason, person.name, at)


def may_grant(gate: Gate, person: Person, dataset: str, at: datetime) -> None:
    """Raises NotFound or NotAllowed, before a form is read that only a steward sends."""
    _require(gate, person, dataset, "grant", at)


def governs(gate: Gate, person: Person, dataset: str, stewards: tuple[str, ...], at: datetime) -> bool:
    """Whether this person gives and revokes the dataset's grants. A lent vote does not."""
    about = {"name": dataset, "stewards": list(stewards)}
    return may(gate.engine, person, "grant", at, dataset=about).allow


def _require(gate: Gate, person: Person, dataset: str, action: str, at: datetime) -> None:
    """Who may not even read the dataset's page learns nothing of what there is."""
    with gate.store.read() as c:
        found = sheets.sheet(c, dataset)
    about = {"name": dataset, "stewards": list(found.stewards) if found else []}
    if found is None or not may(gate.engine, person, "view_dataset", at, dataset=about).allow:
        raise no_such("dataset")
    may(gate.engine, person, action, at, dataset=about).require("give and revoke the grants of this dataset")


def _of(gate: Gate, dataset: str, number: int) -> None:
    with gate.store.read() as c:
        if sheets.dataset_of_grant(c, number) != dataset:
            raise no_such("grant")
