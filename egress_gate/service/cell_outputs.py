"""Outputs of a notebook that a person may approve one by one: measured here, judged by ``release/cells``, stripped unless approved.

What is offered for approval is what would leave: text without colours or hidden characters, and pictures that the gate wrote anew. The
evidence lies beside the notebook's check; what leaves is put together from it and from the reviews at the moment of release.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from egress_gate.domain.decision import AnswerUnreadable, Reason, reasons_from
from egress_gate.domain.item import Item, Kind
from egress_gate.domain.review import ReviewRefused, ReviewVerdict
from egress_gate.policy.facts import cells_input
from egress_gate.render.image import ImageRefused, reencoded
from egress_gate.render.notebook import Shown, ShownCell, rendered
from egress_gate.service.gate import Gate
from egress_gate.service.manual import rows_in
from egress_gate.service.notebooks import (
    OTHER,
    PICTURE,
    TEXT,
    Approved,
    Cell,
    Output,
    cells_of,
    hidden_characters,
    is_notebook,
    revealed,
    written,
)
from egress_gate.service.ports import SourceTable
from egress_gate.service.scanning import likeness
from egress_gate.store import catalogue, requests
from egress_gate.store.requests import CheckRow, RequestRow, ReviewRow, canonical

MOST_PICTURES = 20
SHOWN_TEXT = 20_000
UNREADABLE, RECORDS, HIDDEN, NOT_SCANNED = "unreadable", "raw_records", "hidden_characters", "not_scanned"


@dataclass(frozen=True)
class Offered:
    """One output as it would leave, and what the machine found about it. ``png``: the blob of the picture as the gate wrote it."""

    id: str
    cell: int
    kind: str
    text: str
    stream: str
    png: str | None
    kinds: tuple[str, ...]
    findings: tuple[str, ...]
    bits: float = 0.0  # how unlikely it is that it resembles the data by chance

    def facts(self) -> dict[str, Any]:
        """For policy: no content."""
        return {
            "id": self.id,
            "type": self.kind,
            "characters": len(self.text),
            "findings": list(self.findings),
            "bits": self.bits,
        }

    def stored(self) -> dict[str, Any]:
        return {**vars(self), "kinds": list(self.kinds), "findings": list(self.findings)}


@dataclass(frozen=True)
class Evidence:
    """What a notebook's check stored: the blob of its HTML, and its outputs."""

    html: str
    outputs: tuple[Offered, ...]


@dataclass(frozen=True)
class CellsVerdict:
    """Policy's answer: the types that may leave, how many approvals each needs, why some cannot, and which leave."""

    types: tuple[str, ...]
    approvals: Mapping[str, int]
    off: Mapping[str, tuple[Reason, ...]]
    leaves: tuple[str, ...]


def measure(gate: Gate, cells: Sequence[Cell], sources: Sequence[SourceTable], parameters: Mapping[str, Any]) -> str:
    """The blob of the evidence. Raises NotebookNotShown for a notebook that cannot be rendered, PolicyUnavailable without an engine,
    RecomputerAway."""
    levels = {t.classification for t in sources}
    types = frozenset(ask(gate, levels, (), ()).types)
    texts = [(o.id, o.text) for cell in cells for o in cell.outputs if o.kind == TEXT and TEXT in types]
    alike = likeness(gate, texts, sources, parameters)
    decoded = 0
    offered: list[Offered] = []
    pictures: dict[str, bytes] = {}
    for output in (o for cell in cells for o in cell.outputs):
        png = None
        if output.kind == PICTURE and PICTURE in types and decoded < MOST_PICTURES:
            decoded += 1
            png = _picture(output)
            if png is not None:
                pictures[output.id] = png
        offered.append(_offered(gate, output, png, sources, alike))
    html = gate.blobs.put(rendered([_shown(cell, pictures) for cell in cells]))
    # Whoever knows a digest of what is easily guessed knows the thing: a random word makes it unguessable.
    stored = {"html": html, "salt": secrets.token_hex(16), "outputs": [o.stored() for o in offered]}
    return gate.blobs.put(canonical(stored).encode())


def evidence(gate: Gate, check: CheckRow) -> Evidence | None:
    """None for what is no notebook, or was checked before its outputs were looked at."""
    if check.assessment is None or not is_notebook(check.item):
        return None
    found = json.loads(gate.blobs.read(check.assessment))
    if "html" not in found:
        return None
    return Evidence(found["html"], tuple(_read(o) for o in found["outputs"]))


def ask(
    gate: Gate, levels: Iterable[int], outputs: Iterable[Offered], reviews: Iterable[Mapping[str, Any]]
) -> CellsVerdict:
    """``release/cells``. Raises PolicyUnavailable."""
    facts = cells_input(levels, (o.facts() for o in outputs), reviews)
    answer = gate.engine.query("release/cells", facts).result
    try:
        if not isinstance(answer, Mapping):
            raise TypeError("the answer must be an object")
        return CellsVerdict(
            types=tuple(str(t) for t in answer["types"]),
            approvals={str(one["type"]): int(one["approvals"]) for one in answer["approvals"]},
            off={str(one["id"]): reasons_from(one["reasons"]) for one in answer["off"]},
            leaves=tuple(str(i) for i in answer["leaves"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as broken:
        raise AnswerUnreadable(
            "The policy's answer about a notebook's outputs could not be read.",
            why="An answer that is not understood is never taken for a permission.",
            do="Try again; if it stays so, tell an administrator.",
            private=f"{broken!r} in {answer!r}",
        ) from broken


def verdict_on(gate: Gate, row: RequestRow, check: CheckRow, found: Evidence) -> CellsVerdict:
    """Policy on the outputs of one notebook, with the reviews that there are."""
    with gate.store.read() as c:
        levels = levels_of(c, check)
        said = said_of(c, check.item, requests.reviews(c, row.id, row.revision))
    return ask(gate, levels, found.outputs, said)


def levels_of(c: Connection, check: CheckRow) -> tuple[int, ...]:
    datasets = catalogue.datasets_of_versions(c, check.lineage)
    return tuple(catalogue.classifications(c, datasets.values()).values())


def said_of(c: Connection, item: str, given: Sequence[ReviewRow]) -> list[dict[str, Any]]:
    """What each review says of a notebook: its verdict on it, or on the whole where it has none of its own."""
    own = requests.item_verdicts(c, [r.id for r in given])
    approved = requests.cell_approvals(c, [r.id for r in given])
    made = []
    for one in given:
        about = own.get(one.id, {}).get(item)
        verdict = about.verdict if about else one.review.verdict.value
        outputs = sorted(approved.get(one.id, {}).get(item, ()))
        made.append({"reviewer": one.review.reviewer, "verdict": verdict, "approved": outputs})
    return made


def require_approvable(
    gate: Gate, row: RequestRow, cells: Mapping[str, frozenset[str]], verdicts: Mapping[str, ReviewVerdict]
) -> None:
    """Raises ReviewRefused for an output that is not there, that policy keeps, or whose notebook the same review does not approve."""
    if not cells:
        return
    with gate.store.read() as c:
        checks = {k.item: k for k in requests.checks(c, row.id, row.revision)}
    for name, wanted in cells.items():
        found = evidence(gate, checks[name]) if name in checks else None
        known = {o.id for o in found.outputs} if found else set()
        off = verdict_on(gate, row, checks[name], found).off if found else {}
        for one in sorted(wanted):
            if one not in known:
                raise _not_approvable(name, one, "This notebook has no such output.", "Reload the page.")
            if one in off:
                raise _not_approvable(name, one, " ".join(r.message for r in off[one]), "Leave it out.")
            if verdicts.get(name, ReviewVerdict.APPROVE) is not ReviewVerdict.APPROVE:
                raise _not_approvable(name, one, "The notebook itself is not approved.", "Approve both, or neither.")


def settled(gate: Gate, row: RequestRow, item: Item, check: CheckRow) -> CheckRow:
    """The check with what leaves of a notebook: its sources and the outputs that policy lets go. Raises PolicyUnavailable."""
    found = evidence(gate, check) if item.kind is Kind.FILE else None
    if found is None:
        return check
    leaving = verdict_on(gate, row, check, found).leaves
    kept = [o for o in found.outputs if o.id in leaving]
    approved = [Approved(o.cell, o.text, o.stream, gate.blobs.read(o.png) if o.png else b"") for o in kept]
    data = written(cells_of(gate.blobs.read(item.blob or "")), approved)
    made = {
        "notebook": gate.blobs.put(data),
        "approved": [o.id for o in kept],
        "stripped": len(found.outputs) - len(kept),
    }
    return replace(check, protected=gate.blobs.put(canonical(made).encode()))


def leaving_notebook(gate: Gate, check: CheckRow) -> tuple[bytes, Mapping[str, Any]] | None:
    """What `settled` wrote, and what the certificate says of it; None where nothing was settled."""
    if check.protected is None:
        return None
    made = json.loads(gate.blobs.read(check.protected))
    outputs = {"approved": made["approved"], "stripped": made["stripped"]} if made["approved"] else "stripped"
    return gate.blobs.read(made["notebook"]), {"outputs": outputs}


def _picture(output: Output) -> bytes | None:
    try:
        return reencoded(output.picture)
    except ImageRefused:
        return None


def _offered(
    gate: Gate, output: Output, png: bytes | None, sources: Sequence[SourceTable], alike: Mapping[str, float] | None
) -> Offered:
    found = [] if alike is not None else [NOT_SCANNED]
    if output.kind == OTHER or (output.kind == PICTURE and png is None) or (output.kind == TEXT and not output.text):
        found.append(UNREADABLE)
    if output.text and rows_in(output.text, sources):
        found.append(RECORDS)
    if hidden_characters(output.text):
        found.append(HIDDEN)
    blob = gate.blobs.put(png) if png is not None else None
    return Offered(
        output.id,
        output.cell,
        output.kind,
        output.text,
        output.stream,
        blob,
        output.kinds,
        tuple(sorted(found)),
        (alike or {}).get(output.id, 0.0),
    )


def _shown(cell: Cell, pictures: Mapping[str, bytes]) -> ShownCell:
    return ShownCell(
        cell.kind, revealed(cell.source), tuple(s for o in cell.outputs for s in _shown_output(o, pictures))
    )


def _shown_output(output: Output, pictures: Mapping[str, bytes]) -> list[Shown]:
    """As it would leave, and the name of every type that it came in and that is not shown, because it could run or load something."""
    left = [k for k in output.kinds if k not in ("stream", "error", "text/plain")]
    if output.kind == PICTURE and output.id in pictures:
        return [Shown(png=pictures[output.id]), *(Shown(note=f"[{k}]") for k in left if not k.startswith("image/"))]
    notes = [Shown(note=f"[{revealed(k)}]") for k in left]
    if output.kind != TEXT or not output.text:
        return notes or [Shown(note="[?]")]
    text = revealed(output.text[:SHOWN_TEXT]) + ("\n…" if len(output.text) > SHOWN_TEXT else "")
    return [Shown(text=text), *notes]


def _read(one: Mapping[str, Any]) -> Offered:
    return Offered(**{**one, "kinds": tuple(one["kinds"]), "findings": tuple(one["findings"])})


def _not_approvable(name: str, output: str, why: str, do: str) -> ReviewRefused:
    return ReviewRefused(f"Output {output} of {name} cannot be approved.", why=why, do=do)
