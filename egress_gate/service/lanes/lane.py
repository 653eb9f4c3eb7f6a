"""What every lane promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from egress_gate.domain.decision import Reason
from egress_gate.domain.finding import Finding, Severity
from egress_gate.domain.item import Item
from egress_gate.policy.facts import JudgedItem
from egress_gate.render.bundle import Part
from egress_gate.service.gate import Gate
from egress_gate.service.ports import Assessment, EarlierTable, SourceTable
from egress_gate.store.releases import PublishedItem
from egress_gate.store.requests import CheckRow
from installation.fault import Fault
from store.clock import stamp


@dataclass(frozen=True)
class LaneContext:
    """What an item is judged with: the tables its sandbox held, the policy's numbers, and all that left before it."""

    sources: tuple[SourceTable, ...]
    parameters: Mapping[str, Any]
    earlier: tuple[EarlierTable, ...]
    at: datetime
    project: str = ""
    # by item: hidden for the others' sake
    withheld: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    # by dataset version: epsilon of the items before it, which would leave with it
    spending: Mapping[str, float] = field(default_factory=dict)
    # what left later does not count; None: everything that left does
    until: str | None = None


@dataclass(frozen=True)
class Checked:
    """One item after its check: the row to store, the facts for policy, and the derived table if it rests on one."""

    row: CheckRow
    judged: JudgedItem
    assessment: Assessment | None = None


@dataclass(frozen=True)
class Leaving:
    """What of an approved item goes into the bundle, and what the joint audit must remember of it."""

    parts: tuple[Part, ...] = ()
    published: tuple[PublishedItem, ...] = ()
    certified: Mapping[str, Any] = field(default_factory=dict)  # what the certificate says of it besides its check
    cells: int = 0  # figures in it, for quotas; 0 where nobody can count them


class Lane(Protocol):
    """The way out of one kind of output."""

    def refusal(self, gate: Gate, item: Item, sources: Sequence[SourceTable], /) -> Reason | None:
        """Why it can be refused while it is submitted, or None. Raises the Fault of a mere slip of the pen."""
        ...

    def check(self, gate: Gate, item: Item, context: LaneContext, /) -> Checked:
        """Recompute and measure. Raises RecomputerAway when it cannot run now; never passes what it could not check."""
        ...

    def leaving(self, gate: Gate, item: Item, check: CheckRow, /) -> Leaving:
        """The files written from what was checked and approved; nothing is computed anew."""
        ...


def refused_by_parser(item: Item, context: LaneContext, fault: Fault) -> Checked:
    """The catalogue changed since submit, or the verifier refuses what the parser let through: a failed check."""
    findings = (Finding("derivation_refused", Severity.FAIL, 0, {"what": fault.what, "code": fault.code}),)
    return without_assessment(item, context, findings)


def without_assessment(item: Item, context: LaneContext, findings: tuple[Finding, ...]) -> Checked:
    """A check whose lineage is everything the sandbox held, because nothing narrower is known."""
    lineage = tuple(sorted({t.version for t in context.sources}))
    row = CheckRow(item.name, findings, None, None, lineage, None, (), stamp(context.at), {})
    return Checked(row, JudgedItem(item, context.sources, findings, completed=True, protected=False))
