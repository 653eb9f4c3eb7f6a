"""The port: run a plan over tables; rows come back, or a fault in two voices."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from egress_gate.disclosure.plan import Plan
from installation.fault import Fault

PROGRAM = Path(__file__).with_name("execute.py")
REFIT = tuple(Path(__file__).with_name(f"{name}.py") for name in ("refit", "execute", "influence"))
RERUN = (Path(__file__).with_name("rerun.py"),)
SCAN = tuple(Path(__file__).with_name(f"{name}.py") for name in ("scan", "execute"))
MAX_ANSWER = 64 * 1024 * 1024


class VerifierAway(Fault):
    """The verifier could not be run; the request waits and is tried again."""

    code = "verifier-away"


class VerifierRefused(Fault):
    """The verifier ran and could not compute the table: it took too long, needed too much, or the engine refused it."""

    code = "verifier-refused"


@dataclass(frozen=True)
class TableFile:
    """One table as a file: its names, the privacy unit's column (None: each row its own), and the format."""

    dataset: str
    name: str
    path: Path
    unit: str | None
    format: str = "parquet"


@dataclass(frozen=True)
class Limits:
    seconds: float = 120.0
    memory: int = 1024**3
    cells: int = 50_000
    threads: int = 2


@dataclass(frozen=True)
class Measured:
    values: list[list[Any]]
    statistics: list[list[list[Any]]]
    seconds: dict[str, float]
    engine: str


@dataclass(frozen=True)
class ModelPlan:
    """A regression to fit anew: its rows as SQL with their units, the formula as lists, the family, and statements that count the units
    by which its rows differ from those of models before it."""

    rows: str
    formula: Mapping[str, Any]
    family: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScanPlan:
    """Tokens (kind and canonical value) and the windows they stand in, to be looked for in tables. ``rare``: values of fewer units."""

    tokens: tuple[tuple[str, str], ...]
    windows: tuple[tuple[int, ...], ...]
    rare: int


class Runner(Protocol):
    def measure(self, plan: Plan, tables: Sequence[TableFile], limits: Limits) -> Measured:
        """Raises VerifierAway or VerifierRefused."""
        ...

    def refit(self, plan: ModelPlan, tables: Sequence[TableFile], limits: Limits) -> Mapping[str, Any]:
        """The facts that `refit.py` measures. Raises VerifierAway or VerifierRefused."""
        ...

    def scan(self, plan: ScanPlan, tables: Sequence[TableFile], limits: Limits) -> Mapping[str, Any]:
        """Which tokens `scan.py` finds in the tables. Raises VerifierAway or VerifierRefused."""
        ...


@dataclass(frozen=True)
class Rerun:
    """What a notebook did when it was run anew: the outputs of each code cell as the kernel sent them, or why it was stopped.

    Everything in it was said by a process beside the analyst's code: it is read as a stranger's. ``image``: what it ran in.
    """

    cells: tuple[tuple[Mapping[str, Any], ...], ...]
    stopped: str | None
    image: str


class Rerunner(Protocol):
    def rerun(self, sources: Sequence[str], tables: Sequence[TableFile], seconds: float) -> Rerun:
        """Run the code cells top to bottom over the tables, sealed. Raises VerifierAway."""
        ...


def read_rerun(data: bytes, errors: bytes, image: str, cells: int) -> Rerun:
    """What `rerun.py` wrote of so many cells. Raises VerifierAway for anything else."""
    found = read_facts(data, errors)
    if isinstance(found.get("stopped"), str):
        return Rerun((), found["stopped"], image)
    made = found.get("cells")
    if not isinstance(made, list) or len(made) != cells:
        raise _unanswered(errors)
    if not all(isinstance(c, list) and all(isinstance(o, dict) for o in c) for c in made):
        raise _unanswered(errors)
    return Rerun(tuple(tuple(c) for c in made), None, image)


def refit_job(plan: ModelPlan, tables: Sequence[TableFile], limits: Limits, paths: Sequence[str]) -> bytes:
    """The job as `refit.py` reads it."""
    return json.dumps({**_given(tables, limits, paths), **dataclasses.asdict(plan)}).encode()


def scan_job(plan: ScanPlan, tables: Sequence[TableFile], limits: Limits, paths: Sequence[str]) -> bytes:
    """The job as `scan.py` reads it."""
    return json.dumps({**_given(tables, limits, paths), **dataclasses.asdict(plan)}, ensure_ascii=False).encode()


def job(plan: Plan, tables: Sequence[TableFile], limits: Limits, paths: Sequence[str]) -> bytes:
    """The job as the program reads it; ``paths`` are the tables' places where it runs."""
    return json.dumps(
        {
            **_given(tables, limits, paths),
            "values": plan.values,
            "statistics": list(plan.statistics),
            "steps": [dataclasses.asdict(step) for step in plan.steps],
        }
    ).encode()


def _given(tables: Sequence[TableFile], limits: Limits, paths: Sequence[str]) -> dict[str, Any]:
    return {
        "tables": [
            {"dataset": t.dataset, "name": t.name, "path": path, "unit": t.unit, "format": t.format}
            for t, path in zip(tables, paths, strict=True)
        ],
        "limits": dataclasses.asdict(limits),
    }


def read_answer(data: bytes, errors: bytes) -> Measured:
    """What `execute.py` wrote. Raises VerifierRefused for its own refusals, VerifierAway for anything unreadable."""
    return read_measured(read_facts(data, errors), errors)


def read_measured(found: Mapping[str, Any], errors: bytes = b"") -> Measured:
    """An answer of `execute.py` as rows. Raises as `read_answer`."""
    _refuse(found)
    try:
        return Measured(found["values"], found["statistics"], dict(found["seconds"]), str(found["engine"]))
    except (ValueError, KeyError, TypeError) as broken:
        raise _unanswered(errors) from broken


def read_facts(data: bytes, errors: bytes) -> dict[str, Any]:
    """What a program wrote, as it wrote it. Raises as `read_answer`."""
    try:
        found = json.loads(data) if len(data) <= MAX_ANSWER else None
    except ValueError as broken:
        raise _unanswered(errors) from broken
    if not isinstance(found, dict):
        raise _unanswered(errors)
    _refuse(found)
    return found


def _refuse(found: Mapping[str, Any]) -> None:
    if "error" in found:
        raise VerifierRefused(
            "The output was not computed.",
            why=str(found.get("what", "")),
            do="Make it smaller, or correct what the message names.",
            private=str(found.get("private", "")),
        )


def _unanswered(errors: bytes) -> VerifierAway:
    return VerifierAway(
        "The output could not be recomputed just now.",
        why="The verifier ended without an answer.",
        do="Nothing is lost: it is tried again.",
        private=errors.decode("utf-8", "replace")[-2000:],
    )
