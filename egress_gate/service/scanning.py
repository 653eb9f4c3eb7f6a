"""Looks for values and records of the data in a text that would leave, by the verifier, and says what it found as findings.

What was found is for policy and stewards alone (`domain.finding.FOR_STEWARDS`): an author who saw it could try guesses on the data.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from egress_gate.domain.finding import Finding, Severity
from egress_gate.service.errors import RecomputerAway
from egress_gate.service.gate import Gate
from egress_gate.service.ports import ScanAnswer, ScanQuestion, SourceTable
from egress_gate.store.releases import released_records
from installation.fault import Fault

Texts = Sequence[tuple[str, str]]


def scanned(
    gate: Gate,
    project: str,
    texts: Texts,
    sources: Sequence[SourceTable],
    parameters: Mapping[str, Any],
    until: str | None = None,
) -> tuple[Finding, ...]:
    """How much of the text was compared with the data, and what was found. A scan that did not finish has compared nothing.

    Raises RecomputerAway.
    """
    try:
        made = gate.recomputer.scan(ScanQuestion(tuple(texts), tuple(sources), parameters))
    except RecomputerAway:
        raise
    except Fault as fault:
        return (_share(0.0, fault.what),)
    with gate.store.read() as c:
        earlier = released_records(c, project, until)
    return (_share(made.share), *_findings(made, earlier))


def likeness(
    gate: Gate, texts: Texts, sources: Sequence[SourceTable], parameters: Mapping[str, Any]
) -> dict[str, float] | None:
    """By part of a text that resembles the data: the largest of the bits in it. None when not all was compared. Raises RecomputerAway."""
    if not texts:
        return {}
    try:
        made = gate.recomputer.scan(ScanQuestion(tuple(texts), tuple(sources), parameters))
    except RecomputerAway:
        raise
    except Fault:
        return None
    if made.share < 1 or made.opaque_bytes:
        return None
    found: dict[str, float] = {}
    for one in made.evidence.found:
        found[one.where] = max(found.get(one.where, 0.0), round(one.bits, 1))
    return found


def _share(share: float, why: str = "") -> Finding:
    # the digest of the decision's input is told: without chance in it, an author could tell a clean text's by computing it
    figures: dict[str, Any] = {"share": round(share, 4), "chance": secrets.token_hex(16)} | (
        {"what": why} if why else {}
    )
    if share >= 1:
        return Finding("scanned", Severity.INFO, 0, figures)
    return Finding("not_fully_scanned", Severity.WARN, 0, figures)


def _findings(made: ScanAnswer, earlier: int) -> list[Finding]:
    found = []
    told = made.evidence
    lines = [f.facts() for f in told.found]
    if told.records or told.together_bits:
        figures = {
            "records": told.records,
            "bits": round(told.record_bits, 1),
            "together": round(told.together_bits, 1),
            "earlier": earlier,  # in what this project already took out: one record a file adds up
            "lines": [line for line in lines if line["what"] == "record"],
        }
        found.append(Finding("record_match", Severity.WARN, 0, figures))
    if told.columns:
        values = [line for line in lines if line["what"] == "value"]
        found.append(
            Finding("raw_values", Severity.WARN, 0, {"columns": [dict(c) for c in told.columns], "lines": values})
        )
    if made.opaque_bytes:
        found.append(Finding("encoded", Severity.WARN, 0, {"bytes": made.opaque_bytes}))
    return found
