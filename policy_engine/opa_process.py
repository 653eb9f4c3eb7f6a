"""How the OPA server is started: loopback, a bearer token for every call, our bundle, nothing writable."""

from __future__ import annotations

import json
from pathlib import Path

from installation.settings import Settings
from policy_engine import bundle

AUTHORISATION = """package system.authz

import rego.v1

default allow := false

# whoever holds the token may ask an entry point, and nothing else: not change policies or data, not read the token back
allow if {
	input.identity == data.system.token
	input.method == "POST"
	array.slice(input.path, 0, 2) == ["v1", "data"]
	input.path[count(input.path) - 1] == "answer"
}

allow if {
	input.path == ["health"]
	input.method == "GET"
}
"""


def prepare(settings: Settings) -> list[str]:
    """Write the bundle and the authorisation policy under the state folder; return OPA's arguments after the binary.

    Raises FileNotFoundError when the token has not been made.
    """
    token = (settings.secrets / "opa.token").read_text("utf-8").strip()
    bundle.write(settings.run / "policy.tar.gz")
    guard = settings.run / "opa-guard"
    guard.mkdir(mode=0o700, parents=True, exist_ok=True)
    _private(guard / "authz.rego", AUTHORISATION)
    _private(guard / "data.json", json.dumps({"system": {"token": token}}))
    _private(guard / ".manifest", json.dumps({"roots": ["system"]}))
    return [
        "run",
        "--server",
        f"--addr=127.0.0.1:{settings.ports.opa}",
        "--authentication=token",
        "--authorization=basic",
        "--skip-version-check",
        "--log-level=error",
        "--bundle",
        str(settings.run / "policy.tar.gz"),
        str(guard),
    ]


def _private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
