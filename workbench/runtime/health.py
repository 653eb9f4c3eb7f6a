"""Whether each part of the workbench answers, and what `status` says of it."""

from __future__ import annotations

import platform
import socket
import ssl
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from installation.settings import Settings
from workbench import console
from workbench.runtime import hub_process
from workbench.runtime.hub_api import HubApi


@dataclass(frozen=True)
class Part:
    name: str
    answers: bool
    address: str


def parts(settings: Settings) -> list[Part]:
    """Every part of the workbench and whether it answers now."""
    ports = settings.ports
    api = HubApi(settings)
    try:
        hub = api.healthy()
    finally:
        api.close()
    found = [
        Part("hub", hub, f"127.0.0.1:{ports.hub}"),
        Part("public proxy", _answers(f"{_public(settings)}/hub/login"), settings.url),
        Part("session door", settings.doors_socket.exists() and _listens(ports.doors), f"127.0.0.1:{ports.doors}"),
        Part("gate", settings.gate_socket.exists() and _listens(ports.gate), f"127.0.0.1:{ports.gate}"),
    ]
    if settings.policy_engine == "opa":
        found.append(Part("policy engine", _answers(f"http://127.0.0.1:{ports.opa}/health"), f"127.0.0.1:{ports.opa}"))
    return found


def status(settings: Settings) -> dict[str, Any]:
    """What runs, as a program would read it."""
    running = hub_process.running(settings)
    return {
        "running": running is not None,
        "pid": running,
        "url": settings.url,
        "home": str(settings.home),
        "parts": [asdict(part) for part in parts(settings)] if running else [],
        "sandboxes": _sandboxes(settings) if running else [],
        "ports": asdict(settings.ports),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("jupyterhub", "dockerspawner", "duckdb", "sqlglot")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _sandboxes(settings: Settings) -> list[dict[str, str]]:
    from sqlalchemy import select

    from store import schema
    from store.database import Database

    table = schema.sandbox
    query = select(table.c.id, table.c.person, table.c.project, table.c.view, table.c.started_at)
    with Database.open(settings).read() as c:
        rows = c.execute(query.where(table.c.stopped_at.is_(None)).order_by(table.c.started_at))
        return [dict(row._mapping) for row in rows]


def _public(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{settings.ports.public}"


def _answers(url: str) -> bool:
    """Only a page or a redirect counts: a proxy without routes answers 404. The certificate's name is not ours to check on loopback."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return httpx.get(url, timeout=3, trust_env=False, verify=context).status_code < 400
    except httpx.HTTPError:
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def show(found: dict[str, Any]) -> None:
    """`status` for people."""
    if not found["running"]:
        console.out.print(f"The workbench at {found['url']} is not running. Start it: ./glovebox up")
        return
    console.out.print(f"The workbench at {found['url']} runs.")
    for part in found["parts"]:
        console.out.print(f"  {console.tick(part['answers'])} {part['name']} [dim]{part['address']}[/]")
    console.out.print(f"  sandboxes: {len(found['sandboxes'])}")
    for one in found["sandboxes"]:
        console.out.print(
            f"    {one['person']} in {one['project']}, {one['view']}, since {one['started_at']}", markup=False
        )
