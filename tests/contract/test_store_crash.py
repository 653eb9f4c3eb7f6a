"""A writer is killed again and again in the middle of its work: nothing acknowledged is lost, nothing half is kept."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import func, select

from installation.settings import CHECKOUT, Settings
from store import evidence
from store.blobs import Blobs
from store.database import Database
from store.schema import ledger_entry, person

ROUNDS = 8
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from sqlalchemy import func, insert, select
from installation.settings import Settings
from ledger.entry import Entry
from store.blobs import Blobs
from store.database import Database
from store.schema import person

settings = Settings(home=Path(sys.argv[1]))
db, blobs = Database.open(settings), Blobs(settings.blobs)
with db.read() as c:
    number = (c.execute(select(func.max(person.c.uid))).scalar() or 0) + 1
print("ready", flush=True)
while True:
    digest = blobs.put(f"bytes of {number}".encode())
    with db.transaction(datetime.now(UTC)) as t:
        t.execute(insert(person).values(name=digest, uid=number))
        t.record(Entry("person.added", "writer", {"person": digest}, {"uid": number}))
    print(number, digest, flush=True)
    number += 1
"""


def killed_after(home: Path, seconds: float) -> list[tuple[int, str]]:
    """Run a writer, kill it after a while, return what it acknowledged."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    ready = writer.stdout.readline()
    assert ready == "ready\n", writer.stderr.read()
    try:
        writer.wait(seconds)
    except subprocess.TimeoutExpired:
        writer.send_signal(signal.SIGKILL)
    lines, trouble = writer.communicate()
    assert writer.returncode == -signal.SIGKILL, trouble
    return [(int(n), d) for n, d in (line.split() for line in lines.splitlines(keepends=True) if line.endswith("\n"))]


def test_what_was_acknowledged_survives_every_kill(tmp_path: Path) -> None:
    chance, home, acknowledged = random.Random(7), tmp_path / "home", 0
    settings = Settings(home=home)
    kept = tmp_path / "kept"
    for _ in range(ROUNDS):
        said = killed_after(home, chance.uniform(0.02, 0.3))
        acknowledged += len(said)
        db, blobs = Database.open(settings), Blobs(settings.blobs)
        report = evidence.verify(db, kept=kept)
        assert report.ok, report.message
        with db.read() as c:
            rows = {row.uid: row.name for row in c.execute(select(person))}
            assert c.execute(select(func.count()).select_from(ledger_entry)).scalar() == len(rows)
        for number, digest in said:
            assert rows[number] == digest
        for number, digest in rows.items():
            assert blobs.read(digest) == f"bytes of {number}".encode()
        assert sorted(rows) == list(range(1, len(rows) + 1))
        db.close()
    assert acknowledged > ROUNDS


def test_processes_that_start_together_make_one_key_and_one_schema(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from installation.settings import Settings; " + (
        "from store.database import Database; sys.stdin.readline(); print(Database.open(Settings(home=Path(sys.argv[1]))).verifier)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "home")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=CHECKOUT,
        )
        for _ in range(5)
    ]  # fmt: skip
    answers = [process.communicate("\n", timeout=120) for process in started]
    assert [process.returncode for process in started] == [0] * 5, answers
    assert len({said for said, _ in answers}) == 1
