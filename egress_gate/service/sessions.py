"""Reading what went on in a sandbox: its proof of isolation, and every executed cell with what it showed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.errors import no_such
from egress_gate.service.gate import Gate
from egress_gate.store import catalogue, sandboxes
from egress_gate.store.sandboxes import Happened, SandboxRow
from store.clock import stamp
from store.errors import BlobFault

KINDS = ("cell", "shown", "refused", "upload", "sign_in")
MOST_CODE = 20_000


@dataclass(frozen=True)
class Line:
    """One line of the trail. ``code`` is an executed cell's own text, read from the blob store and hashed again."""

    event: Happened
    code: str | None = None


@dataclass(frozen=True)
class Session:
    sandbox: SandboxRow
    lines: tuple[Line, ...]
    counts: Mapping[str, int]
    older: int | None


def session(
    gate: Gate, person: Person, name: str, at: datetime, *, kind: str = "cell", before: int | None = None
) -> Session:
    """Raises NotFound for somebody who may not read it: it is for stewards of the data mounted, and auditors."""
    with gate.store.read() as c:
        found = sandboxes.sandbox(c, name)
        versions = found.versions if found else ()
        stewards = catalogue.effective_stewards(c, catalogue.datasets_of_versions(c, versions).values(), stamp(at))
    facts = {"stewards": {dataset: list(people) for dataset, people in stewards.items()}}
    if found is None or not may(gate.engine, person, "view_trail", at, sandbox=facts).allow:
        raise no_such("sandbox")
    with gate.store.read() as c:
        events, older = sandboxes.happened(c, name, kind, before)
        counts = sandboxes.counted(c, name)
    return Session(found, tuple(Line(e, _code(gate, e)) for e in events), counts, older)


def _code(gate: Gate, event: Happened) -> str | None:
    """None when the text cannot be had, or is not what was recorded: a page then says so."""
    if event.kind != "cell":
        return None
    try:
        data = gate.blobs.read(event.digest)
    except BlobFault:
        return None
    text = data[:MOST_CODE].decode("utf-8", "replace")
    return text + "\n…" if len(data) > MOST_CODE else text
