"""`glovebox assess CASE.json`: the whole judgement of one table from files, without a hub, a container or a database.

The table is measured by the verifier's own program, by the case's parameters; what follows from the findings is said by the policies,
which know the classification's numbers. So a case may try other numbers, and the rules stay the rules.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from egress_gate.disclosure.catalogue import TableSchema
from egress_gate.disclosure.derivation import Derivation, parse
from egress_gate.disclosure.errors import JudgementFault
from egress_gate.disclosure.judge import JudgedCell, Judgement, judge
from egress_gate.disclosure.plan import plan
from egress_gate.disclosure.rules import Parameters
from egress_gate.disclosure.tabulation import Tabulation, tabulate
from egress_gate.domain.finding import Finding, Severity
from egress_gate.service.earlier import as_they_left, check_keys
from egress_gate.service.having import left_out
from egress_gate.service.joint import JointAudit, Universe, joint_audit
from egress_gate.service.ports import EarlierTable
from egress_gate.verifier.execute import CSV
from egress_gate.verifier.in_process import Inside
from egress_gate.verifier.port import Limits, TableFile

if TYPE_CHECKING:
    from policy_engine.in_process import InProcess

DATASET = "case"
VERSION = "case/1"
PARAMETERS_OF, DECISION = "release/parameters", "release/decision"
SEARCH_SECONDS = 30.0
LIMITS = Limits(seconds=600.0, memory=4 * 1024**3, cells=200_000)
# What a case may say; anything else is a mistake that would change the judgement unseen.
CASE = ("tables", "classification", "parameters", "protect", "earlier", "sql", "suppressed")
TABLE = ("path", "unit")
PARAMETERS = (
    "min_contributors",
    "dominance",
    "p_percent",
    "group_share_percent",
    "max_cells",
    "small_cells_percent",
    "small_cells_allowed",
)
DOMINANCE = ("n", "k", "k_percent")
EARLIER = ("sql", "suppressed", "rounding_base")
_FORMATS = {".csv": "csv", ".parquet": "parquet"}


@dataclass(frozen=True)
class Case:
    """A case file, read: where the tables are, what was released before, and what is asked now."""

    files: tuple[TableFile, ...]
    catalogue: Mapping[str, TableSchema]
    level: int
    parameters: Mapping[str, Any]
    protect: bool
    earlier: tuple[EarlierTable, ...]
    sql: str
    suppressed: tuple[Mapping[str, Any], ...]


def assess_file(path: Path) -> dict[str, Any]:
    """Judge the case in ``path``. Raises JudgementFault for a case that cannot be judged, and the faults of the SQL's reading."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(
        max_workers=2
    ) as beside:  # the rules are loaded while the case is read and the verifier counts
        loading = beside.submit(_engine)
        case = read_case(path)
        derivation = parse(case.sql, case.catalogue)
        check_keys("the case", derivation, case.suppressed)
        read = time.perf_counter()
        measuring = beside.submit(_measure, case, derivation)
        engine = loading.result()
        strict = dict(engine.query(PARAMETERS_OF, {"classifications": [case.level], "kinds": ["table"]}).result)
        parameters = {**strict, **case.parameters}
        rules = Parameters.read(parameters)
        table = measuring.result()
    computed = time.perf_counter()
    judged = judge(
        derivation,
        table,
        rules,
        protect=case.protect,
        left=lambda: max(0.0, computed + SEARCH_SECONDS - time.perf_counter()),
        blank=case.suppressed,
        small_share=float(parameters["small_cells_percent"]) / 100,
        small_allowed=int(parameters["small_cells_allowed"]),
    )
    decided = time.perf_counter()
    universe = Universe(case.catalogue, case.files, {DATASET: VERSION}, Inside(), LIMITS, time.monotonic)
    before = as_they_left(case.earlier, universe, rules)
    audit = before.unclear(joint_audit(derivation, judged, before.tables, rules, universe))
    audited = time.perf_counter()
    verdict = _decide(engine, case, strict, derivation, judged, audit)
    seconds = {
        "read": read - begun,
        "recompute": computed - read,
        "rules": decided - computed,
        "audit": audited - decided,
        "total": time.perf_counter() - begun,
    }
    return {
        "decision": verdict["outcome"],
        "reasons": verdict["reasons"],
        "cells": [
            _cell(c) for c, gone in zip(judged.cells, left_out(derivation, judged.cells), strict=True) if not gone
        ],
        "audit": [_inference(d.target, d.interval, d.collides_with, d.kind) for d in audit.details],
        "audit_verdict": audit.verdict,
        "findings": [f.facts() for f in _findings(judged, audit)],
        "sql": derivation.canonical_sql(),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }


def _measure(case: Case, derivation: Derivation) -> Tabulation:
    used = {t.key for t in derivation.tables}
    files = [f for f in case.files if f"{f.dataset}.{f.name}" in used]
    measured = Inside().measure(plan(derivation), files, LIMITS)
    return tabulate(derivation, measured.values, measured.statistics)


def _engine() -> InProcess:
    from policy_engine.in_process import InProcess  # a large library

    return InProcess(entry_points=[PARAMETERS_OF, DECISION])


def read_case(path: Path) -> Case:
    """Read and check a case file. Raises JudgementFault, which names what is wrong with it."""
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as broken:
        raise _bad("The case file could not be read.", str(broken), "Write it as JSON.") from broken
    if not isinstance(raw, dict) or not isinstance(raw.get("sql"), str):
        raise _bad("The case has no sql.", "A case asks for one table.", 'Add "sql": "SELECT …".')
    _known("The case", raw, CASE)
    files = _tables(raw.get("tables"), path.parent)
    level = _level(raw.get("classification", "sensitive"))
    given = raw.get("parameters") or {}
    if not isinstance(given, dict):
        raise _bad("The parameters are not an object.", "Each has a name.", 'Write {"min_contributors": 10, …}.')
    _known("The object parameters", given, PARAMETERS)
    if isinstance(given.get("dominance"), dict):
        _known("The object parameters.dominance", given["dominance"], DOMINANCE)
    return Case(
        files=tuple(files),
        catalogue={t.key: t for t in (_schema(f) for f in files)},
        level=level,
        parameters=given,
        protect=raw.get("protect") is True,
        earlier=tuple(_earlier(n, one) for n, one in enumerate(_list(raw, "earlier"))),
        sql=raw["sql"],
        suppressed=tuple(_keys(raw)),
    )


def _known(where: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises JudgementFault for a key that nothing reads: a misspelt rule would be judged by its default."""
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.5)
            raise _bad(
                f"{where} has the key {key}, which nothing reads.",
                f"It may be misspelt, and the judgement would be another than you mean. There are: {', '.join(names)}.",
                f"Write {near[0]}." if near else "Take it out.",
            )


def _tables(raw: Any, folder: Path) -> list[TableFile]:
    if not isinstance(raw, dict) or not raw:
        raise _bad(
            "The case has no tables.",
            "The table is recomputed from files.",
            'Add "tables": {"t": {"path": "t.csv", "unit": null}}.',
        )
    made = []
    for name, one in raw.items():
        if not isinstance(one, dict) or not isinstance(one.get("path"), str):
            raise _bad(
                f"The table {name} has no path.", "Its file is not known.", 'Write {"path": "t.csv", "unit": "id"}.'
            )
        _known(f"The table {name}", one, TABLE)
        place = (folder / one["path"]).resolve()
        if not place.is_file():
            raise _bad(
                f"The file of the table {name} is not there.",
                f"{one['path']} is relative to the case file.",
                "Correct the path.",
            )
        kind = _FORMATS.get(place.suffix.lower())
        if kind is None:
            raise _bad(
                f"The file of the table {name} is of another kind.", "CSV and Parquet can be read.", "Convert it."
            )
        unit = one.get("unit")
        made.append(TableFile(DATASET, str(name), place, None if unit is None else str(unit), kind))
    return made


def _schema(file: TableFile) -> TableSchema:
    reader = f"read_csv(?, {CSV})" if file.format == "csv" else "read_parquet(?)"
    try:
        with duckdb.connect(":memory:") as con:
            rows = con.execute(f"DESCRIBE SELECT * FROM {reader}", [str(file.path)]).fetchall()  # noqa: S608 - a constant
    except duckdb.Error as broken:
        raise _bad(
            f"The file of the table {file.name} could not be read.", type(broken).__name__, "Check the file."
        ) from broken
    columns = {str(row[0]): str(row[1]) for row in rows}
    if file.unit is not None and file.unit not in columns:
        raise _bad(
            f"The table {file.name} has no column {file.unit}.",
            "It is named as the privacy unit.",
            f"There are: {', '.join(columns)}.",
        )
    return TableSchema(DATASET, file.name, columns, file.unit)


def _level(name: Any) -> int:
    """The classification's number."""
    levels = {str(row["name"]): int(number) for number, row in _levels().items()}
    if name not in levels and name not in levels.values():
        raise _bad(
            f"The classification {name} is not known.", "The rules depend on it.", f"Use one of: {', '.join(levels)}."
        )
    return levels[name] if name in levels else int(name)


def _levels() -> dict[str, Any]:
    from policy_engine.bundle import POLICIES

    found: dict[str, Any] = json.loads((POLICIES / "data" / "levels.json").read_text("utf-8"))["levels"]
    return found


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    found = raw.get(name) or []
    if not isinstance(found, list):
        raise _bad(f"{name} is not a list.", "It holds one entry for each.", f'Write "{name}": [].')
    return found


def _keys(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = _list(raw, "suppressed")
    if not all(isinstance(key, dict) for key in found):
        raise _bad(
            "suppressed holds something that is no key.",
            "A cell is named by its keys.",
            'Write {"region": "N", "sex": null}.',
        )
    return found


def _earlier(number: int, one: Any) -> EarlierTable:
    if not isinstance(one, dict) or not isinstance(one.get("sql"), str):
        raise _bad(
            f"The earlier release {number} has no sql.",
            "It cannot be compared.",
            'Write {"sql": "SELECT …", "suppressed": []}.',
        )
    _known(f"The earlier release {number}", one, EARLIER)
    base = one.get("rounding_base")
    if base is not None and (isinstance(base, bool) or not isinstance(base, int) or base < 1):
        raise _bad(
            f"The earlier release {number} has the rounding_base {base}.",
            "Its figures are multiples of it, so it is a whole number of 1 or more, or null where nothing was rounded.",
            'Write {"rounding_base": 10}.',
        )
    return EarlierTable(number, number, "", one["sql"], tuple(_keys(one)), base)


def _findings(judged: Judgement, audit: JointAudit) -> list[Finding]:
    return [
        *(Finding(f.rule, Severity(f.severity), f.cells, dict(f.figures)) for f in judged.findings),
        *audit.findings,
    ]


def _decide(
    engine: InProcess,
    case: Case,
    strict: Mapping[str, Any],
    derivation: Derivation,
    judged: Judgement,
    audit: JointAudit,
) -> dict[str, Any]:
    """The policy's word on the item as it stands: whatever was to be suppressed is."""
    source = {"version": VERSION, "dataset": DATASET, "classification": case.level, "stewards": ["steward"]}
    item = {
        "name": "table",
        "kind": "table",
        "sql": derivation.canonical_sql(),
        "lineage": [source],
        "findings": [f.facts() for f in _findings(judged, audit)],
        "checks_completed": judged.completed and audit.completed,
        "protected": judged.protected,
    }
    request = {"id": "case", "author": "analyst", "project": "case", "purpose": "assessment"}
    facts = {
        "request": request,
        "parameters": {**strict, "protect": True},
        "items": [item],
        "now": "1970-01-01T00:00:00Z",
    }
    return dict(engine.query(DECISION, facts).result)


def _cell(judged: JudgedCell) -> dict[str, Any]:
    cell = judged.cell
    values = dict.fromkeys(cell.values) if judged.suppressed else dict(cell.values)
    return {
        "key": cell.published_key,
        "values": values,
        "contributors": cell.contributors,
        "findings": list(judged.rules),
        "suppressed": judged.suppressed,
    }


def _inference(target: str, interval: Sequence[str], collides: Sequence[int], kind: str) -> dict[str, Any]:
    bounds = [None if "inf" in end else float(end) for end in interval]
    return {"target": target, "interval": bounds, "collides_with": list(collides), "kind": kind}


def _bad(what: str, why: str, do: str) -> JudgementFault:
    return JudgementFault(what, why=why, do=do)
