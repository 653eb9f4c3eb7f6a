"""Server time of the desk's pages with 10,000 requests, 1,000 of them open: median per page, in milliseconds.

`python -m tests.benchmarks.desk [--json]`. The figures are of one process with real store and pages; the policy engine is the
gate's stand-in, so that what is measured is the desk.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import warnings
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert

from ledger.entry import Entry
from store import schema as s
from store.clock import stamp
from tests.unit.gate.desks import PREFIX, make_desk, signed_in
from tests.unit.gate.factory import START, World, make_world

REQUESTS, OPEN, RUNS = 10_000, 1_000, 15
LIMIT_MS = 100.0
PAGES = {
    "queue": ("stella", "queue"),
    "queue_last_page": ("stella", "queue?page=20"),
    "requests": ("stella", "requests"),
    "requests_far": ("audrey", "requests?page=150"),
    "own_requests": ("ana", "requests"),
    "request": ("stella", "requests/R-2"),
    "releases": ("audrey", "releases"),
    "ledger": ("audrey", "ledger"),
    "admin": ("adam", "admin"),
    "api_requests": ("stella", "api/v1/requests?state=in_review"),
}


def filled(home: Path) -> World:
    """A world with two real requests (one released, one in review) and many more rows beside them."""
    world = make_world(home)
    world.released()
    world.checked()
    base = {"project": "liver", "author": "ana", "sandbox": "5a", "purpose": "p", "context": "c", "revision": 1}
    rows = []
    for n in range(3, REQUESTS + 1):
        state = "in_review" if n <= OPEN else ("released", "rejected", "withdrawn", "refused")[n % 4]
        at = stamp(START + timedelta(minutes=n))
        rows.append(
            {**base, "title": f"Table {n}", "state": state, "risk": n % 100, "created_at": at, "updated_at": at}
        )
    with world.gate.store.transaction(world.clock()) as t:
        t.execute(insert(s.release_request), rows)
        t.record(Entry("benchmark.filled", "bench", {"project": "liver"}, {"requests": REQUESTS}))
    return world


def measure(world: World) -> dict[str, float]:
    """Page → median milliseconds, after two warm-up requests."""
    desk = make_desk(world)
    clients = {name: signed_in(desk, name) for name in {who for who, _ in PAGES.values()}}
    figures = {}
    for page, (who, path) in PAGES.items():
        times = []
        for _ in range(RUNS + 2):
            began = time.perf_counter()
            answer = clients[who].get(PREFIX + path)
            times.append((time.perf_counter() - began) * 1000)
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status_code}")
        figures[page] = round(statistics.median(times[2:]), 1)
    return figures


def main() -> int:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(filled(Path(folder)))
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"figures": figures, "limit_ms": LIMIT_MS}) + "\n")
    else:
        for page, ms in figures.items():
            sys.stdout.write(f"{page:20} {ms:7.1f} ms\n")
    return 0 if max(figures.values()) < LIMIT_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
