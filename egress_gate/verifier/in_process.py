"""The program without a container: in this process for `assess`, which has no engine, or in a subprocess of its own for tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egress_gate.disclosure.plan import Plan
from egress_gate.verifier import execute
from egress_gate.verifier.port import (
    PROGRAM,
    REFIT,
    SCAN,
    Limits,
    Measured,
    ModelPlan,
    ScanPlan,
    TableFile,
    VerifierAway,
    job,
    read_answer,
    read_facts,
    read_measured,
    refit_job,
    scan_job,
)


class Subprocess:
    """Not sealed: the analyst's SQL runs as this user, held only by the allow-list and DuckDB's own lock."""

    def measure(self, plan: Plan, tables: Sequence[TableFile], limits: Limits) -> Measured:
        data = job(plan, tables, limits, [str(t.path) for t in tables])
        return read_answer(*_run(PROGRAM, data, limits.seconds))

    def refit(self, plan: ModelPlan, tables: Sequence[TableFile], limits: Limits) -> Mapping[str, Any]:
        data = refit_job(plan, tables, limits, [str(t.path) for t in tables])
        return read_facts(*_run(REFIT[0], data, limits.seconds))

    def scan(self, plan: ScanPlan, tables: Sequence[TableFile], limits: Limits) -> Mapping[str, Any]:
        data = scan_job(plan, tables, limits, [str(t.path) for t in tables])
        return read_facts(*_run(SCAN[0], data, limits.seconds))


class Inside(Subprocess):
    """As little sealed, and without the start of a process for each table: the program is called. Only where one person asks for an
    answer about files of their own, since a table that exhausts the machine ends this process."""

    def measure(self, plan: Plan, tables: Sequence[TableFile], limits: Limits) -> Measured:
        data = job(plan, tables, limits, [str(t.path) for t in tables])
        return read_measured(execute.respond(json.loads(data)))


def _run(program: Path, data: bytes, seconds: float) -> tuple[bytes, bytes]:
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(program)],
            input=data,
            capture_output=True,
            check=False,
            timeout=seconds + 30,
        )
    except (OSError, subprocess.TimeoutExpired) as away:
        raise VerifierAway(
            "The output could not be recomputed just now.",
            why="The verifier did not end in time.",
            do="Try again.",
            private=str(away),
        ) from away
    return done.stdout, done.stderr
