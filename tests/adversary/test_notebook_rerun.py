"""A notebook that is run anew is an analyst's code beside the gate's: it reaches nothing, forges nothing, and ends when it must."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from egress_gate.domain.rerun import normalised
from egress_gate.verifier.container import SealedContainer
from egress_gate.verifier.port import Rerun, TableFile
from tests.integration.cohort import sealed

pytest_plugins = ["tests.unit.sandbox.fixtures"]
pytestmark = pytest.mark.docker

REACHES = """
import os, socket
found = []
try:
    socket.create_connection(("127.0.0.1", 80), 1); found.append("a network")
except OSError: pass
for process in os.listdir("/proc"):
    if process.isdigit() and int(process) != os.getpid():
        for place in ("fd/1", "mem", "environ"):
            try:
                open(f"/proc/{process}/{place}", "r+b"); found.append(f"{process} {place}")
            except OSError: pass
for place in ("/data/liver/visits.parquet", "/verifier/rerun.py", "/etc/passwd"):
    try:
        open(place, "ab"); found.append(place)
    except OSError: pass
for place in ("/run/glovebox/inner", "/run/glovebox/serve", "/var/run/docker.sock", "/home/analyst/work"):
    if os.path.exists(place) and os.path.isdir(place) and os.listdir(place): found.append(place)
    if os.path.exists(place) and not os.path.isdir(place): found.append(place)
print(found, os.getuid() != 0)
"""
READS = """
import pandas
print(len(pandas.read_parquet("/data/liver/visits.parquet")))
"""


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory, sandbox_image: object) -> SealedContainer:
    return sealed(tmp_path_factory.mktemp("rerun") / "home")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TableFile:
    folder = tmp_path_factory.mktemp("data")
    folder.chmod(0o755)
    place = folder / "visits.parquet"
    with duckdb.connect() as con:
        con.execute(f"COPY (SELECT i AS id FROM range(400) t(i)) TO '{place}'")
    place.chmod(0o444)
    return TableFile("liver", "visits", place, "id")


def test_it_reads_the_pinned_data_and_reaches_nothing_else(container: SealedContainer, table: TableFile) -> None:
    """A failing cell stops nothing, what one cell made the next one has, and a forged answer on the streams is not heard."""
    forged = json.dumps({"cells": [[], [], [], [], []]})
    shout = f"import os, sys\nfor n in (1, 2):\n    os.write(n, {forged.encode()!r})\nos.kill(os.getppid(), 9)\nx = 41"
    found = container.rerun([READS, REACHES, "1/0", shout, "x + 1"], [table], 300)
    assert found.stopped is None
    assert found.image.startswith("sha256:")
    cells = [normalised(c) for c in found.cells]
    assert cells[0] == (("stream stdout", "400\n"),)
    assert cells[1] == (("stream stdout", "[] True\n"),)
    assert cells[2] == (("error", "ZeroDivisionError: division by zero"),)
    assert cells[4] == (("text/plain", "42"),)


@pytest.mark.parametrize(
    ("code", "seconds", "stopped"),
    [
        ("while True:\n    try:\n        while True: pass\n    except KeyboardInterrupt: pass", 8, {"time", "kernel"}),
        ("import os; os._exit(0)", 120, {"kernel"}),
        ("print('a' * 20_000_000)", 120, {"size"}),
    ],
)
def test_it_ends_with_a_word_and_no_outputs(
    container: SealedContainer, table: TableFile, code: str, seconds: float, stopped: set[str]
) -> None:
    found = container.rerun([code, "1"], [table], seconds)
    assert found.stopped in stopped
    assert found.cells == Rerun((), None, "").cells


def test_nothing_of_it_stays(container: SealedContainer, table: TableFile) -> None:
    first = container.rerun(["open('/tmp/left', 'w').write('x')"], [table], 120)
    assert normalised(first.cells[0]) == (("text/plain", "1"),)
    second = container.rerun(["import os; os.path.exists('/tmp/left')"], [table], 120)
    assert normalised(second.cells[0]) == (("text/plain", "False"),)
    assert Path(table.path).exists()
