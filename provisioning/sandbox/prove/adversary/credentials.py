"""Credentials and names: nothing of the hub, of the host, of another person is to be found inside."""

from __future__ import annotations

import glob
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

from .trying import Observed, attempt, blocked, opened, unknown

Facts = dict[str, Any]
_SOURCE = os.path.dirname(os.path.abspath(__file__))
_SIZE = 1 << 18


def _found(words: list[str], texts: Iterator[tuple[str, str]]) -> Observed:
    """Look for words that are handed over reversed, so that the search does not find itself."""
    if not words:
        return unknown("no words were given to look for")
    looked, hits = 0, []
    for place, text in texts:
        looked += 1
        hits += [f"{word!r} in {place}" for word in words if word in text]
    if looked < 3:
        return unknown(f"only {looked} places could be read")
    return opened("; ".join(hits[:5])) if hits else blocked(f"{len(words)} words in {looked} places: none")


def _words(facts: Facts, name: str) -> list[str]:
    return [str(word)[::-1] for word in facts.get(name, [])]


def _processes() -> Iterator[tuple[str, str]]:
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        for name in ("environ", "cmdline", "mountinfo", "cgroup", "status"):
            text = _read(f"/proc/{entry}/{name}")
            if text:
                yield f"/proc/{entry}/{name}", text


def _files() -> Iterator[tuple[str, str]]:
    for top in ("/etc", "/home", "/root", "/run", "/tmp", "/var", "/srv", "/mnt", "/opt/glovebox", "/dev/shm", "/sys"):  # noqa: S108
        for folder, _folders, names in os.walk(top):
            if folder.startswith(_SOURCE):
                continue
            for name in names:
                path = os.path.join(folder, name)
                yield path, path + "\n" + _read(path)


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, _SIZE).decode("latin-1")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


@attempt("hub-variables", "credentials", "read the hub's address or a token from the environment")
def hub_variables(_: Facts) -> Observed:
    found = [name for name in os.environ if name.startswith(("JUPYTERHUB_", "JPY_API"))]
    return opened(", ".join(sorted(found))) if found else blocked("none")


@attempt(
    "hub-token-in-processes",
    "credentials",
    "find the hub's variables in any process's environment or arguments",
    seconds=60,
)
def hub_in_processes(_: Facts) -> Observed:
    return _found(["JUPYTERHUB" + "_API_TOKEN", "JUPYTERHUB" + "_API_URL"], _processes())


@attempt("token-in-arguments", "credentials", "read the notebook server's token from the argument lists")
def token_in_arguments(_: Facts) -> Observed:
    token = os.environ.get("JUPYTER_TOKEN") or _own_token()
    if not token:
        return unknown("no token is known")
    lists = [(path, text) for path, text in _processes() if path.endswith("cmdline")]
    hits = [path for path, text in lists if token in text]
    return opened(", ".join(hits)) if hits else blocked(f"in none of {len(lists)} lists")


def _own_token() -> str:
    for line in _read("/proc/1/environ").split("\0"):
        if line.startswith("JUPYTER_TOKEN="):
            return line.partition("=")[2]
    for path in glob.glob("/tmp/jupyter-runtime/jpserver-*.json"):  # noqa: S108 - inside the sandbox
        return str(json.loads(_read(path)).get("token", ""))
    return ""


@attempt("secrets-in-files", "credentials", "find the installation's secrets in any file", seconds=120)
def secrets_in_files(facts: Facts) -> Observed:
    return _found(_words(facts, "secrets"), _files())


@attempt(
    "names-in-files", "credentials", "find another person's or project's name, or the host's, in any file", seconds=120
)
def names_in_files(facts: Facts) -> Observed:
    return _found(_words(facts, "names"), _files())


@attempt(
    "names-in-processes", "credentials", "find another person's or project's name, or the host's, in /proc", seconds=60
)
def names_in_processes(facts: Facts) -> Observed:
    return _found(_words(facts, "names"), _processes())


@attempt("host-name", "credentials", "learn the machine's name")
def host_name(facts: Facts) -> Observed:
    hosts = _words(facts, "hosts")
    name = socket.gethostname()
    if name in hosts or os.uname().nodename in hosts:
        return opened(name)
    text = _read("/etc/hosts") + _read("/etc/hostname") + _read("/etc/resolv.conf")
    found = [host for host in hosts if host in text.split()]
    return opened(", ".join(found)) if found else blocked(name)


@attempt("resolver", "credentials", "learn the machine's resolver")
def resolver(_: Facts) -> Observed:
    lines = [line.split() for line in _read("/etc/resolv.conf").splitlines()]
    servers = [line[1] for line in lines if len(line) > 1 and line[0] == "nameserver" and line[1] != "127.0.0.1"]
    return opened(", ".join(servers)) if servers else blocked("127.0.0.1 or none")


@attempt("machine-id", "credentials", "fingerprint the machine (machine id, boot id)")
def machine_id(_: Facts) -> Observed:
    paths = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id")
    found = [path for path in paths if _read(path).strip()]
    return opened(", ".join(found)) if found else blocked("none")


@attempt("container-id", "credentials", "learn the container's own name on the engine from its cgroup")
def container_id(_: Facts) -> Observed:
    try:
        with open("/proc/self/cgroup", encoding="ascii") as file:
            text = file.read().strip()
    except OSError as refusal:
        return blocked(type(refusal).__name__)
    if not text:
        return blocked("it says nothing")
    return (
        opened(text.splitlines()[0]) if "docker" in text or len(text.split("/")[-1]) > 40 else blocked("a private tree")
    )


@attempt("mounted-credentials", "credentials", "find service credentials where platforms put them")
def mounted(_: Facts) -> Observed:
    paths = ("/var/run/secrets", "/run/secrets", "/root/.aws", "/root/.ssh", "/root/.docker", "/home/analyst/.ssh")
    found = [path for path in paths if os.path.exists(path)]
    return opened(", ".join(found)) if found else blocked("none")
