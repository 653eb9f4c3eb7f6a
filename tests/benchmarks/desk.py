"""Server time of every page of the desk after a year's use, with real OPA: median milliseconds for each role that may open it.

Which pages there are is asked of the application: a new one that cannot be opened here stops the benchmark. One process with the real
store, pages and policies; the time is that of a whole request as the proxy sees it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from installation import settings as installation
from installation.settings import Settings
from workbench.bench import Benchmark, Measured

if TYPE_CHECKING:
    from starlette.testclient import TestClient

REQUESTS, OPEN, RUNS = 10_000, 1_000, 9
LIMIT_MS = 100.0
VISITORS = ("ana", "stella", "adam", "audrey")
FILLED = {"name": "R-2", "number": "1", "item": "table1", "sandbox": "5a", "dataset": "nafld"}
# Addresses that the path alone does not give.
AT = {
    "requests/{name}/figures/{item}": "requests/R-3/figures/fig",
    "requests/{name}/notebooks/{item}": "requests/R-3/notebooks/story.ipynb",
    "requests/{name}/revise": "requests/R-4/revise",
    "projects/{name}": "projects/liver",
    "people/{name}": "people/ana",
    "people/{name}/cells": "people/ana/cells",
    "admin/projects/{name}": "admin/projects/liver",
    "admin/intake/new": "admin/intake/new?file=visits.csv",
    "admin/intake/jobs/{number}": "admin/intake/jobs/" + "a" * 16,
}
# The same pages where they have most to do.
FAR = (
    "requests/R-3",
    "queue?page=20",
    "requests?page=150",
    "releases?page=10",
    "ledger?q=R-500",
    "admin/projects?page=3",
    "admin/people?page=5",
    "admin/data?datasets=2&grants=10",
    "api/v1/requests?state=in_review",
)
NO_PAGE = {"": "sends to another page", "login": "sends to the hub", "oauth_callback": "comes from the hub"}
WHOLE = {
    "admin/intake/new": "reads the chosen file, in a process of its own, to propose what its columns are",
    "api/v1/ledger/verify": "reads every entry of the ledger, which is what it is for",
}


@dataclass(frozen=True)
class Opened:
    """One page for one visitor."""

    page: str
    visitor: str
    median_ms: float

    @property
    def late(self) -> bool:
        return self.page not in WHOLE and self.median_ms >= LIMIT_MS


def pages(clients: dict[str, TestClient], prefix: str, known: set[str], runs: int = RUNS) -> Iterator[Opened]:
    """Every page in turn. Raises LookupError for one that nobody can open here: give it an address in `AT`, or a reason in `NO_PAGE`."""
    for page in (*sorted(known - set(NO_PAGE)), *FAR):
        path = AT.get(page, page.format(**FILLED))
        able = [who for who in VISITORS if clients[who].get(prefix + path).status_code == 200]
        if not able:
            raise LookupError(f"nobody can open {page} at {path}")
        for who in able:
            yield Opened(page, who, _median(clients[who], prefix + path, runs))


def _median(client: TestClient, address: str, runs: int) -> float:
    times = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        client.get(address)
        times.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(times[1:]), 1)


@contextmanager
def prepare(_: Settings, quick: bool) -> Iterator[Iterator[Measured]]:
    """A filled installation of its own, with an OPA of its own."""
    from policy_engine.opa_server import OpaServer
    from tests.benchmarks._desk_rows import fill
    from tests.contract.test_desk_matrix import routes
    from tests.integration.opa_server import running_opa
    from tests.unit.gate.desks import PREFIX, make_desk, signed_in
    from tests.unit.gate.factory import make_world

    with tempfile.TemporaryDirectory() as folder, running_opa(Path(folder) / "opa") as opa:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            world = make_world(Path(folder) / "home")
            engine = OpaServer("127.0.0.1", opa.port, opa.token)
            world.gate = replace(world.gate, engine=engine)
            fill(world, *((300, 30) if quick else (REQUESTS, OPEN)))
            desk = make_desk(world)
            clients = {who: signed_in(desk, who) for who in VISITORS}
            known = {path for method, path in routes(desk) if method == "GET"}
        yield _told(pages(clients, PREFIX, known, 1 if quick else RUNS))
        engine.close()


def _told(opened: Iterator[Opened]) -> Iterator[Measured]:
    """Each page's slowest reader, then which were late."""
    late: list[str] = []
    slowest: dict[str, Opened] = {}
    for one in opened:
        if one.page not in slowest or slowest[one.page].median_ms < one.median_ms:
            slowest[one.page] = one
        late += [f"{one.page} ({one.visitor})"] if one.late else []
    for one in sorted(slowest.values(), key=lambda o: -o.median_ms):
        yield Measured(f"desk_ms.{one.page or '/'}", one.median_ms)
    yield Measured("desk_pages", len(slowest))
    yield Measured("desk_pages_over_limit", late)


BENCHMARKS = [
    Benchmark("desk", "server time of every page of the review desk, with 10,000 requests and real OPA", prepare)
]


def main() -> int:
    """The same as a program: exit code 1 when a page is late."""
    late: object = None
    with prepare(installation.load(), "--quick" in sys.argv) as measured:
        for figure in measured:
            late = figure.value
            sys.stdout.write(f"{figure.name:60} {figure.value}\n")
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
