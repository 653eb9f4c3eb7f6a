"""The manual lane: what can be said about a file that the gate cannot recompute. Policy denies it by default."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from egress_gate.domain.finding import Finding, Severity
from egress_gate.domain.item import Item
from egress_gate.service.gate import Gate
from egress_gate.service.notebooks import NotebookUnreadable, is_notebook
from egress_gate.service.notebooks import sources as cells
from egress_gate.service.ports import SourceTable
from egress_gate.service.scanning import scanned

MAX_SCANNED = 20 * 1024 * 1024
RECORD_LIKE_ROWS = 5
MODEL_ENDINGS = frozenset(
    [
        "pkl",
        "pickle",
        "joblib",
        "onnx",
        "h5",
        "hdf5",
        "keras",
        "pt",
        "pth",
        "ckpt",
        "skops",
        "safetensors",
        "npz",
        "npy",
        "rds",
        "rda",
        "rdata",
        "pmml",
        "mlmodel",
        "cbm",
        "ubj",
        "bst",
        "model",
    ]
)
MODEL_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x89HDF", b"\x93NUMPY")
MODEL_FILE = {
    "code": "model-file",
    "what": "It is a stored model, and the gate opens none: a model can hold records of what it was trained on, "
    "and loading it runs its author's code.",
    "do": "Ask for a regression by its recipe, glovebox.ols, glovebox.logit or glovebox.poisson with a formula and SQL: "
    "the gate fits it again and writes its coefficients. Of any other model, ask for its figures as tables.",
}


def file_findings(
    gate: Gate,
    item: Item,
    project: str,
    sources: Sequence[SourceTable],
    parameters: Mapping[str, Any],
    until: str | None,
) -> tuple[Finding, ...]:
    """Always `not_recomputed`; `raw_records` or `unreadable` when that is what the bytes look like; and what a scan for the data's values
    found. A file that policy keeps anyway is not compared with the data. `until`: what left later does not count. Raises RecomputerAway."""
    found = [Finding("not_recomputed", Severity.WARN)]
    data = gate.blobs.read(item.blob or "")
    if is_model_file(item.name, data):
        return (*found, Finding("unreadable", Severity.FAIL, 0, MODEL_FILE))
    text = _text(data)
    try:
        parts = None if text is None else texts_of(item, data, text)
    except NotebookUnreadable:
        parts = None
    if text is None or parts is None:
        return (*found, Finding("unreadable", Severity.FAIL))
    rows = max([object_rows(text, sources), *(record_rows(one, sources) for one in (text, *(t for _, t in parts)))])
    if rows:
        found.append(Finding("raw_records", Severity.FAIL, rows, {"rows": rows}))
    if opened(item, parameters):
        found += scanned(gate, project, parts, sources, parameters, until)
    return tuple(found)


def texts_of(item: Item, data: bytes, text: str) -> list[tuple[str, str]]:
    """What is scanned, part by part: of a notebook each cell's source, as only that leaves."""
    if not is_notebook(item.name):
        return [("", text)]
    return [(str(number), words) for number, (_, words) in enumerate(cells(data), 1)]


def opened(item: Item, parameters: Mapping[str, Any]) -> bool:
    """Whether policy lets a person look at files of this ending; nothing looks into any other."""
    return item.name.casefold().rpartition(".")[2] in parameters.get("files", ())


def is_model_file(name: str, data: bytes) -> bool:
    """A stored model: nobody can read what is in it, and opening some of them runs them."""
    _, dot, ending = name.casefold().rpartition(".")
    return (bool(dot) and ending in MODEL_ENDINGS) or data.startswith(MODEL_STARTS)


def _text(data: bytes) -> str | None:
    if len(data) > MAX_SCANNED or b"\x00" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def rows_in(text: str, sources: Sequence[SourceTable]) -> int:
    """How many records of single people a text seems to hold."""
    return max(object_rows(text, sources), record_rows(text, sources))


def record_rows(text: str, sources: Sequence[SourceTable]) -> int:
    """How many lines look like records: a delimited table that has the privacy unit or half the columns of a source.

    Its header is the first line with several fields, or any line with at least five below it that have as many fields.
    """
    best = 0
    for delimiter in (",", "\t", ";", "|"):
        try:
            rows = [r for r in csv.reader(io.StringIO(text), delimiter=delimiter) if len(r) > 1]
        except csv.Error:
            continue
        if len(rows) > RECORD_LIKE_ROWS and _looks_like(rows[0], sources):
            best = max(best, len(rows) - 1)
        best = max(best, _below_a_header(rows, sources))
    return max(best, _below_a_header([r.split() for r in text.splitlines()], sources))


def _below_a_header(rows: Sequence[Sequence[str]], sources: Sequence[SourceTable]) -> int:
    """Lines directly below one that names columns, with as many fields as it or one more: a frame's index has no name."""
    columns = [frozenset(c["name"].casefold() for c in table.columns) for table in sources]
    best = start = 0
    while start < len(rows):
        below = _below(rows, start) if _names_columns(rows[start], columns) else 0
        best = max(best, below if below >= RECORD_LIKE_ROWS else 0)
        start += 1 + below
    return best


def _below(rows: Sequence[Sequence[str]], start: int) -> int:
    widths = {len(rows[start]), len(rows[start]) + 1}
    end = next((n for n in range(start + 1, len(rows)) if len(rows[n]) not in widths), len(rows))
    return end - start - 1


def _names_columns(row: Sequence[str], columns: Sequence[frozenset[str]]) -> bool:
    """Two columns of one source or more, and little else; a list that explains columns names one in each line."""
    names = {f.strip().strip('"').casefold() for f in row} - {""}
    return any(len(names & own) >= max(2, len(names) / 2) for own in columns)


def object_rows(text: str, sources: Sequence[SourceTable]) -> int:
    """How many JSON objects, in a list or one a line, have the privacy unit or half the columns of a source among their keys."""
    if not text.lstrip().startswith(("{", "[")):
        return 0
    try:
        found = _objects(json.loads(text))
    except (ValueError, RecursionError):
        found = [o for line in text.splitlines() for o in _object(line)]
    alike = sum(_looks_like(tuple(o), sources) for o in found)
    return alike if alike >= RECORD_LIKE_ROWS else 0


def _objects(value: object) -> list[Mapping[str, object]]:
    """Every object in it, however deep."""
    found: list[Mapping[str, object]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found.append(one)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def _object(line: str) -> list[Mapping[str, object]]:
    try:
        made = json.loads(line)
    except (ValueError, RecursionError):
        return []
    return [made] if isinstance(made, dict) else []


def _looks_like(header: Sequence[str], sources: Sequence[SourceTable]) -> bool:
    names = {h.strip().strip('"').casefold() for h in header}
    for table in sources:
        columns = {c["name"].casefold() for c in table.columns}
        shared = names & columns
        if (table.unit and table.unit.casefold() in shared) or len(shared) * 2 >= len(columns):
            return True
    return False
