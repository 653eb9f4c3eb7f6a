"""`python -m egress_gate.desk`: the gate's process, started by the hub as its service."""

from __future__ import annotations

import logging

from egress_gate.desk.serve import run
from egress_gate.desk.wiring import wired_desk
from installation.settings import load

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load()
    run(settings, wired_desk(settings))
