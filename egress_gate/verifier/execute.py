"""Runs a measuring plan in DuckDB. Stand-alone: the standard library and duckdb, the same file in the sealed container and outside.

Reads one JSON job on standard input, writes one JSON answer on standard output. The engine reads exactly the files of the job:
external access
is switched off and the configuration locked before any statement of the plan runs. An error's public text never holds data.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import sys
import threading
import time
from typing import Any

import duckdb

MAX_JOB = 4 * 1024 * 1024
MAX_CELLS = 200_000
# Names of functions and types, and nothing that could be a value.
SIGNATURE = re.compile(r"types '((?:[a-z_]+|[-+*/%|<>=]+)\([A-Z0-9_, ()]*\))'")
MIXED = re.compile(r"values of type ([A-Z_]+) and (?:type )?([A-Z_]+)")
# Yes and no, T and F stay the words that they are in the file.
CSV = (
    "header=true, nullstr='', sample_size=-1, auto_type_candidates=['BIGINT', 'DOUBLE', 'DATE', 'TIMESTAMP', 'VARCHAR']"
)


def main() -> int:
    raw = sys.stdin.buffer.read(MAX_JOB + 1)
    if len(raw) > MAX_JOB:
        return answer({"error": "too-large", "what": "The job is too large."})
    return answer(respond(json.loads(raw)))


def respond(job: dict[str, Any]) -> dict[str, Any]:
    """What `run` measured, or the engine's refusal as an answer."""
    try:
        return run(job)
    except duckdb.InterruptException:
        return {"error": "time", "what": "The table took longer than its limit."}
    except duckdb.OutOfMemoryException:
        return {"error": "memory", "what": "The table needed more memory than its limit."}
    except duckdb.Error as broken:
        # The engine's message may hold a value of the data: its kind is public, the message goes to the steward's log.
        return {
            "error": "engine",
            "what": _kind_of(broken),
            "private": str(broken)[:2000],
        }


def _kind_of(broken: duckdb.Error) -> str:
    """The kind of the error; of one in the types of an expression, which no data decide, which name and types do not fit."""
    if isinstance(broken, duckdb.BinderException):
        if said := SIGNATURE.search(str(broken)):
            return f"The engine knows no {said[1]}."
        if said := MIXED.search(str(broken)):
            return f"The engine cannot compare {said[1]} with {said[2]}."
    return f"The engine refused it ({type(broken).__name__})."


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Values and statistics of one plan. Raises duckdb.Error."""
    begun = time.perf_counter()
    limits = job["limits"]
    con = duckdb.connect(":memory:")
    timer = threading.Timer(float(limits["seconds"]), con.interrupt)
    timer.daemon = True
    timer.start()
    try:
        prepare(con, job["tables"], limits)
        loaded = time.perf_counter()
        for one in job.get("steps", []):
            take(con, one)
        values = fetch(con, job["values"], int(limits["cells"]))
        valued = time.perf_counter()
        statistics = [fetch(con, one, int(limits["cells"])) for one in job["statistics"]]
    finally:
        timer.cancel()
        con.close()
    ended = time.perf_counter()
    seconds = {"prepare": loaded - begun, "values": valued - loaded, "statistics": ended - valued}
    return {"values": values, "statistics": statistics, "seconds": seconds, "engine": f"duckdb {duckdb.__version__}"}


def prepare(con: duckdb.DuckDBPyConnection, tables: list[dict[str, Any]], limits: dict[str, Any]) -> None:
    """Name the tables, then close the door behind them."""
    con.execute(f"SET memory_limit='{int(limits['memory'])}B'")
    con.execute(f"SET threads={int(limits.get('threads', 2))}")
    con.execute("SET temp_directory=''")  # nothing of the data is spilled to a disk
    con.execute("SET autoinstall_known_extensions=false")
    con.execute("SET autoload_known_extensions=false")
    con.execute("SET preserve_insertion_order=false")
    con.execute("SET enable_progress_bar=false")  # it would be drawn into the answer
    paths = ", ".join(literal(table["path"]) for table in tables)
    con.execute(f"SET allowed_paths=[{paths}]")
    for table in tables:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(table['dataset'])}")
        name = f"{quoted(table['dataset'])}.{quoted(table['name'])}"
        kind = "TABLE" if table.get("format") == "csv" else "VIEW"  # text is read once
        con.execute(f"CREATE {kind} {name} AS SELECT {columns(table)} FROM {reader(table)}")  # noqa: S608 - quoted names
    con.execute("SET enable_external_access=false")
    con.execute("SET lock_configuration=true")


def take(con: duckdb.DuckDBPyConnection, step: dict[str, Any]) -> None:
    """Make the temporary tables of one step, the way that the data allow."""
    for one in step["then"] if proven(con, step["tests"]) else step["otherwise"]:
        if isinstance(one, dict):
            take(con, one)
        else:
            con.execute(one)


def proven(con: duckdb.DuckDBPyConnection, tests: list[str]) -> bool:
    """What the first test that knows says; a test that the engine cannot answer for these data does not know."""
    if not tests:
        return True
    for test in tests:
        try:
            row = con.execute(test).fetchone()
        except (duckdb.BinderException, duckdb.OutOfRangeException, duckdb.InvalidInputException):
            continue
        if row is not None and row[0] is not None:
            return row[0] is True
    return False


def columns(table: dict[str, Any]) -> str:
    return "*" if table.get("unit") else "*, row_number() OVER () AS __row"


def reader(table: dict[str, Any]) -> str:
    path = literal(table["path"])
    if table.get("format", "parquet") == "csv":
        return f"read_csv({path}, {CSV})"
    return f"read_parquet({path})"


def fetch(con: duckdb.DuckDBPyConnection, sql: str, limit: int) -> list[list[Any]]:
    """All rows as plain JSON values. More than ``limit`` rows are an answer of their own, not a longer list."""
    rows = con.execute(sql).fetchmany(min(limit, MAX_CELLS) + 1)
    if len(rows) > limit:
        raise duckdb.InvalidInputException("more cells than allowed")
    return [[plain(value) for value in row] for row in rows]


def plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) <= 2**53 else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) <= 2**53 else float(value)
    if isinstance(value, (datetime.date, datetime.datetime, datetime.time)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return str(value)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def answer(value: dict[str, Any]) -> int:
    sys.stdout.write(json.dumps(value, allow_nan=False))
    sys.stdout.flush()
    return 1 if "error" in value else 0


if __name__ == "__main__":
    sys.exit(main())
