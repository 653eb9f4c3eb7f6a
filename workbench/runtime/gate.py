"""`python -m workbench.runtime.gate`: the gate's process, started by the hub as its service.

It is put together here and not in the gate, because buttons on the desk call provisioning's verbs and the hub's accounts.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from egress_gate.desk.serve import run
from egress_gate.desk.wiring import wired_desk
from installation.settings import load
from store.database import Database
from workbench.runtime.intake import IntakeFolder
from workbench.runtime.people import HubAccounts
from workbench.runtime.provisioning_hands import ProvisioningHands

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load()
    hands, accounts = ProvisioningHands(Database.open(settings)), HubAccounts(settings)
    desk = replace(wired_desk(settings), provisioning=hands, accounts=accounts, intake=IntakeFolder(settings))
    run(settings, desk)
