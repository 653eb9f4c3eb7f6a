"""``python -m egress_gate.doors``: this installation's doors, started by the hub as service ``session-door``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys

from egress_gate.doors.book import StoreBook
from egress_gate.doors.building import Building
from egress_gate.doors.hub import HubAddress, JupyterHub
from egress_gate.doors.inner_door import Gate
from egress_gate.doors.interface import ensure
from egress_gate.doors.porter import PolicyPorter
from egress_gate.doors.session_door import SessionDoor
from egress_gate.doors.sign_in import SignIn, ensure_key
from egress_gate.doors.standing import StoreStandings
from egress_gate.doors.trail import Trail
from installation.fault import Fault
from installation.settings import Settings, load
from policy_engine import connect
from store.blobs import Blobs
from store.database import Database

PREPARE_AGAIN = 30.0


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then write the rest of the trail."""
    address = HubAddress.of()
    hub, engine, database = JupyterHub(address), connect(settings), Database.open(settings)
    sign_in = SignIn(hub, PolicyPorter(engine), ensure_key(settings.secrets / "door.key"))
    trail = Trail(StoreBook(database, Blobs(settings.blobs)))
    door = SessionDoor(
        sign_in, trail, StoreStandings(database, engine),
        url=settings.url, service=address.service_prefix, base=address.base_url,
    )  # fmt: skip
    building = Building(settings, door, trail, hub, Gate(settings.gate_socket))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await building.start()
    preparing = asyncio.ensure_future(prepare(settings, door))
    logging.getLogger("glovebox.doors").info("serving on 127.0.0.1:%d", settings.ports.doors)
    try:
        await stop.wait()
    finally:
        preparing.cancel()
        await building.stop()
        database.close()


async def prepare(settings: Settings, door: SessionDoor) -> None:
    """Take the interface from the sandbox image; try again until there is an image and an engine to run it."""
    while True:
        interface = await asyncio.to_thread(ensure, settings.sandbox.image, settings.home / "interface")
        if interface is not None:
            door.install(interface)
            return
        await asyncio.sleep(PREPARE_AGAIN)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(run(load()))
    except Fault as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
