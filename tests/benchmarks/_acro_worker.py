"""Runs one ACRO crosstab in ACRO's own environment. Reads a JSON job on standard input, writes a JSON answer on the last line.

The file is read before the clock starts: only ACRO's own work is timed.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    import pandas as pd
    from acro import ACRO

    job = json.load(sys.stdin)
    frame = pd.read_parquet(job["path"])
    session = ACRO(suppress=job.get("suppress", False))
    named = {"values": frame[job["values"]], "aggfunc": job["aggfunc"]} if job.get("values") else {}
    index = [frame[name] for name in job["index"]]
    columns = [frame[name] for name in job["columns"]]
    begun = time.perf_counter()
    table = session.crosstab(index, columns, margins=job["margins"], **named)
    seconds = time.perf_counter() - begun
    record = next(iter(session.results.results.values()))
    cells = {
        check: [[*label(table.index[row]), *label(table.columns[column])] for row, column in places]
        for check, places in record.sdc["cells"].items()
    }
    shown = [
        [*label(row), *label(column), None if pd.isna(value) else float(value)]
        for row, line in table.iterrows()
        for column, value in line.items()
    ]
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
    sys.stdout.write(
        "\n"
        + json.dumps({"seconds": seconds, "peak": peak, "cells": cells, "status": record.status, "table": shown})
        + "\n"
    )


def label(value: object) -> list[str]:
    return [str(part) for part in value] if isinstance(value, tuple) else [str(value)]


main()
