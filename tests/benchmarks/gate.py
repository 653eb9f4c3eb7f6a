"""The gate's judgement beside ACRO's crosstab and beside the analyst's bare query in DuckDB, over the same Parquet file.

Every run is a process of its own. The judgement is all of `assess`: reading the case and the SQL, loading the policies, values and
contributors of every cell and margin, primary rules, the policy's decision. Of ACRO only its crosstab is timed and of DuckDB only
the query, both with everything loaded; the imports of all three and ACRO's reading of the file are left out.
Peak memory is VmHWM: what getrusage says starts at the size of the process that started it.
`gate_command_vs_duckdb` times both from start to end of the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from installation.settings import CHECKOUT, Settings
from tests.benchmarks import _acro
from workbench.bench import Benchmark, Measured, Pair

KEYS = {2: ("region", "sector"), 3: ("region", "sector", "size")}
SIZES = (100_000, 1_000_000, 10_000_000)
ASSESS = """import json, sys
from pathlib import Path
from egress_gate.service.assess import assess_file
found = assess_file(Path(sys.argv[1]))
peak = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM")) * 1024
print(json.dumps({"seconds": found["seconds"]["total"], "peak": peak, "cells": len(found["cells"]), "decision": found["decision"]}))
"""
BARE = """import json, sys, time
import duckdb
con = duckdb.connect()
con.execute("SET threads=2")
begun = time.perf_counter()
cells = len(con.execute(sys.argv[1]).fetchall())
print(json.dumps({"seconds": time.perf_counter() - begun, "cells": cells}))
"""


@dataclass
class Table:
    """One file and one table over it; remembers each run's peak memory, to be read after the times."""

    folder: Path
    path: Path
    keys: tuple[str, ...]
    unit: str | None = None
    peaks: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "theirs": []})

    def sql(self, source: str) -> str:
        named = ", ".join(self.keys)
        return f"SELECT {named}, count(*) AS n, sum(x) AS s FROM {source} GROUP BY CUBE ({named})"

    def judged(self) -> dict[str, Any]:
        case = self.folder / "case.json"
        table = {"path": str(self.path), "unit": self.unit}
        case.write_text(json.dumps({"tables": {"t": table}, "classification": "public", "sql": self.sql("t")}), "utf-8")
        found = _python(ASSESS, str(case))
        self.peaks["ours"].append(found["peak"])
        return found

    def bare(self) -> dict[str, Any]:
        return _python(BARE, self.sql(f"'{self.path}'"))

    def acro(self) -> float:
        job = {"path": str(self.path), "values": "x", "aggfunc": "sum", "margins": True}
        found = _acro.ask({**job, "index": self.keys[:-1], "columns": self.keys[-1:]}, self.folder)
        self.peaks["theirs"].append(found["peak"])
        return float(found["seconds"])

    def peak(self, whose: str) -> Callable[[], float]:
        """The peaks of the runs that were timed, in their order."""
        taken = iter(())

        def again() -> float:
            nonlocal taken
            found = next(taken, None)
            if found is None:
                taken = iter(list(self.peaks[whose]))
                found = next(taken)
            return float(found)

        return again


def _python(code: str, argument: str) -> dict[str, Any]:
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, check=True, env=environ)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def make_rows(path: Path, rows: int, per_person: int = 1) -> None:
    """Ten regions, 20 skewed sectors, 5 sizes, a log-normal measure of sigma 2; ``per_person`` rows scattered over the cells."""
    person = "range" if per_person == 1 else f"CAST(floor(random() * {rows // per_person}) AS BIGINT)"
    with duckdb.connect() as con:
        con.execute("SET threads=1")  # so that the seed gives the same file again
        con.execute("SELECT setseed(0.4)")
        con.execute(f"""COPY (SELECT {person} AS id, 'R' || CAST(floor(10 * random()) AS INT) AS region,
            'S' || CAST(floor(20 * pow(random(), 2)) AS INT) AS sector, 'Z' || CAST(floor(5 * random()) AS INT) AS size,
            exp(2 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS x FROM range({rows})) TO '{path}'""")


def _of(measured: Callable[[], dict[str, Any]]) -> Callable[[], float]:
    return lambda: float(measured()["seconds"])


def _timed(measured: Callable[[], dict[str, Any]]) -> Callable[[], float]:
    """The process from its start to its end."""

    def run() -> float:
        begun = time.perf_counter()
        measured()
        return time.perf_counter() - begun

    return run


def _pairs(folder: Path, rows: int, largest: bool) -> Iterator[Pair | Measured]:
    path = folder / f"{rows}.parquet"
    make_rows(path, rows)
    runs = 1 if rows >= 10_000_000 else 3
    for count, keys in KEYS.items():
        end = "" if largest and count == max(KEYS) else f".{rows:.0e}.{count}keys".replace("+0", "")
        table = Table(folder, path, keys)
        found, bare = table.judged(), table.bare()
        if found["cells"] != bare["cells"]:
            raise RuntimeError(f"the judgement has {found['cells']} cells and the query {bare['cells']}")
        yield Pair(f"gate_time_vs_duckdb{end}", _of(table.judged), _of(table.bare), 5)
        yield Pair(f"gate_command_vs_duckdb{end}", _timed(table.judged), _timed(table.bare), 3)
        table.peaks["ours"].clear()
        yield Pair(f"gate_time_vs_acro{end}", _of(table.judged), table.acro, runs)
        yield Pair(f"gate_memory_vs_acro{end}", table.peak("ours"), table.peak("theirs"), runs, "bytes")
        yield Measured(f"gate_cells{end}", found["cells"])
    yield from _people(folder, rows)
    path.unlink()


def _people(folder: Path, rows: int) -> Iterator[Pair | Measured]:
    """With a privacy unit: one row a person, and ten rows a person scattered over the cells. The bare query counts no people."""
    for per_person in (1, 10):
        path = folder / f"people-{rows}-{per_person}.parquet"
        make_rows(path, rows, per_person)
        table = Table(folder, path, KEYS[3], "id")
        end = f"{rows:.0e}.{per_person}rows".replace("+0", "")
        yield Pair(f"gate_people_time_vs_duckdb.{end}", _of(table.judged), _of(table.bare), 2)
        yield Measured(f"gate_people_peak_bytes.{end}", max(table.peaks["ours"]))
        path.unlink()


@contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    """Files in a temporary folder, each made when its turn comes. Nothing of the installation is read or written."""
    sizes = SIZES[:1] if quick else SIZES
    _acro.environment()
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-gate-") as name:
        yield (one for rows in sizes for one in _pairs(Path(name), rows, rows == sizes[-1]))


BENCHMARKS = [
    Benchmark("gate", "the full judgement beside ACRO's crosstab and the analyst's bare query", prepare),
]
