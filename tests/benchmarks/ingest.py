"""Bringing in a large CSV file beside DuckDB's own COPY to Parquet, each in a process of its own, with the same memory limit and threads.

Ours reads the dialect and the types, checks every row, masks (a keyed pseudonym, years for dates, bins for ages), seals the Parquet
file on its way to the disk, digests source and result, and writes the record; `ingest_unmasked_time_vs_copy` is the same without
masking. Peak memory is the process's largest resident set.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from installation.settings import CHECKOUT, Settings
from workbench.bench.frame import Benchmark, Measured, Pair

ROWS, ROWS_QUICK = 10_000_000, 1_000_000

OURS = """
import resource, sys, time, json
from pathlib import Path
from datetime import UTC, datetime
from installation.settings import load
from provisioning.domain.masking import parse
from provisioning.domain.registration import Registration, TableSource
from provisioning.service import catalogue
from store.database import Database
home, file = Path(sys.argv[1]), Path(sys.argv[2])
settings = load(home)
database = Database.open(settings)
source = TableSource(name="visits", files=(file,), unit="person")
recipe = {"visits": {"columns": {"person": {"do": "pseudonym"}, "visited": {"do": "truncate", "to": "year"},
    "age": {"do": "bins", "edges": [30, 45, 60, 75]}, "cost": {"do": "clip", "high": 7000}}}}
masked = sys.argv[3] == "masked"
wanted = Registration("visits", "Visits", "Visits.", "A hospital", 3, ("stella",), (source,),
    parse(json.dumps(recipe)) if masked else {}, "care" if masked else None)
begun = time.perf_counter()
catalogue.register_dataset(database, settings, wanted, actor="adam", at=datetime(2026, 11, 24, tzinfo=UTC))
print(json.dumps([time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""

THEIRS = """
import resource, sys, time, json, duckdb
begun = time.perf_counter()
with duckdb.connect(config={"memory_limit": "640MB", "threads": 2, "temp_directory": sys.argv[1]}) as c:
    c.execute(f"COPY (SELECT * FROM read_csv('{sys.argv[2]}')) TO '{sys.argv[1]}/out.parquet' "
              "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)")
print(json.dumps([time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def deliver(target: Path, rows: int) -> int:
    """A CSV file of visits, about 100 bytes a row. Returns its size in bytes."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT hash(r) % 3000000 AS person, DATE '2015-01-01' + CAST(hash(r * 7) % 3650 AS INTEGER) AS visited,
            ['north', 'south', 'east', 'west'][CAST(hash(r * 3) % 4 AS INTEGER) + 1] AS region,
            18 + hash(r * 5) % 80 AS age, round((hash(r * 11) % 1000000) / 137.0, 3) AS cost,
            'ward-' || hash(r * 13) % 400 AS ward, md5(r::VARCHAR) || left(md5((r + 1)::VARCHAR), 18) AS note,
            hash(r * 17) % 100000 AS item
            FROM range({rows}) t(r)) TO '{target}' (HEADER, DELIMITER ',')"""
        )
    return target.stat().st_size


@contextlib.contextmanager
def prepare(settings: Settings, quick: bool) -> Iterator[Iterator[Pair | Measured]]:
    with tempfile.TemporaryDirectory(prefix="glovebox-bench-") as folder:
        work = Path(folder)
        size = deliver(work / "visits.csv", ROWS_QUICK if quick else ROWS)
        yield figures(work, size, 2 if quick else 3)


def figures(work: Path, size: int, runs: int) -> Iterator[Pair | Measured]:
    peaks: list[float] = []

    def ours(how: str) -> float:
        seconds, peak = run(OURS, work / "home", work / "visits.csv", how)
        peaks.append(peak)
        return seconds

    def theirs() -> float:
        return run(THEIRS, work / "copy", work / "visits.csv")[0]

    yield Measured("file_mb", round(size / 1e6))
    yield Pair("ingest_time_vs_copy", lambda: ours("masked"), theirs, runs)
    yield Pair("ingest_unmasked_time_vs_copy", lambda: ours("as it came"), theirs, runs)
    yield Measured("ingest_peak_memory_mib", round(max(peaks) / 2**20))


def run(program: str, folder: Path, file: Path, *words: str) -> tuple[float, float]:
    """Seconds and bytes of a fresh process in a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    command = [sys.executable, "-c", program, str(folder), str(file), *words]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), float(peak)


BENCHMARKS = [Benchmark("ingest", "a large CSV file into the sealed catalogue, beside DuckDB's COPY", prepare)]
