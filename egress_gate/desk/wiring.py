"""The real parts, put together from the settings and the environment that the hub gives its services."""

from __future__ import annotations

import os

from egress_gate.desk.context import Desk
from egress_gate.desk.identity import HubIdentity
from egress_gate.desk.session import Cookies, cookie_key
from egress_gate.service.gate import Gate
from egress_gate.service.notary import LedgerNotary
from egress_gate.service.recompute import SealedRecomputer
from egress_gate.verifier.container import SealedContainer
from installation.settings import Settings
from ledger import keys
from policy_engine import PolicyEngine, connect
from store import clock
from store.blobs import Blobs
from store.database import Database
from vault import Vault


def wired_gate(settings: Settings, engine: PolicyEngine | None = None) -> Gate:
    """The gate with the real store, engine (or another), verifier and key. Creates the schema and key on first use."""
    database, vault = Database.open(settings), Vault(settings)
    return Gate(
        store=database,
        blobs=Blobs(settings.blobs),
        engine=engine or connect(settings),
        recomputer=SealedRecomputer(settings),
        notary=LedgerNotary(settings.secrets / "ledger.key"),
        datasets=vault.root,
        vault=vault,
        ledger_key=keys.public(settings.home / "ledger.pub"),
        rerunner=SealedContainer(settings),
    )


def wired_desk(settings: Settings) -> Desk:
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/services/gate/")
    base = os.environ.get("JUPYTERHUB_BASE_URL", "/")
    return Desk(
        gate=wired_gate(settings),
        identity=HubIdentity(),
        cookies=Cookies(cookie_key(settings.secrets / "desk.key"), prefix, settings.url.startswith("https:")),
        prefix=prefix,
        clock=clock.now,
        hub_home=f"{base}hub/home",
        hub_logout=f"{base}hub/logout",
        metrics_people=settings.metrics_people,
    )
