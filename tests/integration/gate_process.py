"""The gate's real process for tests: real store, ledger, sockets and policies; figures from a stand-in, a fake hub.

`python -m tests.integration.gate_process HOME`. ``GATE_SLOW`` in the environment makes each recomputation take that many
seconds, so that a test can kill the process in the middle of one.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

from egress_gate.desk.context import Desk
from egress_gate.desk.serve import run
from egress_gate.desk.session import Cookies, cookie_key
from egress_gate.service.fakes import FakeInUse, FakeRecomputer, PlainData
from egress_gate.service.gate import Gate
from egress_gate.service.notary import LedgerNotary
from egress_gate.service.ports import Assessment, Question
from installation.settings import load
from ledger import keys
from policy_engine import connect
from store import clock
from store.blobs import Blobs
from store.database import Database
from tests.unit.gate.desks import PREFIX, FakeHub


class SlowRecomputer(FakeRecomputer):
    def assess(self, question: Question, /) -> Assessment:
        time.sleep(float(os.environ.get("GATE_SLOW", "0")))
        return super().assess(question)


def main(home: Path) -> None:
    warnings.simplefilter("ignore", FakeInUse)
    settings = load(home)
    gate = Gate(
        store=Database.open(settings),
        blobs=Blobs(settings.blobs),
        engine=connect(settings),
        recomputer=SlowRecomputer(),
        notary=LedgerNotary(settings.secrets / "ledger.key"),
        datasets=settings.datasets,
        vault=PlainData(),
        ledger_key=keys.public(settings.home / "ledger.pub"),
    )
    cookies = Cookies(cookie_key(settings.secrets / "desk.key"), PREFIX, secure=False)
    run(settings, Desk(gate, FakeHub(), cookies, PREFIX, clock.now))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
