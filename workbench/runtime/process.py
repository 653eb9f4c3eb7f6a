"""`up` and `down`: one hub process in a session of its own, which manages the rest."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import time
from collections.abc import Callable

import docker
import httpx

from installation.settings import Settings
from provisioning.sandbox import hardening
from provisioning.sandbox.containers import cgroup_version
from provisioning.sandbox.store_book import StoreBook
from provisioning.sandbox.sweeping import sweep
from store.database import Database
from workbench.errors import ProcessFault
from workbench.runtime import hub_process
from workbench.runtime.accounts import ensure_account
from workbench.runtime.health import parts
from workbench.runtime.hub_api import HubApi
from workbench.setup import secrets

PATIENCE = 120.0
LOG_LIMIT = 32 * 1024 * 1024
Say = Callable[[str], None]


def up(settings: Settings, say: Say) -> bool:
    """Start the workbench and wait until every part answers; True when it was started now. Raises ProcessFault."""
    os.umask(0o077)
    begun = hub_process.running(settings) is None
    if begun:
        _warn_of_plain_http(settings, say)
        _before_start(settings)
        hub_process.start(settings)
    _wait_until_well(settings)
    if begun and settings.authenticator == "local":
        _give_first_roles(settings)
    return begun


def _give_first_roles(settings: Settings) -> None:
    """The accounts of set-up get their group once; a role that an operator gave since then stays."""
    api = HubApi(settings)
    try:
        grouped = {user["name"] for user in api.users() if user.get("groups")}
        for name, account in secrets.accounts(settings).items():
            if name not in grouped:
                api.ensure_user(name, account["group"])
    except httpx.HTTPError as refused:
        raise ProcessFault(
            "The first accounts got no roles.", why=f"The hub answered: {refused}.", do="Run the same command again."
        ) from refused
    finally:
        api.close()


def _warn_of_plain_http(settings: Settings, say: Say) -> None:
    try:
        local = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        local = False
    if not local and not settings.tls_cert and not settings.url.startswith("https://"):
        say(
            f"WARNING: {settings.url} is plain http on an address that other machines reach: passwords and data can be read on "
            "the way. Set tls_cert and tls_key, or public_url to the https address of a proxy in front (docs/how-to/operate.md)."
        )


def _before_start(settings: Settings) -> None:
    Database.open(settings).close()  # refuses one that must be upgraded first, before anything runs
    hub_process.end(settings)  # what a hub that crashed left running
    _refuse_taken_ports(settings)
    _keep_logs_small(settings)
    client = docker.from_env()
    try:
        _write_verifier_profile(settings, client)
        sweep(settings, StoreBook(settings), client)
    finally:
        client.close()
    for name, account in secrets.accounts(settings).items() if settings.authenticator == "local" else ():
        ensure_account(settings, name, account["password"])


def _write_verifier_profile(settings: Settings, client: docker.DockerClient) -> None:
    made = hardening.verifier_profile(settings, cgroup_version=cgroup_version(client))
    target = settings.home / "verifier-profile.json"
    fresh = target.with_suffix(".new")
    fresh.write_text(json.dumps(made, indent=1), "utf-8")
    fresh.replace(target)


def _keep_logs_small(settings: Settings) -> None:
    """At each start a log above the limit becomes ``.1``, and the ``.1`` before it goes."""
    for log in settings.logs.glob("*.log"):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))


def _refuse_taken_ports(settings: Settings) -> None:
    taken = []
    for name, port in vars(settings.ports).items():
        host = settings.host if name == "public" else "127.0.0.1"
        try:
            family, *_, address = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError:
            taken.append(f"{name} ({port})")
    if taken:
        raise ProcessFault(
            "The workbench did not start.",
            why=f"These addresses cannot be listened on, most likely because another program does: {', '.join(taken)}.",
            do=f"Stop it, or set other ports under [ports] in {settings.home / 'settings.toml'}.",
        )


def _wait_until_well(settings: Settings) -> None:
    deadline = time.monotonic() + PATIENCE
    missing = ["everything"]
    while time.monotonic() < deadline and hub_process.running(settings) is not None:
        missing = [part.name for part in parts(settings) if not part.answers]
        if not missing:
            return
        time.sleep(0.3)
    said = _last_words(settings)
    hub_process.end(settings)  # nothing half-started is left
    raise ProcessFault(
        "The workbench did not start.",
        why=f"Not answering: {', '.join(missing)}. {said}",
        do=f"Look into {settings.logs / 'hub.log'}, mend what it names, then run the same command again.",
    )


def _last_words(settings: Settings) -> str:
    log = settings.logs / "hub.log"
    lines = log.read_text("utf-8", "replace").splitlines()[-40:] if log.exists() else []
    wrong = [line for line in lines if "Error" in line or "[E " in line or "[C " in line]
    return (wrong or lines or [""])[-1][:300]


def down(settings: Settings, say: Say) -> bool:
    """Stop every sandbox, then the hub and all it manages, then remove what is mounted. False when nothing ran."""
    if hub_process.running(settings) is not None:
        _stop_sandboxes(settings, say)
    ran = hub_process.end(settings)
    if not settings.home.exists():
        return ran
    client = docker.from_env()
    try:
        left = StoreBook(settings).open_sandboxes()
        for container in left.values():
            _remove(client, container)
        sweep(settings, StoreBook(settings), client)
    finally:
        client.close()
    return ran


def _remove(client: docker.DockerClient, container: str) -> None:
    try:
        client.containers.get(container).remove(force=True)
    except docker.errors.NotFound:
        return


def _stop_sandboxes(settings: Settings, say: Say) -> None:
    api = HubApi(settings)
    try:
        stopped = api.stop_servers()
        if stopped:
            say(f"stopping the sandboxes of {', '.join(stopped)}")
        deadline = time.monotonic() + 30
        while stopped and time.monotonic() < deadline and api.running_servers():
            time.sleep(0.3)
    except httpx.HTTPError as away:
        say(f"the hub could not be asked to stop the sandboxes ({type(away).__name__}); they are removed directly")
    finally:
        api.close()
