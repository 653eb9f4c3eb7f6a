"""The program as a subprocess of its own, without a container: for `assess`, which has no engine, and for tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from egress_gate.disclosure.plan import Plan
from egress_gate.verifier.port import PROGRAM, Limits, Measured, TableFile, VerifierAway, job, read_answer


class Subprocess:
    """Not sealed: the analyst's SQL runs as this user, held only by the allow-list and DuckDB's own lock."""

    def measure(self, plan: Plan, tables: Sequence[TableFile], limits: Limits) -> Measured:
        data = job(plan, tables, limits, [str(t.path) for t in tables])
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(PROGRAM)],
                input=data,
                capture_output=True,
                check=False,
                timeout=limits.seconds + 30,
            )
        except (OSError, subprocess.TimeoutExpired) as away:
            raise VerifierAway(
                "The table could not be recomputed just now.",
                why="The verifier did not end in time.",
                do="Try again.",
                private=str(away),
            ) from away
        return read_answer(done.stdout, done.stderr)
