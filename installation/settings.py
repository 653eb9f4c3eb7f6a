"""Settings, read once at start into one frozen object; a missing or unknown value stops the start.

The state folder is ``GLOVEBOX_HOME`` (default ``./var``); ``settings.toml`` in it holds what an operator may change.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from installation.fault import Fault

CHECKOUT = Path(__file__).resolve().parent.parent


class SettingsFault(Fault):
    code = "settings"


@dataclass(frozen=True)
class Ports:
    """Loopback TCP ports of one installation; ``public`` is the only one a browser uses."""

    public: int = 8000
    hub: int = 8081
    proxy_api: int = 8001
    doors: int = 8010
    gate: int = 8020
    opa: int = 8181


@dataclass(frozen=True)
class SandboxSettings:
    """Limits and runtime of each sandbox. ``memory`` in bytes, ``home_bytes`` the size of the persistent home.

    ``waiting``: how many sandboxes may wait for a claim at most (0: every start is cold).
    """

    image: str = "glovebox/sandbox:current"
    runtime: str = "runc"
    memory: int = 2 * 1024**3
    cpus: float = 1.0
    pids: int = 256
    home_bytes: int = 2 * 1024**3
    loopback_inet: bool = False
    container_prefix: str = "glovebox"
    waiting: int = 3


@dataclass(frozen=True)
class Notify:
    """Where notices go besides the desk. ``mail_server`` is ``host`` or ``host:port``; passwords lie in the secrets folder."""

    mail_server: str = ""
    mail_from: str = ""
    mail_domain: str = ""
    mail_user: str = ""
    webhook: str = ""


@dataclass(frozen=True)
class Settings:
    """One installation's settings.

    ``host`` is where the public proxy listens; ``public_url`` what browsers are told (defaults to http://host:port).
    ``database_url`` moves the store to PostgreSQL; by default SQLite under the state folder.
    ``tls_cert``, ``tls_key``: PEM files for the public proxy; both or neither.
    ``policy_engine``: ``opa`` (the server) or ``regopy`` (the same Rego in-process).
    ``vault_master``: where the key lies that wraps the datasets' keys: ``file``, ``pkcs11:…`` or ``command:/path``.
    ``metrics_people``: whether the metrics carry the names of people as labels.
    ``vault_place``: a folder on a tmpfs where opened data lies (default: one in /dev/shm).
    ``upload_bytes``: the largest file that an administrator may send through a browser; 0 for none.
    """

    home: Path
    host: str = "127.0.0.1"
    public_url: str = ""
    database_url: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    policy_engine: str = "opa"
    vault_master: str = "file"
    vault_place: str = ""
    metrics_people: bool = False
    upload_bytes: int = 4 * 1024**3
    authenticator: str = "local"
    oidc: Mapping[str, Any] = field(default_factory=dict)
    ports: Ports = Ports()
    sandbox: SandboxSettings = SandboxSettings()
    notify: Notify = Notify()

    @property
    def url(self) -> str:
        """The address a browser opens, without a trailing slash."""
        return (
            self.public_url.rstrip("/") or f"{'https' if self.tls_cert else 'http'}://{self.host}:{self.ports.public}"
        )

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'glovebox.sqlite'}"

    # -- the state folder, one place for every path ---------------------------------------------------------------
    @property
    def secrets(self) -> Path:
        """0700; ledger signing key, tokens, account passwords made at set-up."""
        return self.home / "secrets"

    @property
    def run(self) -> Path:
        """0700; sockets and per-sandbox folders; nothing in it outlives a reboot."""
        return self.home / "run"

    @property
    def sandboxes(self) -> Path:
        return self.run / "sandboxes"

    @property
    def datasets(self) -> Path:
        return self.home / "datasets"

    @property
    def shelf(self) -> Path:
        """Editions of the package shelf, each in a folder named by its digest."""
        return self.home / "shelf"

    @property
    def homes(self) -> Path:
        return self.home / "homes"

    @property
    def blobs(self) -> Path:
        return self.home / "blobs"

    @property
    def logs(self) -> Path:
        return self.home / "log"

    @property
    def tools(self) -> Path:
        """Programs that set-up brought: ``bin/opa``, ``node_modules``."""
        return self.home / "tools"

    @property
    def doors_socket(self) -> Path:
        """The doors' administration socket (0600): the spawner opens and closes sandboxes through it."""
        return self.run / "doors.sock"

    @property
    def gate_socket(self) -> Path:
        """The gate's analyst API (0600): only the inner door calls it."""
        return self.run / "gate.sock"


def home_folder(environ: Mapping[str, str] = os.environ) -> Path:
    return Path(environ.get("GLOVEBOX_HOME") or CHECKOUT / "var").resolve()


def load(home: Path | None = None) -> Settings:
    """Read ``settings.toml`` of ``home``. Raises SettingsFault on an unknown key or a wrong type."""
    home = (home or home_folder()).resolve()
    path = home / "settings.toml"
    raw = _read(path)
    ports = _section(Ports, raw.pop("ports", {}), "ports", path)
    sandbox = _section(SandboxSettings, raw.pop("sandbox", {}), "sandbox", path)
    notify = _section(Notify, raw.pop("notify", {}), "notify", path)
    raw.setdefault("database_url", os.environ.get("DATABASE_URL", ""))
    top = _section(Settings, {**raw, "home": home}, "", path, skip=("ports", "sandbox", "notify"))
    return _checked(_with(top, ports=ports, sandbox=sandbox, notify=notify), path)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise SettingsFault(
            f"{path.name} could not be read.", why=f"It is not TOML: {broken}.", do="Correct it and start again."
        ) from broken


def _checked(settings: Settings, path: Path) -> Settings:
    """Values that only together, or only from a list, make sense."""
    numbers = [getattr(settings.ports, f.name) for f in fields(Ports)]
    wrong = {
        "policy_engine must be opa or regopy": settings.policy_engine not in ("opa", "regopy"),
        "authenticator must be local or oidc": settings.authenticator not in ("local", "oidc"),
        "tls_cert and tls_key belong together": bool(settings.tls_cert) != bool(settings.tls_key),
        "tls_cert and tls_key must be files that can be read": not all(
            os.access(name, os.R_OK) for name in (settings.tls_cert, settings.tls_key) if name
        ),
        "ports must lie between 1 and 65535": not all(0 < port < 65536 for port in numbers),
        "each port may be used once": len(set(numbers)) != len(numbers),
        "sandbox limits must be positive": min(
            settings.sandbox.memory, settings.sandbox.cpus, settings.sandbox.pids, settings.sandbox.home_bytes
        )
        <= 0,
        "upload_bytes must not be negative": settings.upload_bytes < 0,
        "notify.mail_server needs notify.mail_from, an address": bool(settings.notify.mail_server)
        and "@" not in settings.notify.mail_from,
        "notify.webhook must be https, or http to this machine": not _safe_webhook(settings.notify.webhook),
    }
    for rule, broken in wrong.items():
        if broken:
            raise SettingsFault(
                f"A setting in {path.name} cannot be used.", why=f"{rule}.", do="Correct it and start again."
            )
    return settings


def _safe_webhook(url: str) -> bool:
    parts = urlsplit(url)
    at_home = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    return not url or (bool(parts.hostname) and "@" not in parts.netloc and (parts.scheme == "https" or at_home))


def _with(settings: Settings, **changes: Any) -> Settings:
    from dataclasses import replace

    return replace(settings, **changes)


def _section(kind: type[Any], values: Mapping[str, Any], name: str, path: Path, skip: tuple[str, ...] = ()) -> Any:
    known = {f.name for f in fields(kind)} - set(skip)
    if not isinstance(values, Mapping):
        raise SettingsFault(
            f"{name} in {path.name} is not a section.",
            why="It holds one value.",
            do=f"Write it as [{name}] with its settings.",
        )
    unknown = sorted(set(values) - known)
    if unknown:
        raise SettingsFault(
            f"Unknown setting {', '.join(unknown)} in {name or 'the top level'} of {path.name}.",
            why="Every setting is checked at start, so that a misspelt one cannot be ignored in silence.",
            do=f"Remove it or use one of: {', '.join(sorted(known))}.",
        )
    made = kind(**values)
    for f in fields(kind):
        if f.name in values and f.name not in ("home", "oidc"):
            default = getattr(kind(home=Path("/")) if kind is Settings else kind(), f.name)
            given = getattr(made, f.name)
            wanted = (int, float) if isinstance(default, float) else type(default)
            if not isinstance(given, wanted) or isinstance(given, bool) != isinstance(default, bool):
                raise SettingsFault(
                    f"Setting {f.name} in {path.name} has the wrong type.",
                    why=f"It must be a {type(default).__name__}.",
                    do="Correct it and start again.",
                )
    return made
