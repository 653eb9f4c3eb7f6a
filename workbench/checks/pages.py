"""Pages and data that are written from the code: `check` compares them, `fix` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from installation.settings import CHECKOUT

REFERENCE = CHECKOUT / "docs" / "reference"
WRITTEN = "Written from the program by `./glovebox fix`; `./glovebox check` compares."


def built() -> dict[Path, str]:
    """Every generated file and what must stand in it."""
    from policy_engine import annotations
    from provisioning.sandbox import controls

    return {
        REFERENCE / "cli.md": commands_page(),
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "hardening.md": controls.page(),
        **annotations.built(),
    }


def differing(pages: Callable[[], dict[Path, str]] = built) -> list[str]:
    """Names of generated files that are missing or say something else than the code."""
    return [
        str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else path.name
        for path, text in sorted(pages().items())
        if not path.exists() or path.read_text("utf-8") != text
    ]


def write(pages: Callable[[], dict[Path, str]] = built) -> None:
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


# -- the command line -----------------------------------------------------------------------------------------------------
def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its words, in order of the program."""
    from workbench.cli import app

    yield from _below("", typer.main.get_command(app))


def _below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    found: dict[str, Any] = getattr(command, "commands", {})
    for name, one in found.items():
        if getattr(one, "commands", None):
            yield from _below(f"{words}{name} ", one)
        else:
            yield f"{words}{name}", one


def commands_page() -> str:
    lines = [
        "# The command line",
        "",
        WRITTEN,
        "",
        "Every command has `--help`. With `--json` standard output holds one JSON document and nothing else; progress goes to standard",
        "error. A command that cannot do its work says what happened, why, and what to do, and exits with 1 (2: wrong arguments).",
    ]
    for words, command in commands():
        lines += ["", f"## `glovebox {words}`", "", _paragraphs(command.help or "")]
        rows = [_row(one) for one in command.params if one.name != "help"]
        if rows:
            lines += ["", "| argument | meaning |", "|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def _row(one: Any) -> str:
    names = ", ".join(one.opts) if one.param_type_name == "option" else str(one.name).upper()
    kind = getattr(getattr(one, "type_descriptor", None), "annotation", None)
    choices = [str(each.value) for each in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
    values = f" One of: {', '.join(choices)}." if choices else ""
    need = " Required." if one.required else ""
    return f"| `{names}` | {one.help or ''}{values}{need} |"


# -- the settings ---------------------------------------------------------------------------------------------------------
MEANINGS = {
    "host": "Where the public proxy listens. Anything but loopback needs TLS, here or in front.",
    "public_url": "The address browsers are told; http(s)://host:port when empty.",
    "database_url": "A PostgreSQL address moves the store there; the environment's DATABASE_URL does the same. SQLite when empty.",
    "tls_cert": "PEM file with the public proxy's certificate chain.",
    "tls_key": "PEM file with its private key.",
    "vault_master": "Where the key lies that wraps the datasets' keys: `file` (`secrets/vault.master`, 0600), "
    "`pkcs11:token=…;object=…?module-path=…&pin-source=…`, or `command:/path/to/program` for any key service.",
    "vault_place": "A folder on a tmpfs, closed to others, where opened data lies; by default one in `/dev/shm`.",
    "upload_bytes": "The largest file, in bytes, that an administrator may send to the intake folder through a browser; 0 for none.",
    "metrics_people": "Whether the metrics for Prometheus carry the names of people as labels.",
    "policy_engine": "`opa`, the real server; or `regopy`, the same Rego in-process.",
    "authenticator": "`local` accounts or `oidc`.",
    "oidc": "With `oidc`: traits of oauthenticator's GenericOAuthenticator, under `[oidc]`.",
    "ports.public": "The only port that browsers use.",
    "ports.hub": "JupyterHub's API, loopback.",
    "ports.proxy_api": "The public proxy's routes, loopback, with a token.",
    "ports.doors": "The session door, loopback.",
    "ports.gate": "The review desk and its API, loopback.",
    "ports.opa": "The policy engine, loopback, with a token.",
    "sandbox.image": "The sandbox image; made by set-up.",
    "sandbox.runtime": "Docker runtime: `runc`, or another that is installed, such as `runsc`.",
    "sandbox.memory": "Bytes of memory for each sandbox.",
    "sandbox.cpus": "Processors for each sandbox.",
    "sandbox.pids": "Processes and threads in each sandbox.",
    "sandbox.home_bytes": "Size of the home that an analyst keeps for each project.",
    "sandbox.waiting": "How many prepared sandboxes may wait for an analyst; 0 starts each when it is asked for.",
    "sandbox.loopback_inet": "Let a sandbox open INET sockets on its own `lo` (dask, Ray). There is still no network.",
    "sandbox.container_prefix": "How the names of containers begin.",
    "notify.mail_server": "An SMTP server, `host` or `host:port`, for notices by e-mail; STARTTLS unless it is on this machine. "
    "Notices hold what happened, a number and a link, never data.",
    "notify.mail_from": "The sender's address.",
    "notify.mail_domain": "Whoever's account is not an address is written to at this domain.",
    "notify.mail_user": "To sign in at the server; the password lies in `secrets/mail.password`.",
    "notify.webhook": "An https address that gets each notice as JSON, signed with `secrets/webhook.key` (HMAC-SHA256) when there is one.",
}


def settings_page() -> str:
    from dataclasses import fields

    from installation.settings import Notify, Ports, SandboxSettings, Settings

    empty = Settings(home=Path("/"))
    sections = {"": (Settings, empty), "ports.": (Ports, empty.ports), "sandbox.": (SandboxSettings, empty.sandbox)}
    sections["notify."] = (Notify, empty.notify)
    lines = [
        "# Settings",
        "",
        WRITTEN,
        "",
        "They stand in `settings.toml` in the state folder (`GLOVEBOX_HOME`, `var/` by default), those with a dot under a section:",
        "`ports.public` is `public` under `[ports]`. An unknown name, a wrong type or a value that cannot work stops the start.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for prefix, (kind, defaults) in sections.items():
        for one in fields(kind):
            if one.name in ("home", "ports", "sandbox", "notify"):
                continue
            said = _default(getattr(defaults, one.name))
            lines.append(f"| `{prefix}{one.name}` | {said} | {MEANINGS[prefix + one.name]} |")
    return "\n".join(lines) + "\n"


def _default(value: object) -> str:
    if value in ("", {}):
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
