"""The manual lane: what can be said about a file that the gate cannot recompute. Policy denies it by default."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from egress_gate.domain.finding import Finding, Severity
from egress_gate.domain.item import Item
from egress_gate.service.gate import Gate
from egress_gate.service.notebooks import NotebookUnreadable, is_notebook
from egress_gate.service.notebooks import sources as cells
from egress_gate.service.ports import SourceTable

MAX_SCANNED = 20 * 1024 * 1024
RECORD_LIKE_ROWS = 5


def file_findings(
    gate: Gate, item: Item, sources: Sequence[SourceTable], parameters: Mapping[str, Any]
) -> tuple[Finding, ...]:
    """Always `not_recomputed`; and `raw_records` or `unreadable` when that is what the bytes look like."""
    found = [Finding("not_recomputed", Severity.WARN)]
    data = gate.blobs.read(item.blob or "")
    text = _text(data)
    if text is None:
        return (*found, Finding("unreadable", Severity.FAIL))
    try:
        texts = [text, *(words for _, words in cells(data))] if is_notebook(item.name) else [text]
    except NotebookUnreadable:
        return (*found, Finding("unreadable", Severity.FAIL))
    rows = max(record_rows(one, sources) for one in texts)
    if rows:
        found.append(Finding("raw_records", Severity.FAIL, rows, {"rows": rows}))
    return tuple(found)


def _text(data: bytes) -> str | None:
    if len(data) > MAX_SCANNED or b"\x00" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def record_rows(text: str, sources: Sequence[SourceTable]) -> int:
    """How many lines look like records: a delimited table that has the privacy unit or half the columns of a source."""
    best = 0
    for delimiter in (",", "\t", ";", "|"):
        try:
            rows = [r for r in csv.reader(io.StringIO(text), delimiter=delimiter) if len(r) > 1]
        except csv.Error:
            continue
        if len(rows) > RECORD_LIKE_ROWS and _looks_like(rows[0], sources):
            best = max(best, len(rows) - 1)
    return best


def _looks_like(header: Sequence[str], sources: Sequence[SourceTable]) -> bool:
    names = {h.strip().strip('"').casefold() for h in header}
    for table in sources:
        columns = {c["name"].casefold() for c in table.columns}
        shared = names & columns
        if (table.unit and table.unit.casefold() in shared) or len(shared) * 2 >= len(columns):
            return True
    return False
